"""A Socket.IO client that writes and reads the packets themselves, over a WebSocket."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

HANG_S = 30.0
"""A packet that does not come within this time never will."""


class Client:
    """One connection.

    Attributes:
        events: What it was told, as (name, payload), in order.
        pid: What the server wants to be shown when it comes back.
    """

    def __init__(self, url: str) -> None:
        """Made by `open`."""
        self.url = url
        self.events: list[tuple[str, Any]] = []
        self.sid = ""
        self.pid: str | None = None
        self._stack = AsyncExitStack()
        self._acks: dict[int, Any] = {}
        self._asked = 0

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        room: str | None = None,
        headers: dict[str, str] | None = None,
        receive_buffer_bytes: int | None = None,
    ) -> Self:
        """Open an Engine.IO connection; `connect` comes next. With a small buffer it takes only what is read."""
        client = cls(url)
        options: dict[str, Any] = {}
        if receive_buffer_bytes is not None:
            parts = urlsplit(url)
            options = {"sock": socket.socket(), "max_queue": 1}
            options["sock"].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            options["sock"].setblocking(False)
            await asyncio.get_running_loop().sock_connect(options["sock"], (parts.hostname, parts.port))
        query = "" if room is None else f"&room={room}"
        address = f"ws{url[4:]}/socket.io/?EIO=4&transport=websocket{query}"
        client.socket = await client._stack.enter_async_context(
            connect(address, **{"additional_headers": headers, "proxy": None, "max_queue": None, **options})
        )
        client.opened = json.loads((await client.packet())[1:])
        return client

    async def connect(self, auth: dict[str, Any] | None = None, namespace: str = "") -> dict[str, Any]:
        """Come in; returns what a refusal says, and nothing otherwise."""
        await self.socket.send(f"40{namespace}{'' if auth is None else json.dumps(auth)}")
        while (packet := await self.packet())[:2] not in ("40", "44"):
            self.note(packet)
        body = packet[2:].partition(",")[2] if namespace else packet[2:]
        answer: dict[str, Any] = json.loads(body)
        if packet.startswith("44"):
            return answer
        self.sid, self.pid = answer["sid"], answer["pid"]
        return {}

    async def emit(self, event: str, *payload: Any) -> None:
        """Emit without asking for an answer."""
        await self.socket.send(f"42{json.dumps([event, *payload])}")

    async def ask(self, event: str, *payload: Any) -> dict[str, Any]:
        """Emit and wait for the answer."""
        self._asked += 1
        await self.socket.send(f"42{self._asked}{json.dumps([event, *payload])}")
        while self._asked not in self._acks:
            self.note(await self.packet())
        answer: dict[str, Any] = self._acks.pop(self._asked)
        return answer

    async def told(self, event: str, payload: Any = ...) -> Any:
        """Wait until it was told an event (with that payload); returns its latest payload."""
        while True:
            found = [p for e, p in self.events if e == event and payload in (..., p)]
            if found:
                return found[-1]
            self.note(await self.packet())

    async def packet(self) -> str:
        """The next packet but pings, which are answered."""
        async with asyncio.timeout(HANG_S):
            while (packet := await self.socket.recv(decode=True)) == "2":
                await self.socket.send("3")
        assert isinstance(packet, str)
        return packet

    async def ended(self) -> tuple[int | None, str]:
        """Wait for the end; returns the close code and its reason."""
        try:
            while True:
                self.note(await self.packet())
        except ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason or ""

    async def close(self) -> None:
        """Go."""
        await self._stack.aclose()

    def of(self, *names: str) -> list[Any]:
        """The payloads of events that came so far."""
        return [payload for name, payload in self.events if name in names]

    def note(self, packet: str) -> None:
        """Keep what a packet tells."""
        if packet.startswith("42"):
            name, payload = json.loads(packet[2:])
            self.events.append((name, payload))
        elif packet.startswith("43"):
            number, _, rest = packet[2:].partition("[")
            self._acks[int(number)] = json.loads(f"[{rest}")[0]
