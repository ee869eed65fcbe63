import shutil
import socket
import sys
from collections.abc import Iterator

import pytest

from benchmarks.load import Load, Sent, frame

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="the load is made of epoll, and compiled"
)


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Three connections: our end and the server's."""
    pairs = [socket.socketpair() for _ in range(3)]
    yield pairs
    for _, theirs in pairs:
        theirs.close()


def text(payload: bytes) -> bytes:
    return (
        b"\x81"
        + (bytes((len(payload),)) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big"))
        + payload
    )


def test_what_comes_is_noted_once_and_told_by_connection(pairs: list[tuple[socket.socket, socket.socket]]):
    load = Load([(ours, text(b"early")) if n == 0 else (ours, b"") for n, (ours, _) in enumerate(pairs)])
    long = b"long " * 100
    for _, theirs in pairs:
        theirs.sendall(text(b"to all") + text(long)[:77])
    load.listen(0.01)
    for _, theirs in pairs:
        theirs.sendall(text(long)[77:])
    load.listen(0.01)
    assert load.payloads == [b"early", b"to all", long]
    assert sorted(load.records[["connection", "payload"]].tolist()) == [
        (0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2),
    ]  # fmt: skip
    load.close()


def test_frames_leave_in_order_and_not_before_they_are_due(pairs: list[tuple[socket.socket, socket.socket]]):
    load = Load([(ours, b"") for ours, _ in pairs])
    sent = Sent([0, 1, 0], [b"one", b"two", b"three"], rate_per_s=100.0)
    assert load.run(sent) == 3
    assert pairs[0][1].recv(100) == frame(b"one") + frame(b"three")
    assert pairs[1][1].recv(100) == frame(b"two")
    assert (sent.late_ms >= 0).all()
    load.close()


def test_a_window_waits_until_everybody_has_a_message(pairs: list[tuple[socket.socket, socket.socket]]):
    load = Load([(ours, b"") for ours, _ in pairs], marker="line-")
    sent = Sent([0, 0, 0], [b"line-1", b"line-2", b"line-3"])
    assert load.run(sent, window=1, max_s=0.05) == 1
    for _, theirs in pairs[:2]:
        theirs.sendall(text(b"line-1"))
    load.listen(0.01)
    assert load.completed == 0
    pairs[2][1].sendall(text(b"line-1 line-2"))
    for _, theirs in pairs[:2]:
        theirs.sendall(text(b"line-2"))
    load.listen(0.01)
    assert load.completed == 2
    load.close()


def test_pings_are_answered_and_heartbeats_of_others_too(pairs: list[tuple[socket.socket, socket.socket]]):
    load = Load([(ours, b"") for ours, _ in pairs])
    load.answer(b"2", b"3")
    pairs[0][1].sendall(b"\x89\x02hi" + text(b"2"))
    load.listen(0.01)
    assert pairs[0][1].recv(100) == b"\x8a\x82\0\0\0\0hi" + frame(b"3")
    assert len(load.records) == 0
    load.close()


@pytest.mark.parametrize(
    ("data", "why"), [(b"\x88\x05\x0f\xa0bye", "closed by the server, 4000 bye"), (b"", "the server hung up")]
)
def test_a_connection_that_ends_is_an_error(pairs: list[tuple[socket.socket, socket.socket]], data: bytes, why: str):
    load = Load([(ours, b"") for ours, _ in pairs])
    pairs[1][1].sendall(data)
    pairs[1][1].close()
    with pytest.raises(ConnectionError, match=f"connection 1: {why}"):
        load.listen(0.05)
    load.close()
