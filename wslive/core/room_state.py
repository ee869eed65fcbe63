"""The state of a room: what its events have come to.

`core.room` says what commands and events do to it, `core.room_view` what of it leaves the room.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wslive.core.activity import SEALED, Activity, EventSpec, People, Person
from wslive.core.errors import BallotsLost, StoreTooNew, TemporarilyUnavailable, UnknownPerson
from wslive.core.events import CHAIN_START, Event, Head
from wslive.core.secrecy import Box, BoxId, BoxKey
from wslive.core.view import Keyed

ROOM = 0
"""The activity id that commands and events of the room itself carry."""

NAMES_SHOWN_UP_TO = 100
"""Above this many people participants are told counts, not names."""

Registry = Mapping[str, Activity[Any]]

_SEALED = {(SEALED.kind, SEALED.version): SEALED}


class Running(NamedTuple):
    """One activity of a room: its rules and its state."""

    rules: Activity[Any]
    state: Any


class Room:
    """The state of one room; `apply` changes it in place (a copy per vote would cost more the more people vote)."""

    def __init__(self, epoch: str, registry: Registry, keys: Mapping[BoxId, BoxKey] | None = None) -> None:
        """Start before the first event; `keys` open the boxes of secret polls (see `core.secrecy`)."""
        self.epoch = epoch
        self.offset = 0
        self.chain = CHAIN_START
        self.registry = registry
        self.keys: Mapping[BoxId, BoxKey] = {} if keys is None else keys
        self.title = ""
        self.opened_at_ms = 0
        self.is_locked = False
        self.has_ended = False
        self.stage = 0
        self.people: People = Keyed()
        self.people_count = 0
        self.joined_ever = 0
        self.named_at: dict[str, list[int]] = {}
        """The offsets of the events that hold a person's names."""
        self.activities: dict[int, Running] = {}
        self.room_at = 0
        """The offset of the last change of title, lock, end or stage."""
        self.names_since = 0
        """The offset since which participants have (or have not) been told names."""
        self.touched: Keyed[bool] = Keyed()
        """Actors in the order of the last change of their personal part."""
        self.everyone_at = 0
        """The offset of the last event that may have changed anybody's personal part."""
        self.boxes: dict[int, Box] = {}
        """The boxes that are open, by activity."""
        self.uncounted: dict[int, str] = {}
        """Boxes that were closed and are still to be counted: by the very next event, see `core.writing`."""
        self.unread: set[BoxId] = set()
        """Boxes that hold something and have no key here."""
        self.chains = bytearray()
        """The first eight bytes of the chain after each event: what `chain_at` tells."""

    def of_kind(self, kind: str) -> dict[int, Any]:
        """The states of one kind's activities, by id."""
        return {id: a.state for id, a in self.activities.items() if a.rules.kind == kind}

    def chain_at(self, offset: int) -> str | None:
        """The chain of the position at `offset`, in hexadecimal; None beyond the head.

        Eight bytes an event: without them a resume could not tell this log from another one of the same epoch.
        """
        if not 0 <= offset <= self.offset:
            return None
        if offset == 0:
            return CHAIN_START[:8].hex()
        return self.chains[8 * (offset - 1) : 8 * offset].hex()

    @property
    def head(self) -> Head:
        """The end of the log that it was folded from."""
        return Head(self.epoch, self.offset, self.chain)

    def advance(self, event: Event) -> None:
        """Move the head to `event`."""
        self.offset = event.offset
        self.chain = chain = event.chain
        self.chains += chain[:8]

    def person(self, actor: str) -> Person:
        """One participant.

        Raises:
            UnknownPerson: Nobody of that id, or somebody who was removed.
        """
        person = self.people.get(actor)
        if person is None or person.removed:
            raise UnknownPerson
        return person

    # ── boxes ─────────────────────────────────────────────────────────────────────────────────────────────────

    def own_name(self, activity: int, actor: str) -> str:
        """Under which id an activity knows an actor: a pseudonym while it has a box open."""
        if not self.boxes:
            return actor
        box = self.boxes.get(activity)
        key = None if box is None else self.keys.get((activity, box.name))
        return actor if key is None else key.pseudonym(actor)

    def check_key(self, box: BoxId) -> None:
        """Whether something can be put into a box that is open.

        Raises:
            BallotsLost: It holds something, and its key is gone.
            TemporarilyUnavailable: It has no key yet.
        """
        if box in self.unread:
            raise BallotsLost
        if box not in self.keys:  # it is made before anybody hears of the box, unless the disk was full
            raise TemporarilyUnavailable(retry_after_s=1.0)

    def note_box(self, activity: int) -> None:
        """Keep account of which boxes are open, after a change of an activity."""
        rules, state = self.activities[activity]
        before = self.boxes.get(activity)
        now = None if self.has_ended else rules.box(state)
        if before is now:
            return  # no box: as after almost every event
        if before is not None and (now is None or now.name != before.name):
            self.uncounted[activity] = before.name
        if now is not None:
            self.boxes[activity] = now
        elif before is not None:
            del self.boxes[activity]

    def note_counted(self, activity: int, offset: int) -> None:
        """A box was counted: nobody has anything of their own in it any more."""
        self.unread.discard((activity, self.uncounted.pop(activity, "")))
        self.everyone_at = offset

    def unsealed(self, event: Event) -> Any:
        """The body that is within a sealed event; None where its key is gone."""
        sealed = spec_of(_SEALED, event.kind, event.version).decode(event.body)
        box = (event.activity, sealed.box)
        found = self.keys[box].open(event.actor, event.ref, sealed.content) if box in self.keys else None
        if found is None:
            self.unread.add(box)
            return None
        kind, version, body = found
        return spec_of(self.activities[event.activity].rules.events_by_key, kind, version).decode(body)


def spec_of(by_key: Mapping[tuple[str, int], EventSpec], kind: str, version: int) -> EventSpec:
    """What an event of that kind and version looks like.

    Raises:
        StoreTooNew: Nobody here knows.
    """
    spec = by_key.get((kind, version))
    if spec is None:
        raise unknown(kind, version)
    return spec


def unknown(kind: str, version: int) -> StoreTooNew:
    """The error about an event that nobody here knows."""
    return StoreTooNew(
        f"The log holds an event {kind!r} of version {version}, which this wslive does not know. Update wslive, "
        "or install the package of that activity."
    )
