"""What can be wished of a room itself, and what can happen to it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wslive.core.activity import CommandSpec, EventSpec, event_specs
from wslive.core.roles import HOSTS, PARTICIPANTS, SPEAKERS, Level

# ── commands to the room ──────────────────────────────────────────────────────────────────────────────────────────


class OpenRoom(msgspec.Struct, frozen=True):
    """The first command of a room."""

    title: str


class Join(msgspec.Struct, frozen=True):
    """Come in; without a name the room gives one ("Guest 17")."""

    name: str | None = None
    level: Level = Level.TOKEN


class Rename(msgspec.Struct, frozen=True):
    """Change a name: one's own, or (host) `person`'s."""

    name: str
    person: str | None = None


class Mute(msgspec.Struct, frozen=True):
    """Hide all lines of a person, or show them again."""

    person: str
    muted: bool = True


class RemovePerson(msgspec.Struct, frozen=True):
    """Send a person out for good."""

    person: str


class ErasePerson(msgspec.Struct, frozen=True):
    """Erase the names of a person and all that they have written; what they have voted stays counted."""

    person: str


class Lock(msgspec.Struct, frozen=True):
    """Let nobody new in, or let people in again."""

    locked: bool = True


class SetStage(msgspec.Struct, frozen=True):
    """Put an activity on stage; 0 clears it."""

    activity: int


class OpenActivity(msgspec.Struct, frozen=True):
    """Open an activity; it comes on stage, and the poll before it is closed unless `keep_open`."""

    kind: str
    body: msgspec.Raw
    keep_open: bool = False


class EndRoom(msgspec.Struct, frozen=True):
    """End the room for everyone."""


# ── events of the room ────────────────────────────────────────────────────────────────────────────────────────────


class RoomOpened(msgspec.Struct, frozen=True):
    """The room began."""

    title: str


class Joined(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody came in for the first time."""

    name: str
    level: Level = Level.TOKEN


class Renamed(msgspec.Struct, frozen=True):
    """Somebody has another name now."""

    person: str
    name: str


class PersonMuted(msgspec.Struct, frozen=True):
    """A person's lines were hidden or are shown again."""

    person: str
    muted: bool


class PersonRemoved(msgspec.Struct, frozen=True):
    """A person was sent out."""

    person: str


class PersonErased(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person's names and texts were erased from the log; the level stood beside a name."""

    person: str
    level: Level = Level.TOKEN


class Locked(msgspec.Struct, frozen=True):
    """The door was closed or opened."""

    locked: bool


class Staged(msgspec.Struct, frozen=True):
    """Another activity is on stage; 0: none."""

    activity: int


class ActivityOpened(msgspec.Struct, frozen=True):
    """An activity began; its id is this event's offset. `body` is its own opening event."""

    kind: str
    version: int
    body: msgspec.Raw
    keep_open: bool


class RoomEnded(msgspec.Struct, frozen=True):
    """The room is over."""


COMMANDS: Mapping[str, CommandSpec] = {
    "rename": CommandSpec(Rename, SPEAKERS),
    "mute": CommandSpec(Mute, HOSTS),
    "remove_person": CommandSpec(RemovePerson, HOSTS),
    "lock": CommandSpec(Lock, HOSTS),
    "set_stage": CommandSpec(SetStage, HOSTS),
    "open_activity": CommandSpec(OpenActivity, HOSTS),
    "end_room": CommandSpec(EndRoom, HOSTS),
    # The server sends these on behalf of a hello, of a new room and of a host's request; connections may not.
    "join": CommandSpec(Join, PARTICIPANTS),
    "open_room": CommandSpec(OpenRoom, HOSTS),
    "erase_person": CommandSpec(ErasePerson, HOSTS),
}
SERVER_COMMANDS = frozenset({"join", "open_room", "erase_person"})

ERASED_NAME = "Erased"
"""What a person is called whose names were erased."""

EVENTS_BY_KEY, EVENTS_BY_TYPE = event_specs(
    EventSpec("room_opened", 1, RoomOpened),
    EventSpec("joined", 1, Joined, erased=Joined(ERASED_NAME)),
    EventSpec("renamed", 1, Renamed, erased=Renamed("", ERASED_NAME)),  # whose it was went with it: nobody's
    EventSpec("person_muted", 1, PersonMuted),
    EventSpec("person_removed", 1, PersonRemoved),
    EventSpec("person_erased", 1, PersonErased),
    EventSpec("locked", 1, Locked),
    EventSpec("staged", 1, Staged),
    EventSpec("activity_opened", 1, ActivityOpened),
    EventSpec("room_ended", 1, RoomEnded),
)
