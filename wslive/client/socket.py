"""One WebSocket of `wslive.v1`, on Tornado's client: frames in by a plain callback, frames out, a clean end.

What Tornado leaves to its callers is handled here and nowhere else: a write's future must be looked at and must not
be waited for with a time-out, a connect that nobody waits for any more still opens, a socket that is not closed by us
warns when it is collected, and a close frame whose reason is no UTF-8 ends its reading task with a traceback.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import HTTPRequest
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketProtocol,
    websocket_connect,
)

from wslive.client import passes
from wslive.client.scheme import watched
from wslive.client.unreachable import CannotConnect, cannot_connect
from wslive.wire.messages import PING_INTERVAL_S, SUBPROTOCOL

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest message taken from a server: a snapshot with every ballot of a long room."""

CLOSE_WAIT_S = 1.0
"""How long the closing handshake may take before the connection is cut."""

_CLOSE = 0x8


def websocket_url(server: str) -> str:
    """The WebSocket address of a server's base URL ("http://127.0.0.1:8765", "https://…/user/ada/wslive").

    Raises:
        CannotConnect: It is no http or https address.
    """
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotConnect(
            f"{server!r} is not the address of a server; it looks like http://192.168.1.7:8765",
            is_definite=True,
            is_final=True,
        )
    return f"ws{server.rstrip('/')[4:]}/ws"


class Socket:
    """An open WebSocket."""

    def __init__(self, connection: WebSocketClientConnection, closed: asyncio.Future[None]) -> None:
        """Made by `open_socket`."""
        self._connection = connection
        # The connection lets go of its protocol as soon as it begins to close.
        self._stream = None if connection.protocol is None else connection.protocol.stream
        if connection.protocol is not None:
            _check_reasons(connection.protocol)
        self._closed = closed
        self._cut: asyncio.TimerHandle | None = None

    def send(self, frame: bytes) -> None:
        """Send a text frame. On a connection that is closing it is dropped: `closed` tells."""
        try:
            written = self._connection.write_message(frame)
        except WebSocketClosedError:
            return
        written.add_done_callback(_looked_at)

    async def closed(self) -> int | None:
        """Wait for the end, and return the close code; None where there was none (the network broke)."""
        await asyncio.shield(self._closed)
        return self._connection.close_code

    def drop(self) -> None:
        """Begin to close; without an answer the connection is cut after `CLOSE_WAIT_S`."""
        if self._cut is None:
            self._cut = asyncio.get_running_loop().call_later(CLOSE_WAIT_S, self._cut_off)
            self._connection.close(1000)

    async def close(self) -> None:
        """Close, and wait until that is done."""
        self.drop()
        try:
            await asyncio.shield(self._closed)
        except asyncio.CancelledError:
            self._cut_off()
            raise
        finally:
            if self._cut is not None:
                self._cut.cancel()

    def _cut_off(self) -> None:
        # Ends Tornado's reading task with it; left alone that task would outlive a loop that is stopped.
        if self._stream is not None:
            self._stream.close()


async def open_socket(server: str, on_frame: Callable[[str | bytes], None], *, timeout_s: float) -> Socket:
    """Open a WebSocket to a server; `on_frame` is called with each frame as it comes, on this loop.

    Raises:
        CannotConnect: With the reason.
    """
    closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_message(message: str | bytes | None) -> None:
        if message is not None:
            on_frame(message)
        elif not closed.done():
            closed.set_result(None)

    # The request's own time-out covers connecting and the handshake.
    request = HTTPRequest(
        websocket_url(server), headers=passes.header(server), connect_timeout=timeout_s, request_timeout=timeout_s
    )
    opening = asyncio.ensure_future(
        websocket_connect(
            request,
            on_message_callback=on_message,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_INTERVAL_S,
            max_message_size=MAX_MESSAGE_BYTES,
            subprotocols=[SUBPROTOCOL],
        )
    )
    try:
        async with asyncio.timeout(timeout_s + 1):
            connection = await watched(server, opening, timeout_s)
    except CannotConnect:
        opening.add_done_callback(close_unwanted)
        raise
    except TimeoutError:
        opening.add_done_callback(close_unwanted)
        raise CannotConnect(f"No wslive server answers at {server}: no answer within {timeout_s:g} s.") from None
    except asyncio.CancelledError:
        opening.add_done_callback(close_unwanted)
        raise
    except Exception as error:
        raise cannot_connect(server, error, timeout_s) from None
    if connection.selected_subprotocol != SUBPROTOCOL:
        await Socket(connection, closed).close()
        raise CannotConnect(
            f"The server at {server} does not speak {SUBPROTOCOL}: it is no wslive server, or of another version.",
            is_definite=True,
        )
    return Socket(connection, closed)


def close_unwanted(opening: asyncio.Future[WebSocketClientConnection]) -> None:
    """Close a connection that nobody waits for any more, once it opens; for `add_done_callback`."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _check_reasons(protocol: WebSocketProtocol) -> None:
    """Cut the connection at a close frame that Tornado would fall over."""
    handle = protocol._handle_message  # type: ignore[attr-defined]

    def checked(opcode: int, payload: bytes) -> Any:
        if opcode == _CLOSE:
            try:
                payload[2:].decode()
            except UnicodeDecodeError:
                protocol._abort()
                return None
        return handle(opcode, payload)

    protocol._handle_message = checked  # type: ignore[attr-defined]


def _looked_at(written: asyncio.Future[None]) -> None:
    # An exception that nobody looks at is logged by asyncio; here it only says that the connection has ended.
    with contextlib.suppress(asyncio.CancelledError):
        written.exception()
