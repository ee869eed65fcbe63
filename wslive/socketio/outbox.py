"""What is on its way to one client: Socket.IO packets, in order, handed to the transport while its way is clear.

Packets that gather in one turn of the loop go together. While the transport is behind they wait here, where they are
counted: more than the limit, and the client is a slow reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from wslive.socketio.packets import ack_packet, event_packet
from wslive.socketio.transport import Transport


class Outbox:
    """One client's way out."""

    def __init__(self, transport: Transport, *, max_bytes: int) -> None:
        """Gather until `open`; `on_drained` and `on_full` belong to whoever speaks with the room just now."""
        self.on_drained: Callable[[], None] = lambda: None
        self.on_full: Callable[[], None] = lambda: None
        self.stuck_since_s: float | None = None
        """Since when nothing was taken while something waits (loop time); None while nothing does."""
        self._transport = transport
        self._max_bytes = max_bytes
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._is_open = False
        self._is_closed = False
        self._flushing: asyncio.Task[None] | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the transport would take something at once."""
        return self._transport.is_clear

    def open(self) -> None:
        """From now on the client can be told something."""
        self._is_open = True
        self._transport.on_drained = self._drained
        self._flush_soon()

    def event(self, event: str, payload: Any) -> None:
        """Send an event."""
        self._post(event_packet(event, payload))

    def ack(self, id: int, payload: Any) -> None:
        """Answer an event."""
        self._post(ack_packet(id, payload))

    async def close(self) -> None:
        """Send what has gathered, whether the way is clear or not, and drop what comes from now on."""
        self._is_closed = True
        waiting, self._waiting = self._waiting, []
        await self._transport.send(waiting)

    def _post(self, packet: str) -> None:
        if self._is_closed:
            return
        if not self.is_clear:
            if self.stuck_since_s is None:
                self.stuck_since_s = asyncio.get_running_loop().time()
            self._waiting_chars += len(packet)
            if self._waiting_chars > self._max_bytes:
                self._is_closed = True
                asyncio.get_running_loop().call_soon(self.on_full)
                return
        self._waiting.append(packet)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if self._waiting and self._is_open and self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        while self._waiting and self.is_clear:
            waiting, self._waiting = self._waiting, []
            self._waiting_chars = 0
            await self._transport.send(waiting)
        self._flushing = None

    def _drained(self) -> None:
        if self._waiting:
            self.stuck_since_s = asyncio.get_running_loop().time()
            self._flush_soon()
        else:
            self.stuck_since_s = None
            self.on_drained()
