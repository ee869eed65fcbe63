"""A room with its log and without anything around it: no clock, no store, no sockets.

It does with each command what the room task does: a ref that is in the log gets the same answer again; anything else
is decided, written, and applied; boxes have keys while they are open. Times are counted, and keys follow from the name
of their box, so that every run is the same.
"""

import hashlib
from typing import Any, Self

import msgspec

from wslive.activities import activities
from wslive.core import checkpoint, room_view
from wslive.core.commands import Command
from wslive.core.errors import Refused
from wslive.core.events import Event
from wslive.core.roles import HOST_ACTOR, Role, Who
from wslive.core.room import ROOM, Room, replay
from wslive.core.secrecy import BoxId, BoxKey
from wslive.core.view import Op, View
from wslive.core.writing import filed_under, write
from wslive.wire.codec import encode

HOST = Who(HOST_ACTOR, Role.HOST)
LEDGER = Who(HOST_ACTOR, Role.HOST, ledger=True)
VIEWER = Who("v_1", Role.VIEWER)

EPOCH = "e1"
ALL_HISTORY = 1_000_000
_START_MS = 1_700_000_000_000


def person(actor: str) -> Who:
    return Who(actor, Role.PARTICIPANT)


class SmallRoom:
    """A room and its log. With `chat`, activity 2 is its chat, as in every real room."""

    def __init__(self, *, title: str = "Sorting 101", chat: bool = True) -> None:
        self.keys: dict[BoxId, BoxKey] = {}
        self.room = Room(EPOCH, activities(), self.keys)
        self.log: list[Event] = []
        self.refs: dict[tuple[str, str], int] = {}
        self.sent: list[tuple[Who, Command, int]] = []
        self.send(HOST, "open_room", title=title)
        if chat:
            self.open("chat")

    def send(self, who: Who, kind: str, activity: int = ROOM, /, **body: Any) -> int:
        """Send a command with a new ref and return the offset of its event; raises a Refused."""
        ref = f"r{len(self.sent) + 1}-{self.room.head.offset}"
        return self.submit(who, Command(ref, activity, kind, msgspec.Raw(msgspec.json.encode(body))))

    def submit(self, who: Who, command: Command) -> int:
        filed = filed_under(self.room, who, command)
        known = self.refs.get(filed)
        if known is not None:
            return known
        at_ms = _START_MS + 1000 * self.room.head.offset
        events, erased = write(self.room, command, who, at_ms)
        for event in events:
            self.refs[event.actor, event.ref] = event.offset
        self.log += events
        if erased:
            self.log = [msgspec.structs.replace(e, body=b"") if e.offset in erased else e for e in self.log]
        self._tend_keys()
        self.sent.append((who, command, events[0].offset))
        return events[0].offset

    def _tend_keys(self) -> None:
        boxes = {(id, box.name) for id, box in self.room.boxes.items()}
        for box in self.keys.keys() - boxes:
            del self.keys[box]
        for box in boxes - self.keys.keys() - self.room.unread:
            self.keys[box] = BoxKey(hashlib.sha256(repr(box).encode()).digest())

    def refused(self, who: Who, kind: str, activity: int = ROOM, /, **body: Any) -> Refused:
        """Send a command that has to be refused, and return the refusal."""
        before = self.room.head
        try:
            offset = self.send(who, kind, activity, **body)
        except Refused as refusal:
            assert self.room.head == before
            return refusal
        raise AssertionError(f"{kind} was accepted as event {offset}")

    # ── short forms ───────────────────────────────────────────────────────────────────────────────────────────

    def join(self, actor: str, name: str | None = None) -> Who:
        who = person(actor)
        self.send(who, "join", name=name)
        return who

    def open(self, kind: str, /, *, keep_open: bool = False, **body: Any) -> int:
        return self.send(HOST, "open_activity", kind=kind, body=body, keep_open=keep_open)

    def poll(self, *options: str, keep_open: bool = False, **body: Any) -> int:
        body = {"question": "Which sort is stable?", "options": list(options or ("quick", "merge", "heap")), **body}
        return self.open("poll", keep_open=keep_open, **body)

    def vote(self, who: Who, poll: int, *options: str, round: int | None = None) -> int:
        round = self.state(poll).round if round is None else round
        return self.send(who, "cast_vote", poll, round=round, options=list(options))

    def state(self, activity: int) -> Any:
        return self.room.activities[activity].state

    # ── what readers see ──────────────────────────────────────────────────────────────────────────────────────

    def view(self, who: Who) -> View:
        """The reader's whole view, as it looks after a journey over the wire."""
        view: View = plain(room_view.snapshot(self.room, who, ALL_HISTORY))
        return view

    def seen(self, who: Who, activity: int) -> View:
        """The reader's view of one activity."""
        view: View = self.view(who)["activities"][str(activity)]
        return view

    def mine(self, who: Who, activity: int) -> Any:
        return self.view(who)["me"]["activities"].get(str(activity))

    def changes(self, who: Who, after: int) -> list[Op]:
        return over_the_wire(room_view.changes(self.room, who, after))

    @classmethod
    def of(cls, log: list[Event], epoch: str = EPOCH, keys: dict[BoxId, BoxKey] | None = None) -> Self:
        """The room that a log folds to."""
        small = cls.__new__(cls)
        small.keys = {} if keys is None else keys
        small.room = replay(epoch, log, activities(), small.keys)
        small.log = log
        small.refs = {(event.actor, event.ref): event.offset for event in log}
        small.sent = []
        return small

    def folded(self) -> Self:
        """The same room, folded from its log as it would be read from a disk."""
        small = self.of(
            [msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event) for event in self.log],
            keys=dict(self.keys),
        )
        small.sent = list(self.sent)
        return small

    def unpacked(self) -> Room:
        """The same room, from a checkpoint of it."""
        return checkpoint.unpack(self.packed(), self.room.head, self.room.registry, self.keys)

    def packed(self) -> bytes:
        """A checkpoint of the room."""
        return checkpoint.pack(self.room, [checkpoint.pack_activity(self.room, id) for id in self.room.activities])


def plain(view: Any) -> Any:
    """A view as the JSON data that a client has."""
    return msgspec.json.decode(encode(view))


def over_the_wire(ops: list[Op]) -> list[Op]:
    """Operations as a client has them: decoded, and sharing nothing with the room or with other readers."""
    return msgspec.json.decode(encode(ops), type=list[Op])
