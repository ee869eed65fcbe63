from __future__ import annotations

import asyncio
from typing import Any

import pytest
from engineio.exceptions import EngineIOError

from tests.server.hall import UNHURRIED
from wslive.socketio.transport import Transport
from wslive.wire.close_codes import CloseCode


class Queue:
    """What an Engine.IO connection has not handed on yet."""

    def __init__(self) -> None:
        self.packets: list[str] = []

    def empty(self) -> bool:
        return not self.packets


class Engine:
    """Engine.IO with one connection."""

    def __init__(self) -> None:
        self.queue = Queue()
        self.sockets: dict[str, Any] = {"1": self}
        self.is_closed = self.upgraded = False
        self.upgrading = True
        self.waited: bool | None = None

    async def send_packet(self, id: str, packet: Any) -> None:
        if self.is_closed:
            raise EngineIOError
        self.queue.packets.append(packet.encode())

    async def close(self, *, wait: bool) -> None:
        self.waited = wait

    def start_background_task(self, call: Any, **options: Any) -> None:
        self.closing = asyncio.ensure_future(call(**options))


class WebSocket:
    """A handler of a WebSocket."""

    def __init__(self) -> None:
        self.closed: list[Any] = []
        self.is_clear = True

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.append((code, reason))

    def cut(self) -> None:
        self.closed.append("cut")


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def transport(engine: Engine) -> Transport:
    return Transport(engine, "1", secret="s", cookie=None, receive_rate=UNHURRIED)


async def test_packets_are_sent_as_messages_in_order(transport: Transport, engine: Engine):
    await transport.send(['2["a"]', '2["b"]'])
    assert engine.queue.packets == ['42["a"]', '42["b"]']


async def test_what_cannot_be_sent_any_more_is_dropped(transport: Transport, engine: Engine):
    engine.is_closed = True
    await transport.send(['2["a"]'])
    assert engine.queue.packets == []


async def test_the_way_is_clear_when_queue_and_websocket_are_empty(transport: Transport, engine: Engine):
    drained = []
    transport.on_drained = lambda: drained.append(True)
    transport.websocket = WebSocket()
    await transport.send(['2["a"]'])
    transport.websocket.is_clear = False
    assert not transport.is_clear
    engine.queue.packets.clear()
    transport.drained()
    assert not transport.is_clear
    assert drained == []
    transport.websocket.is_clear = True
    transport.drained()
    assert transport.is_clear
    assert drained == [True]


async def test_it_has_one_websocket_at_a_time(transport: Transport, engine: Engine):
    first, second = WebSocket(), WebSocket()
    assert transport.has_got(first)
    assert not transport.has_got(second)
    transport.has_lost(second)
    assert transport.websocket is first
    assert engine.upgrading
    transport.has_lost(first)
    assert not engine.upgrading  # it goes on by polling
    assert transport.has_got(second)


async def test_a_websocket_that_is_left_is_closed_a_moment_after_the_end(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wslive.socketio.transport.FAREWELL_S", 0.0)
    websocket = WebSocket()
    transport.has_got(websocket)
    transport.ended()
    assert websocket.closed == []
    while not websocket.closed:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert websocket.closed == [(1000, "")]


async def test_it_waits_for_a_hello_while_nobody_is_in(transport: Transport):
    opened_at_s = transport.opened_at_s
    assert transport.is_waiting_for_hello
    transport.on_bye = lambda spread_s: None
    assert not transport.is_waiting_for_hello
    transport.left()
    assert transport.is_waiting_for_hello
    assert transport.opened_at_s >= opened_at_s


async def test_a_websocket_is_closed_with_a_code(transport: Transport, engine: Engine):
    transport.websocket = WebSocket()
    engine.upgraded = True
    transport.close(CloseCode.HELLO_TIMEOUT)
    transport.close(CloseCode.SLOW_READER, "too slow")
    assert transport.websocket.closed == [
        (CloseCode.HELLO_TIMEOUT, CloseCode.HELLO_TIMEOUT.sentence),
        (CloseCode.SLOW_READER, "too slow"),
    ]
    assert engine.waited is None  # that follows from it


async def test_a_polling_connection_is_closed_without_waiting_for_its_polls(transport: Transport, engine: Engine):
    transport.close(CloseCode.HELLO_TIMEOUT)
    await engine.closing
    assert engine.waited is False


async def test_a_websocket_that_has_not_become_it_yet_does_not_keep_it(transport: Transport, engine: Engine):
    transport.websocket = WebSocket()
    transport.close(CloseCode.HELLO_TIMEOUT)
    assert len(transport.websocket.closed) == 1
    await engine.closing
    assert engine.waited is False


async def test_farewell_is_said_by_whoever_is_in(transport: Transport):
    transport.websocket = WebSocket()
    transport.say_bye(5.0)
    assert transport.websocket.closed == [(CloseCode.GOING_AWAY, CloseCode.GOING_AWAY.sentence)]
    said = []
    transport.on_bye = said.append
    transport.say_bye(5.0)
    assert said == [5.0]


async def test_it_can_be_cut(transport: Transport, engine: Engine):
    transport.websocket = WebSocket()
    transport.abort()
    assert transport.websocket.closed == ["cut"]
    await engine.closing
    assert engine.waited is False


async def test_one_that_is_gone_can_be_closed_again(transport: Transport, engine: Engine):
    engine.sockets.clear()
    transport.close(CloseCode.GOING_AWAY)
    transport.abort()
    assert transport.is_clear


async def test_what_nobody_polls_for_any_more_is_dropped(transport: Transport, engine: Engine):
    queue: asyncio.Queue[str] = asyncio.Queue()
    queue.put_nowait("1")
    engine.queue = queue  # type: ignore[assignment]
    transport.ended()
    await queue.join()  # what python-engineio waits for
