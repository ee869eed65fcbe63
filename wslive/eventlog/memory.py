"""An event log in memory: the guarantees of `base` in their shortest form, and nothing that outlives the process.

For tests, rehearsals and rooms that nobody wants to keep. It is also what the other engines are compared with.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import msgspec

from wslive.core.errors import AppendConflict, NotAppended
from wslive.core.events import CHAIN_START, Event, Head, head_after
from wslive.eventlog.base import GONE_ON, Checkpoint, CodeTaken, RoomRecord, check_batch


class _Log:
    """One room."""

    def __init__(self, record: RoomRecord) -> None:
        self.record = record
        self.events: list[Event] = []
        self.refs: dict[tuple[str, str], int] = {}
        self.checkpoint: Checkpoint | None = None

    @property
    def head(self) -> Head:
        return self.at(len(self.events))

    def at(self, offset: int) -> Head:
        """The head as it was when the log ended at `offset`."""
        chain = self.events[offset - 1].chain if offset else CHAIN_START
        return Head(self.record.epoch, offset, chain)


class MemoryLog:
    """Keeps rooms until the process ends."""

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        # Each method is one step for whoever else calls, on whatever thread: none awaits while it holds it.
        self._lock = threading.Lock()

    async def create(self, record: RoomRecord) -> None:
        """See `EventLog`."""
        with self._lock:
            if any(log.record.code == record.code for log in self._logs.values()):
                raise CodeTaken(record.code)
            if record.room in self._logs:
                raise NotAppended(f"There is a room {record.room} already.")
            self._logs[record.room] = _Log(record)

    async def rooms(self) -> list[RoomRecord]:
        """See `EventLog`."""
        with self._lock:
            return sorted(
                (log.record for log in self._logs.values()), key=lambda record: (record.created_at_ms, record.room)
            )

    async def record(self, code: str) -> RoomRecord | None:
        """See `EventLog`."""
        with self._lock:
            return next((log.record for log in self._logs.values() if log.record.code == code), None)

    async def end(self, room: str, ended_at_ms: int) -> None:
        """See `EventLog`."""
        with self._lock:
            log = self._logs[room]
            log.record = msgspec.structs.replace(log.record, ended_at_ms=ended_at_ms)

    async def delete(self, room: str) -> None:
        """See `EventLog`."""
        with self._lock:
            self._logs.pop(room, None)

    async def head(self, room: str) -> Head:
        """See `EventLog`."""
        with self._lock:
            return self._logs[room].head

    async def append(self, room: str, expected: Head, events: Sequence[Event], erase: Sequence[int] = ()) -> Head:
        """See `EventLog`."""
        check_batch(expected, events)
        # Others get their turn, as with any log: no caller may come to rely on nothing happening meanwhile.
        await asyncio.sleep(0)
        with self._lock:
            log = self._logs[room]
            if expected != log.head:
                if expected.offset < log.head.offset and expected == log.at(expected.offset):
                    raise AppendConflict(log.events[expected.offset :])
                raise NotAppended(f"The log of room {room} is another one than expected; fold it again.")
            refs = {(event.actor, event.ref): event.offset for event in events}
            if len(refs) < len(events) or refs.keys() & log.refs.keys():
                raise NotAppended("A ref of the batch is in the log already; ask `find` first.")
            log.events += events
            log.refs |= refs
            if erase:
                log.checkpoint = None
            for offset in erase:
                log.events[offset - 1] = msgspec.structs.replace(log.events[offset - 1], body=b"")
            return head_after(expected, events[-1]) if events else expected

    async def read(self, room: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """See `EventLog`."""
        with self._lock:
            log = self._logs.get(room)
            return [] if log is None else log.events[after : after + limit]

    async def find(self, room: str, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """See `EventLog`."""
        with self._lock:
            log = self._logs.get(room)
            return {} if log is None else {ref: log.refs[ref] for ref in refs if ref in log.refs}

    async def keep(self, room: str, checkpoint: Checkpoint) -> None:
        """See `EventLog`."""
        with self._lock:
            log = self._logs.get(room)
            if log is None or log.head != checkpoint.head:
                raise NotAppended(GONE_ON)
            log.checkpoint = checkpoint

    async def kept(self, room: str) -> Checkpoint | None:
        """See `EventLog`."""
        with self._lock:
            log = self._logs.get(room)
            return None if log is None else log.checkpoint

    async def probe(self) -> None:
        """Memory takes what it is given."""

    async def close(self) -> None:
        """Nothing to let go of: what was stored can be read until the log itself is forgotten."""
