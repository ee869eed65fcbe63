"""One WebSocket, over a socket and over a stream. The rules one by one: tests/websocket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tornado.iostream import IOStream

from tests.server.hall import UNHURRIED
from tests.server.line import BIG, BUFFER_BYTES, HANG_S, turn
from tests.websocket.raw import frame
from wslive.server.settings import Rate
from wslive.server.websocket.carrier import FLOOD_READ_BYTES, Carrier, SocketCarrier, StreamCarrier
from wslive.server.websocket.keepalive import Keepalive
from wslive.server.websocket.outbox import Flusher
from wslive.server.websocket.rfc6455 import CLOSE, PING, PONG, TEXT, close_frame, control_frame
from wslive.server.websocket.socket import WebSocket


class Two:
    """Both ends of one WebSocket: ours, and a plain socket."""

    def __init__(self, kind: str, ping_interval_s: float = 0.0, receive_rate: Rate = UNHURRIED) -> None:
        ours, self.other = socket.socketpair()
        ours.setblocking(False)
        self.other.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self.heard: list[str | bytes] = []
        self.lost = asyncio.Event()
        carrier: Carrier = SocketCarrier(ours) if kind == "socket" else StreamCarrier(IOStream(ours))
        self.ours = WebSocket(
            carrier, Flusher(), max_message_bytes=1000, max_outbox_bytes=1000, receive_rate=receive_rate, too_big=4501
        )
        self.outbox = self.ours.outbox(on_drained=lambda: None, on_full=self.ours.abort)
        self.ours.begin(Keepalive(ping_interval_s), self.take, self.lost.set)

    def take(self, message: str | bytes) -> None:
        if message == "mistake":
            raise KeyError(message)
        self.heard.append(message)

    async def until_lost(self) -> None:
        await asyncio.wait_for(self.lost.wait(), HANG_S)

    async def until_heard(self, messages: int) -> None:
        """Wait until so many have been heard in all."""
        async with asyncio.timeout(HANG_S):
            # A turn of the loop is what is waited for: nothing tells a test of a message but `take`, as in a server.
            while len(self.heard) < messages:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def read(self, size: int) -> bytes:
        data = b""
        async with asyncio.timeout(HANG_S):
            while len(data) < size:
                part = await asyncio.get_running_loop().sock_recv(self.other, size - len(data))
                assert part, data
                data += part
        return data

    async def rest(self) -> bytes:
        data = b""
        async with asyncio.timeout(HANG_S):
            while part := await asyncio.get_running_loop().sock_recv(self.other, 1 << 16):
                data += part
        return data


@pytest.fixture(params=["socket", "stream"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


OpenTwo = Callable[..., Two]


@pytest.fixture
async def open_two(kind: str) -> AsyncIterator[OpenTwo]:
    """Opens them; they are closed at the end."""
    opened: list[Two] = []

    def open(**options: Any) -> Two:
        opened.append(Two(kind, **options))
        return opened[-1]

    yield open
    for two in opened:
        two.ours.abort()
        await two.until_lost()
        two.other.close()


@pytest.fixture
async def two(open_two: OpenTwo) -> Two:
    return open_two()


async def test_messages_are_heard_in_order_and_pings_answered(two: Two):
    two.other.send(frame(TEXT, b"one") + frame(PING, b"?") + frame(TEXT, b"two"))
    assert await two.read(3) == control_frame(PONG, b"?")
    assert two.heard == ["one", "two"]
    two.other.close()
    await two.until_lost()


async def test_the_other_side_closes_and_hears_its_code_after_what_was_posted(two: Two):
    two.outbox.post(b"<last>")
    two.other.send(frame(CLOSE, b"\x0f\xa0bye"))
    await two.until_lost()
    two.outbox.post(b"<too late>")
    assert await two.rest() == b"<last>" + close_frame(4000, "bye")


async def test_we_close_and_hear_nothing_any_more_until_it_is_answered(two: Two):
    two.ours.close(4001, "slow")
    two.ours.close(4002, "again")
    assert await two.read(8) == close_frame(4001, "slow")
    two.other.send(frame(TEXT, b"late") + frame(PING, b"") + frame(CLOSE, b"\x0f\xa1") + frame(TEXT, b"later"))
    await two.until_lost()
    assert (two.heard, await two.rest()) == ([], b"")


async def test_whoever_breaks_a_rule_after_our_close_still_gets_all_that_was_sent_before(two: Two):
    posted = b"<" + b"*" * (20 * BUFFER_BYTES) + b">"  # more than the kernel takes
    two.outbox.post(posted)
    await turn()
    assert two.ours.unsent_bytes
    two.ours.close(4507, "enough")
    two.other.send(frame(TEXT, b"\xff") + frame(TEXT, b"unread"))
    assert await two.rest() == posted + close_frame(4507, "enough")
    two.other.close()
    await two.until_lost()
    assert two.heard == []


async def test_whoever_does_not_answer_a_close_is_cut_off(two: Two, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wslive.server.websocket.socket.CLOSE_TIMEOUT_S", 0.01)
    two.ours.close(4000)
    await two.until_lost()
    assert await two.rest() == close_frame(4000)


async def test_what_breaks_the_rules_is_told_and_nothing_after_it_has_a_meaning(two: Two):
    two.other.send(frame(TEXT, b"one") + b"\x83\x80\0\0\0\0" + frame(TEXT, b"two") + frame(CLOSE, b""))
    data = await two.rest()
    assert data[2:4] == (1002).to_bytes(2, "big")
    two.other.close()
    await two.until_lost()
    assert two.heard == ["one"]


async def test_a_message_over_the_limit_has_a_code_of_its_own(two: Two):
    two.other.send(frame(TEXT, b"x" * 1001))
    assert (await two.rest())[2:4] == (4501).to_bytes(2, "big")
    two.other.close()
    await two.until_lost()


async def test_a_mistake_of_ours_ends_this_connection_alone(two: Two, caplog: pytest.LogCaptureFixture):
    two.other.send(frame(TEXT, b"mistake"))
    assert (await two.rest())[2:4] == (1011).to_bytes(2, "big")
    two.other.close()
    await two.until_lost()
    assert "a message could not be worked off" in caplog.text


async def test_somebody_who_only_pings_fills_nothing(two: Two):
    two.outbox.post(BIG)
    await turn()
    waiting = two.ours.unsent_bytes
    for number in range(100):
        two.other.send(frame(PING, b"%02d" % number))
        await turn()
    assert two.ours.unsent_bytes <= waiting
    assert await two.read(len(BIG) + 4) == BIG + control_frame(PONG, b"99")  # the latest answers all before it


async def test_who_answers_pings_stays_and_who_does_not_is_gone(open_two: OpenTwo):
    two = open_two(ping_interval_s=0.02)
    for _ in range(3):
        assert await two.read(2) == control_frame(PING, b"")
        two.other.send(frame(PONG, b""))
    assert await two.read(2) == control_frame(PING, b"")
    await two.until_lost()
    assert (await two.rest())[:1] == b"\x88"


async def test_who_takes_what_it_is_sent_is_there(open_two: OpenTwo):
    two = open_two(ping_interval_s=0.05)
    two.outbox.post(BIG)
    await turn()
    size, asked = 0, asyncio.get_running_loop().time() + 0.3
    while asyncio.get_running_loop().time() < asked:  # several intervals without a word
        size += len(await two.read(20_000))
        await asyncio.sleep(0.005)
    assert not two.lost.is_set()
    assert 0 < size < len(BIG)


async def test_while_it_pauses_nothing_is_heard(two: Two):
    two.ours.pause()
    two.ours.resume()
    two.other.send(frame(TEXT, b"x"))
    await two.until_heard(1)


async def test_who_floods_is_read_more_slowly_and_loses_nothing(open_two: OpenTwo):
    two = open_two(receive_rate=Rate(per_s=100_000, burst=1000))
    for number in range(100):  # one by one: what comes with one read is worked off at once
        two.other.send(frame(TEXT, b"%d" % number))
        await turn()
    assert len(two.heard) < 100
    two.ours.pause()
    two.ours.resume()  # neither ends the slowness
    await turn()
    assert len(two.heard) < 100
    await two.until_heard(100)
    assert two.heard == [str(number) for number in range(100)]


async def test_while_it_pauses_the_end_of_a_flood_changes_nothing(open_two: OpenTwo, kind: str):
    two = open_two(receive_rate=Rate(per_s=1e6, burst=1))
    two.other.send(frame(TEXT, b"x"))
    await turn()
    two.ours.pause()
    two.other.send(frame(TEXT, b"y"))
    await asyncio.sleep(0.01)  # much longer than the flood is made up for
    if kind == "socket":  # a stream's read is under way
        assert two.heard == ["x"]
    two.ours.resume()
    await two.until_heard(2)


@pytest.mark.parametrize("goes", ["closes", "resets", "says no more"])
async def test_who_floods_and_goes_is_let_go_at_once_and_what_is_unread_is_dropped(
    open_two: OpenTwo, monkeypatch: pytest.MonkeyPatch, goes: str
):
    monkeypatch.setattr("wslive.server.websocket.socket.LOOK_S", 0.01)
    two = open_two(receive_rate=Rate(per_s=1e-3, burst=1))  # the next read would be in days
    two.outbox.post(b"<unread>")
    two.other.send(frame(TEXT, b"x"))
    await turn()
    assert two.heard == ["x"]
    two.other.send(frame(TEXT, b"y") * 100)
    if goes == "says no more":
        two.other.shutdown(socket.SHUT_WR)
    else:
        if goes == "closes":
            await two.read(8)
        two.other.close()
    await two.until_lost()
    assert two.heard == ["x"]


async def test_who_takes_no_pongs_is_stuck(two: Two):
    assert two.outbox.stuck_since_s is None
    while not two.ours.unsent_bytes:
        two.other.send(frame(PING, b"?" * 125))
        await turn()
    assert two.outbox.stuck_since_s is not None
    two.other.send(frame(PING, b"last"))
    await turn()
    while two.outbox.stuck_since_s is not None:
        await two.read(1)
        await turn()
    assert two.ours.unsent_bytes == 0


async def test_who_floods_is_read_in_small_pieces(open_two: OpenTwo):
    two = open_two(receive_rate=Rate(per_s=100_000, burst=1000))
    assert two.ours._carrier.read_bytes > FLOOD_READ_BYTES
    two.other.send(frame(TEXT, b"x"))
    await two.until_heard(1)
    assert two.heard == ["x"]
    assert two.ours._carrier.read_bytes > FLOOD_READ_BYTES
    for number in range(10):
        two.other.send(frame(TEXT, b"%d" % number))
    await two.until_heard(11)
    assert two.ours._carrier.read_bytes == FLOOD_READ_BYTES


async def test_fragments_without_end_are_a_flood_too(open_two: OpenTwo):
    two = open_two(receive_rate=Rate(per_s=1, burst=50_000))
    flood = frame(TEXT, b"", is_final=False) + frame(0, b"", is_final=False) * 1000
    two.other.send(flood)
    await turn()
    two.other.send(frame(0, b"x"))
    await turn()
    assert two.heard == []
