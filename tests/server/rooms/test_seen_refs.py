"""Which refs a log may hold: what was taken in is always among them, and of what was not hardly anything."""

from __future__ import annotations

import secrets

from hypothesis import given
from hypothesis import strategies as st

from wslive.core.events import Event
from wslive.server.rooms.seen_refs import FIRST_REFS, SeenRefs
from wslive.server.rooms.told import Key


def event(actor: str, ref: str) -> Event:
    return Event(1, 0, actor, ref, 0, "joined", 1, b"{}", b"", b"")


def test_at_first_nothing_was_seen():
    assert SeenRefs().those_of([("p_ada", "r1")]) == []


pairs = st.tuples(st.text(max_size=20), st.text(max_size=70))


@given(st.lists(st.lists(pairs)), st.lists(pairs))
def test_whatever_was_taken_in_is_found_in_its_order(batches: list[list[Key]], asked: list[Key]):
    seen = SeenRefs()
    taken = set()
    for batch in batches:
        seen.add([event(*key) for key in batch])
        taken.update(batch)
    found = seen.those_of(asked)
    assert set(asked) & taken <= set(found)
    assert found == [key for key in asked if key in set(found)]


def test_over_many_layers_everything_is_found_and_hardly_anything_else():
    seen = SeenRefs()
    refs = [secrets.token_hex(12) for _ in range(20 * FIRST_REFS)]
    for start in range(0, len(refs), 700):
        seen.add([event("p_ada", ref) for ref in refs[start : start + 700]])
    keys = [("p_ada", ref) for ref in refs]
    assert seen.those_of(keys) == keys
    # Whose it is counts, too.
    others = [("p_bob", ref) for ref in refs]
    assert len(seen.those_of(others)) <= 1
