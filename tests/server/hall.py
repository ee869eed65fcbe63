"""What the server's tests share: a room on a real server, and people with plain WebSockets and a strict replica."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import socket
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from wslive.core.events import Position
from wslive.core.view import View, patch
from wslive.eventlog.base import EventLog
from wslive.server.app import Server
from wslive.server.settings import Rate, ServerSettings
from wslive.wire.codec import decode_server
from wslive.wire.messages import Delta, Snapshot, Welcome

HANG_S = 30.0
"""A frame that does not come within this time never will; no test takes as long."""

UNHURRIED = Rate(per_s=1e6, burst=1e6)
CHAT = 2


class Person:
    """One connection. Its replica insists that every frame continues what came before.

    Attributes:
        frames: Everything that came, as it came.
        deltas: How many deltas brought something new.
        view, position: The replica.
        presence: Who is here.
        welcome: The latest.
        token: What makes the same reader again.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[str] = []
        self.deltas = 0
        self.view: View = {}
        self.position: Position | None = None
        self.presence: dict[str, Any] = {}
        self.notices: list[tuple[str, str]] = []
        self.welcome: dict[str, Any] = {}
        self.token: str | None = None
        self._answers: dict[str, dict[str, Any]] = {}
        self._pings = itertools.count(1)

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        ticket: str | None = None,
        receive_buffer_bytes: int | None = None,
        max_queue: int | None = None,
        **options: Any,
    ) -> Self:
        """Open a connection and say nothing yet.

        A small `receive_buffer_bytes` and `max_queue` make a connection that takes nothing unless it is read from.
        """
        protocols = [Subprotocol("wslive.v1")]
        if ticket is not None:
            protocols.append(Subprotocol(f"wslive.ticket.{ticket}"))
        parts = urlsplit(url)
        if receive_buffer_bytes is not None:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port))
            options["sock"] = sock
        usual: dict[str, Any] = {
            "subprotocols": protocols,
            "compression": None,
            "ping_interval": None,
            "proxy": None,
            "max_size": None,
            "max_queue": max_queue,
            "close_timeout": HANG_S,
        }
        opened = await connect(f"ws{url[4:]}/ws", **{**usual, **options})
        return cls(opened)

    async def hello(self, **fields: Any) -> dict[str, Any]:
        """Say hello; returns the welcome or the refusal."""
        fields.setdefault("ref", "")
        await self.send({"type": "hello", **fields})
        return await self.next("welcome", "refused")

    async def send(self, message: dict[str, Any] | str | bytes) -> None:
        """Send one frame, as it is unless it is a message."""
        await self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    async def receive(self) -> dict[str, Any]:
        """The next frame, whatever it is; raises ConnectionClosed at the end."""
        async with asyncio.timeout(HANG_S):
            raw = await self.socket.recv(decode=True)
        self.frames.append(raw)
        frame: dict[str, Any] = json.loads(raw)
        match decode_server(raw):
            case Welcome() as welcome:
                self._welcomed(welcome)
                self.welcome, self.presence = frame, frame["presence"]
                self.token = frame.get("token", self.token)
            case Delta() as delta:
                assert self.position is not None, "a delta before the welcome"
                assert delta.from_ <= self.position.offset, "a gap: something was missed"
                if delta.to > self.position.offset:
                    self.deltas += 1
                    patch(self.view, delta.ops)
                    self.position = Position(self.position.epoch, delta.to, delta.chain)
            case Snapshot() as snapshot:
                self.view, self.position = snapshot.view, snapshot.position
        if frame["type"] == "presence":
            self.presence = frame
            self.notices += [(n["name"], n["what"]) for n in frame.get("notices", ())]
        if "ref" in frame:
            self._answers[frame["ref"]] = frame
        return frame

    async def next(self, *types: str) -> dict[str, Any]:
        """The next frame of one of these types."""
        while (frame := await self.receive())["type"] not in types:
            pass
        return frame

    async def until(self, predicate: Any) -> Any:
        """Read until `predicate(view)` is true, and return what it returned."""
        while not (found := predicate(self.view)):
            await self.receive()
        return found

    async def at(self, offset: int) -> View:
        """Read until the replica stands at `offset` or further, and return the view."""
        await self.until(lambda _: self.position is not None and self.position.offset >= offset)
        return self.view

    async def ask(self, activity: int, kind: str, body: Any = None, *, ref: str | None = None) -> str:
        """Send a command and return its ref."""
        ref = ref or secrets.token_hex(8)
        await self.send({"type": "command", "ref": ref, "activity": activity, "kind": kind, "body": body or {}})
        return ref

    async def answer(self, ref: str) -> dict[str, Any]:
        """The answer that carries this ref; one that came before counts, once."""
        while ref not in self._answers:
            await self.receive()
        return self._answers.pop(ref)

    async def command(self, activity: int, kind: str, body: Any = None, *, ref: str | None = None) -> dict[str, Any]:
        """Send a command and return its ack or refusal."""
        return await self.answer(await self.ask(activity, kind, body, ref=ref))

    async def done(self, activity: int, kind: str, body: Any = None, *, ref: str | None = None) -> int:
        """Send a command that must be accepted; returns its offset."""
        answer = await self.command(activity, kind, body, ref=ref)
        assert answer["type"] == "ack", answer
        offset: int = answer["offset"]
        return offset

    async def vote(self, poll: int, *options: str, round: int = 1, ref: str | None = None) -> int:
        """Vote; returns the offset."""
        return await self.done(poll, "cast_vote", {"round": round, "options": list(options)}, ref=ref)

    async def since_now(self) -> list[dict[str, Any]]:
        """All frames that the server sent before it saw what is sent now."""
        n = next(self._pings)
        await self.send({"type": "ping", "n": n})
        found: list[dict[str, Any]] = []
        while (frame := await self.receive()) != {"type": "pong", "n": n}:
            found.append(frame)
        return found

    async def closed(self) -> tuple[int | None, str]:
        """Read to the end; returns its code and reason."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason or ""

    async def leave(self) -> None:
        """Close the connection."""
        await self.socket.close()

    def _welcomed(self, welcome: Welcome) -> None:
        if welcome.mode == "resume":
            patch(self.view, welcome.ops or ())
        else:
            self.view = welcome.view or {}
        self.position = welcome.position


class Hall:
    """A server with a room on it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.code = self.host_key = self.room = ""
        self._people: list[Person] = []
        self._clients = AsyncHTTPClient(force_instance=True)

    @classmethod
    async def open(cls, log: EventLog, **settings: Any) -> Self:
        """Start a server and make a room."""
        server = Server(ServerSettings(port=0, **settings), log)
        await server.start()
        hall = cls(server)
        await hall.make_room()
        return hall

    async def make_room(self, title: str = "Sorting 101") -> dict[str, Any]:
        """Make (another) room; from now on people join this one."""
        response = await self.http(
            "/api/rooms", method="POST", body=json.dumps({"title": title}), bearer=self.server.hosting_token
        )
        assert response.code == 201, response.body
        made: dict[str, Any] = json.loads(response.body)
        self.code, self.host_key, self.room = made["code"], made["host_key"], made["room"]
        return made

    async def http(
        self, path: str, *, bearer: str | None = None, headers: dict[str, str] | None = None, url: str = "", **more: Any
    ) -> HTTPResponse:
        """One request; no status is an exception."""
        headers = dict(headers or {})
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        request = HTTPRequest((url or self.server.url) + path, headers=headers, follow_redirects=False, **more)
        return await self._clients.fetch(request, raise_error=False)

    async def connect(self, url: str | None = None, **options: Any) -> Person:
        """A connection without hello."""
        person = await Person.connect(url or self.server.url, **options)
        self._people.append(person)
        return person

    async def come(self, url: str | None = None, *, connect: dict[str, Any] | None = None, **hello: Any) -> Person:
        """Somebody who is welcomed."""
        person = await self.connect(url, **(connect or {}))
        hello.setdefault("room", self.code)
        person.token = hello.get("token")
        answer = await person.hello(**hello)
        assert answer["type"] == "welcome", answer
        return person

    async def join(self, name: str = "Ada", **hello: Any) -> Person:
        """A participant."""
        return await self.come(name=name, **hello)

    async def host(self, **hello: Any) -> Person:
        """The host."""
        return await self.come(role="host", token=self.host_key, **hello)

    async def view_of(self, person: Person) -> View:
        """What a fresh connection of the same reader is shown."""
        again = await self.come(role=person.welcome["role"], token=person.token)
        await again.leave()
        return again.view

    async def back(self, person: Person, **hello: Any) -> Person:
        """The same reader on a new connection, with the position and the replica of the old one."""
        again = await self.connect()
        again.token = person.token
        again.view = msgspec.json.decode(msgspec.json.encode(person.view))
        assert person.position is not None
        position = msgspec.to_builtins(person.position)
        known = {"room": self.code, "role": person.welcome["role"], "token": person.token, "position": position}
        answer = await again.hello(**{**known, **hello})
        assert answer["type"] == "welcome", answer
        return again

    async def close(self) -> None:
        """Everybody goes, and the server stops."""
        for person in self._people:
            if person.socket.transport is not None:
                person.socket.transport.abort()
        self._clients.close()
        await self.server.stop()


async def open_poll(host: Person, *options: str, keep_open: bool = False, **fields: Any) -> int:
    """The host asks something; returns the poll's id, which the host's replica shows."""
    body = {"question": "Which sort is stable?", "options": list(options or ("quick", "merge", "heap")), **fields}
    poll = await host.done(0, "open_activity", {"kind": "poll", "body": body, "keep_open": keep_open})
    await host.at(poll)
    return poll


def counts(view: View, poll: int) -> Any:
    """The tally's counts as a view shows them."""
    return view["activities"][str(poll)]["tally"]["counts"]


def lines(view: View) -> list[str]:
    """The texts of the chat, in order."""
    return [line["text"] for _, line in sorted(view["activities"][str(CHAT)]["lines"].items(), key=_by_id)]


def _by_id(entry: tuple[str, Any]) -> int:
    return int(entry[0])
