"""The single writer of one room.

Commands queue; one task takes what has gathered and, for the whole batch,

    1. asks the log which refs are in it already (those get the same ack as the first time),
    2. decides and applies each command in order on the room's own state,
    3. appends the events in one go, and only then
    4. sends acks and refusals, serves readers, and lets the fan-out send what changed.

While a batch is being stored the next one gathers, so batches grow with the load. Between 2 and 3 the state runs ahead
of the log; nobody may see it then, so whoever wants to read (a join, a resume, a tick) waits for 4: `read` is the only
way to the state.

If an append fails, the state is dropped and folded again from the log. A conflict (another node was faster) decides
the batch again; a certain failure tells everybody to come back; in doubt, the log says what is in it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from wslive.core.commands import Command
from wslive.core.errors import AppendConflict, InDoubt, LogError, Refused, TemporarilyUnavailable
from wslive.core.events import Event, Head, next_event
from wslive.core.roles import Who
from wslive.core.room import Registry, Room, apply, decide
from wslive.eventlog.base import EventLog, RoomRecord

logger = logging.getLogger("wslive.room")

MAX_BATCH = 2000
"""Commands of one append: bounds how long a loop turn and a transaction take."""

_READ_EVENTS = 2000
_RETRY_AFTER_S = 1.0

Outcome = int | Refused
"""An offset, or why not."""

Reply = Callable[[Outcome], None]


class _Pending(NamedTuple):
    who: Who
    command: Command
    reply: Reply


class RoomTask:
    """The one writer of a room on this process."""

    def __init__(self, record: RoomRecord, log: EventLog, registry: Registry) -> None:
        """Make it; `open` folds the log."""
        self.record = record
        self.on_commit: Callable[[Room], None] = lambda room: None
        self._log = log
        self._registry = registry
        self._room = Room(record.epoch, registry)
        self._queue: list[_Pending] = []
        self._readers: list[Callable[[Room], None]] = []
        self._wake = asyncio.Event()
        self._is_quiet = True
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Fold the room's log and begin to take commands.

        Raises:
            LogError: The log cannot be read.
        """
        self._room = await self._fold()
        self._task = asyncio.create_task(self._run(), name=f"room {self.record.room}")

    def submit(self, who: Who, command: Command, reply: Reply) -> None:
        """Queue a command. `reply` is called once, after what it rests on is committed."""
        if self._closing:
            reply(TemporarilyUnavailable(retry_after_s=_RETRY_AFTER_S))
            return
        self._queue.append(_Pending(who, command, reply))
        self._wake.set()

    async def ask(self, who: Who, command: Command) -> int:
        """Queue a command and wait for its offset.

        Raises:
            Refused: With the reason.
        """
        outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def settle(result: Outcome) -> None:
            if outcome.done():
                return
            if isinstance(result, Refused):
                outcome.set_exception(result)
            else:
                outcome.set_result(result)

        self.submit(who, command, settle)
        return await outcome

    def read(self, reader: Callable[[Room], None]) -> None:
        """Call `reader` with the committed state: now, or as soon as the batch in flight is stored."""
        if self._is_quiet:
            reader(self._room)
        else:
            self._readers.append(reader)

    async def close(self) -> None:
        """Store what is queued and stop."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task})

    # ── the writer ────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
            self._is_quiet = False
            try:
                await self._process(batch)
            except Exception:
                # Without this the room would hang for ever. The state may be half applied: fold it again.
                logger.exception("a batch of room %s failed", self.record.room)
                for pending in batch:
                    pending.reply(TemporarilyUnavailable(retry_after_s=_RETRY_AFTER_S))
                await self._recover()
            self._is_quiet = True
            readers, self._readers = self._readers, []
            for reader in readers:
                reader(self._room)
            self.on_commit(self._room)

    async def _process(self, batch: list[_Pending]) -> None:
        while batch:
            try:
                known = await self._log.find(self.record.room, [(p.who.actor, p.command.ref) for p in batch])
            except LogError as error:
                logger.warning("room %s: the log cannot be asked: %s", self.record.room, error)
                _refuse_all(batch)
                return
            expected = self._room.head
            events, outcomes = self._decide(batch, known)
            try:
                if events:
                    await self._log.append(self.record.room, expected, events)
            except AppendConflict:
                await self._recover()
            except InDoubt as error:
                logger.warning("room %s: an append is in doubt, reading the log again: %s", self.record.room, error)
                await self._recover()
            except LogError as error:
                logger.warning("room %s: nothing was appended: %s", self.record.room, error)
                await self._recover()
                _refuse_all(batch)
                return
            else:
                for pending, outcome in zip(batch, outcomes, strict=True):
                    pending.reply(outcome)
                return

    def _decide(self, batch: list[_Pending], known: dict[tuple[str, str], int]) -> tuple[list[Event], list[Outcome]]:
        at_ms = time.time_ns() // 1_000_000
        events: list[Event] = []
        outcomes: list[Outcome] = []
        room = self._room
        for who, command, _ in batch:
            key = (who.actor, command.ref)
            offset = known.get(key)
            if offset is not None:
                outcomes.append(offset)
                continue
            try:
                fact = decide(room, command, who, at_ms)
            except Refused as refused:
                outcomes.append(refused)
                continue
            event = next_event(
                room.head,
                at_ms=at_ms,
                actor=who.actor,
                ref=command.ref,
                activity=fact.activity,
                kind=fact.kind,
                version=fact.version,
                body=msgspec.json.encode(fact.body),
            )
            apply(room, event, fact.body)
            events.append(event)
            outcomes.append(event.offset)
            known[key] = event.offset  # a retry in the same batch joins its ack
        return events, outcomes

    async def _recover(self) -> None:
        """Drop the state and fold it again, however long the log stays out of reach."""
        while True:
            try:
                self._room = await self._fold()
                return
            except LogError as error:
                logger.warning("room %s: the log cannot be read: %s", self.record.room, error)
                await asyncio.sleep(_RETRY_AFTER_S)

    async def _fold(self) -> Room:
        room = Room(self.record.epoch, self._registry)
        while True:
            events = await self._log.read(self.record.room, room.head.offset, _READ_EVENTS)
            for event in events:
                apply(room, event)
            if len(events) < _READ_EVENTS:
                return room
            await asyncio.sleep(0)  # a long log must not stop the other rooms

    @property
    def head(self) -> Head:
        """The head of the state, which may run ahead of the log; for tests and logs alone."""
        return self._room.head


def _refuse_all(batch: list[_Pending]) -> None:
    for pending in batch:
        pending.reply(TemporarilyUnavailable(retry_after_s=_RETRY_AFTER_S))
