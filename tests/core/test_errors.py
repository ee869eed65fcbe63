import re

import pytest

from wslive.core import errors
from wslive.core.errors import AppendConflict, PollClosed, Refused, TooFast, WsliveError, refusal, refusals

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, WsliveError)]
REFUSALS = [c for c in CLASSES if issubclass(c, Refused)]


def test_the_tree_at_the_head_of_the_file_names_every_error() -> None:
    tree = (errors.__doc__ or "").split("A refusal has a `code`")[0]
    assert set(re.findall(r"\b[A-Z][A-Za-z]+[a-z]\b", tree)) >= {c.__name__ for c in CLASSES}


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda c: c.__name__)
def test_each_refusal_has_a_code_and_a_sentence_of_its_own(kind: type[Refused]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert kind.sentence[0].isupper()
    assert kind.sentence[-1] == "."
    assert [c for c in REFUSALS if c.code == kind.code or c.sentence == kind.sentence] == [kind]


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda c: c.__name__)
def test_a_refusal_comes_out_of_the_wire_as_it_went_in(kind: type[Refused]) -> None:
    sent = kind("Told more precisely.", retry_after_s=2.0)
    got = refusal(sent.code, sent.message, sent.retry_after_s)
    assert (type(got), str(got), got.retry_after_s) == (kind, "Told more precisely.", 2.0)


def test_all_refusals_are_found_by_their_codes() -> None:
    assert refusals() == {c.code: c for c in REFUSALS}


def test_a_refusal_of_a_later_version_is_still_a_refusal() -> None:
    got = refusal("quiz_has_no_answer", "Think again.")
    assert type(got) is Refused
    assert got.message == "Think again."


def test_a_refusal_without_a_message_says_its_sentence() -> None:
    assert str(PollClosed()) == PollClosed.sentence
    assert TooFast(retry_after_s=1.5).retry_after_s == 1.5


def test_a_conflict_carries_what_was_missed() -> None:
    conflict = AppendConflict(["an event", "another"])
    assert conflict.missed == ["an event", "another"]
    assert "2 newer events" in str(conflict)
