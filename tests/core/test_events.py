import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslive.core.events import CHAIN_START, Event, Head, Position, chain_hash, follows, head_after, next_event

START = Head("e1")
TEXT = st.text(max_size=20)


def an_event(head: Head = START, **changes: object) -> Event:
    fields = {"at_ms": 7, "actor": "p_1", "ref": "r1", "activity": 2, "kind": "line_said", "version": 1, "body": b"{}"}
    return next_event(head, **{**fields, **changes})  # type: ignore[arg-type]


def test_events_are_numbered_from_one_and_chained() -> None:
    first = an_event()
    second = an_event(head_after(START, first))
    assert (first.offset, second.offset) == (1, 2)
    assert follows(START, first)
    assert follows(head_after(START, first), second)
    assert first.body_hash == hashlib.sha256(b"{}").digest()


def test_an_event_follows_no_other_head() -> None:
    first = an_event()
    second = an_event(head_after(START, first))
    other = head_after(START, an_event(ref="another"))
    assert not follows(START, second)
    assert not follows(other, second)
    assert not follows(head_after(START, first), first)


@pytest.mark.parametrize(
    "change",
    [
        {"at_ms": 8},
        {"actor": "p_2"},
        {"ref": "r2"},
        {"activity": 3},
        {"kind": "line_hidden"},
        {"version": 2},
        {"body_hash": bytes(32)},
    ],
)
def test_the_chain_notices_whatever_is_altered(change: dict[str, object]) -> None:
    assert not follows(START, msgspec.structs.replace(an_event(), **change))


def test_the_chain_verifies_without_the_body() -> None:
    assert follows(START, msgspec.structs.replace(an_event(body=b'{"text":"erase me"}'), body=b""))


@given(st.tuples(TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT))
def test_no_choice_of_texts_makes_two_different_events_hash_alike(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    def chain(actor: str, ref: str, kind: str) -> bytes:
        return chain_hash(CHAIN_START, 1, 0, actor, ref, 0, kind, 1, b"")

    assert (chain(*one) == chain(*other)) == (one == other)


def test_a_position_tells_the_first_eight_bytes_of_the_chain() -> None:
    assert START.position == Position("e1", 0, "0" * 16)
    head = head_after(START, an_event())
    assert head.position == Position("e1", 1, head.chain.hex()[:16])


def test_an_event_survives_a_journey_through_json() -> None:
    event = an_event(body='{"text":"żółć"}'.encode())
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
