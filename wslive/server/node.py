"""The rooms of this process: created, opened from the log when somebody comes, joined, ended, deleted."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import uuid
from typing import NamedTuple

import msgspec

from wslive.activities import activities
from wslive.core.commands import Command
from wslive.core.errors import (
    HostingNotAllowed,
    InvalidToken,
    LogError,
    RoomUnavailable,
    TemporarilyUnavailable,
    WrongHostKey,
)
from wslive.core.roles import HOST_ACTOR, Role, Who
from wslive.core.room import ROOM, Room
from wslive.eventlog.base import CodeTaken, EventLog, RoomRecord
from wslive.server.access import Claims, RateLimits, Signer, clean_code, key_fits, key_hash, new_code, new_host_key
from wslive.server.fanout import Fanout
from wslive.server.room_task import RoomTask
from wslive.server.settings import ServerSettings
from wslive.wire.close_codes import CloseCode
from wslive.wire.messages import Hello

logger = logging.getLogger("wslive.node")

_MIN_REF_CHARS = 16
"""A shorter ref of a hello is no secret, so no identity is derived from it."""

HOST = Who(HOST_ACTOR, Role.HOST)


class LiveRoom:
    """One room in memory: its writer, its members, its rates."""

    def __init__(self, record: RoomRecord, log: EventLog, settings: ServerSettings) -> None:
        """Wire the writer to the fan-out."""
        self.record = record
        self.task = RoomTask(record, log, activities())
        self.fanout = Fanout(settings, self.task.read)
        self.rates = RateLimits(settings)
        self.idle_since_s = time.monotonic()
        self.task.on_commit = self.fanout.committed


class Admission(NamedTuple):
    """Who a hello turned out to be."""

    live: LiveRoom
    who: Who
    token: str | None


class NewRoom(NamedTuple):
    """A room that was just made; the host key is told once and kept nowhere here."""

    record: RoomRecord
    host_key: str


class Node:
    """All rooms on this process."""

    def __init__(self, log: EventLog, settings: ServerSettings, signer: Signer) -> None:
        """Start with no room in memory."""
        self.log = log
        self.settings = settings
        self.signer = signer
        self.live: dict[str, LiveRoom] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    # ── rooms ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def create(self, title: str) -> NewRoom:
        """Make a room with its chat.

        Raises:
            EmptyText · TextTooLong: About the title.
            TemporarilyUnavailable: The store did not take it.
        """
        host_key = new_host_key()
        try:
            record = await self._register(key_hash(host_key))
            live = await self._open(record)
        except LogError as error:
            logger.warning("a room could not be made: %s", error)
            raise TemporarilyUnavailable from None
        try:
            await live.task.ask(HOST, _command("open_room", {"title": title}))
        except BaseException:
            await self._discard(record)
            raise
        await live.task.ask(HOST, _command("open_activity", {"kind": "chat", "body": {}}))
        return NewRoom(record, host_key)

    async def find(self, code: str) -> LiveRoom:
        """The room of a join code, opened if need be.

        Raises:
            RoomUnavailable: There is none.
            TemporarilyUnavailable: The store cannot be read.
        """
        code = clean_code(code)
        live = self.live.get(code)
        if live is not None:
            return live
        try:
            record = await self.log.record(code)
            if record is None:
                raise RoomUnavailable
            return await self._open(record)
        except LogError as error:
            logger.warning("room with code %s cannot be opened: %s", code, error)
            raise TemporarilyUnavailable(retry_after_s=1.0) from None

    async def delete(self, live: LiveRoom) -> None:
        """Remove a room and all that was said in it."""
        for member in list(live.fanout.members):
            member.close(CloseCode.ROOM_DELETED)
        await self._discard(live.record)

    async def close(self) -> None:
        """Store what is queued in every room."""
        await asyncio.gather(*(live.task.close() for live in self.live.values()))
        self.live.clear()

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

    async def _open(self, record: RoomRecord) -> LiveRoom:
        # One lock a code: two people who come at once must not fold the log twice, let alone write twice.
        async with self._opening.setdefault(record.code, asyncio.Lock()):
            live = self.live.get(record.code)
            if live is None:
                live = LiveRoom(record, self.log, self.settings)
                await live.task.open()
                self.live[record.code] = live
            return live

    async def _discard(self, record: RoomRecord) -> None:
        live = self.live.pop(record.code, None)
        if live is not None:
            await live.task.close()
        await self.log.delete(record.room)

    # ── people ────────────────────────────────────────────────────────────────────────────────────────────────

    async def admit(self, hello: Hello, ticket: Claims | None) -> Admission:
        """Find out who says hello, and let them in or not.

        Raises:
            Refused: RoomUnavailable to strangers, whatever the reason; more to those who hold a token.
        """
        if ticket is not None:
            live = await self._by_id(ticket.room)
            who = Who(ticket.actor, ticket.role)
            await self._check_person(live, who)
            return Admission(live, who, None)
        live = await self.find(hello.room)
        match hello.role:
            case Role.HOST:
                if not key_fits(hello.token, live.record.host_key_hash):
                    raise WrongHostKey
                return Admission(live, Who(HOST_ACTOR, Role.HOST, hello.ledger), None)
            case Role.VIEWER:
                return await self._admit_viewer(live, hello)
            case Role.PARTICIPANT:
                return await self._admit_participant(live, hello)

    async def _admit_viewer(self, live: LiveRoom, hello: Hello) -> Admission:
        if hello.token is not None:
            who = self._holder(live, hello)
            await self._check_person(live, who)
            return Admission(live, who, None)
        room = await _committed(live)
        if room.is_locked or room.has_ended:
            raise RoomUnavailable
        who = Who("v_" + secrets.token_urlsafe(9), Role.VIEWER)
        return Admission(live, who, self._token(live, who))

    async def _admit_participant(self, live: LiveRoom, hello: Hello) -> Admission:
        if hello.token is not None:
            who = self._holder(live, hello)
            await self._check_person(live, who)
            return Admission(live, who, None)
        ref = hello.ref if len(hello.ref) >= _MIN_REF_CHARS else secrets.token_urlsafe(18)
        who = Who(self.signer.actor_for(live.record.room, ref), Role.PARTICIPANT)
        room = await _committed(live)
        if room.people.get(who.actor) is None:
            if room.has_ended or room.is_locked or room.people_count >= self.settings.max_participants:
                raise RoomUnavailable
            await live.task.ask(who, _command("join", {"name": hello.name}, ref))
        await self._check_person(live, who)
        return Admission(live, who, self._token(live, who))

    def _holder(self, live: LiveRoom, hello: Hello) -> Who:
        claims = self.signer.verify(hello.token or "")
        if claims.room != live.record.room or claims.role is not hello.role or claims.expires_at_s:
            raise InvalidToken
        return Who(claims.actor, claims.role)

    async def _check_person(self, live: LiveRoom, who: Who) -> None:
        if who.role is Role.HOST:
            return
        room = await _committed(live)
        person = room.people.get(who.actor)
        if who.role is Role.PARTICIPANT and (person is None or person.removed):
            raise InvalidToken("The host has sent you out of this room." if person else None)
        if room.has_ended:
            raise RoomUnavailable("The host has ended this room.")

    async def _by_id(self, room: str) -> LiveRoom:
        for live in self.live.values():
            if live.record.room == room:
                return live
        for record in await self.log.rooms():
            if record.room == room:
                return await self._open(record)
        raise RoomUnavailable

    def _token(self, live: LiveRoom, who: Who) -> str:
        return self.signer.sign(Claims(live.record.room, who.actor, who.role))

    def ticket(self, live: LiveRoom, who: Who) -> str:
        """A ticket for another connection of the same person; single ballots are not for browsers."""
        expires_at_s = int(time.time() + self.settings.ticket_life_s)
        return self.signer.sign(Claims(live.record.room, who.actor, who.role, expires_at_s))

    # ── upkeep ────────────────────────────────────────────────────────────────────────────────────────────────

    async def sweep(self) -> None:
        """Once a second: who has left, who is stuck, which rooms nobody is in."""
        now_s = time.monotonic()
        for code, live in list(self.live.items()):
            live.fanout.expire()
            live.fanout.close_stuck()
            if live.fanout.members or live.fanout.presence.here:
                live.idle_since_s = now_s
            elif now_s - live.idle_since_s > self.settings.room_idle_s:
                del self.live[code]
                await live.task.close()
            else:
                live.rates.forget(now_s)

    async def note_end(self, live: LiveRoom) -> None:
        """Keep in the room's record that it has ended."""
        room = await _committed(live)
        if room.has_ended:
            await self.log.end(live.record.room, time.time_ns() // 1_000_000)


async def _committed(live: LiveRoom) -> Room:
    """The room's state as it is in the log; to be used before the next await."""
    found: asyncio.Future[Room] = asyncio.get_running_loop().create_future()

    def take(room: Room) -> None:
        if not found.done():
            found.set_result(room)

    live.task.read(take)
    return await found


def check_hosting(hosting_token: str, offered: str | None) -> None:
    """Whether somebody is one of this server's own people.

    Raises:
        HostingNotAllowed: Without the hosting token.
    """
    if offered is None or not secrets.compare_digest(offered.encode(), hosting_token.encode()):
        raise HostingNotAllowed


def _command(kind: str, body: dict[str, object], ref: str | None = None) -> Command:
    return Command(ref or secrets.token_hex(12), ROOM, kind, msgspec.Raw(msgspec.json.encode(body)))
