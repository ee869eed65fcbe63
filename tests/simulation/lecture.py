"""A lecture in a bad world: a room, its people, and everything that goes wrong, all from one seed.

Real are the server from its connections inwards (session, admission, writer, fan-out, outbox), the clients from their
link inwards (backoff, requests, replica), and every rule. Ours are time, network and disk. At the end the world heals,
and what then does not hold is a fault of wslive.
"""

from __future__ import annotations

import asyncio
import logging
import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

from tests.server.faulty_log import FaultyLog
from tests.simulation.clock import Wall
from tests.simulation.disk import Disk
from tests.simulation.network import Network, ServerEnd
from tests.simulation.reader import Reader
from wslive.client import link
from wslive.core.errors import InDoubt, LogError, NotAppended, Refused
from wslive.core.events import Event
from wslive.core.roles import Role
from wslive.core.secrecy import BoxId, BoxKey
from wslive.server.access.tokens import Signer, signer
from wslive.server.admission import Door
from wslive.server.connection import Connection
from wslive.server.rooms import folding, pace
from wslive.server.rooms.box_keys import BoxKeys
from wslive.server.rooms.node import NewRoom, Node
from wslive.server.settings import ServerSettings
from wslive.server.views.fanout import Member
from wslive.server.websocket.outbox import Flusher

PEOPLE = 4

HEALED_WITHIN_S = 180.0
"""Longer than any backoff, time-out and rate limit together: who is not back by then never will be."""


class RunningServer:
    """One life of the server's process."""

    def __init__(self, log: FaultyLog, settings: ServerSettings, signer: Signer, keys: BoxKeys) -> None:
        self.settings = settings
        self.flusher = Flusher()
        self.node = Node(log, settings)  # type: ignore[arg-type]
        self.node.box_keys = keys
        self._door = Door(self.node, signer)
        self._connections: list[Connection] = []
        self._upkeep = asyncio.create_task(self._sweep())

    def accept(self, end: ServerEnd) -> Connection:
        """What the handler of a new WebSocket does."""
        connection = Connection(self._door, end, self.settings, None, audience_only=False)
        self._connections.append(connection)
        return connection

    async def stop(self) -> None:
        """End as SIGTERM ends it."""
        self._upkeep.cancel()
        await self.node.close()
        for connection in self._connections:
            connection.say_bye(self.settings.drain_s)

    def kill(self) -> None:
        """End as SIGKILL ends it: nothing that was under way goes on."""
        self._upkeep.cancel()
        for task in asyncio.all_tasks():
            if task.get_name().startswith("room "):
                task.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.settings.sweep_interval_s)
            await self.node.sweep()


class RememberedKeys(BoxKeys):
    """The keys of secret polls, which survive every server; and all that ever were, for whoever looks afterwards."""

    def __init__(self) -> None:
        super().__init__(None)
        self.ever: dict[BoxId, BoxKey] = {}

    def make(self, room: str, box: BoxId) -> BoxKey:
        self.ever[box] = super().make(room, box)
        return self.ever[box]


class Lecture:
    """One run.

    Attributes:
        disk: What survives every server.
        keys: The keys of its secret polls; with `secret` all polls that can be are.
        room: The room.
        readers: Everybody, the host's two programs and the viewer included.
        checkpoint_events: How often the server keeps the room's state.
        much_per_s: So many commands a second are much, so that answers are held for ticks.
        trouble_s: For how long things happen and go wrong.
        happened: What went wrong when, for whoever looks into a seed.
        complaints: What was logged as an error; nothing may be.
        events: The log at the end.
    """

    def __init__(self, seed: int, *, secret: bool = False) -> None:
        self.seed = seed
        self.secret = secret
        self.rng = random.Random(f"{seed}/trouble")
        self.trouble_s = self.rng.choice([3.0, 6.0, 12.0])
        self.disk = Disk(is_sqlite=seed % 10 == 7)
        self.log = FaultyLog(self.disk)  # type: ignore[arg-type]
        self.keys = RememberedKeys()
        self.network = Network(seed)
        self.settings = ServerSettings(
            max_resume_ops=self.rng.choice([3, 30, 1000]),
            max_outbox_bytes=self.rng.choice([1_000, 20_000, 256 * 1024]),
            slice_size=self.rng.choice([1, 2, 100]),
            room_idle_s=self.rng.choice([0.5, 600.0]),
        )
        self.checkpoint_events = random.Random(f"{seed}/checkpoints").choice([1, 5, 30, 10_000])
        self.much_per_s = random.Random(f"{seed}/much").choice([0.0, 20.0, pace.MUCH_PER_S])
        self.readers: list[Reader] = []
        self.happened: list[str] = []
        self.complaints: list[str] = []
        self.events: list[Event] = []
        self.room: NewRoom
        self._signer = signer(self.settings)

    async def run(self) -> None:
        """Everything, until the world has healed and everybody has come to rest."""
        with (
            self._listening(),
            self.disk,
            patch.object(link, "open_socket", self._open_socket),
            patch.multiple(folding, CHECKPOINT_EVENTS=self.checkpoint_events, CHECKPOINT_EVENTS_AT_END=1),
            patch.object(pace, "MUCH_PER_S", self.much_per_s),
            # A set of members is else in the order of their addresses in memory, another in every run.
            patch.object(Member, "__hash__", lambda member: zlib.crc32(member.who.actor.encode())),
        ):
            await self._run()

    async def _run(self) -> None:
        self._start_server()
        try:
            self.room = await self._server.node.create("Sorting 101")
            self.readers = self._everybody()
            acting = [asyncio.create_task(reader.act(self.trouble_s)) for reader in self.readers]
            await self._trouble()
            await self._heal()
            for reader in self.readers:
                await reader.rest(HEALED_WITHIN_S, self._head)
            for task in acting:
                task.cancel()
            await asyncio.wait(acting)
            for reader in self.readers:
                reader.note_position()
                await reader.close()
            await self._server.stop()
        finally:
            self.events = await self.disk.read(self.room.record.room, 0, 1_000_000)

    def _everybody(self) -> list[Reader]:
        code, key = self.room.record.code, self.room.host_key
        people = [Reader(self.seed, f"person {n}", code, name=f"P{n}") for n in range(PEOPLE)]
        host = Reader(self.seed, "host", code, role=Role.HOST, token=key, ledger=True)
        host.asks_in_secret = self.secret
        screen = Reader(self.seed, "host's screen", code, role=Role.HOST, token=key)
        return [host, screen, Reader(self.seed, "viewer", code, role=Role.VIEWER), *people]

    async def _open_socket(self, server: str, on_frame: Any, *, timeout_s: float) -> Any:
        reader = next(r for r in self.readers if r.url == server)
        return await self.network.open_socket(reader.heard, on_frame, timeout_s)

    async def _head(self) -> int:
        return (await self.disk.head(self.room.record.room)).offset

    # ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────

    async def _trouble(self) -> None:
        loop = asyncio.get_running_loop()
        kinds = [
            *(
                self._cut,
                self._lag,
                self._lag,
                self._cut_all,
                self._partition,
                self._partition_all,
                self._slow,
                self._half_open,
            ),
            *(self._refuse_append, self._doubt, self._doubt, self._outage, self._stall, self._blind),
            *(self._kill, self._restart, self._set_clock, self._erase),
        ]
        mean_s = self.rng.choice([0.3, 1.0, 3.0])
        while loop.time() < self.trouble_s:
            await asyncio.sleep(self.rng.expovariate(1 / mean_s))
            kind = self.rng.choice(kinds)
            self.happened.append(f"{loop.time():.3f} {kind.__name__.strip('_')}")
            trouble = kind()
            if trouble is not None:
                await trouble

    async def _heal(self) -> None:
        if self.network.server is None:
            self._start_server()
        self.network.is_partitioned = False
        for wire in self.network.wires:
            wire.heal()
            wire.slow(0.01)

    def _cut(self) -> None:
        if self.network.wires:
            self.rng.choice(self.network.wires).cut()

    def _cut_all(self) -> None:
        for wire in self.network.wires:
            wire.cut()

    def _half_open(self) -> None:
        if self.network.wires:
            self.rng.choice(self.network.wires).cut(within_s=20.0)

    def _lag(self) -> None:
        if self.network.wires:
            self.rng.choice(self.network.wires).lag(within_s=8.0)

    def _partition(self) -> None:
        if self.network.wires:
            wire = self.rng.choice(self.network.wires)
            wire.partition()
            asyncio.get_running_loop().call_later(self.rng.uniform(0, 12), self.rng.choice([wire.heal, wire.cut]))

    async def _partition_all(self) -> None:
        self.network.is_partitioned = True
        wires = list(self.network.wires)
        for wire in wires:
            wire.partition()
        await asyncio.sleep(self.rng.uniform(0, 5))
        self.network.is_partitioned = False
        for wire in wires:
            self.rng.choice([wire.heal, wire.cut])()

    def _slow(self) -> None:
        if self.network.wires:
            self.rng.choice(self.network.wires).slow(self.rng.uniform(0.1, 6))

    def _refuse_append(self) -> None:
        self.log.fail("append", NotAppended("the disk is full"))

    def _doubt(self) -> None:
        self.log.fail("append", InDoubt("the commit failed"), but_do_it=self.rng.random() < 0.5)

    def _blind(self) -> None:
        self.log.fail(self.rng.choice(["find", "read", "head"]), LogError("cannot be read"))

    async def _outage(self) -> None:
        with self.log.broken(LogError("the disk is gone"), "append", "find", "read", "head", "record", "rooms"):
            await asyncio.sleep(self.rng.uniform(0.1, 4))

    async def _stall(self) -> None:
        with self.log.held(self.rng.choice(["append", "append", "find", "read"])):
            await asyncio.sleep(self.rng.uniform(0.1, 4))

    def _set_clock(self) -> None:
        Wall.shift_s += self.rng.choice([-86_400.0, -5.0, 5.0, 86_400.0])

    async def _erase(self) -> None:
        person = self.rng.choice(self.readers[-PEOPLE:]).connection.actor
        if person:
            with suppress(Refused):  # the store is out of reach, or the person has not come yet
                await self._server.node.erase(await self._server.node.find(self.room.record.code), person)

    async def _kill(self) -> None:
        self._server.kill()
        self.disk.crash()
        self.network.server = None
        for wire in self.network.wires:
            wire.server_gone()
        await asyncio.sleep(self.rng.uniform(0, 3))
        self._start_server()

    async def _restart(self) -> None:
        self.network.server = None
        await self._server.stop()
        await asyncio.sleep(self.rng.uniform(0, 1))
        self._start_server()

    def _start_server(self) -> None:
        self._server = RunningServer(self.log, self.settings, self._signer, self.keys)
        self.network.server = self._server

    # ── what nobody may hear ──────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Everything that is logged as an error, or that the loop has nobody to tell."""

        def unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            self.complaints.append(f"{context['message']}: {context.get('exception')!r}")

        handler = _Complaints(self.complaints)
        logger = logging.getLogger("wslive")
        asyncio.get_running_loop().set_exception_handler(unhandled)
        logger.addHandler(handler)
        before, logger.propagate = logger.propagate, False
        try:
            yield
        finally:
            logger.propagate = before
            logger.removeHandler(handler)


class _Complaints(logging.Handler):
    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._found.append(f"{record.getMessage()} {error!r}")
