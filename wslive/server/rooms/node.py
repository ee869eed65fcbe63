"""The rooms of this process: created, opened from the log when somebody comes, put away when nobody is there, deleted.

Who may come in is for `admission`. A room is in memory once, however many people come at once: everything that puts
one there or takes it away holds the lock of its code.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple
from weakref import WeakValueDictionary

import msgspec

from wslive.activities import activities
from wslive.activities.fingerprint import fingerprint
from wslive.core.commands import Command
from wslive.core.errors import LogError, RoomUnavailable, TemporarilyUnavailable
from wslive.core.roles import HOST_ACTOR, Role, Who
from wslive.core.room import ROOM, Room
from wslive.eventlog.base import CodeTaken, EventLog, RoomRecord
from wslive.server.access.tokens import RateLimits, clean_code, key_hash, new_code, new_host_key
from wslive.server.meter import SILENT
from wslive.server.rooms.box_keys import BoxKeys, box_keys
from wslive.server.rooms.room_task import RETRY_AFTER_S, RoomTask
from wslive.server.settings import ServerSettings
from wslive.server.views.fanout import Fanout
from wslive.wire.close_codes import CloseCode

logger = logging.getLogger("wslive.node")

HOST = Who(HOST_ACTOR, Role.HOST)


class LiveRoom:
    """One room in memory: its writer, its members, its rates.

    Attributes:
        record: What the log knows of it beside its events.
        joining: Who is just being let in for the first time: they count for `max_participants` already.
        idle_since_s: When somebody was last here, on the monotonic clock.
        has_ended: Whether the room is over, as the log has it.
        on_change: Called after each change.
    """

    def __init__(self, record: RoomRecord, log: EventLog, settings: ServerSettings, box_keys: BoxKeys) -> None:
        """Wire the writer to the fan-out."""
        self.record = record
        self.task = RoomTask(record, log, activities(), box_keys)
        self.fanout = Fanout(settings, self.task.read)
        self.rates = RateLimits(settings)
        self.joining: set[str] = set()
        self.idle_since_s = time.monotonic()
        self.has_ended = False
        self.on_change: Callable[[], None] = lambda: None
        self.task.on_commit = self._committed
        self.task.tick_due_s = self.fanout.due_s
        self.fanout.is_busy = self.task.is_busy

    def _committed(self, room: Room) -> None:
        self.has_ended = room.has_ended
        self.fanout.committed(room)
        self.on_change()


class NewRoom(NamedTuple):
    """A room that was just made; the host key is told once and kept nowhere here."""

    record: RoomRecord
    host_key: str


class Node:
    """All rooms on this process."""

    def __init__(self, log: EventLog, settings: ServerSettings) -> None:
        """Start with no room in memory."""
        self.log = log
        self.settings = settings
        self.box_keys = box_keys(settings)
        self.meter = SILENT
        fingerprint(frozenset(activities().values()))  # now: code on the disk may be another by the time a room opens
        self.live: dict[str, LiveRoom] = {}
        """By join code."""
        self.on_change: Callable[[], None] = lambda: None
        """Called after each change of any room."""
        # Kept only while somebody holds or awaits one: codes that people merely guess must not stay.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._leaving: set[LiveRoom] = set()
        self._is_closed = False

    # ── finding ───────────────────────────────────────────────────────────────────────────────────────────────

    async def find(self, code: str, *, only: Callable[[RoomRecord], bool] = lambda record: True) -> LiveRoom:
        """The room of a join code, opened if need be.

        Args:
            code: The code.
            only: Whether it is the room that is meant; another one is not even opened.

        Raises:
            RoomUnavailable: There is none.
            TemporarilyUnavailable: The store cannot be read, or the server is stopping.
        """
        code = clean_code(code)
        live = self.live.get(code)
        if live is None:
            async with self._lock(code):
                live = self.live.get(code)
                if live is None:
                    live = await self._open(code, only)
        if not only(live.record):
            raise RoomUnavailable
        live.idle_since_s = time.monotonic()  # whoever asks is on the way in
        return live

    async def find_id(self, room: str) -> LiveRoom:
        """The room of an id, opened if need be.

        Raises:
            RoomUnavailable · TemporarilyUnavailable: As for `find`.
        """
        for live in self.live.values():
            if live.record.room == room:
                return await self.find(live.record.code)
        try:
            codes = [record.code for record in await self.log.rooms() if record.room == room]
        except LogError as error:
            raise _out_of_reach(room, error) from None
        if not codes:
            raise RoomUnavailable
        return await self.find(codes[0])

    async def _open(self, code: str, only: Callable[[RoomRecord], bool]) -> LiveRoom:
        """Fold a room's log; the caller holds its lock."""
        try:
            record = await self.log.record(code)
            if record is None or not only(record):
                raise RoomUnavailable
            live = LiveRoom(record, self.log, self.settings, self.box_keys)
            await live.task.open()
        except LogError as error:
            raise _out_of_reach("(of a code)", error) from None
        live.has_ended, is_empty = await live.task.look(lambda room: (room.has_ended, room.offset == 0))
        if is_empty:  # its making was cut short before the first event: it was told to nobody
            await live.task.close()
            raise RoomUnavailable
        await self._keep(live)
        return live

    async def _keep(self, live: LiveRoom) -> None:
        if self._is_closed:
            await live.task.close()
            raise TemporarilyUnavailable(retry_after_s=RETRY_AFTER_S)
        live.on_change = self._changed
        live.task.meter = live.fanout.meter = self.meter
        self.live[live.record.code] = live

    def _changed(self) -> None:
        self.on_change()

    def _lock(self, code: str) -> asyncio.Lock:
        return self._locks.setdefault(code, asyncio.Lock())

    # ── making and ending ─────────────────────────────────────────────────────────────────────────────────────

    async def create(self, title: str) -> NewRoom:
        """Make a room with its chat.

        Raises:
            EmptyText · TextTooLong: About the title.
            TemporarilyUnavailable: The store did not take it.
        """
        host_key = new_host_key()
        try:
            record = await self._register(key_hash(host_key))
        except LogError as error:
            raise _out_of_reach("(new)", error) from None
        async with self._lock(record.code):
            live = LiveRoom(record, self.log, self.settings, self.box_keys)
            try:
                await live.task.open()
                # Both are queued before either is awaited: one append, so there is no room without its chat.
                made = [
                    live.task.ask(HOST, _command("open_room", {"title": title})),
                    live.task.ask(HOST, _command("open_activity", {"kind": "chat", "body": {}})),
                ]
                for outcome in await asyncio.gather(*made, return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        raise outcome
            except BaseException as error:
                await live.task.close()
                with suppress(LogError):  # an empty room is none, see `_open`
                    await self.log.delete(record.room)
                if isinstance(error, LogError):
                    raise _out_of_reach(record.room, error) from None
                raise
            await self._keep(live)
        return NewRoom(record, host_key)

    async def _register(self, host_key_hash: bytes) -> RoomRecord:
        while True:
            record = RoomRecord(
                room=uuid.uuid4().hex,
                code=new_code(),
                epoch=secrets.token_hex(4),
                host_key_hash=host_key_hash,
                created_at_ms=time.time_ns() // 1_000_000,
            )
            try:
                await self.log.create(record)
            except CodeTaken:
                continue
            return record

    async def delete(self, live: LiveRoom) -> None:
        """Remove a room and all that was said in it.

        Raises:
            TemporarilyUnavailable: The store did not do it; the room is still there.
        """
        async with self._lock(live.record.code):
            now = self.live.get(live.record.code)
            if now is not None and now.record.room == live.record.room:
                live = now  # put away and opened again since the caller found it
            await self._put_away(live)
            code = CloseCode.STORE_TROUBLE
            try:
                await self.log.delete(live.record.room)
                code = CloseCode.ROOM_DELETED
                await asyncio.to_thread(self.box_keys.destroy_all, live.record.room)
            except LogError as error:
                raise _out_of_reach(live.record.room, error) from None
            except OSError as error:  # tried again at the next start
                logger.error("room %s: a key of a secret poll is still there: %s", live.record.room, error)
            finally:
                for member in list(live.fanout.members):
                    member.close(code)

    async def erase(self, live: LiveRoom, person: str) -> int:
        """Erase a person's names and texts, from the log too; the offset of the event that says so.

        Raises:
            UnknownPerson: Nobody of that id was ever in the room.
            TemporarilyUnavailable: The store did not do it; nothing has changed.
        """
        return await live.task.ask(HOST, _command("erase_person", {"person": person}))

    async def close(self) -> None:
        """Store what is queued in every room, and open none any more."""
        self._is_closed = True
        await asyncio.gather(*(live.task.close() for live in [*self.live.values(), *self._leaving]))

    async def tend_boxes(self) -> None:
        """Destroy keys whose destruction was cut short: of boxes that were counted, and of rooms that are gone.

        A room does that for its own keys when it is opened. One that cannot be opened does not keep the others'.

        Raises:
            OSError: It cannot be seen which keys there are.
        """
        for room in await asyncio.to_thread(self.box_keys.rooms):
            try:
                try:
                    await self.find_id(room)
                except RoomUnavailable:
                    await asyncio.to_thread(self.box_keys.destroy_all, room)
            except (TemporarilyUnavailable, OSError) as error:
                logger.error("room %s: keys of secret polls may be left until the next start: %s", room, error)

    # ── upkeep ────────────────────────────────────────────────────────────────────────────────────────────────

    async def sweep(self) -> None:
        """Now and then: who has left, who is stuck, which rooms nobody is in."""
        now_s = time.monotonic()
        for code, live in list(self.live.items()):
            live.fanout.expire()
            live.fanout.close_stuck()
            live.rates.forget(now_s)
            if live.has_ended and live.record.ended_at_ms is None:
                await self._note_end(live)
            if _is_occupied(live):
                live.idle_since_s = now_s
            elif now_s - live.idle_since_s > self.settings.room_idle_s:
                async with self._lock(code):
                    # Whoever found it while we waited for the lock has touched it.
                    if not _is_occupied(live) and live.idle_since_s <= now_s - self.settings.room_idle_s:
                        await self._put_away(live)

    async def _note_end(self, live: LiveRoom) -> None:
        """Keep in the room's record that it is over."""
        ended_at_ms = time.time_ns() // 1_000_000
        try:
            await self.log.end(live.record.room, ended_at_ms)
        except (LogError, KeyError) as error:
            logger.warning("room %s: its end could not be noted: %s", live.record.room, error)
            return
        live.record = msgspec.structs.replace(live.record, ended_at_ms=ended_at_ms)

    async def _put_away(self, live: LiveRoom) -> None:
        """Take a room out of memory; the caller holds its lock, so nobody opens it before all of it is stored."""
        if self.live.get(live.record.code) is live:
            del self.live[live.record.code]
        self._leaving.add(live)
        await live.task.close()
        self._leaving.discard(live)


def _is_occupied(live: LiveRoom) -> bool:
    return bool(live.fanout.members or live.fanout.presence.count)


def _out_of_reach(what: str, error: LogError) -> TemporarilyUnavailable:
    logger.warning("room %s: the store is out of reach: %s", what, error)
    return TemporarilyUnavailable(retry_after_s=RETRY_AFTER_S)


def _command(kind: str, body: dict[str, object]) -> Command:
    return Command(secrets.token_hex(12), ROOM, kind, msgspec.Raw(msgspec.json.encode(body)))
