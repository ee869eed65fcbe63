"""Clients that behave badly, as a process of their own: `python -m tests.torture.abuser KIND PORT CODE COUNT SECONDS`.

Prints what became of each: the close code, "cut" (the connection ended without one), or "open" after so many seconds.
"""

from __future__ import annotations

import json
import select
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

from tests.websocket.raw import Opcode, RawSocket, frame, handshake

HEADERS = {"Sec-WebSocket-Protocol": "wslive.v1"}
READS_BYTES = 16 * 1024
SLICE_S = 0.01

Sends = Iterator[bytes]
"""What a client sends next, each time it gets its turn; b"" is a pause, the end is silence."""


def joined(code: str, payload: bytes = b"") -> bytes:
    """A hello of somebody new."""
    hello = {"type": "hello", "room": code, "role": "viewer", "ref": ""}
    return frame(Opcode.TEXT, json.dumps(hello).encode()) + payload


def vote(number: int) -> bytes:
    """A vote; for what there is not, which the rate is asked about first."""
    command = {
        "type": "command",
        "ref": f"{number:x}",
        "activity": 3,
        "kind": "cast_vote",
        "body": {"round": 1, "options": []},
    }
    return frame(Opcode.TEXT, json.dumps(command).encode())


def forever(data: bytes) -> Sends:
    """The same again and again."""
    while True:
        yield data


def by_drops(data: bytes) -> Sends:
    """A byte a second."""
    for at in range(len(data)):
        began_s = time.monotonic()
        while time.monotonic() < began_s + 1:
            yield b""
        yield data[at : at + 1]


def kinds(port: int, code: str) -> dict[str, tuple[bool, bool, Callable[[], Sends]]]:
    """Each kind: whether it shakes hands first, whether it reads, and what it sends then."""
    request = handshake(f"127.0.0.1:{port}", "/ws")
    hello = joined(code)
    person = frame(Opcode.TEXT, json.dumps({"type": "hello", "room": code, "ref": ""}).encode())

    def after(first: bytes, then: Sends) -> Callable[[], Sends]:
        def sends() -> Sends:
            yield first
            yield from then

        return sends

    votes = b"".join(map(vote, range(200)))
    ping = frame(Opcode.TEXT, b'{"type":"ping","n":1}')
    return {
        "connects and says nothing": (False, True, lambda: iter(())),
        "begins a request and says nothing more": (False, True, lambda: iter((request[:40],))),
        "adds a header a second for ever": (False, True, after(request[:-2], by_drops(b"X: y\r\n" * 100))),
        "upgrades and says nothing": (True, True, lambda: iter(())),
        "upgrades and says a byte a second": (True, True, lambda: by_drops(hello)),
        "comes in and never reads": (True, False, lambda: iter((hello,))),
        "comes in and sends a byte a second": (True, True, after(hello, by_drops(ping * 10))),
        "comes in and floods with votes": (True, True, after(person, forever(votes))),
        "comes in and floods with pings": (True, True, after(hello, forever(ping * 200))),
        "comes in and floods with pings, and never reads": (True, False, after(hello, forever(ping * 200))),
        "floods with WebSocket pings": (True, True, after(hello, forever(frame(Opcode.PING, b"*" * 125) * 100))),
        "floods with WebSocket pings and never reads": (
            True,
            False,
            after(hello, forever(frame(Opcode.PING, b"*" * 125) * 100)),
        ),
        "floods with WebSocket pongs": (True, True, after(hello, forever(frame(Opcode.PONG, b"*" * 125) * 100))),
        "floods with garbage": (True, True, after(hello, forever(frame(Opcode.TEXT, b"garbage") * 100))),
        "sends fragments of nothing for ever": (
            True,
            True,
            after(
                hello + frame(Opcode.TEXT, is_final=False), forever(frame(Opcode.CONTINUATION, is_final=False) * 500)
            ),
        ),
        "sends fragments of a byte for ever": (
            True,
            True,
            after(
                hello + frame(Opcode.TEXT, is_final=False),
                forever(frame(Opcode.CONTINUATION, b"x", is_final=False) * 500),
            ),
        ),
        "sends most of a message and no more": (
            True,
            True,
            after(hello, iter((frame(Opcode.TEXT, b"x" * 16_000, claims=16_380),))),
        ),
        "floods an echo and never reads": (True, False, lambda: forever(frame(Opcode.TEXT, b"*" * 4000) * 10)),
    }


class Client:
    """One of them."""

    def __init__(self, port: int, path: str, is_upgraded: bool, reads: bool, sends: Sends) -> None:
        address = ("127.0.0.1", port)
        buffer_bytes = None if reads else READS_BYTES
        self.raw = RawSocket(address, receive_buffer_bytes=buffer_bytes)
        if is_upgraded:
            self.raw.send(handshake(f"127.0.0.1:{port}", path, headers=HEADERS))
            assert self.raw.answer().status == 101
        self.raw.sock.setblocking(False)
        self.reads, self.sends = reads, sends
        self.came = self.raw._came
        self.end: str | None = None
        self.left = b""
        self.sent_bytes = 0
        self.began_s = time.monotonic()
        self.took_s = 0.0

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
        self.took_s = time.monotonic() - self.began_s
        at = self._close_at()
        self.end = "cut" if at is None else str(int.from_bytes(self.came[at + 2 : at + 4], "big"))

    def _close_at(self) -> int | None:
        """Where a close frame begins that is the last that came: two bytes of head, a code, a sentence."""
        came = self.came[-127:]
        for at in range(len(came) - 3):
            if came[at] == 0x88 and at + 2 + came[at + 1] == len(came):
                return at + len(self.came) - len(came)
        return None

    def is_over(self) -> bool:
        """Whether the server has ended it; one that never reads looks now."""
        if self.end is None and not self.reads:
            self._read_out_now()
        return self.end is not None

    def _read_out_now(self) -> None:
        while self.end is None and select.select([self.raw.sock], [], [], 0)[0]:
            self._read()


def main(kind: str, port: int, code: str, count: int, seconds: float) -> dict[str, object]:
    """Behave badly for so long."""
    is_upgraded, reads, sends = kinds(port, code)[kind]
    path = "/echo" if "echo" in kind else "/ws"
    clients = []
    for _ in range(count):
        clients.append(Client(port, path, is_upgraded, reads, sends()))
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s and not all(client.end for client in clients):
        for client in clients:
            if client.end is None:
                client.turn()
        if all(not client.left for client in clients):
            time.sleep(SLICE_S)
    ends = Counter(client.end or ("open" if not client.is_over() else client.end) for client in clients)
    took_s = max((client.took_s for client in clients), default=0.0)
    for client in clients:
        client.raw.sock.close()
    return {"ends": ends, "sent_bytes": sum(client.sent_bytes for client in clients), "longest_s": round(took_s, 1)}


if __name__ == "__main__":
    kind, port, code, count, seconds = sys.argv[1:]
    print(json.dumps(main(kind, int(port), code, int(count), float(seconds))))  # noqa: T201
