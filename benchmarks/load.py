"""Many WebSocket connections of one load: what is sent on them when, and what came on them when.

The loop itself is in C, see load.c; it is compiled the first time, with the system's `cc`. A load that costs as much as
the server would be what is measured.
"""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.machine import BUILD

_SOURCE = Path(__file__).with_name("load.c")

DUE = np.dtype(
    [("at_ns", "u8"), ("sent_ns", "u8"), ("first_byte", "u8"), ("size", "u4"), ("connection", "u4")], align=True
)
RECORD = np.dtype([("at_ns", "u8"), ("connection", "u4"), ("payload", "u4")], align=True)

_MASK = b"\0\0\0\0"
"""A legal key that leaves the payload as it is; the server takes it off like any other."""

HANG_S = 30.0
"""How long anything may take that a healthy server does at once."""


def frame(payload: bytes) -> bytes:
    """A text frame as a client sends it."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + _MASK + payload


class Sent:
    """Frames to be sent by `Load.run`, in their order."""

    def __init__(self, connections: Sequence[int], payloads: Sequence[bytes], rate_per_s: float = 0.0) -> None:
        """One frame after the other.

        Args:
            connections: For each frame the connection to send it on.
            payloads: What is in each frame.
            rate_per_s: How many are due a second; 0 where a window decides.
        """
        frames = [frame(payload) for payload in payloads]
        sizes = np.fromiter(map(len, frames), "u8", len(frames))
        self.bytes = b"".join(frames)
        self.due = np.zeros(len(frames), DUE)
        self.due["connection"] = connections
        self.due["size"] = sizes
        self.due["first_byte"] = np.cumsum(sizes) - sizes
        if rate_per_s:
            self.due["at_ns"] = np.arange(len(frames)) * 1e9 / rate_per_s
        self.start_ns = 0

    @property
    def at_ns(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """When each was due, or sent if a window decided (time.monotonic_ns)."""
        return self.start_ns + self.due["at_ns"].astype("f8")

    @property
    def late_ms(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """How much later than due each was sent."""
        return (self.due["sent_ns"].astype("f8") - self.due["at_ns"]) / 1e6


class Load:
    """The connections of a load.

    A connection is a number: its place among `sockets`. Attributes:
        sockets: As they were given.
    """

    def __init__(self, sockets: Sequence[tuple[socket.socket, bytes]], marker: str = "") -> None:
        """Listen to connections that are WebSockets already.

        Args:
            sockets: Each with what has come on it since the handshake.
            marker: What each message has in it exactly once, where messages are counted.
        """
        self.sockets = [connected for connected, _ in sockets]
        self._c = _library()
        numbers = (ctypes.c_int * len(sockets))(*(connected.fileno() for connected in self.sockets))
        self._load = self._c.load_new(numbers, len(sockets), marker.encode())
        self._payloads: list[bytes] = []
        for number, (_, came) in enumerate(sockets):
            if came:
                self._c.load_feed(self._load, number, came, len(came))

    def answer(self, ask: bytes, answer: bytes) -> None:
        """Answer a payload with a payload from now on: another protocol's heartbeat."""
        framed = frame(answer)
        self._c.load_answer(self._load, ask, len(ask), framed, len(framed))

    def rest(self) -> None:
        """Leave the core to others while nothing comes; times are a millisecond off then."""
        self._c.load_rest(self._load, 1)

    def send(self, connection: int, payload: bytes) -> None:
        """Send one payload now."""
        self.run(Sent([connection], [payload]), window=1 << 62)

    def run(self, sent: Sent, *, window: int = 0, max_s: float = 60.0) -> int:
        """Send frames when they are due, or as soon as fewer than `window` messages are on their way to somebody.

        Args:
            sent: What to send.
            window: 0: by their times.
            max_s: Send nothing more after this long.

        Returns:
            How many were sent.
        """
        sent.start_ns = time.monotonic_ns()
        count: int = self._c.load_run(
            self._load, sent.due.ctypes.data, len(sent.due), sent.bytes, window, sent.start_ns, int(max_s * 1e9)
        )
        self._check()
        return count

    def listen(self, seconds: float) -> None:
        """Take what comes, for so long."""
        self._c.load_listen(self._load, int(seconds * 1e9))
        self._check()

    def until(self, condition: Callable[[], bool], what: str, hang_s: float = HANG_S) -> None:
        """Take what comes until a condition holds, looked at every 20 ms.

        Raises:
            TimeoutError: It does not for `hang_s`.
        """
        until_s = time.monotonic() + hang_s
        while not condition():
            if time.monotonic() > until_s:
                raise TimeoutError(f"not within {hang_s:g} s: {what}")
            self.listen(0.02)

    def until_quiet(self, seconds: float = 0.5) -> None:
        """Take what comes until nothing has come for so long."""
        until_s = time.monotonic() + HANG_S
        before = -1
        while (now := len(self.records)) != before:
            if time.monotonic() > until_s:
                raise TimeoutError("the server does not come to rest")
            before = now
            self.listen(seconds)

    def restart(self) -> None:
        """Forget what came so far; messages are counted from here."""
        self._c.load_restart(self._load)

    @property
    def records(self) -> np.ndarray[Any, Any]:
        """What came when: a copy."""
        count = ctypes.c_size_t()
        at = self._c.load_records(self._load, ctypes.byref(count))
        if not count.value:
            return np.zeros(0, RECORD)
        return np.frombuffer(ctypes.string_at(at, count.value * RECORD.itemsize), RECORD)

    @property
    def payloads(self) -> list[bytes]:
        """All different payloads that ever came; a record has its number."""
        for number in range(len(self._payloads), self._c.load_payload_count(self._load)):
            size = ctypes.c_uint32()
            at = self._c.load_payload(self._load, number, ctypes.byref(size))
            self._payloads.append(ctypes.string_at(at, size.value))
        return self._payloads

    @property
    def completed(self) -> int:
        """How many messages everybody has."""
        return int(self._c.load_completed(self._load))

    @property
    def idle_s(self) -> float:
        """For how long there was nothing to do, since the last `restart`."""
        return float(self._c.load_idle_ns(self._load)) / 1e9

    def close(self) -> None:
        """Hang up."""
        self._c.load_free(self._load)
        for connected in self.sockets:
            connected.close()

    def _check(self) -> None:
        failure = self._c.load_failure(self._load)
        if failure:
            raise ConnectionError(failure.decode(errors="replace"))


@cache
def _library() -> Any:
    """The loop of load.c, compiled for this machine."""
    source = _SOURCE.read_bytes()
    target = BUILD / f"load-{hashlib.sha256(source).hexdigest()[:12]}.so"
    if not target.exists():
        compiler = shutil.which("cc")
        if compiler is None:
            raise click.ClickException("The load needs a C compiler. On Debian: sudo apt-get install gcc libc6-dev")
        BUILD.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".tmp")
        subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", unfinished, _SOURCE], check=True)
        unfinished.replace(target)
    library = ctypes.CDLL(str(target))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
        ("load_new", pointer, [pointer, ctypes.c_uint32, ctypes.c_char_p]),
        ("load_free", None, [pointer]),
        ("load_feed", None, [pointer, ctypes.c_uint32, ctypes.c_char_p, size]),
        ("load_answer", None, [pointer, ctypes.c_char_p, size, ctypes.c_char_p, size]),
        ("load_rest", None, [pointer, ctypes.c_int]),
        ("load_restart", None, [pointer]),
        ("load_run", size, [pointer, pointer, size, ctypes.c_char_p, *[ctypes.c_uint64] * 3]),
        ("load_listen", None, [pointer, ctypes.c_uint64]),
        ("load_records", pointer, [pointer, pointer]),
        ("load_payload", pointer, [pointer, ctypes.c_uint32, pointer]),
        ("load_payload_count", ctypes.c_uint32, [pointer]),
        ("load_completed", ctypes.c_uint64, [pointer]),
        ("load_idle_ns", ctypes.c_uint64, [pointer]),
        ("load_failure", ctypes.c_char_p, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
