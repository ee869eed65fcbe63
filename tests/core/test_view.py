import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.small_room import over_the_wire
from wslive.core.view import Keyed, Op, Put, Remove, Set, View, patch, under

KEYS = st.sampled_from("abc")
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(tuple)
VALUES = st.one_of(st.none(), st.integers(-5, 5), st.text(max_size=3), st.dictionaries(KEYS, st.integers(0, 3)))
OPS = st.one_of(st.builds(Set, PATHS, VALUES), st.builds(Put, PATHS, KEYS, VALUES), st.builds(Remove, PATHS, KEYS))


def test_set_replaces_the_value_at_a_path() -> None:
    assert patch({"a": {"b": 1, "c": 2}}, [Set(("a", "b"), {"x": 3})]) == {"a": {"b": {"x": 3}, "c": 2}}


def test_set_at_the_root_replaces_everything() -> None:
    view: View = {"a": 1}
    assert patch(view, [Set((), {"b": 2})]) is view
    assert view == {"b": 2}


def test_put_and_remove_concern_one_entry() -> None:
    view: View = {"lines": {"1": "one", "2": "two"}}
    patch(view, [Put(("lines",), "2", "TWO"), Put(("lines",), "3", "three"), Remove(("lines",), "1")])
    assert view == {"lines": {"2": "TWO", "3": "three"}}


def test_what_is_missing_on_the_way_is_made() -> None:
    assert patch({"a": None}, [Put(("a", "b"), "c", 1), Set(("d", "e"), 2)]) == {"a": {"b": {"c": 1}}, "d": {"e": 2}}


def test_removing_what_is_not_there_is_no_error() -> None:
    assert patch({"a": {}}, [Remove(("a",), "x")]) == {"a": {}}


@given(st.dictionaries(KEYS, VALUES), OPS)
def test_an_operation_applied_twice_changes_nothing_more(view: View, op: Op) -> None:
    once = patch(dict(view), over_the_wire([op]))
    assert patch(patch(dict(view), over_the_wire([op])), over_the_wire([op])) == once


@given(st.dictionaries(KEYS, VALUES), st.lists(OPS, max_size=5))
def test_operations_below_a_path_change_only_what_is_there(view: View, ops: list[Op]) -> None:
    before = {"other": 1, "part": view}
    after = patch({"other": 1, "part": patch({}, [Set((), view)])}, under(("part",), ops))
    assert after["other"] == before["other"]
    assert after["part"] == patch(patch({}, [Set((), view)]), over_the_wire(ops))


def test_operations_survive_a_journey_over_the_wire() -> None:
    ops: list[Op] = [Set(("a", "b"), {"x": [1, None]}), Put((), "k", "v"), Remove(("a",), "k")]
    assert over_the_wire(ops) == ops


# ── Keyed ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def keyed() -> Keyed[str]:
    keyed: Keyed[str] = Keyed()
    keyed.touch("a", "A", 1)
    keyed.touch("b", "B", 2)
    keyed.touch("a", "A2", 3)
    keyed.touch("b", None, 5)
    return keyed


def test_an_entry_is_what_it_was_last(keyed: Keyed[str]) -> None:
    assert (keyed.get("a"), keyed.get("b"), keyed.get("c")) == ("A2", None, None)
    assert list(keyed.items()) == [("a", "A2")]


def test_changes_after_an_offset_come_latest_first_with_removals(keyed: Keyed[str]) -> None:
    assert list(keyed.after(0)) == [("b", None), ("a", "A2")]
    assert list(keyed.after(3)) == [("b", None)]
    assert list(keyed.after(5)) == []


def test_the_last_change_of_an_entry_and_of_all_is_known(keyed: Keyed[str]) -> None:
    assert (keyed.offset_of("a"), keyed.offset_of("b"), keyed.offset_of("c")) == (3, 5, 0)
    assert keyed.changed == 5
    assert len(keyed) == 2


def test_an_empty_collection_never_changed() -> None:
    keyed: Keyed[str] = Keyed()
    assert (keyed.changed, len(keyed), list(keyed.items()), list(keyed.after(0))) == (0, 0, [], [])


@given(st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers())), max_size=30), st.integers(0, 31))
def test_a_reader_behind_catches_up_by_the_changes_alone(touches: list[tuple[str, int | None]], behind: int) -> None:
    keyed: Keyed[int] = Keyed()
    then: dict[str, int] = {}
    behind = min(behind, len(touches))
    for offset, (key, value) in enumerate(touches, 1):
        keyed.touch(key, value, offset)
        if offset == behind:
            then = dict(keyed.items())
    for key, value in keyed.after(behind):
        if value is None:
            then.pop(key, None)
        else:
            then[key] = value
    assert then == dict(keyed.items())
