"""The single writer of one room.

Commands queue; one task takes what has gathered and, for the whole batch,

    1. asks the log which refs are in it already (those get the same ack as the first time; see `seen_refs` for when it
       need not be asked),
    2. decides and applies each command in order on the room's own state (`batch`),
    3. appends the events in one go,
    4. makes the keys of ballot boxes that were opened, and destroys those of boxes that were counted, and only then
    5. sends acks and refusals, serves readers, and lets the fan-out send what changed. Where much comes the answers are
       held for the next tick, or for whoever reads before it: nobody is shown anything that was not answered.

While a batch is being stored the next one gathers, so batches grow with the load; see `pace` for how they do where the
disk is fast. Between 2 and 3 the state runs ahead of the log; nobody may see it then, so whoever wants to read (a join,
a resume, a tick) waits for 5: `read` and `look` are the only ways to the state, and both use it before the writer goes
on.

If an append fails, the state is dropped and folded again from the log (see `folding`, which also keeps a checkpoint of
the state now and then). A conflict (another node was faster) decides
the batch again. After any other failure the log says what is in it: whoever's command is there gets its ack, everybody
else is told to come back. While the log cannot be read nobody can know, so nobody in that batch is told anything; all
others are told to come back, and the room tries again until it can.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from wslive.core.commands import Command
from wslive.core.errors import AppendConflict, Refused, TemporarilyUnavailable
from wslive.core.roles import Who
from wslive.core.room import Registry, Room
from wslive.core.room_messages import SERVER_COMMANDS
from wslive.eventlog.base import EventLog, RoomRecord
from wslive.server.meter import SILENT
from wslive.server.rooms.batch import Broken, Filed, Pending, Reply, decide
from wslive.server.rooms.batch import filed as filed_by
from wslive.server.rooms.box_keys import BoxKeys, RoomKeys
from wslive.server.rooms.complaints import Complaints
from wslive.server.rooms.folding import Folding
from wslive.server.rooms.pace import LONGEST_S, Pace
from wslive.server.rooms.seen_refs import SeenRefs
from wslive.server.rooms.told import Key, Outcome, ToldAnswers

logger = logging.getLogger("wslive.room")

FoundT = TypeVar("FoundT")

MAX_BATCH = 2000
"""Commands of one append: bounds how long a loop turn and a transaction take."""

MAX_QUEUED = 50_000
"""Commands that wait: bounds the memory that a store which hangs can cost."""

RETRY_AFTER_S = 1.0
"""When to come back, and how often a log out of reach is tried."""

_MISTAKE = "The server made a mistake with this and did not store it; its log says more."

Reader = Callable[[Room], None]
Refuse = Callable[[Refused], None]
_Answer = tuple[Reply, str, Outcome]
"""Whom to give it, the ref of the command, and what came of it."""


class _Closed(Exception):
    """The room was closed while its log was out of reach."""


class RoomTask:
    """The one writer of a room on this process."""

    def __init__(
        self,
        record: RoomRecord,
        log: EventLog,
        registry: Registry,
        box_keys: BoxKeys | None = None,
        *,
        retry_after_s: float = RETRY_AFTER_S,
    ) -> None:
        """Make it; `open` folds the log. Without `box_keys` the keys of secret polls end with this task."""
        self.record = record
        self.on_commit: Reader = lambda room: None
        self.tick_due_s: Callable[[], float] = lambda: float("-inf")
        """When readers are to be told next what has changed; see `pace`."""
        self.meter = SILENT
        self._log = log
        self._retry_after_s = retry_after_s
        self._keys = RoomKeys(record.room, box_keys or BoxKeys(None))
        self._folding = Folding(record, log, registry, self._keys.by_box)
        self._room = Room(record.epoch, registry)
        self._told = ToldAnswers()
        self._complaints = Complaints(record.room)
        self._seen = SeenRefs()
        self._pace = Pace()
        self._queue: list[Pending] = []
        self._held: list[tuple[list[_Answer], float]] = []
        """The answers to batches that are stored, and when each batch was begun."""
        self._held_until: asyncio.TimerHandle | None = None
        self._readers: list[tuple[Reader, Refuse | None]] = []
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._is_quiet = True
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Fold the room's log and begin to take commands.

        Raises:
            LogError: The log cannot be read.
        """
        await self._keys.load()
        self._room, self._seen = await self._folding.fold()
        await self._keys.tend(self._room)
        self._task = asyncio.create_task(self._run(), name=f"room {self.record.room}")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """After a mistake of ours nobody waits for the writer; when everybody has gone the room is opened anew."""
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.critical(
                "room %s: its writer has failed, and takes nothing any more", self.record.room, exc_info=error
            )
            self._closing.set()
            self._send_away()

    def submit(self, who: Who, command: Command, reply: Reply, objection: Refused | None = None) -> None:
        """Queue a command.

        Args:
            who: Whose it is.
            command: The wish.
            reply: Called once, after what it rests on is committed.
            objection: Refuse it with this, unless its ref is in the log: somebody who comes back and sends again what
                was stored long ago is not to be told that it came too fast.
        """
        if self._closing.is_set() or len(self._queue) >= MAX_QUEUED:
            reply(command.ref, self._come_back())
            return
        if not self._queue:
            self._wake.set()
        self._queue.append(Pending((who.actor, command.ref), who, command, reply, objection))

    def ask(self, who: Who, command: Command) -> asyncio.Future[int]:
        """Queue a command at once; the future is its offset, or raises the `Refused`."""
        offset: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def settle(ref: str, outcome: Outcome) -> None:
            if offset.done():
                return
            if isinstance(outcome, Refused):
                offset.set_exception(outcome)
            else:
                offset.set_result(outcome)

        self.submit(who, command, settle)
        return offset

    def is_busy(self) -> bool:
        """Whether so much comes that answers are held for ticks."""
        return self._pace.has_much

    def read(self, reader: Reader, refuse: Refuse | None = None) -> None:
        """Call `reader` with the committed state: now, or as soon as the batch in flight is stored.

        Args:
            reader: Must not keep the state.
            refuse: Called instead where the room is closing or its log is out of reach; without it the reader waits.
        """
        if refuse is not None and self._closing.is_set():
            refuse(self._come_back())
        elif self._is_quiet:
            self._answer_held()
            reader(self._room)
        else:
            self._readers.append((reader, refuse))

    async def look(self, look: Callable[[Room], FoundT]) -> FoundT:
        """What `look` finds in the committed state.

        Raises:
            TemporarilyUnavailable: The room is closing or its log is out of reach.
        """
        found: asyncio.Future[FoundT] = asyncio.get_running_loop().create_future()

        def reader(room: Room) -> None:
            if not found.done():
                try:
                    found.set_result(look(room))
                except Exception as error:
                    found.set_exception(error)

        def refuse(refused: Refused) -> None:
            if not found.done():
                found.set_exception(refused)

        self.read(reader, refuse)
        return await found

    async def close(self) -> None:
        """Store what is queued and stop. Where the log is out of reach, what is in doubt stays unanswered."""
        self._closing.set()
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task})

    # ── the writer ────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        while True:
            if self._folding.is_due(self._room, under_load=bool(self._queue)):
                await self._folding.keep(self._room)
            if not self._queue:
                if self._closing.is_set():
                    self._answer_held()
                    await self._folding.close(self._room)
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            rest_s = self._pace.rest_s(time.monotonic(), self.tick_due_s())
            if rest_s and len(self._queue) < MAX_BATCH:
                await asyncio.sleep(rest_s)
            batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
            refused = sum(pending.objection is not None for pending in batch)  # nobody's acks wait for who floods
            self._pace.took(len(batch), time.monotonic(), refused=refused)
            self._is_quiet = False
            try:
                await self._process(batch)
            except _Closed:
                await self._folding.stop()
                return
            self._is_quiet = True
            readers, self._readers = self._readers, []
            if readers or not self._pace.holds(time.monotonic(), self.tick_due_s()):
                self._answer_held()
            elif self._held_until is None:
                self._held_until = asyncio.get_running_loop().call_later(LONGEST_S, self._answer_held)
            for reader, refuse in [*readers, (self.on_commit, None)]:
                try:
                    if refuse is not None and self._closing.is_set():
                        refuse(self._come_back())  # welcomed here, they would hear nothing any more
                    else:
                        reader(self._room)
                except Exception:
                    logger.exception("a reader of room %s failed", self.record.room)

    async def _process(self, batch: list[Pending]) -> None:
        """Give each command its answer."""
        filed = filed_by(self._room, batch)
        began_s = time.perf_counter()
        while batch:
            head = self._room.head
            try:
                known = await self._known(batch, filed)
                events, outcomes, erased = decide(self._room, batch, known, self._told)
                if events:
                    asked_s = time.perf_counter()
                    await self._log.append(self.record.room, head, events, erased)
                    self._seen.add(events)
                    if erased:
                        self._folding.erased()
                    self.meter.appended(len(events), time.perf_counter() - asked_s)
            except AppendConflict as conflict:
                self.meter.failed(conflict)
                await self._recover()
            except Broken as broken:
                # This one would break whatever batch it is in, and it comes again: its sender waits for an answer.
                logger.error("room %s: a command broke the rules", self.record.room, exc_info=broken.__cause__)
                self._tell(batch.pop(broken.args[0]), Refused(_MISTAKE), filed)
                await self._recover()
            except Exception as error:
                self._complain("a batch was not stored", error)
                await self._settle(batch, filed)
                return
            else:
                await self._keys.tend(self._room)
                for pending, outcome in zip(batch, outcomes, strict=True):
                    if filed or isinstance(outcome, Refused):
                        self._remember(pending, outcome, filed)
                self._hold(batch, outcomes, began_s)
                return

    async def _settle(self, batch: list[Pending], filed: Filed) -> None:
        """After a failure: acks for what the log holds, and for the rest the advice to come back."""
        self._answer_held()
        while True:
            await self._recover()
            try:
                known = await self._known(batch, filed)
            except Exception as error:
                self._complain("the log cannot be asked", error)
                await self._pause()
                continue
            await self._keys.tend(self._room)
            for pending in batch:
                self._tell(pending, known.get(pending.key, self._come_back()), filed)
            return

    async def _known(self, batch: list[Pending], filed: Filed) -> dict[Key, int]:
        """The offsets of those commands that are in the log, by actor and ref as they came."""
        came = [pending.key for pending in batch]
        if not filed:
            repeated = self._seen.those_of(came)
            return await self._log.find(self.record.room, repeated) if repeated else {}
        repeated = self._seen.those_of([filed[key] for key in came])
        found = await self._log.find(self.record.room, repeated) if repeated else {}
        return {key: found[filed[key]] for key in came if filed[key] in found}

    async def _recover(self) -> None:
        """Drop the state and fold it again, however long the log stays out of reach.

        Raises:
            _Closed: The room was closed meanwhile.
        """
        while True:
            try:
                self._room, self._seen = await self._folding.fold()
                return
            except Exception as error:
                self._complain("the log cannot be read", error)
            await self._pause()

    async def _pause(self) -> None:
        """Wait before the next try; nobody else has to.

        Raises:
            _Closed: The room was closed meanwhile.
        """
        self._send_away()
        try:
            async with asyncio.timeout(self._retry_after_s):
                await self._closing.wait()
        except TimeoutError:
            return
        self._send_away()
        raise _Closed

    def _send_away(self) -> None:
        """Tell all who wait to come back."""
        self._answer_held()
        waiting, self._queue = self._queue, []
        self._give((pending.reply, pending.command.ref, self._come_back()) for pending in waiting)
        readers, self._readers = self._readers, []
        for reader, refuse in readers:
            if refuse is None:
                self._readers.append((reader, None))
            else:
                refuse(self._come_back())

    def _hold(self, batch: list[Pending], outcomes: list[Outcome], began_s: float) -> None:
        """Keep the answers until it is time, and nothing else: memory that is used again soon is near the processor."""
        self.meter.decided([pending.command.kind for pending in batch], outcomes)
        answers = [(p.reply, p.command.ref, outcome) for p, outcome in zip(batch, outcomes, strict=True)]
        self._held.append((answers, began_s))

    def _answer_held(self) -> None:
        """Give the answers that are held."""
        if self._held_until is not None:
            self._held_until.cancel()
            self._held_until = None
        held, self._held = self._held, []
        for answers, began_s in held:
            self._give(answers)
            self.meter.answered(time.perf_counter() - began_s)

    def _tell(self, pending: Pending, outcome: Outcome, filed: Filed) -> None:
        """Remember an answer, and give it."""
        self._remember(pending, outcome, filed)
        self._give([(pending.reply, pending.command.ref, outcome)])

    def _remember(self, pending: Pending, outcome: Outcome, filed: Filed) -> None:
        """Keep an answer where it is final and the log does not, or will not once a box is counted."""
        if isinstance(outcome, Refused):
            # Whoever found the door locked may knock again, by the same name.
            is_kept = pending.command.kind not in SERVER_COMMANDS
        else:
            is_kept = bool(filed) and filed[pending.key] != pending.key
        if is_kept:
            self._told.tell(pending.key, outcome, time.monotonic())

    def _give(self, answers: Iterable[_Answer]) -> None:
        for reply, ref, outcome in answers:
            try:
                reply(ref, outcome)
            except Exception:
                # A mistake with one connection: all others are answered, and the room goes on.
                logger.exception("an answer of room %s failed", self.record.room)

    def _come_back(self) -> TemporarilyUnavailable:
        return TemporarilyUnavailable(retry_after_s=self._retry_after_s)

    def _complain(self, what: str, error: Exception) -> None:
        self.meter.failed(error)
        self._complaints.tell(what, error, time.monotonic())
