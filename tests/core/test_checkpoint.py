"""A room that is packed and unpacked is the same room (random rooms are compared in test_room_model)."""

import msgspec
import pytest

from tests.small_room import HOST, LEDGER, VIEWER, SmallRoom, person
from wslive.activities import activities
from wslive.core import checkpoint
from wslive.core.events import Head

ADA, BOB = person("p_ada"), person("p_bob")
LEFT_OUT = {"head", "registry", "keys", "activities", "touched", "everyone_at", "boxes", "uncounted", "unread"}
"""What a checkpoint holds otherwise, or must not hold, or what is empty whenever one is made."""


@pytest.fixture
def small() -> SmallRoom:
    small = SmallRoom()
    small.join("p_ada", "Ada")
    small.join("p_bob", "Bob")
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    small.vote(BOB, poll, "o2")
    small.send(ADA, "say", 2, text="hello")
    return small


def test_an_unpacked_room_goes_on_like_the_one_that_was_packed(small: SmallRoom) -> None:
    poll = max(small.room.activities)
    before = {who: small.view(who) for who in (HOST, LEDGER, VIEWER, ADA)}
    small.room = small.unpacked()
    assert {who: small.view(who) for who in before} == before
    small.vote(ADA, poll, "o2")
    small.send(BOB, "rename", person="p_bob", name="Rob")
    small.send(HOST, "erase_person", person="p_ada")
    secret = small.poll(secret=True)
    small.vote(BOB, secret, "o1")
    small.send(HOST, "close", secret)
    folded = small.folded()
    for who in before:
        assert folded.view(who) == small.view(who)
    offsets = range(small.room.head.offset + 2)
    assert [folded.room.chain_at(n) for n in offsets] == [small.room.chain_at(n) for n in offsets]


def test_every_part_of_a_room_is_packed_or_left_out_on_purpose(small: SmallRoom) -> None:
    unpacked = small.unpacked()
    assert vars(unpacked).keys() == vars(small.room).keys()
    for name in vars(small.room).keys() - LEFT_OUT:
        assert getattr(unpacked, name) == getattr(small.room, name)
    for id, (rules, state) in small.room.activities.items():
        assert unpacked.activities[id] == (rules, state)
    assert unpacked.everyone_at == small.room.head.offset


def test_entries_keep_the_order_of_their_last_change(small: SmallRoom) -> None:
    small.send(HOST, "mute", person="p_ada", muted=True)
    unpacked = small.unpacked()
    assert [actor for actor, _ in unpacked.people.after(0)] == ["p_ada", "p_bob"]
    assert list(unpacked.people.after(0)) == list(small.room.people.after(0))


def test_nothing_is_packed_while_a_box_is_open_or_its_votes_are_lost(small: SmallRoom) -> None:
    assert checkpoint.can_be_packed(small.room)
    poll = small.poll(secret=True)
    assert not checkpoint.can_be_packed(small.room)
    small.vote(ADA, poll, "o1")
    assert not checkpoint.can_be_packed(small.room)
    assert not checkpoint.can_be_packed(SmallRoom.of(small.log).room)  # its key is gone
    small.send(HOST, "close", poll)
    assert checkpoint.can_be_packed(small.room)


def test_what_is_packed_does_not_tell_who_voted_in_secret(small: SmallRoom) -> None:
    before = small.room.head.offset
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o1")
    (pseudonym,) = {event.actor for event in small.log if event.kind == "sealed"}
    small.send(HOST, "close", poll)
    assert "p_ada" in {actor for actor, _ in small.room.touched.after(before)}  # so the room knows it
    assert pseudonym.encode() not in small.packed()
    # It is what whoever never had the key would pack.
    without = SmallRoom.of(small.log)
    assert msgspec.msgpack.decode(without.packed()) == msgspec.msgpack.decode(small.packed())


def test_an_activity_that_cannot_be_kept_is_not(small: SmallRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    body = small.packed()
    monkeypatch.setattr(type(activities()["chat"]), "state_type", None)
    assert not checkpoint.can_be_packed(small.room)
    with pytest.raises(ValueError, match="'chat'"):
        checkpoint.unpack(body, small.room.head, activities())


def test_what_is_of_another_place_or_damaged_is_not_unpacked(small: SmallRoom) -> None:
    body, head = small.packed(), small.room.head
    for other in (Head("e2", head.offset, head.chain), Head(head.epoch, head.offset - 1, head.chain), Head("e1")):
        with pytest.raises(ValueError, match="not of"):
            checkpoint.unpack(body, other, activities())
    for damaged in (b"", body[:-1], body[1:]):
        with pytest.raises((ValueError, msgspec.DecodeError)):
            checkpoint.unpack(damaged, head, activities())
