"""What each reader of a room may see: the room's parts, per audience.

A part is what can have an audience of its own: "room", "people", and each activity under its id. `me` is personal.

    snapshot(room, who)          the whole view of one reader
    changes(room, who, after)    operations that bring that reader's view at offset `after` to the room's head
    part_changes(…)              the same for one part and audience: what a tick encodes once for many readers

`patch(snapshot at p, changes after p) == snapshot now` holds for every reader and every p; tests/core checks it on
random rooms. The view's shape:

    {"room": {title, opened_at_ms, locked, ended, stage},
     "people": {"count": 2, "names": {actor: {name, joined_at_ms, …}}},
     "activities": {"12": {"kind": "poll", …}},
     "me": {actor, role, name, muted, "activities": {"12": {…}}}}
"""

from __future__ import annotations

from collections.abc import Iterable

from wslive.core.activity import HISTORY_ENTRIES, Person
from wslive.core.errors import UnknownActivity
from wslive.core.roles import HOST, HOST_ACTOR, Level, Who
from wslive.core.room import NAMES_SHOWN_UP_TO, Room
from wslive.core.text import HOST_NAME
from wslive.core.view import Audience, Op, Put, Remove, Set, View, under

ROOM_PART = "room"
PEOPLE_PART = "people"


def parts(room: Room) -> list[str]:
    """All parts of a room, activities by their ids."""
    return [ROOM_PART, PEOPLE_PART, *map(str, room.activities)]


def changed(room: Room, part: str) -> int:
    """The offset of the last change in a part that any reader may see."""
    if part == ROOM_PART:
        return room.room_at
    if part == PEOPLE_PART:
        return room.people.changed
    rules, state = room.activities[int(part)]
    return rules.changed(state)


def audience(room: Room, part: str, who: Who) -> Audience:
    """To which audience of a part a reader belongs, and since when."""
    if part == ROOM_PART:
        return Audience("all", 0)
    if part == PEOPLE_PART:
        if who.role is HOST:
            return Audience("host", 0)
        shown = room.people_count <= NAMES_SHOWN_UP_TO
        return Audience("names" if shown else "counts", room.names_since)
    id = int(part)
    rules, state = room.activities[id]
    found = rules.audience(state, who)
    # Before it was opened nobody belonged to any audience of it.
    return found if found.since >= id else Audience(found.name, id)


def tells_apart(room: Room, part: str) -> bool:
    """Whether two readers of one role, ledger or not, may belong to different audiences of a part just now."""
    if part in (ROOM_PART, PEOPLE_PART):
        return False
    rules, state = room.activities[int(part)]
    return rules.tells_apart(state)


def path(part: str) -> tuple[str, ...]:
    """Where a part lies in the view."""
    return (part,) if part in (ROOM_PART, PEOPLE_PART) else ("activities", part)


def part_view(room: Room, part: str, audience: str, history: int = HISTORY_ENTRIES) -> View:
    """All that one audience may see of a part."""
    if part == ROOM_PART:
        return {
            "title": room.title,
            "opened_at_ms": room.opened_at_ms,
            "locked": room.is_locked,
            "ended": room.has_ended,
            "stage": room.stage,
        }
    if part == PEOPLE_PART:
        if audience == "counts":
            return {"count": room.people_count}
        names = {a: _person(p, audience) for a, p in room.people.items() if not p.removed}
        return {"count": room.people_count, "names": names}
    rules, state = room.activities[int(part)]
    return rules.view(state, audience, room.people, history)


def part_changes(room: Room, part: str, audience: str, after: int) -> list[Op]:
    """Operations on the whole view for readers who have been in this audience since `after` or before."""
    if changed(room, part) <= after:
        return []
    if part == ROOM_PART:
        return [Set((ROOM_PART,), part_view(room, part, audience))]
    if part == PEOPLE_PART:
        ops: list[Op] = [Set((PEOPLE_PART, "count"), room.people_count)]
        if audience != "counts":
            for actor, person in list(room.people.after(after))[::-1]:
                if person is None or person.removed:
                    ops.append(Remove((PEOPLE_PART, "names"), actor))
                else:
                    ops.append(Put((PEOPLE_PART, "names"), actor, _person(person, audience)))
        return ops
    rules, state = room.activities[int(part)]
    return under(path(part), rules.changes(state, audience, room.people, after))


def whole_part(room: Room, part: str, audience: str) -> list[Op]:
    """One operation that replaces a part: for readers who came to its audience after their position."""
    return [Set(path(part), part_view(room, part, audience))]


def personal_changes(room: Room, who: Who, after: int, changed_parts: Iterable[str] | None = None) -> list[Op]:
    """Operations on `me`; `changed_parts` are those that have changed since `after`, where the caller knows them."""
    ops: list[Op] = []
    actor = who.actor
    if changed_parts is None:
        changed_parts = [part for part in parts(room) if changed(room, part) > after]
    for part in changed_parts:
        if part == PEOPLE_PART:
            change = room.people.last_change(actor)
            if change is not None and change[0] > after and (person := change[1]) is not None:
                ops.append(Set(("me", "name"), person.name))
                ops.append(Set(("me", "muted"), person.muted))
        elif part != ROOM_PART:
            id = int(part)
            rules, state = room.activities[id]
            own = rules.personal(state, room.own_name(id, actor))
            if own is not None and own[0] > after:
                ops.append(Set(("me", "activities", part), own[1]))
    return ops


def changes(room: Room, who: Who, after: int) -> list[Op]:
    """All operations that bring one reader's view at offset `after` to the room's head."""
    ops: list[Op] = []
    for part in parts(room):
        group = audience(room, part, who)
        if group.since > after:
            ops += whole_part(room, part, group.name)
        else:
            ops += part_changes(room, part, group.name, after)
    return ops + personal_changes(room, who, after)


def snapshot(room: Room, who: Who, history: int = HISTORY_ENTRIES) -> View:
    """The whole view of one reader."""
    view: View = {name: part_view(room, name, audience(room, name, who).name) for name in (ROOM_PART, PEOPLE_PART)}
    view["activities"] = {
        str(id): part_view(room, str(id), audience(room, str(id), who).name, history) for id in room.activities
    }
    view["me"] = _me(room, who)
    return view


def older(room: Room, who: Who, activity: int, before: int, limit: int) -> list[View]:
    """Entries of an activity's long collection before `before`, oldest first.

    Raises:
        UnknownActivity: There is none of that id.
    """
    running = room.activities.get(activity)
    if running is None:
        raise UnknownActivity
    group = audience(room, str(activity), who)
    return running.rules.older(running.state, group.name, room.people, before, limit)


def _me(room: Room, who: Who) -> View:
    person = room.people.get(who.actor)
    own = {
        str(id): personal[1]
        for id, (rules, state) in room.activities.items()
        if (personal := rules.personal(state, room.own_name(id, who.actor))) is not None
    }
    return {
        "actor": who.actor,
        "role": who.role.value,
        "name": person.name if person is not None else (HOST_NAME if who.actor == HOST_ACTOR else ""),
        "muted": person is not None and person.muted,
        "activities": own,
    }


def _person(person: Person, audience: str) -> View:
    view: View = {"name": person.name, "joined_at_ms": person.joined_at_ms}
    if audience == "host":
        view["muted"] = person.muted
        if person.level is not Level.TOKEN:
            view["level"] = int(person.level)
    return view
