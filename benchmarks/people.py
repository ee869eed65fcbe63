"""The people of a load: plain sockets that speak `wslive.v1`, many in one thread.

Theory of operation. The load must cost little, or it would be what is measured: no coroutine, task or object per
message; one `recv` for all that has come to a connection, and a decoder that skips what is not asked for. Frames that
come are noted with their time and are looked at when the clock has stopped.
"""

from __future__ import annotations

import random
import select
import socket
import time
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from wslive.wire.messages import SUBPROTOCOL, Ack, Bye, Pong, Presence, Refused

_MASK = b"\0\0\0\0"
"""A legal key that leaves the payload as it is; the server takes it off like any other."""

_HANG_S = 30.0


class Welcome(msgspec.Struct, tag="welcome"):
    """Of a welcome, what the load needs."""

    actor: str


class Delta(msgspec.Struct, tag="delta"):
    """Of a delta, what the load needs."""

    from_: int = msgspec.field(name="from")
    to: int


class Snapshot(msgspec.Struct, tag="snapshot"):
    """Of a snapshot, that it came: no view of a healthy run falls that far behind."""


_decode = msgspec.json.Decoder(Welcome | Ack | Refused | Delta | Snapshot | Presence | Pong | Bye).decode


def frame(payload: bytes, opcode: Literal[1, 10] = 1) -> bytes:
    """A frame as a client sends it."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + length + _MASK + payload


def new_ref() -> str:
    """A name as browsers give them: random, so that the store's index is as hard to keep as in earnest."""
    return f"{random.getrandbits(96):024x}"


class Person:
    """One connection that has joined (or is about to).

    Attributes:
        actor: The id in the room; empty until the welcome has come.
        offset: How far the view has come.
        last: The latest delta, as it came.
    """

    def __init__(self, url: str, hello: dict[str, object]) -> None:
        """Connect and say hello.

        Raises:
            OSError: The server does not take the connection.
        """
        place = urlsplit(url)
        self.actor = ""
        self.offset = 0
        self.last = b""
        self._rest = b""
        self.socket = socket.create_connection((place.hostname, place.port), timeout=_HANG_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            (
                f"GET /ws HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
            ).encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = self.socket.recv(4096)
            if not received:
                raise ConnectionError(f"the server refused a connection: {answer!r}")
            answer += received
        if b" 101 " not in answer.partition(b"\r\n")[0]:
            raise ConnectionError(f"the server refused a connection: {answer!r}")
        self.send(msgspec.json.encode({"type": "hello", **hello}))
        self.socket.setblocking(False)

    def send(self, payload: bytes) -> None:
        """Send a message."""
        data = frame(payload)
        if self.socket.send(data) < len(data):
            raise ConnectionError("the server does not read any more")

    def payloads(self) -> list[bytes]:
        """The messages that have come."""
        try:
            received = self.socket.recv(1 << 18)
        except BlockingIOError:
            return []
        if not received:
            raise ConnectionError("the server closed a connection")
        data = self._rest + received if self._rest else received
        at, end, found = 0, len(data), []
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big")
            if start + size > end:
                break
            opcode = data[at] & 0x0F
            if opcode == 1:
                found.append(data[start : start + size])
            elif opcode == 9:
                self.socket.send(frame(data[start : start + size], 10))
            else:
                raise ConnectionError(f"the server closed a connection: {data[start + 2 : start + size]!r}")
            at = start + size
        self._rest = data[at:]
        return found


class Crowd:
    """Many people, what they were sent, and when (`time.perf_counter`).

    Attributes:
        people: By the number of their socket.
        acks: When which command was acked, and at which offset.
        deltas: When whose view went from which offset to which.
        refused: What was not accepted.
    """

    def __init__(self) -> None:
        """Nobody yet."""
        self.people: dict[int, Person] = {}
        self.acks: list[tuple[float, str, int]] = []
        self.deltas: list[tuple[float, int, int]] = []
        self.refused: list[Refused] = []
        self._epoll = select.epoll()

    def add(self, person: Person) -> Person:
        """Listen to one more."""
        self.people[person.socket.fileno()] = person
        self._epoll.register(person.socket, select.EPOLLIN)
        return person

    def listen(self, timeout_s: float) -> None:
        """Take what comes, for at most so long without anything."""
        for number, _ in self._epoll.poll(max(timeout_s, 0)):
            person = self.people[number]
            payloads = person.payloads()
            now_s = time.perf_counter()
            for payload in payloads:
                match _decode(payload):
                    case Delta(from_, to):
                        if from_ > person.offset and person.offset:
                            raise AssertionError(f"a view at {person.offset} was sent a delta from {from_}")
                        self.deltas.append((now_s, from_, to))
                        person.offset, person.last = to, payload
                    case Ack(ref, offset):
                        self.acks.append((now_s, ref, offset))
                    case Welcome(actor):
                        person.actor = actor
                    case Refused() as refused:
                        self.refused.append(refused)
                    case Snapshot() | Bye():
                        raise AssertionError(f"a view was started over: {payload[:200]!r}")

    def ask(self, person: Person, activity: int, kind: str, body: dict[str, object]) -> int:
        """Send one command and wait for its offset."""
        ref = new_ref()
        person.send(
            msgspec.json.encode({"type": "command", "ref": ref, "activity": activity, "kind": kind, "body": body})
        )
        until_s = time.perf_counter() + _HANG_S
        while time.perf_counter() < until_s:
            self.listen(0.1)
            for _, acked, offset in self.acks:
                if acked == ref:
                    return offset
            if self.refused:
                raise AssertionError(self.refused)
        raise TimeoutError(f"{kind} was not answered")

    def close(self) -> None:
        """Hang up."""
        for person in self.people.values():
            person.socket.close()
        self._epoll.close()


def join(url: str, code: str, host_key: str, people: int) -> tuple[Crowd, Person, list[Person]]:
    """A crowd of a host with the ledger of ballots, as a notebook is one, and so many participants."""
    crowd = Crowd()
    host = crowd.add(Person(url, {"room": code, "role": "host", "ref": new_ref(), "token": host_key, "ledger": True}))
    voters = [crowd.add(Person(url, {"room": code, "ref": new_ref(), "name": f"Guest {i}"})) for i in range(people)]
    until_s = time.perf_counter() + _HANG_S
    while not all(person.actor for person in crowd.people.values()):
        if time.perf_counter() > until_s:
            raise TimeoutError("not everybody was let in")
        crowd.listen(0.1)
    return crowd, host, voters
