"""The event log: what every engine guarantees.

One log holds many rooms. Per room, events are numbered from 1 without gaps, and a reader sees a prefix of them always.

- `append` stores all of a batch or nothing, and only right after `expected`. When it returns, the events are on disk
  (as far as the engine promises: `memory` promises nothing beyond the process).
- It fails as `AppendConflict` (certain: nothing stored; carries the events after `expected`), as `NotAppended`
  (certain: nothing stored, e.g. the disk is full), or as `InDoubt` (unknown: read the head before going on).
- (room, actor, ref) is unique for ever. A batch that repeats one is a `NotAppended`: callers ask `find` first.
- Appends to one room by several writers at once are safe: exactly one of those that expected the same head wins.
- A checkpoint (`keep`, `kept`) is of this log at its offset or is not returned. It is no part of the log: one that is
  lost costs time.
- A cancelled caller changes nothing about the batch: it is stored whole or not at all.
- Any call may end in another `LogError` where the store itself is out of reach or contradicts itself. Then it keeps
  trying: the next call may succeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

import msgspec

from wslive.core.events import Event, Head, follows

GONE_ON = "The log has another end than the checkpoint."


class RoomRecord(msgspec.Struct, frozen=True):
    """What the log knows of a room beside its events.

    Attributes:
        room: The room's id, never shown to people.
        code: The join code.
        epoch: The life of this log.
        host_key_hash: SHA-256 of the host key; the key itself is nowhere on the server.
        created_at_ms: Wall-clock time in milliseconds since 1970, UTC.
        ended_at_ms: When it was ended, if it was.
    """

    room: str
    code: str
    epoch: str
    host_key_hash: bytes
    created_at_ms: int
    ended_at_ms: int | None = None


class Checkpoint(msgspec.Struct, frozen=True):
    """The state of a room, kept beside its log so that opening it folds only what came since.

    Attributes:
        head: The end that the log had.
        rules: By which rules it was folded; by others it may have come to something else.
        body: The state.
    """

    head: Head
    rules: bytes
    body: bytes

    def hash(self, room: str) -> bytes:
        """SHA-256 over all of it and the room it is of."""
        return sha256(msgspec.msgpack.encode((room, self.head, self.rules)) + self.body).digest()


class CodeTaken(Exception):
    """The join code belongs to another room."""


class EventLog(Protocol):
    """Where events are kept."""

    async def create(self, record: RoomRecord) -> None:
        """Register a room with an empty log.

        Raises:
            CodeTaken: Another room has this code.
            NotAppended: Not stored.
        """
        ...

    async def rooms(self) -> list[RoomRecord]:
        """All rooms, oldest first."""
        ...

    async def record(self, code: str) -> RoomRecord | None:
        """The room of a join code."""
        ...

    async def end(self, room: str, ended_at_ms: int) -> None:
        """Note that a room was ended; its code stays taken.

        Raises:
            KeyError: No such room.
        """
        ...

    async def delete(self, room: str) -> None:
        """Remove a room and all its events, and let go of its code. Deleting one that is not there is no error."""
        ...

    async def head(self, room: str) -> Head:
        """The end of a room's log.

        Raises:
            KeyError: No such room.
        """
        ...

    async def append(self, room: str, expected: Head, events: Sequence[Event], erase: Sequence[int] = ()) -> Head:
        """Store a batch right after `expected`, whole or not at all, and return the new head.

        Args:
            room: The room's id.
            expected: The head that the batch was made for.
            events: The batch.
            erase: Offsets, of the batch or before it, whose bodies are erased (b"") with it, as one step.

        Raises:
            AppendConflict · NotAppended · InDoubt: See the module. A plain `NotAppended` also where `expected` is
                not on this log at all (another epoch, a restored backup): applying missed events would not help.
            KeyError: No such room.
            ValueError: The events do not follow `expected` (a bug of the caller).
        """
        ...

    async def read(self, room: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Up to `limit` events after the offset `after`, in order; none of a room that is not there.

        Raises:
            StoreCorrupt: An event is missing or was altered.
        """
        ...

    async def find(self, room: str, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The offsets of those (actor, ref) pairs that are in the log."""
        ...

    async def keep(self, room: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint in place of the one before.

        Where a body is erased, or the room deleted, its checkpoint is erased in the same step.

        Raises:
            NotAppended: The log has another end by now, or nothing can be stored.
        """
        ...

    async def kept(self, room: str) -> Checkpoint | None:
        """The checkpoint of a room; None where there is none, or it is damaged, or not one of this log."""
        ...

    async def probe(self) -> None:
        """Store something that belongs to no room, as durably as an event.

        Raises:
            LogError: An event could not be stored now either.
        """
        ...

    async def close(self) -> None:
        """Finish what is in flight and let go of the store."""
        ...


def check_batch(expected: Head, events: Sequence[Event]) -> None:
    """Refuse a batch that does not follow `expected`, before it reaches a store.

    Only the first event's chain is computed again: it names the head that the whole batch was made for.

    Raises:
        ValueError: A bug of the caller.
    """
    offsets = [event.offset for event in events]
    if offsets != list(range(expected.offset + 1, expected.offset + 1 + len(events))):
        raise ValueError(f"The events {offsets[:3]}… do not follow offset {expected.offset}")
    if events and not follows(expected, events[0]):
        raise ValueError(f"The chain of event {events[0].offset} does not follow the expected head")
