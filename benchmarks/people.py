"""The people of a load: how they come into a room of wslive, or to another server.

Connecting is done here, one after the other, with plain sockets; from then on they are connections of a `Load`.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from benchmarks.load import HANG_S, Load, frame
from benchmarks.servers import Started
from wslive.wire.messages import SUBPROTOCOL


class Welcome(msgspec.Struct, tag="welcome"):
    """Of a welcome, what the load needs."""

    actor: str


class Ack(msgspec.Struct, tag="ack"):
    """Of an ack, all."""

    ref: str
    offset: int


class Refused(msgspec.Struct, tag="refused"):
    """Of a refusal, all that helps."""

    ref: str
    code: str
    message: str


class Delta(msgspec.Struct, tag="delta"):
    """A delta; what it brings is looked at where it matters."""

    from_: int = msgspec.field(name="from")
    to: int


class Snapshot(msgspec.Struct, tag="snapshot"):
    """A snapshot: no view of a healthy run falls that far behind."""


class Other(msgspec.Struct, tag="presence"):
    """Who is here."""


class Bye(msgspec.Struct, tag="bye"):
    """The server goes."""


decode = msgspec.json.Decoder(Welcome | Ack | Refused | Delta | Snapshot | Other | Bye).decode


def new_ref(offset: int = 0) -> str:
    """A name as browsers give them, so that the store's index is as hard to keep as in earnest.

    Args:
        offset: How far their view has come.
    """
    return f"{offset:08x}{random.getrandbits(96):024x}"


def connect(url: str, path: str, subprotocol: str = "") -> tuple[socket.socket, bytes]:
    """A WebSocket, and what has come on it already.

    Raises:
        ConnectionError: The server does not take it.
    """
    place = urlsplit(url)
    connected = socket.create_connection((place.hostname, place.port), timeout=HANG_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    offered = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    connected.sendall(
        (
            f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{offered}\r\n"
        ).encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        received = connected.recv(4096)
        if not received:
            break
        answer += received
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b" 101 " not in head.partition(b"\r\n")[0]:
        raise ConnectionError(f"the server refused a connection: {answer!r}")
    return connected, rest


class Hall:
    """A room of wslive with its host and its people, all of them connected.

    Attributes:
        load: The connections: 0 is the host, as a notebook is one, the others are participants.
        room, code: The room's id, and its join code.
        people: How many participants there are.
    """

    def __init__(self, server: Started, people: int, marker: str = "") -> None:
        """Make a room and let everybody in."""
        self.server, self.people = server, people
        self.room, self.code, host_key = _create_room(server)
        hellos: list[dict[str, Any]] = [
            {"room": self.code, "role": "host", "ref": new_ref(), "token": host_key, "ledger": True},
            *({"room": self.code, "ref": new_ref(), "name": f"Guest {number}"} for number in range(people)),
        ]
        sockets = []
        for hello in hellos:
            connected, came = connect(server.url, "/ws", SUBPROTOCOL)
            connected.sendall(frame(msgspec.json.encode({"type": "hello", **hello})))
            sockets.append((connected, came))
        self.load = Load(sockets, marker)
        self._looked_at = 0
        self._welcomes = 0
        self.load.until(self._is_everybody_in, "everybody is let in")

    def _is_everybody_in(self) -> bool:
        payloads = self.load.payloads
        for payload in payloads[self._looked_at :]:
            self._welcomes += payload.startswith(b'{"type":"welcome"')
        self._looked_at = len(payloads)
        return self._welcomes == len(self.load.sockets)

    def open_poll(self, options: Sequence[str]) -> int:
        """Open a poll; its id."""
        body = {"question": "Which?", "options": options, "results": "live"}
        return self.ask(0, 0, "open_activity", {"kind": "poll", "body": body})

    def chat(self) -> int:
        """The id of the room's chat, which is there from the beginning."""
        for payload in self.load.payloads:
            if payload.startswith(b'{"type":"welcome"'):
                activities = json.loads(payload)["view"]["activities"]
                return int(next(id for id, activity in activities.items() if activity["kind"] == "chat"))
        raise AssertionError("nobody was let in")

    def ask(self, connection: int, activity: int, kind: str, body: dict[str, Any]) -> int:
        """Send one command and wait for its offset."""
        ref = new_ref()
        seen = len(self.load.payloads)
        self.load.send(connection, command(ref, activity, kind, body))
        until_s = time.monotonic() + HANG_S
        while time.monotonic() < until_s:
            self.load.listen(0.02)
            for payload in self.load.payloads[seen:]:
                match decode(payload):
                    case Ack(acked, offset) if acked == ref:
                        return offset
                    case Refused() as refused:
                        raise AssertionError(refused)
            seen = len(self.load.payloads)
        raise TimeoutError(f"{kind} was not answered")

    def settle(self) -> None:
        """Wait until everything has come, and forget it."""
        self.load.until_quiet()
        self.load.restart()

    def close(self) -> None:
        """Hang up."""
        self.load.close()


def command(ref: str, activity: int, kind: str, body: dict[str, Any]) -> bytes:
    """A command as it is sent."""
    return msgspec.json.encode({"type": "command", "ref": ref, "activity": activity, "kind": kind, "body": body})


def _create_room(server: Started) -> tuple[str, str, str]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=HANG_S)
    with closing(connection):
        headers = {"Authorization": f"Bearer {server.hosting_token}", "Content-Type": "application/json"}
        connection.request("POST", "/api/rooms", json.dumps({"title": "Benchmark"}), headers)
        answer = json.loads(connection.getresponse().read())
    return answer["room"], answer["code"], answer["host_key"]


class Joined(NamedTuple):
    """How a connection to another server is made, and when it is ready."""

    path: str
    ready: bytes


PEERS = {
    "ws": Joined("/", b""),
    "uws": Joined("/", b""),
    "socketio": Joined("/socket.io/?EIO=4&transport=websocket", b'40{"sid"'),
}


def join_peer(server: Started, people: int, marker: str = "") -> Load:
    """People who are connected to another server."""
    how = PEERS[server.protocol]
    sockets = []
    for _ in range(people):
        connected, came = connect(server.url, how.path)
        if server.protocol == "socketio":
            connected.sendall(frame(b"40"))
        sockets.append((connected, came))
    load = Load(sockets, marker)
    if server.protocol == "socketio":
        load.answer(b"2", b"3")
        load.until(
            lambda: sum(payload.startswith(how.ready) for payload in load.payloads) == people, "everybody is let in"
        )
    return load
