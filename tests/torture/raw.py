"""People who speak `wslive.v1` on a plain WebSocket, so that a test may say what no client of ours would."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from wslive.wire.messages import SUBPROTOCOL

HANG_S = 60.0


class Raw:
    """One connection; everything that comes is read at once, and the answers are kept by ref.

    Attributes:
        welcome: The welcome, as it came.
        answers: All acks and refusals, by their ref, in the order that they came.
    """

    def __init__(self, socket: ClientConnection) -> None:
        """Made by `open`."""
        self._socket = socket
        self.welcome: dict[str, Any] = {}
        self.answers: dict[str, list[dict[str, Any]]] = {}
        self._news = asyncio.Condition()
        self._is_open = True
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, **hello: Any) -> Self:
        """Connect, in turn where many come in, and say hello; returns when the welcome is there.

        Raises:
            PermissionError: The hello was refused; the argument is the answer.
        """
        self = cls(await _its_turn(url))
        self.send({"type": "hello", "ref": secrets.token_urlsafe(18), **hello})
        async with asyncio.timeout(HANG_S), self._news:
            await self._news.wait_for(lambda: self.welcome or not self._is_open)
        if not self.welcome:
            raise PermissionError([answer for told in self.answers.values() for answer in told])
        return self

    def send(self, message: dict[str, Any], times: int = 1) -> None:
        """Send a message, or the very same frame many times, without waiting."""
        frame = json.dumps(message)

        async def write() -> None:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(times):
                    await self._socket.send(frame)

        self._writing = asyncio.create_task(write())

    async def answered(self, ref: str, times: int) -> list[dict[str, Any]]:
        """All answers to a ref, when there are so many, or when the connection has ended."""
        async with asyncio.timeout(HANG_S), self._news:
            await self._news.wait_for(lambda: len(self.answers.get(ref, ())) >= times or not self._is_open)
        return self.answers.get(ref, [])

    async def close(self) -> None:
        """Hang up."""
        await self._socket.close()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                message = json.loads(frame)
                if message["type"] in ("ack", "refused"):
                    self.answers.setdefault(message["ref"], []).append(message)
                elif message["type"] == "welcome":
                    self.welcome = message
                else:
                    continue
                async with self._news:
                    self._news.notify_all()
        self._is_open = False
        async with self._news:
            self._news.notify_all()


async def _its_turn(url: str) -> ClientConnection:
    async with asyncio.timeout(HANG_S):
        while True:
            try:
                return await connect(
                    f"ws{url[4:]}/ws",
                    subprotocols=[Subprotocol(SUBPROTOCOL)],
                    proxy=None,
                    max_size=1 << 26,
                    open_timeout=30,
                )
            except InvalidStatus as refused:
                if refused.response.status_code != 503:
                    raise
                await asyncio.sleep(float(refused.response.headers["Retry-After"]))
