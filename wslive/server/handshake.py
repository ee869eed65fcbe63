"""What every WebSocket's handshake is asked first, whatever is spoken on it afterwards."""

from __future__ import annotations

from tornado.web import RequestHandler

from wslive.server.context import Context
from wslive.server.origins import refusal_of

RETRY_AFTER_S = 10


def turned_away(handler: RequestHandler, context: Context, *, has_ticket: bool = False) -> bool:
    """Whether a handshake was answered with a refusal: of its Host or Origin, or because the server is full."""
    error = refusal_of(context.gate, handler.request, has_ticket=has_ticket)
    if error is not None:
        turn_away(handler, 403, error)
        return True
    return is_full(handler, context)


def is_full(handler: RequestHandler, context: Context) -> bool:
    """Whether a handshake was answered with a refusal because the server takes no more connections."""
    if len(context.connections) >= context.settings.max_connections:
        handler.set_header("Retry-After", str(RETRY_AFTER_S))
        turn_away(handler, 503, "This server has as many connections as it takes; try again in a moment.")
        return True
    return False


def turn_away(handler: RequestHandler, status: int, sentence: str) -> None:
    """Answer with a sentence instead of an upgrade."""
    handler.set_status(status)
    handler.set_header("Content-Type", "text/plain; charset=utf-8")
    handler.finish(sentence)
