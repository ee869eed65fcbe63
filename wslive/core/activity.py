"""The contract of an activity: a kind of thing that a room can run (a poll, a chat, …).

An activity is one folder: `model.py` fulfils this contract, `chart.py` turns its view into a Plotly figure, `view.js`
draws it on the page and in a cell. Its state belongs to the room that runs it; everything here is deterministic and
without I/O: time and ids come in as arguments, and folding the same events gives the same state on every machine.

How a command becomes an event: `decide` looks at the state and either raises a `Refused` or returns exactly one
event body; `apply` changes the state by an event and cannot fail, for the event has happened.

Who sees what: `audience` says to which audience a reader belongs, `view` what that audience may see, `changes` what
changed for it after an offset, `personal` what only that actor may see. Nothing else of the state leaves the room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from wslive.core.errors import BadCommand
from wslive.core.roles import Level, Role, Who
from wslive.core.secrecy import Box, Sealed
from wslive.core.view import Audience, Keyed, Op, View

StateT = TypeVar("StateT")

HISTORY_ENTRIES = 200
"""How many entries of a long collection a snapshot starts with; older ones are read on demand."""


class Person(msgspec.Struct, frozen=True):
    """One participant, for the room and for its activities."""

    name: str
    joined_at_ms: int
    muted: bool = False
    removed: bool = False
    level: Level = Level.TOKEN


People = Keyed[Person]


class Context(msgspec.Struct, frozen=True, gc=False):
    """Who wishes something, and when; the people are the room's own."""

    actor: str
    role: Role
    at_ms: int
    people: People


class Meta(msgspec.Struct, frozen=True, gc=False):
    """The envelope of an event, for `apply`."""

    offset: int
    at_ms: int
    actor: str


class CommandSpec:
    """The shape of a command's body and the roles that may send it."""

    __slots__ = ("_decoder", "roles", "type")

    def __init__(self, type: type[msgspec.Struct], roles: frozenset[Role]) -> None:
        """Keep a decoder per command: building one per frame costs more than the decoding."""
        self.type = type
        self.roles = roles
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(type)

    def decode(self, body: msgspec.Raw | bytes) -> Any:
        """Decode a body.

        Raises:
            BadCommand: It has another shape; the message names the field.
        """
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadCommand(f"The command has the wrong shape: {error}") from None


class EventSpec:
    """The body of one kind of event and its version."""

    __slots__ = ("_decoder", "erased", "kind", "type", "version")

    def __init__(
        self, kind: str, version: int, type: type[msgspec.Struct], erased: msgspec.Struct | None = None
    ) -> None:
        """Keep a decoder per event kind: folding a log decodes every body.

        Args:
            kind: The event's name.
            version: The version of the body's shape.
            type: The body's shape.
            erased: What stands for a body that was erased; without it, bodies of this kind never are.
        """
        self.kind = kind
        self.version = version
        self.type = type
        self.erased = erased
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(type)

    def decode(self, body: bytes) -> Any:
        """Decode a body as the log has it: JSON, or b"" where it was erased.

        Raises:
            msgspec.DecodeError: It has another shape, or is missing where it must not be.
        """
        return self.erased if self.erased is not None and body == b"" else self._decoder.decode(body)


def event_specs(*specs: EventSpec) -> tuple[dict[tuple[str, int], EventSpec], dict[type, EventSpec]]:
    """The two look-ups of events: by (kind, version) for folding, by type for writing."""
    return {(s.kind, s.version): s for s in specs}, {s.type: s for s in specs}


SEALED = EventSpec("sealed", 1, Sealed)
"""What was put into a box of any activity, see `core.secrecy`."""


class Activity(ABC, Generic[StateT]):
    """One kind of activity. Instances hold no state of any room."""

    kind: ClassVar[str]
    state_type: ClassVar[type[msgspec.Struct] | None] = None
    """What its state is, where a checkpoint may hold it (see `core.checkpoint`): a struct with all of it, and nothing
    that nobody is to find out. Without it, rooms with such an activity are folded from their first event."""
    commands: ClassVar[Mapping[str, CommandSpec]]
    """By kind. The command `open` makes a new activity of this kind; its event is the opening event."""
    events_by_key: ClassVar[Mapping[tuple[str, int], EventSpec]]
    events_by_type: ClassVar[Mapping[type, EventSpec]]
    hidden: ClassVar[frozenset[str]] = frozenset()
    """Kinds of commands that go into the box while there is one: their `context.actor` is a pseudonym then, and so is
    `meta.actor` of their events."""

    @abstractmethod
    def decide_open(self, command: Any, others: Mapping[int, StateT], context: Context) -> msgspec.Struct:
        """Turn the body of `open` into the opening event, or refuse.

        Args:
            command: The decoded body of the `open` command.
            others: The states of this kind's activities in the room, by id.
            context: Who wishes it, and when.
        """

    @abstractmethod
    def initial(self, opened: Any, meta: Meta) -> StateT:
        """The state right after the opening event; `meta.offset` is the activity's id."""

    @abstractmethod
    def decide(self, state: StateT, command: Any, context: Context) -> msgspec.Struct:
        """Turn a command into exactly one event body, or raise a `Refused`. Changes nothing."""

    @abstractmethod
    def apply(self, state: StateT, event: Any, meta: Meta) -> None:
        """Change the state by an event. Never fails: the event has happened."""

    @abstractmethod
    def audience(self, state: StateT, who: Who) -> Audience:
        """To which audience a reader belongs, and since when."""

    def tells_apart(self, state: StateT) -> bool:
        """Whether `audience` may tell two readers of one role and ledger apart just now.

        Where it does not, each tick asks for one of them instead of for all.
        """
        return True

    @abstractmethod
    def view(self, state: StateT, audience: str, people: People, history: int = HISTORY_ENTRIES) -> View:
        """All that an audience may see, with at most the latest `history` entries of a long collection."""

    @abstractmethod
    def changes(self, state: StateT, audience: str, people: People, after: int) -> list[Op]:
        """Operations that bring this audience's view at `after` or at any later offset to now.

        Paths start at the activity. Later ones too, since a reader who came between two ticks gets the same delta
        as everybody else: what was put and taken away again after `after` has to be taken away.
        """

    def older(self, state: StateT, audience: str, people: People, before: int, limit: int) -> list[View]:
        """Up to `limit` (at least 1) entries before `before`, oldest first, for reading back on demand."""
        return []

    def personal(self, state: StateT, actor: str) -> tuple[int, View] | None:
        """What only this actor may see, and the offset of its last change.

        It may change by the actor's own events alone, and when a box was counted: that is how the fan-out knows whose
        to send; and `changed` tells of it too. While a box is open, `actor` is the pseudonym in it.
        """
        return None

    def box(self, state: StateT) -> Box | None:
        """The box that is open, if the activity takes hidden commands (see `core.secrecy`) just now.

        A box is closed by going away or by giving way to another one; it cannot come back.
        """
        return None

    def count(self, state: StateT, box: str) -> msgspec.Struct:
        """The event that says what was in a box that was closed: after it nobody can look any more."""
        raise NotImplementedError

    def apply_unread(self, state: StateT, meta: Meta) -> None:
        """Somebody put something into a box whose key is gone: what that was came, or comes, with `count`."""

    def displaced(self, state: StateT, meta: Meta) -> None:
        """Another activity was opened in this one's place on stage."""

    def person_changed(self, state: StateT, actor: str, person: Person, meta: Meta) -> None:
        """A person was renamed, muted, unmuted or removed."""

    def texts_of(self, state: StateT, actor: str) -> Iterable[int]:
        """The offsets of all events whose bodies hold what this person has written; their specs say `erased`."""
        return ()

    def person_erased(self, state: StateT, actor: str, meta: Meta) -> None:
        """Forget what this person has written: the bodies of `texts_of` are gone. What was counted stays."""

    def stageable(self, state: StateT) -> bool:
        """Whether it may be on stage; opening one that may be puts it there, and it leaves when it no longer may."""
        return True

    @abstractmethod
    def changed(self, state: StateT) -> int:
        """The offset of the last change that any audience may see, or anybody in person."""
