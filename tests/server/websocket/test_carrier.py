"""A connection's bytes: over a socket that the loop watches, and over a stream of Tornado."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from tests.server.conftest import OpenLine
from tests.server.line import BIG, HANG_S, Line, turn
from wslive.server.websocket import carrier as module
from wslive.server.websocket.carrier import READ_BYTES, SocketCarrier, StreamCarrier, taken_from


@pytest.fixture(params=["socket", "stream"])
async def line(request: pytest.FixtureRequest, open_line: OpenLine) -> Line:
    return open_line(kind=request.param)


async def test_it_hears_what_comes_and_of_the_end_once(line: Line):
    line.other.send(b"hello")
    await line.until(lambda: line.heard == b"hello")
    line.other.close()
    await line.until(lambda: line.lost)
    line.carrier.close()
    await turn()
    assert line.lost == 1


async def test_it_reads_no_more_than_its_turn_at_once(open_line: OpenLine):
    line, others = open_line(), open_line()
    line.other.setblocking(True)
    await asyncio.to_thread(line.other.sendall, b"x" * 10)
    sizes: list[int] = []
    line.carrier._on_data = lambda data: sizes.append(len(data))  # type: ignore[attr-defined]
    await asyncio.to_thread(line.other.sendall, BIG[: 8 * READ_BYTES])
    others.other.send(b"x")
    await others.until(lambda: others.heard)
    while sum(sizes) < 8 * READ_BYTES:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert max(sizes) <= READ_BYTES


async def test_how_much_it_reads_at_once_can_be_less(line: Line):
    sizes: list[int] = []
    heard = line._on_data
    # In which pieces it read is told to nobody but whoever takes them: a `Line` puts them together.
    line.carrier._on_data = lambda data: (sizes.append(len(data)), heard(data))  # type: ignore[attr-defined]
    line.carrier.read_bytes = 100
    if not isinstance(line.carrier, SocketCarrier):
        line.other.send(b"x")  # ends the read that is under way
        await line.until(lambda: line.heard == b"x")
    sizes.clear()
    line.other.send(b"x" * 1000)
    await line.until(lambda: sum(sizes) == 1000)
    assert max(sizes) <= 100


async def test_while_it_pauses_nothing_is_heard(line: Line):
    line.other.send(b"one")
    await line.until(lambda: line.heard == b"one")
    line.carrier.pause()
    await turn()
    line.other.send(b"two")
    if isinstance(line.carrier, SocketCarrier):
        await turn()
        assert line.heard == b"one"
    line.carrier.resume()
    await line.until(lambda: line.heard == b"onetwo")


async def test_while_it_pauses_it_can_be_closed(line: Line):
    line.carrier.pause()
    await turn()
    line.other.send(b"one")
    line.carrier.close()
    await line.until(lambda: line.lost == 1)


async def test_that_the_other_side_has_ended_is_known_while_what_it_sent_is_unread(line: Line):
    line.carrier.pause()
    line.other.send(b"unread")
    await turn()
    assert not line.carrier.has_ended()
    line.other.close()
    async with asyncio.timeout(HANG_S):
        while not line.carrier.has_ended():  # noqa: ASYNC110
            await asyncio.sleep(0)
    line.carrier.close()
    await line.until(lambda: line.lost)
    assert line.carrier.has_ended()


async def test_where_the_system_does_not_tell_of_an_end_it_shows_when_all_has_been_read(
    open_line: OpenLine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delattr("select.poll")
    line = open_line()
    line.carrier.pause()
    line.other.send(b"unread")
    line.other.close()
    await turn()
    assert not line.carrier.has_ended()
    line.carrier.resume()
    await line.until(lambda: line.lost)
    assert line.heard == b"unread"


async def test_it_finishes_when_everything_is_taken(line: Line):
    line.carrier.write(BIG)
    line.carrier.finish()
    assert await line.read_all() == BIG
    line.other.close()
    await line.until(lambda: line.lost)


async def test_the_same_bytes_wait_once_however_many_do_not_take_them(open_line: OpenLine):
    lines = [open_line() for _ in range(3)]
    for line in lines:
        line.carrier.write(BIG)
    queues = [line.carrier._unsent for line in lines]  # type: ignore[attr-defined]
    assert all(view.obj is BIG for queue in queues for view in queue)


async def test_writing_after_the_end_does_nothing(line: Line):
    line.carrier.close()
    line.carrier.write(b"hello?")
    line.carrier.finish()
    line.carrier.pause()
    line.carrier.resume()
    await line.until(lambda: line.lost)
    assert line.carrier.unsent_bytes == 0


async def test_a_reset_is_an_end(line: Line):
    line.other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.other.close()
    for _ in range(3):
        line.carrier.write(BIG)
    await line.until(lambda: line.lost)


# ── out of Tornado ────────────────────────────────────────────────────────────────────────────────────────────────


def pair() -> tuple[IOStream, socket.socket]:
    """A stream, and the other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return IOStream(ours), theirs


async def test_a_connection_leaves_tornado_with_all_that_has_come():
    stream, theirs = pair()
    theirs.send(b"GET / HTTP/1.1\r\n\r\nand more")
    assert await stream.read_until(b"\r\n\r\n") == b"GET / HTTP/1.1\r\n\r\n"
    theirs.send(b" of it")
    taken = await taken_from(stream)
    assert stream.closed()
    heard: list[bytes] = []
    lost = asyncio.Event()
    taken.start(heard.append, lambda: None, lost.set)
    theirs.send(b"!")
    async with asyncio.timeout(HANG_S):
        while b"".join(heard) != b"and more of it!":  # noqa: ASYNC110
            await asyncio.sleep(0)
    taken.write(b"answer")
    assert theirs.recv(100) == b"answer"
    theirs.close()
    await asyncio.wait_for(lost.wait(), HANG_S)


async def test_the_answer_to_the_handshake_leaves_first():
    stream, theirs = pair()
    stream.write(BIG)
    taking = asyncio.ensure_future(taken_from(stream))
    received = 0
    while received < len(BIG):
        received += len(await asyncio.get_running_loop().sock_recv(theirs, 1 << 16))
    taken = await taking
    taken.start(lambda data: None, lambda: None, lambda: None)
    taken.write(b"x")
    assert theirs.recv(10) == b"x"
    taken.close()
    theirs.close()


async def test_a_connection_that_has_gone_is_not_taken():
    stream, theirs = pair()
    theirs.close()
    with pytest.raises(StreamClosedError):
        await taken_from(stream)


async def test_what_is_encrypted_stays_with_tornado():
    ours, theirs = socket.socketpair()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).wrap_socket(
        ours, server_side=True, do_handshake_on_connect=False
    )
    tls.setblocking(False)
    stream = SSLIOStream(tls)
    assert isinstance(await taken_from(stream), StreamCarrier)
    assert not stream.closed()
    stream.close()
    theirs.close()


async def test_so_does_everything_on_a_loop_that_watches_no_sockets(monkeypatch: Any):
    monkeypatch.setattr(module, "_watches_sockets", lambda: False)
    stream, theirs = pair()
    assert isinstance(await taken_from(stream), StreamCarrier)
    stream.close()
    theirs.close()
