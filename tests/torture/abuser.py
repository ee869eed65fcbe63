"""Clients that behave badly, as a process of their own: `python -m tests.torture.abuser KIND PORT CODE COUNT SECONDS`.

It ends early when its standard input does. Prints "begun" once all are connected, and at the end what became of each:
the close code, "cut" (the connection ended without one), or "open" after so many seconds.
"""

from __future__ import annotations

import itertools
import json
import select
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.websocket.raw import Opcode, RawSocket, frame, handshake

HEADERS = {"Sec-WebSocket-Protocol": "wslive.v1"}
READS_BYTES = 16 * 1024
SLICE_S = 0.01
LOOKS_S = 5.0
"""How long those that never read look at last how they ended: a flood may be answered for hours."""

Sends = Iterator[bytes]
"""What a client sends next, each time it gets its turn; b"" is a pause, the end is silence."""


class Kind(NamedTuple):
    """A way to behave badly.

    Attributes:
        name: In words.
        ends: How the server may end it; "open" where it has no reason to.
        sends: What it sends, given a room's code.
        reads: Whether it reads what it is sent.
        is_upgraded: Whether it shakes hands first.
        path: Where.
    """

    name: str
    ends: tuple[str, ...]
    sends: Callable[[str], Sends]
    reads: bool = True
    is_upgraded: bool = True
    path: str = "/ws"


def hello(code: str, role: str = "viewer") -> bytes:
    """The first message of somebody new."""
    return frame(Opcode.TEXT, json.dumps({"type": "hello", "room": code, "role": role, "ref": ""}).encode())


def vote(number: int) -> bytes:
    """A vote."""
    body = {"round": 1, "options": ["o1"]}
    command = {"type": "command", "ref": f"{number:x}", "activity": POLL, "kind": "cast_vote", "body": body}
    return frame(Opcode.TEXT, json.dumps(command).encode())


def pause(seconds: float) -> Sends:
    """Say nothing for a while."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        yield b""


def flood(data: bytes, *, role: str = "viewer", first: bytes = b"") -> Callable[[str], Sends]:
    """Come in, and send the same again and again as fast as it is taken."""

    def sends(code: str) -> Sends:
        yield hello(code, role)
        yield from pause(1)  # until the welcome
        yield first
        yield from itertools.repeat(data)

    return sends


def by_drops(data: bytes) -> Sends:
    """A byte a second."""
    for at in range(len(data)):
        yield data[at : at + 1]
        yield from pause(1)


def silence(data: bytes = b"") -> Callable[[str], Sends]:
    """Send this, and nothing more."""
    return lambda code: iter((data,))


def dripping_headers(code: str) -> Sends:
    """A request whose headers never end."""
    yield handshake("127.0.0.1", "/ws")[:-2]
    yield from by_drops(b"X: y\r\n" * 100)


def dripping_after_hello(code: str) -> Sends:
    """Somebody with a very slow line."""
    yield hello(code)
    yield from by_drops(PING * 10)


def most_of_a_message(code: str) -> Sends:
    """A message whose last bytes never come."""
    yield hello(code)
    yield frame(Opcode.TEXT, b"x" * 16_000, claims=16_380)


POLL = 3
PING = frame(Opcode.TEXT, b'{"type":"ping","n":1}')
BODY = b"POST /api/rooms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{"
BEGUN = frame(Opcode.TEXT, is_final=False)
OPEN, CUT = ("open",), ("cut",)

KINDS = (
    Kind("connects and says nothing", CUT, silence(), is_upgraded=False),
    Kind("begins a request and says no more", CUT, silence(b"GET /ws HTTP/1.1\r\nHost: 127"), is_upgraded=False),
    Kind("adds to its headers for ever", CUT, dripping_headers, is_upgraded=False),
    Kind("begins a body and says no more", CUT, silence(BODY), is_upgraded=False),
    Kind("upgrades and says nothing", ("4002",), silence()),
    Kind("upgrades and says a byte a second", ("4002",), lambda code: by_drops(hello(code))),
    Kind("sends a byte a second", OPEN, dripping_after_hello),
    Kind("sends most of a message and no more", OPEN, most_of_a_message),
    Kind("never reads", ("cut", "4001"), lambda code: iter((hello(code),)), reads=False),
    Kind("floods with votes", OPEN, flood(b"".join(map(vote, range(200))), role="participant")),
    Kind("floods with pings", OPEN, flood(PING * 200)),
    Kind("floods with pings and never reads", ("open", "cut", "4001"), flood(PING * 200), reads=False),
    Kind("floods with WebSocket pings", OPEN, flood(frame(Opcode.PING, b"*" * 125) * 100)),
    Kind(
        "floods with WebSocket pings and never reads",
        ("open", "cut", "4001"),
        flood(frame(Opcode.PING, b"*" * 125) * 100),
        reads=False,
    ),
    Kind("floods with WebSocket pongs", OPEN, flood(frame(Opcode.PONG, b"*" * 125) * 100)),
    Kind("floods with garbage", ("4507",), flood(frame(Opcode.TEXT, b"garbage") * 100)),
    Kind("floods with empty fragments", OPEN, flood(frame(0, is_final=False) * 500, first=BEGUN)),
    Kind("floods with fragments of a byte", ("open", "4501"), flood(frame(0, b"x", is_final=False) * 500, first=BEGUN)),
    Kind("floods an echo and never reads", OPEN, lambda code: itertools.repeat(PING * 200), reads=False, path="/echo"),
)

READS = Kind("reads all that it is told", OPEN, lambda code: iter((hello(code),)))
"""Not bad at all: what others are compared with, where a room says much."""


class Client:
    """One of them."""

    def __init__(self, kind: Kind, port: int, code: str) -> None:
        self.raw = RawSocket(("127.0.0.1", port), receive_buffer_bytes=None if kind.reads else READS_BYTES)
        if kind.is_upgraded:
            self.raw.send(handshake(f"127.0.0.1:{port}", kind.path, headers=HEADERS))
            answer = self.raw.answer()
            assert answer.status == 101, answer
        self.raw.sock.setblocking(False)
        self.reads, self.sends = kind.reads, kind.sends(code)
        self.came = b""
        self.end: str | None = None
        self.left = b""
        self.sent_bytes = 0

    def turn(self) -> None:
        """Read if it reads, and send a little."""
        if self.reads and select.select([self.raw.sock], [], [], 0)[0]:
            self._read()
        if self.end is not None:
            return
        try:
            self.left = self.left or next(self.sends, b"")
            if self.left:
                sent = self.raw.sock.send(self.left)
                self.sent_bytes += sent
                self.left = self.left[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self._read_out()

    def _read(self) -> None:
        try:
            data = self.raw.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.came = (self.came + data)[-4096:]
        if not data or self._close_at() is not None:
            self._ended()

    def _read_out(self) -> None:
        while self.end is None:
            self._read()

    def _ended(self) -> None:
        at = self._close_at()
        self.end = "cut" if at is None else str(int.from_bytes(self.came[at + 2 : at + 4], "big"))

    def _close_at(self) -> int | None:
        """Where a close frame begins that is the last that came: two bytes of head, a code, a sentence."""
        came = self.came[-127:]
        for at in range(len(came) - 3):
            if came[at] == 0x88 and at + 2 + came[at + 1] == len(came):
                return at + len(self.came) - len(came)
        return None

    def became(self, until_s: float) -> str:
        """How the server has ended it, or "open"; one that never reads looks now, until nothing comes any more."""
        while not self.reads and self.end is None and time.monotonic() < until_s and self._comes():
            self._read()
        return self.end or "open"

    def _comes(self) -> bool:
        return bool(select.select([self.raw.sock], [], [], 1)[0])


def _told_to_end() -> bool:
    """Whether whoever started this wants it to end early."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main(kind: Kind, port: int, code: str, count: int, seconds: float) -> dict[str, object]:
    """Behave badly for so long."""
    clients = [Client(kind, port, code) for _ in range(count)]
    print("begun", flush=True)  # noqa: T201
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s and not all(client.end for client in clients) and not _told_to_end():
        for client in clients:
            if client.end is None:
                client.turn()
        if not any(client.left for client in clients):
            time.sleep(SLICE_S)
    until_s = time.monotonic() + LOOKS_S
    became = Counter(client.became(until_s) for client in clients)
    for client in clients:
        client.raw.sock.close()
    return {"became": became, "sent_bytes": sum(client.sent_bytes for client in clients)}


if __name__ == "__main__":
    name, port, code, count, seconds = sys.argv[1:]
    kind = next(kind for kind in (*KINDS, READS) if kind.name == name)
    print(json.dumps(main(kind, int(port), code, int(count), float(seconds))))  # noqa: T201
