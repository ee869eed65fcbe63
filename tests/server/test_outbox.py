"""The outbox reaches below Tornado's `write_message`; these tests fail clearly where Tornado changes there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from concurrent.futures import Future
from typing import Any

import pytest
from tornado.iostream import IOStream
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from tests.server.conftest import OpenLine
from tests.server.line import BIG, Line, turn
from wslive.server.outbox import CHUNK_BYTES, Flusher, Outbox, text_frame


@pytest.fixture
def line(open_line: OpenLine) -> Line:
    return open_line()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_text_frame_is_one_of_rfc_6455(size: int):
    payload = b"x" * size
    reader = StreamReader()
    reader.feed_data(text_frame(payload))
    parser = Frame.parse(reader.read_exact, mask=False, max_size=None)
    with pytest.raises(StopIteration) as parsed:
        next(parser)
    found: Frame = parsed.value.value
    assert (found.opcode, found.fin, bytes(found.data)) == (Opcode.TEXT, True, payload)
    reader.feed_eof()
    with pytest.raises(StopIteration) as at_end:
        next(reader.at_eof())
    assert at_end.value.value is True


async def test_frames_of_one_turn_leave_in_one_send():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps what one send sent together
    ours.setblocking(False)
    theirs.setblocking(False)
    stream = IOStream(ours)
    outbox = Outbox(stream, Flusher(), max_bytes=1, on_drained=lambda: None, on_full=lambda: None)
    for frame in (b"one ", b"two ", b"three"):
        outbox.post(frame)
    await turn()
    outbox.post(b"four")
    await turn()
    assert theirs.recv(100) == b"one two three"
    assert theirs.recv(100) == b"four"
    stream.close()
    theirs.close()


async def test_a_socket_that_takes_everything_leaves_nothing_waiting(line: Line):
    line.outbox.post(b"hello")
    assert line.outbox.is_clear
    await turn()
    assert await line.read(5) == b"hello"
    assert (line.outbox.is_clear, line.outbox.unsent_bytes, line.outbox.stuck_since_s) == (True, 0, None)
    assert line.drained == 0


async def test_what_the_socket_does_not_take_waits_and_arrives_whole(line: Line):
    await line.jam()
    assert 0 < line.outbox.unsent_bytes < len(BIG)
    assert line.outbox.stuck_since_s is not None
    line.outbox.post(b"an ack")
    assert await line.read(len(BIG) + 6) == BIG + b"an ack"
    await line.changed.wait()
    assert (line.outbox.is_clear, line.outbox.unsent_bytes, line.outbox.stuck_since_s) == (True, 0, None)
    assert line.drained == 1


async def test_what_waits_grows_less_while_the_other_end_reads(line: Line):
    await line.jam()
    before = line.outbox.unsent_bytes
    await line.read(len(BIG) // 2)
    await turn()
    assert line.outbox.unsent_bytes < before
    assert line.drained == 0


async def test_a_slow_reader_is_not_a_stuck_one(line: Line):
    await line.jam()
    since = line.outbox.stuck_since_s
    assert since is not None
    await line.read(8 * CHUNK_BYTES)
    await turn()
    now = line.outbox.stuck_since_s
    assert now is not None
    assert now > since


async def test_frames_of_tornado_stand_between_ours_and_never_inside_one(line: Line):
    line.stream.write(b"<ping>")
    line.outbox.post(BIG)
    await turn()
    line.stream.write(b"<pong>")
    line.outbox.post(b"an ack")
    await turn()
    line.stream.write(b"<close>")
    expected = b"<ping>" + BIG + b"<pong>" + b"an ack" + b"<close>"
    assert await line.read(len(expected)) == expected


async def test_while_tornado_has_something_half_sent_our_frames_go_behind_it(line: Line):
    line.stream.write(BIG)
    assert line.stream.writing()
    line.outbox.post(b"an ack")
    await turn()
    assert not line.outbox.is_clear
    assert await line.read(len(BIG) + 6) == BIG + b"an ack"
    await line.changed.wait()
    assert line.drained == 1


async def test_a_frame_does_not_overtake_what_tornado_has_half_sent_where_the_socket_could_take_it(line: Line):
    line.stream.write(BIG)
    taken = b""
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += line.other.recv(64 * 1024)  # without a turn of the loop: Tornado cannot go on meanwhile
    assert line.stream.writing()
    line.outbox.post(b"an ack")
    line.outbox.flush()
    assert taken + await line.read(len(BIG) + 6 - len(taken)) == BIG + b"an ack"


async def test_it_is_drained_though_a_frame_of_tornado_still_waits_behind(line: Line):
    await line.jam()
    line.stream.write(BIG)
    assert await line.read(len(BIG)) == BIG
    while not line.drained:  # the rest of ours may have been taken a moment after it was read here
        await line.read(1)
    assert line.stream.writing()
    assert line.outbox.is_clear


async def test_the_limit_counts_what_is_put_on_top_and_not_the_one_large_frame(open_line: OpenLine):
    line = open_line(max_bytes=1000)
    await line.jam()
    for _ in range(10):
        line.outbox.post(b"x" * 100)
    await turn()
    assert line.full == 0
    assert await line.read(len(BIG) + 1000) == BIG + b"x" * 1000


async def test_more_on_top_than_the_limit_is_told_once_and_dropped(open_line: OpenLine):
    line = open_line(max_bytes=1000)
    await line.jam()
    before = line.outbox.unsent_bytes
    for _ in range(5000):
        line.outbox.post(b"x" * 100)
    assert line.full == 0  # whoever posts is not interrupted
    await turn()
    assert line.full == 1
    assert line.outbox.unsent_bytes <= before + 1000


async def test_the_count_begins_anew_when_everything_has_gone(open_line: OpenLine):
    line = open_line(max_bytes=1000)
    for _ in range(3):
        await line.jam()
        line.outbox.post(b"x" * 900)
        await line.read(len(BIG) + 900)
        await line.changed.wait()
        line.changed.clear()
    assert (line.drained, line.full) == (3, 0)


async def test_nothing_follows_what_was_posted_before_closing(line: Line):
    line.outbox.post(b"last words")
    line.outbox.close()
    line.stream.write(b"<close>")
    line.outbox.post(b"too late")
    await turn()
    line.stream.close()
    assert await line.read_all() == b"last words<close>"


async def test_aborting_cuts_the_connection(line: Line):
    await line.jam()
    line.outbox.abort()
    assert line.stream.closed()
    line.outbox.post(b"too late")
    await turn()
    assert line.drained == 0


async def test_posting_to_a_connection_that_is_gone_does_nothing(line: Line):
    line.stream.close()
    line.outbox.post(b"hello?")
    await turn()
    assert line.outbox.is_clear


async def test_a_connection_that_breaks_while_something_waits_is_not_drained(line: Line):
    await line.jam()
    line.other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.other.close()  # with a reset
    closed = asyncio.Event()
    line.stream.set_close_callback(closed.set)
    await closed.wait()
    assert line.drained == 0


async def test_a_broken_connection_does_not_stop_the_others_of_its_turn(open_line: OpenLine, caplog: Any):
    lines = [open_line() for _ in range(4)]
    flusher = lines[0].flusher
    outboxes = [Outbox(x.stream, flusher, max_bytes=1, on_drained=lambda: None, on_full=lambda: None) for x in lines]
    lines[1].stream.socket.close()  # the kernel says no
    lines[2].stream.writing = None  # type: ignore[method-assign,assignment] # a mistake says no
    for outbox in outboxes:
        outbox.post(b"hello")
    await turn()
    assert await lines[0].read(5) == await lines[3].read(5) == b"hello"
    assert lines[1].stream.closed()
    assert lines[2].stream.closed()
    assert "a connection could not be written to" in caplog.text


class Recorded(IOStream):
    """Notes what is written to it."""

    written = b""

    def write(self, data: bytes | memoryview) -> Any:
        self.written += bytes(data)
        return Future()


async def test_what_is_encrypted_goes_through_the_stream():
    ours, theirs = socket.socketpair()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).wrap_socket(
        ours, server_side=True, do_handshake_on_connect=False
    )
    tls.setblocking(False)
    stream = Recorded(tls)
    outbox = Outbox(stream, Flusher(), max_bytes=1, on_drained=lambda: None, on_full=lambda: None)
    outbox.post(b"hello")
    await turn()
    assert stream.written == b"hello"
    stream.close()
    theirs.close()
