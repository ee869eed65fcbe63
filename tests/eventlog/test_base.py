import msgspec
import pytest

from tests.eventlog.events import a_batch
from wslive.core.events import Head, head_after
from wslive.eventlog.base import check_batch

START = Head("e1")


def test_a_batch_that_follows_is_let_through() -> None:
    batch = a_batch(START, "a", "b", "c")
    check_batch(START, batch)
    check_batch(head_after(START, batch[0]), batch[1:])
    check_batch(START, [])


def test_a_batch_with_a_gap_is_refused() -> None:
    first, _, third = a_batch(START, "a", "b", "c")
    with pytest.raises(ValueError, match="do not follow offset 0"):
        check_batch(START, [first, third])


def test_a_batch_made_for_another_head_of_the_same_offset_is_refused() -> None:
    other = head_after(START, a_batch(START, "other")[0])
    mine = head_after(START, a_batch(START, "mine")[0])
    with pytest.raises(ValueError, match="chain of event 2"):
        check_batch(mine, a_batch(other, "next"))


def test_an_event_that_was_altered_after_it_was_made_is_refused() -> None:
    (event,) = a_batch(START, "a")
    with pytest.raises(ValueError, match="chain of event 1"):
        check_batch(START, [msgspec.structs.replace(event, actor="somebody else")])
