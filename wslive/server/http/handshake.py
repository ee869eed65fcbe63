"""What every WebSocket's handshake is asked first, and how it leaves Tornado, whatever is spoken on it afterwards."""

from __future__ import annotations

import time

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from wslive.core.errors import (
    HostingNotAllowed,
    LoginNeeded,
    NotAllowed,
    Refused,
    RoomUnavailable,
    TemporarilyUnavailable,
    TooFast,
    WrongHostKey,
)
from wslive.server.access.origins import refusal_of
from wslive.server.access.turns import LONGEST_WAIT_S
from wslive.server.http.context import Context
from wslive.server.websocket.carrier import taken_from
from wslive.server.websocket.socket import WebSocket

STATUS: dict[type[Refused], int] = {
    LoginNeeded: 401,
    RoomUnavailable: 404,
    HostingNotAllowed: 403,
    WrongHostKey: 403,
    NotAllowed: 403,
    TemporarilyUnavailable: 503,
    TooFast: 429,
}
"""The HTTP status of a refusal; 400 or, in a handshake, 403 for all others."""


def turned_away(handler: RequestHandler, context: Context, *, has_ticket: bool = False) -> bool:
    """Whether a handshake was answered with a refusal: of its Host or Origin, or because the server is full."""
    error = refusal_of(context.gate, handler.request, has_ticket=has_ticket)
    if error is not None:
        turn_away(handler, 403, error)
        return True
    return is_full(handler, context)


def is_full(handler: RequestHandler, context: Context) -> bool:
    """Whether a handshake was answered with a refusal because there are too many, of connections or at once."""
    if len(context.connections) >= context.settings.max_connections:
        retry_after_s = LONGEST_WAIT_S
        sentence = "This server has as many connections as it takes; try again in a moment."
    else:
        retry_after_s = context.turns.take(time.monotonic())
        sentence = "Many are coming in at this moment; try again soon."
    if retry_after_s:
        context.turned_away += 1
        handler.set_header("Retry-After", str(retry_after_s))
        turn_away(handler, 503, sentence)
    return retry_after_s > 0


def turn_away(handler: RequestHandler, status: int, sentence: str) -> None:
    """Answer with a sentence instead of an upgrade."""
    handler.set_status(status)
    handler.set_header("Content-Type", "text/plain; charset=utf-8")
    handler.finish(sentence)


async def taken_over(
    handler: WebSocketHandler, context: Context, *, too_big: int, max_message_bytes: int | None = None
) -> WebSocket | None:
    """The WebSocket of a handler whose `open` was called; the handler hears nothing of it any more.

    None where the connection is gone already: an `open` that raised would be a mistake of the server's in the log.

    Tornado's own loop, which reads frames once `open` has returned, then finds its stream closed and ends.

    Args:
        handler: Anyone's, with its handshake done.
        context: The server's.
        too_big: The close code for messages that are too large.
        max_message_bytes: The largest that is taken; without, the `max_frame_bytes` of the settings.
    """
    handler.set_nodelay(True)
    assert handler.ws_connection is not None
    stream = handler.ws_connection.stream
    assert stream is not None
    try:
        carrier = await taken_from(stream)
    except StreamClosedError:
        return None
    settings = context.settings
    return WebSocket(
        carrier,
        context.flusher,
        max_message_bytes=max_message_bytes or settings.max_frame_bytes,
        max_outbox_bytes=settings.max_outbox_bytes,
        receive_rate=settings.receive_rate,
        too_big=too_big,
    )
