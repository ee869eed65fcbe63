"""The state of a room as bytes, so that opening it folds only what came since.

    pack_activity(room, id)     one activity; several, and `pack` after them, while the room stays as it is
    pack(room, activities)      the room
    unpack(body, head, …)       the same room, at the same offset
    is_same(room, other)        whether two rooms would be packed alike

A checkpoint is worth its time only if it holds everything, and must hold nothing that the log would not give away. So
there is none while the box of a secret poll is open: it would lay open what the box holds. Nor does it say who did
what when (`Room.touched`): with the log that would tell whose a pseudonym was. A room that was unpacked takes it that
anybody's personal part may have changed.

Whether a checkpoint fits a log, and was made by these very rules, is for others to find out; here it is believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from wslive.core.activity import Person
from wslive.core.events import Head
from wslive.core.room_state import Registry, Room, Running
from wslive.core.secrecy import BoxId, BoxKey
from wslive.core.view import Keyed

CHAIN_BYTES = 8


class PackedActivity(msgspec.Struct, frozen=True, array_like=True):
    """One activity, its state as bytes."""

    id: int
    kind: str
    state: msgspec.Raw


class _State(msgspec.Struct):
    """What is kept of a room as it stands there, under the same names."""

    title: str
    opened_at_ms: int
    is_locked: bool
    has_ended: bool
    stage: int
    people: Keyed[Person]
    people_count: int
    joined_ever: int
    named_at: dict[str, list[int]]
    room_at: int
    names_since: int
    chains: bytearray


class _Packed(msgspec.Struct, frozen=True):
    head: Head
    state: _State
    activities: Sequence[PackedActivity]


_decoder = msgspec.msgpack.Decoder(_Packed)


def can_be_packed(room: Room) -> bool:
    """Whether all of the room can be kept, and may be."""
    is_sealed = bool(room.boxes or room.uncounted or room.unread)
    return not is_sealed and all(rules.state_type is not None for rules, _ in room.activities.values())


def pack_activity(room: Room, activity: int) -> PackedActivity:
    """One activity of a room."""
    rules, state = room.activities[activity]
    return PackedActivity(activity, rules.kind, msgspec.Raw(msgspec.msgpack.encode(state)))


def pack(room: Room, activities: Sequence[PackedActivity]) -> bytes:
    """A room, all of whose activities have been packed since its last event."""
    state = _State(**{name: getattr(room, name) for name in _State.__struct_fields__})
    return msgspec.msgpack.encode(_Packed(room.head, state, activities))


def unpack(body: bytes, head: Head, registry: Registry, keys: Mapping[BoxId, BoxKey] | None = None) -> Room:
    """The room that was packed.

    Args:
        body: What `pack` made, by these rules.
        head: Which end of the log it must be the state at.
        registry: The activities.
        keys: As for a `Room`.

    Raises:
        ValueError · msgspec.DecodeError: It is something else.
    """
    packed = _decoder.decode(body)
    if packed.head != head or len(packed.state.chains) != CHAIN_BYTES * head.offset:
        raise ValueError(f"The checkpoint is of {packed.head}, not of {head}")
    room = Room(head.epoch, registry, keys)
    for name in _State.__struct_fields__:
        setattr(room, name, getattr(packed.state, name))
    for id, kind, state in map(msgspec.structs.astuple, packed.activities):
        rules = registry.get(kind)
        if rules is None or rules.state_type is None:
            raise ValueError(f"The checkpoint holds an activity of the kind {kind!r}, which cannot be unpacked here")
        room.activities[id] = Running(rules, msgspec.msgpack.decode(state, type=rules.state_type))
    room.offset, room.chain = head.offset, head.chain
    room.everyone_at = head.offset
    return room


def is_same(room: Room, other: Room) -> bool:
    """Whether all that is kept of two rooms is the same."""
    return (
        room.head == other.head
        and all(getattr(room, name) == getattr(other, name) for name in _State.__struct_fields__)
        and _states(room) == _states(other)
    )


def _states(room: Room) -> dict[int, tuple[str, object]]:
    return {id: (rules.kind, state) for id, (rules, state) in room.activities.items()}
