"""The outbox, over a socket that the loop watches and over a stream of Tornado."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.server.conftest import OpenLine
from tests.server.line import BIG, Line, turn
from wslive.server.websocket.carrier import CHUNK_BYTES, SocketCarrier
from wslive.server.websocket.outbox import Flusher, Outbox


@pytest.fixture(params=["socket", "stream"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of the carrier."""
    return str(request.param)


@pytest.fixture
async def line(open_line: OpenLine, kind: str) -> Line:
    return open_line(kind=kind)


async def test_frames_of_one_turn_leave_in_one_send():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps what one send sent together
    ours.setblocking(False)
    theirs.setblocking(False)
    carrier = SocketCarrier(ours)
    outbox = Outbox(carrier, Flusher(), max_bytes=1)
    for frame in (b"one ", b"two ", b"three"):
        outbox.post(frame)
    await turn()
    outbox.post(b"four")
    await turn()
    assert theirs.recv(100) == b"one two three"
    assert theirs.recv(100) == b"four"
    outbox.post(b"five ")
    outbox.send(b"six")
    assert theirs.recv(100) == b"five six"  # at once: the turn is not over
    outbox.post(b"seven")
    await turn()
    assert theirs.recv(100) == b"seven"
    carrier.close()
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
    await line.until(lambda: line.drained)
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


async def test_frames_of_others_stand_between_ours_and_never_inside_one(line: Line):
    line.carrier.write(b"<ping>")
    line.outbox.post(BIG)
    await turn()
    line.carrier.write(b"<pong>")
    line.outbox.post(b"an ack")
    await turn()
    line.carrier.write(b"<close>")
    expected = b"<ping>" + BIG + b"<pong>" + b"an ack" + b"<close>"
    assert await line.read(len(expected)) == expected


async def test_the_limit_counts_what_is_put_on_top_and_not_the_one_large_frame(open_line: OpenLine, kind: str):
    line = open_line(max_bytes=1000, kind=kind)
    await line.jam()
    for _ in range(10):
        line.outbox.post(b"x" * 100)
    await turn()
    assert line.full == 0
    assert await line.read(len(BIG) + 1000) == BIG + b"x" * 1000


async def test_more_on_top_than_the_limit_is_told_once_and_dropped(open_line: OpenLine, kind: str):
    line = open_line(max_bytes=1000, kind=kind)
    await line.jam()
    before = line.outbox.unsent_bytes
    for _ in range(5000):
        line.outbox.post(b"x" * 100)
    assert line.full == 0  # whoever posts is not interrupted
    await turn()
    assert line.full == 1
    assert line.outbox.unsent_bytes <= before + 1000


async def test_the_count_begins_anew_when_everything_has_gone(open_line: OpenLine, kind: str):
    line = open_line(max_bytes=1000, kind=kind)
    for _ in range(3):
        await line.jam()
        line.outbox.post(b"x" * 900)
        await line.read(len(BIG) + 900)
        await line.until(lambda: line.outbox.is_clear)
    assert (line.drained, line.full) == (3, 0)


async def test_the_straight_way_is_open_only_while_there_is_nothing_to_overtake(open_line: OpenLine):
    line = open_line()
    assert line.outbox.straight is not None
    line.outbox.post(b"an ack")
    assert line.outbox.straight is None
    await turn()
    assert line.outbox.straight is not None
    assert line.outbox.straight(b" and news") == 9
    assert await line.read(15) == b"an ack and news"
    await line.jam()
    assert line.outbox.straight is None
    await line.read(len(BIG))
    await line.until(lambda: line.drained)
    assert line.outbox.straight is not None
    line.outbox.close()
    assert line.outbox.straight is None


async def test_a_stream_of_tornados_has_no_straight_way(open_line: OpenLine):
    line = open_line(kind="stream")
    assert line.outbox.straight is None
    line.outbox.post(b"hello")
    await turn()
    assert line.outbox.straight is None
    assert await line.read(5) == b"hello"


async def test_nothing_follows_what_was_posted_before_closing(line: Line):
    line.outbox.post(b"last words")
    line.outbox.close()
    line.carrier.write(b"<close>")
    line.outbox.post(b"too late")
    await turn()
    line.carrier.close()
    assert await line.read_all() == b"last words<close>"


async def test_aborting_cuts_the_connection(line: Line):
    await line.jam()
    line.outbox.abort()
    line.outbox.post(b"too late")
    await line.until(lambda: line.lost)
    assert (line.lost, line.drained) == (1, 0)


async def test_posting_to_a_connection_that_is_gone_does_nothing(line: Line):
    line.carrier.close()
    line.outbox.post(b"hello?")
    await line.until(lambda: line.lost)
    line.outbox.post(b"hello?")
    await turn()
    assert line.outbox.is_clear


async def test_a_connection_that_breaks_while_something_waits_is_not_drained(line: Line):
    await line.jam()
    line.other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.other.close()  # with a reset
    await line.until(lambda: line.lost)
    assert line.drained == 0


async def test_a_broken_connection_does_not_stop_the_others_of_its_turn(open_line: OpenLine, caplog: Any):
    lines = [open_line() for _ in range(4)]
    flusher = lines[0].flusher
    outboxes = [Outbox(line.carrier, flusher, max_bytes=1) for line in lines]
    lines[1].carrier.close()
    for outbox in outboxes:
        outbox.post(b"hello")
    outboxes[2].post("a mistake")  # type: ignore[arg-type]
    await turn()
    assert await lines[0].read(5) == await lines[3].read(5) == b"hello"
    await lines[2].until(lambda: lines[2].lost)
    assert "a connection could not be written to" in caplog.text
