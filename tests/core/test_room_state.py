import pytest

from tests.small_room import HOST, SmallRoom, person
from wslive.core.errors import BallotsLost, StoreTooNew, TemporarilyUnavailable
from wslive.core.room_state import spec_of

ADA = person("p_ada")


@pytest.fixture
def small() -> SmallRoom:
    small = SmallRoom()
    small.join("p_ada")
    return small


def test_a_room_knows_which_boxes_are_open(small: SmallRoom) -> None:
    room = small.room
    small.poll()
    assert room.boxes == {}
    poll = small.poll(secret=True)
    assert {id: box.name for id, box in room.boxes.items()} == {poll: "1"}
    small.send(HOST, "start_round", poll)
    assert {id: box.name for id, box in room.boxes.items()} == {poll: "2"}
    small.send(HOST, "close", poll)
    assert (room.boxes, room.uncounted) == ({}, {})


def test_an_activity_knows_a_person_by_a_pseudonym_while_its_box_is_open(small: SmallRoom) -> None:
    poll, other = small.poll(secret=True), small.poll(keep_open=True)
    assert small.room.own_name(poll, "p_ada").startswith("s_")
    assert small.room.own_name(other, "p_ada") == small.room.own_name(0, "p_ada") == "p_ada"
    small.send(HOST, "close", poll)
    assert small.room.own_name(poll, "p_ada") == "p_ada"


def test_a_box_is_used_with_its_key_alone(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.room.check_key((poll, "1"))
    with pytest.raises(TemporarilyUnavailable):
        small.room.check_key((poll, "2"))
    small.vote(ADA, poll, "o1")
    without = SmallRoom.of(small.log).room
    assert without.unread == {(poll, "1")}
    with pytest.raises(BallotsLost):
        without.check_key((poll, "1"))


def test_a_counted_box_concerns_everybody(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    assert small.room.everyone_at == 0
    small.send(HOST, "close", poll)
    assert small.room.everyone_at == len(small.log) == small.room.head.offset


def test_a_kind_that_nobody_knows_is_of_a_newer_version() -> None:
    with pytest.raises(StoreTooNew, match="'danced' of version 3"):
        spec_of({}, "danced", 3)
