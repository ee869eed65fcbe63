"""A witness finds what it is there to find, or it proves nothing."""

from tests.client.rooms import delta, position, welcome
from tests.torture.witness import LINES, Witness, untold
from wslive.core.view import Put, View


def put(*offsets: int) -> list[Put]:
    return [Put(LINES, str(offset), {"id": offset}) for offset in offsets]


def room(*offsets: int) -> View:
    return {"activities": {"2": {"lines": {str(offset): {"id": offset} for offset in offsets}}}}


def test_a_resume_that_brings_everything_leaves_nothing_to_tell():
    witness = Witness()
    witness.welcome(welcome(5, room(4, 5)))
    witness.delta(delta(5, 6, *put(6)))
    witness.welcome(welcome(9, ops=put(7, 9)))
    witness.delta(delta(8, 10, *put(9, 10)))  # what is there already is seen once
    assert [*untold(witness.spells, [2, 4, 5, 6, 7, 9, 10], witness.offset)] == []
    assert witness.returns == [("resume", 3)]


def test_a_resume_with_a_hole_is_found():
    witness = Witness()
    witness.welcome(welcome(5, room(5)))
    witness.welcome(welcome(9, ops=put(9)))
    (problem,) = untold(witness.spells, [5, 7, 9], witness.offset)
    assert "missing=[7]" in problem


def test_lines_in_another_order_are_found():
    witness = Witness()
    witness.welcome(welcome(5, room(5)))
    witness.delta(delta(5, 7, *put(7, 6)))
    assert len([*untold(witness.spells, [5, 6, 7], witness.offset)]) == 1


def test_what_a_snapshot_says_is_older_than_it_shows_is_told():
    witness = Witness()
    witness.welcome(welcome(5, room(5)))
    witness.welcome(welcome(900, room(800, 900)))
    witness.delta(delta(900, 901, *put(901)))
    assert [*untold(witness.spells, [5, 6, 700, 800, 900, 901], witness.offset)] == []
    assert witness.returns == [("snapshot", 895)]
    assert witness.position == position(901)
