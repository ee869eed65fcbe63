"""One Engine.IO connection: long-polling, a WebSocket, or the one that became the other.

What is sent waits in the connection's queue until a writer or the client's next request takes it, and then in the
WebSocket's outbox. Only while both are empty the way is clear; `drained` is called when it is so again, and tells
whoever is on top.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from engineio.exceptions import EngineIOError
from engineio.packet import MESSAGE, Packet

from wslive.server.access.neighbours import Neighbourhood
from wslive.server.settings import Rate
from wslive.server.websocket.throttle import Throttle
from wslive.wire.close_codes import CloseCode

FAREWELL_S = 1.0
"""How long the last packets of a polling connection can be polled for."""


class Transport:
    """One Engine.IO connection, as a server's context knows its connections.

    Attributes:
        id: Its Engine.IO id.
        secret: What its handshake was given; the value of the cookie that was set, if one was.
        cookie: The secret of the cookie that it showed, with the handshake or later.
        sid: The Socket.IO id of the client that came in by it; None while none has.
        network: Where the client is.
        throttle: How much it may send by requests before it has to wait; its WebSocket has another one.
        from_elsewhere: Whether it is another device than that of the server.
        websocket: The handler of its WebSocket, or of one that is to become it; see `has_got`.
        on_drained: Called when everything sent has gone.
        on_bye: Says farewell to the client; None while nobody has come in.
    """

    def __init__(
        self,
        engine: Any,
        id: str,
        *,
        secret: str,
        cookie: str | None,
        receive_rate: Rate,
        network: Neighbourhood = None,
        from_elsewhere: bool = False,
    ) -> None:
        """Begin with a handshake."""
        self.id = id
        self.secret = secret
        self.cookie = cookie
        self.network = network
        self.throttle = Throttle(receive_rate, time.monotonic())
        self.from_elsewhere = from_elsewhere
        self.sid: str | None = None
        self.websocket: Any = None
        self.on_drained: Callable[[], None] = lambda: None
        self.on_bye: Callable[[float], None] | None = None
        self.opened_at_s = time.monotonic()
        self._engine = engine

    @property
    def is_waiting_for_hello(self) -> bool:
        """Whether no client has come in yet, or it has left and the connection has not."""
        return self.on_bye is None

    @property
    def is_clear(self) -> bool:
        """Whether nothing that was sent is still here."""
        socket = self._engine.sockets.get(self.id)
        is_taken = self.websocket is None or self.websocket.is_clear
        return is_taken and (socket is None or socket.queue.empty())

    async def send(self, packets: Iterable[str]) -> None:
        """Send Socket.IO packets."""
        try:
            for packet in packets:
                await self._engine.send_packet(self.id, Packet(MESSAGE, packet))
        except EngineIOError:
            pass  # closed; the disconnect is told by itself

    def left(self) -> None:
        """The client has left; unless somebody comes in soon, the connection is closed."""
        self.on_bye = self.sid = None
        self.on_drained = lambda: None
        self.opened_at_s = time.monotonic()

    # ── what the handler tells ────────────────────────────────────────────────────────────────────────────────────

    def has_got(self, websocket: Any) -> bool:
        """Whether a WebSocket may become this connection's: it has one at a time, or they would be without number."""
        if self.websocket is not None:
            return False
        self.websocket = websocket
        return True

    def has_lost(self, websocket: Any) -> None:
        """A WebSocket is no more: it was this connection, which ends by itself, or did not become it."""
        if self.websocket is websocket:
            self.websocket = None
            socket = self._engine.sockets.get(self.id)
            if socket is not None and not socket.upgraded:
                socket.upgrading = False  # or python-engineio would hand out nothing by polling any more

    def drained(self) -> None:
        """Something was taken; perhaps everything."""
        if self.is_clear:
            self.on_drained()

    # ── its end ───────────────────────────────────────────────────────────────────────────────────────────────────

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Close it; official clients come back by themselves."""
        if self.websocket is not None:
            self.websocket.close(code, reason or code.sentence)
        socket = self._engine.sockets.get(self.id)
        if self.websocket is None or (socket is not None and not socket.upgraded):
            self._end()  # also where the WebSocket has not become it yet

    def say_bye(self, spread_s: float) -> None:
        """The server goes down."""
        if self.on_bye is not None:
            self.on_bye(spread_s)
        else:
            self.close(CloseCode.GOING_AWAY)

    def abort(self) -> None:
        """Cut it."""
        if self.websocket is not None:
            self.websocket.cut()
        self._end()

    def ended(self) -> None:
        """It is over. A moment later what nobody polled for is dropped, and a WebSocket that is still there closed.

        python-engineio waits for the one to be taken, and leaves the other open that has not become the connection.
        """
        socket = self._engine.sockets.get(self.id)
        asyncio.get_running_loop().call_later(FAREWELL_S, self._clear, None if socket is None else socket.queue)

    def _clear(self, queue: asyncio.Queue[Any] | None) -> None:
        if self.websocket is not None:
            self.websocket.close()
        while queue is not None and not queue.empty():
            queue.get_nowait()
            queue.task_done()

    def _end(self) -> None:
        socket = self._engine.sockets.get(self.id)
        if socket is not None:
            self._engine.start_background_task(socket.close, wait=False)
