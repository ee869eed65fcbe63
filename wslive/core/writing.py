"""From a command to the events that go into the log: decided, hidden where they have to be, and applied.

One accepted command is exactly one event. Where it closes a ballot box, the event that says what was in the box
follows at once, by the server itself: both are appended together, so no log ends between them.
"""

from __future__ import annotations

import msgspec

from wslive.core.activity import SEALED
from wslive.core.commands import Command
from wslive.core.events import Event, next_event
from wslive.core.roles import SERVER_ACTOR, Who
from wslive.core.room import Fact, Room, apply, count, decide, texts_of
from wslive.core.room_messages import PersonErased
from wslive.core.secrecy import Sealed


def filed_under(room: Room, who: Who, command: Command) -> tuple[str, str]:
    """Under which (actor, ref) the event of a command stands, or would stand, in the log."""
    box = room.boxes.get(command.activity)
    if box is not None and command.kind in room.activities[command.activity].rules.hidden:
        key = room.keys.get((command.activity, box.name))
        if key is not None:
            return key.pseudonym(who.actor), key.ref(who.actor, command.ref)
    return who.actor, command.ref


def write(
    room: Room, command: Command, who: Who, at_ms: int, hashes: dict[bytes, bytes] | None = None
) -> tuple[list[Event], list[int]]:
    """Decide a command and apply it.

    Args:
        room: The state.
        command: The wish.
        who: Whose it is.
        at_ms: Now.
        hashes: Those of bodies, for who writes many: a thousand votes have a few bodies.

    Returns:
        Its event and those of boxes that it closed; and the offsets of events whose bodies go with it.

    Raises:
        Refused: With the reason; the room is as it was.
    """
    fact = decide(room, command, who, at_ms)
    actor, ref = (who.actor, command.ref) if fact.box is None else filed_under(room, who, command)
    erased = texts_of(room, fact.body.person) if isinstance(fact.body, PersonErased) else []
    events = [_write(room, fact, actor, ref, at_ms, who.actor, hashes)]
    while room.uncounted:
        activity, box = next(iter(room.uncounted.items()))
        events.append(_write(room, count(room, activity), SERVER_ACTOR, f"count-{activity}-{box}", at_ms))
    return events, erased


def _write(
    room: Room,
    fact: Fact,
    actor: str,
    ref: str,
    at_ms: int,
    author: str | None = None,
    hashes: dict[bytes, bytes] | None = None,
) -> Event:
    kind, version, body = fact.kind, fact.version, msgspec.json.encode(fact.body)
    if fact.box is not None:
        key = room.keys[fact.activity, fact.box.name]
        content = key.seal(actor, ref, kind, version, body, fact.box.max_bytes)
        kind, version = SEALED.kind, SEALED.version
        body = msgspec.json.encode(Sealed(fact.box.name, content))
    event = next_event(
        room,
        at_ms=at_ms,
        actor=actor,
        ref=ref,
        activity=fact.activity,
        kind=kind,
        version=version,
        body=body,
        hashes=hashes,
    )
    apply(room, event, fact.body, author)
    return event
