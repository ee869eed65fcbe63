"""A room: what a command may do, and what an event means.

    decide(room, command, who, at_ms) → Fact      raises a Refused; changes nothing
    apply(room, event, fact.body)                 changes the room; cannot fail
    replay(epoch, events)                         the fold: the same events give the same room everywhere

Commands to activity 0 speak to the room itself: people, stage, lock, end, and opening activities. All others go to
the activity whose id they name. One accepted command is exactly one event; what follows from it (a poll that leaves
the stage is closed, a muted person's lines disappear) is part of applying that event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from wslive.core.activity import SEALED, CommandSpec, Context, EventSpec, Meta, Person
from wslive.core.commands import Command
from wslive.core.errors import (
    BadCommand,
    NotAllowed,
    Removed,
    RoomHasEnded,
    RoomUnavailable,
    UnknownActivity,
    UnknownCommand,
    UnknownPerson,
)
from wslive.core.events import Event
from wslive.core.roles import HOST, PARTICIPANT, SERVER_ACTOR, Level, Who
from wslive.core.room_messages import (
    COMMANDS,
    ERASED_NAME,
    EVENTS_BY_KEY,
    EVENTS_BY_TYPE,
    ActivityOpened,
    EndRoom,
    ErasePerson,
    Join,
    Joined,
    Lock,
    Locked,
    Mute,
    OpenActivity,
    OpenRoom,
    PersonErased,
    PersonMuted,
    PersonRemoved,
    RemovePerson,
    Rename,
    Renamed,
    RoomEnded,
    RoomOpened,
    SetStage,
    Staged,
)
from wslive.core.room_state import NAMES_SHOWN_UP_TO, ROOM, Registry, Room, Running, spec_of, unknown
from wslive.core.secrecy import Box, BoxId, BoxKey
from wslive.core.text import MAX_TITLE_CHARS, clean, clean_name

__all__ = ["NAMES_SHOWN_UP_TO", "ROOM", "Fact", "Registry", "Room", "Running", "apply", "count", "decide", "replay"]

_SEALED = SEALED.kind
_is_ref = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch


class Fact(msgspec.Struct, frozen=True, gc=False):
    """What a decision would write: everything of an event but its place and time.

    `box` is where it is to be hidden, None: nowhere.
    """

    activity: int
    kind: str
    version: int
    body: msgspec.Struct
    box: Box | None = None


# ── decide ────────────────────────────────────────────────────────────────────────────────────────────────────────


def decide(room: Room, command: Command, who: Who, at_ms: int) -> Fact:
    """Turn a command into one fact, or refuse. Changes nothing.

    Raises:
        Refused: With the reason; the same command gets the same answer while the room is the same.
    """
    if not _is_ref(command.ref):
        raise BadCommand("A command needs a ref of 1 to 64 characters: letters, digits, - and _.")
    activity, kind = command.activity, command.kind
    is_joining = activity == ROOM and kind == "join"
    if room.has_ended and kind != "erase_person":  # who asks for that may ask long after
        raise RoomUnavailable if is_joining else RoomHasEnded
    if who.role is PARTICIPANT and not is_joining:
        person = room.people.get(who.actor)
        if person is None:
            raise NotAllowed("You are not in this room.")
        if person.removed:  # on its way when the host sent them out
            raise Removed
    context = Context(who.actor, who.role, at_ms, room.people)
    if activity == ROOM:
        wish = _admitted(COMMANDS.get(kind), command, who)
        return _fact(ROOM, EVENTS_BY_TYPE, _decide_room(room, wish, context))
    running = room.activities.get(activity)
    if running is None:
        raise UnknownActivity
    if kind == "open":
        raise UnknownCommand("An activity is opened by the room's command open_activity.")
    rules, state = running
    wish = _admitted(rules.commands.get(kind), command, who)
    box = room.boxes.get(activity) if room.boxes and kind in rules.hidden else None
    if box is not None:
        room.check_key((activity, box.name))
        context = msgspec.structs.replace(context, actor=room.own_name(activity, who.actor))
    return _fact(activity, rules.events_by_type, rules.decide(state, wish, context), box)


def _admitted(spec: CommandSpec | None, command: Command, who: Who) -> Any:
    if spec is None:
        raise UnknownCommand(f"There is no command {command.kind[:40]!r} here.")
    if who.role not in spec.roles:
        raise NotAllowed
    return spec.decode(command.body)


def _fact(activity: int, by_type: Mapping[type, EventSpec], event: msgspec.Struct, box: Box | None = None) -> Fact:
    spec = by_type[type(event)]
    return Fact(activity, spec.kind, spec.version, event, box)


def count(room: Room, activity: int) -> Fact:
    """What was in the box of an activity that was closed by the event before."""
    rules, state = room.activities[activity]
    return _fact(activity, rules.events_by_type, rules.count(state, room.uncounted[activity]))


def _decide_room(room: Room, wish: Any, context: Context) -> msgspec.Struct:
    match wish:
        case OpenRoom(title=title):
            if room.offset:
                raise BadCommand("This room is open already.")
            return RoomOpened(clean(title, max_chars=MAX_TITLE_CHARS, what="The title"))
        case Join(name=name, level=level):
            person_before = room.people.get(context.actor)
            is_shut = room.is_locked and level is not Level.INVITATION
            if is_shut or (person_before is not None and person_before.removed):
                raise RoomUnavailable
            if person_before is not None:
                raise BadCommand("You are in this room already.")
            if name is None or not name.strip():
                return Joined(f"Guest {room.joined_ever + 1}", level)
            return Joined(clean_name(name), level)
        case Rename(name=name, person=person):
            if person is not None and person != context.actor and context.role is not HOST:
                raise NotAllowed
            target = person or context.actor
            if room.person(target).level is Level.HUB and context.role is not HOST:
                raise NotAllowed("Your name here is that of your login; only the host can change how it is shown.")
            return Renamed(target, clean_name(name))
        case Mute(person=person, muted=muted):
            room.person(person)
            return PersonMuted(person, muted)
        case RemovePerson(person=person):
            room.person(person)
            return PersonRemoved(person)
        case ErasePerson(person=person):
            found = room.people.get(person)
            if found is None:
                raise UnknownPerson
            return PersonErased(person, found.level)
        case Lock(locked=locked):
            return Locked(locked)
        case SetStage(activity=activity):
            running = room.activities.get(activity)
            if activity and (running is None or not running.rules.stageable(running.state)):
                raise UnknownActivity
            return Staged(activity)
        case OpenActivity(kind=kind, body=body, keep_open=keep_open):
            return _decide_activity(room, kind, body, keep_open, context)
        case EndRoom():
            return RoomEnded()
    raise AssertionError(f"no rule for {wish!r}")


def _decide_activity(room: Room, kind: str, body: msgspec.Raw, keep_open: bool, context: Context) -> ActivityOpened:
    rules = room.registry.get(kind)
    if rules is None:
        raise UnknownActivity(f"This server knows no activity of the kind {kind[:40]!r}.")
    wish = rules.commands["open"].decode(body)
    opened = rules.decide_open(wish, room.of_kind(kind), context)
    spec = rules.events_by_type[type(opened)]
    return ActivityOpened(kind, spec.version, msgspec.Raw(msgspec.json.encode(opened)), keep_open)


# ── apply ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def apply(room: Room, event: Event, body: msgspec.Struct | None = None, author: str | None = None) -> None:
    """Change the room by the event that follows its head.

    Args:
        room: The state, changed in place.
        event: The event; its body is decoded unless `body` is given.
        body: The decoded body, where the caller has it; of a sealed event what is within.
        author: Who is behind the pseudonym of a sealed event, where the caller knows.

    Raises:
        ValueError: The event does not follow the head; the log has a hole.
        StoreTooNew: A later version of wslive, or an activity that is not installed here, wrote the event.
    """
    offset, actor, activity = event.offset, event.actor, event.activity
    if offset != room.offset + 1:
        raise ValueError(f"Event {offset} does not follow offset {room.offset}")
    meta = Meta(offset, event.at_ms, actor)
    if activity == ROOM:
        decoded = body or spec_of(EVENTS_BY_KEY, event.kind, event.version).decode(event.body)
        _apply_room(room, decoded, meta)
    elif event.kind == _SEALED:
        _apply_sealed(room, event, body or room.unsealed(event), author, meta)
    else:
        rules, state = room.activities[activity]
        decoded = body or spec_of(rules.events_by_key, event.kind, event.version).decode(event.body)
        rules.apply(state, decoded, meta)
        room.touched.touch(actor, True, offset)
        if actor == SERVER_ACTOR:
            room.note_counted(activity, offset)
        if rules.hidden and rules.box(state) is not room.boxes.get(activity):  # hardly ever
            room.note_box(activity)
        if room.stage == activity and not rules.stageable(state):
            _set_stage(room, 0, meta)
    room.advance(event)


def _apply_sealed(room: Room, event: Event, within: Any, author: str | None, meta: Meta) -> None:
    rules, state = room.activities[event.activity]
    if within is None:
        rules.apply_unread(state, meta)
    else:
        rules.apply(state, within, meta)
    if author is None:
        room.everyone_at = meta.offset
    else:
        room.touched.touch(author, True, meta.offset)


def replay(epoch: str, events: Iterable[Event], registry: Registry, keys: Mapping[BoxId, BoxKey] | None = None) -> Room:
    """Fold a log into a room."""
    room = Room(epoch, registry, keys)
    for event in events:
        apply(room, event)
    return room


def texts_of(room: Room, person: str) -> list[int]:
    """The offsets of all events whose bodies hold a person's names or what they have written."""
    offsets = list(room.named_at.get(person, ()))
    for rules, state in room.activities.values():
        offsets += rules.texts_of(state, person)
    return offsets


def _apply_room(room: Room, event: Any, meta: Meta) -> None:
    match event:
        case Joined(name=name, level=level):
            room.joined_ever += 1
            room.named_at[meta.actor] = [meta.offset]
            _count_people(room, +1, meta)
            room.people.touch(meta.actor, Person(name, meta.at_ms, level=level), meta.offset)
            room.touched.touch(meta.actor, True, meta.offset)
        case Renamed(person=person, name=name):
            room.named_at.setdefault(person, []).append(meta.offset)
            _change_person(room, person, meta, name=name)
        case PersonMuted(person=person, muted=muted):
            _change_person(room, person, meta, muted=muted)
        case PersonRemoved(person=person):
            _count_people(room, -1, meta)
            _change_person(room, person, meta, removed=True)
        case PersonErased(person=person, level=level):
            _change_person(room, person, meta, name=ERASED_NAME, level=level)
            room.named_at.pop(person, None)
            for rules, state in room.activities.values():
                rules.person_erased(state, person, meta)
        case ActivityOpened():
            _open_activity(room, event, meta)
        case _:
            room.room_at = meta.offset
            match event:
                case RoomOpened(title=title):
                    room.title = title
                    room.opened_at_ms = meta.at_ms
                case Locked(locked=locked):
                    room.is_locked = locked
                case Staged(activity=activity):
                    room.stage = activity
                case RoomEnded():
                    room.has_ended = True
                    for activity in list(room.boxes):
                        room.note_box(activity)


def _open_activity(room: Room, event: ActivityOpened, meta: Meta) -> None:
    rules = room.registry.get(event.kind)
    if rules is None:
        raise unknown(event.kind, event.version)
    # The opening event's own kind is not stored: its type follows from the activity's kind and the version.
    opened = spec_of(rules.events_by_key, f"{event.kind}_opened", event.version).decode(event.body)
    state = rules.initial(opened, meta)
    room.activities[meta.offset] = Running(rules, state)
    room.note_box(meta.offset)
    if not rules.stageable(state):
        return
    before = room.activities.get(room.stage)
    if before is not None and not event.keep_open:
        before.rules.displaced(before.state, meta)
        room.note_box(room.stage)
    _set_stage(room, meta.offset, meta)


def _set_stage(room: Room, activity: int, meta: Meta) -> None:
    room.stage = activity
    room.room_at = meta.offset


def _change_person(room: Room, actor: str, meta: Meta, **fields: Any) -> None:
    before = room.people.get(actor)
    if before is None:
        return
    person = msgspec.structs.replace(before, **fields)
    room.people.touch(actor, person, meta.offset)
    room.touched.touch(actor, True, meta.offset)
    for running in room.activities.values():
        running.rules.person_changed(running.state, actor, person, meta)


def _count_people(room: Room, change: int, meta: Meta) -> None:
    shown_before = room.people_count <= NAMES_SHOWN_UP_TO
    room.people_count += change
    if shown_before != (room.people_count <= NAMES_SHOWN_UP_TO):
        room.names_since = meta.offset
