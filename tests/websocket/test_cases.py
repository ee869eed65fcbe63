"""RFC 6455 over our WebSockets, case by case: the one that echoes, and the one of the rooms."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator

import pytest

from tests.server.hall import UNHURRIED
from tests.websocket.cases import Case, Dialect, cases
from tests.websocket.dialects import Echo, Room, check
from tests.websocket.raw import Opcode, RawSocket, frame
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

Address = tuple[str, int]


DIALECTS: tuple[Dialect, ...] = (Echo(), Room())

TABLE = [pytest.param(by, case, id=f"{by.name}-{case.number}") for by in DIALECTS for case in cases(by)]


class Running:
    """A server on a thread of its own, so that blocking sockets can be used beside it; and what it logs."""

    def __init__(self) -> None:
        self.address: Address = ("127.0.0.1", 0)
        self.logged: list[str] = []
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = Server(ServerSettings(port=0, handshake_rate=UNHURRIED), MemoryLog())
        await server.start()
        self.address = ("127.0.0.1", server.port)
        self._started.set()
        await self._ended.wait()
        await server.stop()

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)
        assert not self._thread.is_alive()


class Kept(logging.Handler):
    """Keeps warnings and worse."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(self.format(record))


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """One server for all cases; nothing that anybody sends makes it write a line."""
    running = Running()
    keeps = Kept(running.logged)
    logging.getLogger().addHandler(keeps)
    running.start()
    yield running
    running.stop()
    logging.getLogger().removeHandler(keeps)
    assert running.logged == []


@pytest.mark.parametrize(("by", "case"), TABLE)
def test_a_case(by: Dialect, case: Case, server: Running):
    with RawSocket.open(server.address, by.path) as other:
        check(case, other)


def test_the_table_numbers_each_case_once():
    for by in DIALECTS:
        numbers = [case.number for case in cases(by)]
        assert len(numbers) == len(set(numbers)) > 200


def test_the_payload_of_the_rfcs_own_example_is_unmasked():
    # §5.7: a masked "Hello".
    assert frame(Opcode.TEXT, b"Hello") == bytes.fromhex("818537fa213d7f9f4d5158")


def test_the_rooms_dialect_is_what_a_room_speaks():
    assert json.loads(Room().asks(b"x")) == {"type": "ping", "n": 7, "x": "x"}
