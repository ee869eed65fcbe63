"""Why a server closes a connection. 4000–4499: come back; 4500–4999: final.

Each code has a name for programs and a sentence for people; docs/protocol.md has a row for each.
"""

from __future__ import annotations

from enum import IntEnum

FINAL_FROM = 4500


class CloseCode(IntEnum):
    """A close code of `wslive.v1`."""

    GOING_AWAY = 4000
    SLOW_READER = 4001
    HELLO_TIMEOUT = 4002
    STORE_TROUBLE = 4003
    TICKET_EXPIRED = 4004
    TOO_MANY_GUESSES = 4005
    PROTOCOL_ERROR = 4500
    FRAME_TOO_BIG = 4501
    ROOM_UNAVAILABLE = 4502
    INVALID_TOKEN = 4503
    REMOVED = 4504
    ROOM_ENDED = 4505
    ROOM_DELETED = 4506
    TOO_MANY_ERRORS = 4507
    REFUSED = 4508
    LOGIN_ENDED = 4509

    @property
    def sentence(self) -> str:
        """What it means, for people."""
        return _SENTENCES[self]

    @property
    def is_final(self) -> bool:
        """Whether coming back is pointless."""
        return self >= FINAL_FROM


_SENTENCES: dict[CloseCode, str] = {
    CloseCode.GOING_AWAY: "The server is going down or restarting; come back in a moment.",
    CloseCode.SLOW_READER: "The connection did not take what was sent to it; come back and go on from there.",
    CloseCode.HELLO_TIMEOUT: "No hello arrived in time.",
    CloseCode.STORE_TROUBLE: "The server could not reach its store; come back in a moment.",
    CloseCode.TICKET_EXPIRED: "The ticket has expired; come back with a new one.",
    CloseCode.TOO_MANY_GUESSES: "Too many wrong codes came from this network or to this server; come back in a moment.",
    CloseCode.PROTOCOL_ERROR: "The other side sent something that this protocol does not know.",
    CloseCode.FRAME_TOO_BIG: "A frame was larger than this server takes.",
    CloseCode.ROOM_UNAVAILABLE: "This room cannot be joined.",
    CloseCode.INVALID_TOKEN: "The token is not valid for this room (any more).",
    CloseCode.REMOVED: "The host has sent you out of this room.",
    CloseCode.ROOM_ENDED: "The host has ended this room.",
    CloseCode.ROOM_DELETED: "This room has been deleted.",
    CloseCode.TOO_MANY_ERRORS: "Too many frames could not be understood.",
    CloseCode.REFUSED: "The server did not let this connection in; the refusal before says why.",
    CloseCode.LOGIN_ENDED: "Your login at the hub has ended; log in again.",
}


def is_final(code: int | None) -> bool:
    """Whether a client that was closed with `code` must not come back by itself."""
    return code is not None and FINAL_FROM <= code <= 4999
