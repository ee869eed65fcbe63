"""Why a server closes a connection. 4000–4499: come back; 4500–4999: final.

Each code has a name for programs and a sentence for people; docs/protocol.md has a row for each.
"""

from __future__ import annotations

from enum import IntEnum

FINAL_FROM = 4500


class CloseCode(IntEnum):
    """A close code of `wslive.v1`."""

    sentence: str

    def __new__(cls, value: int, sentence: str) -> CloseCode:
        """Attach the sentence to the number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    GOING_AWAY = 4000, "The server is going down or restarting; come back in a moment."
    SLOW_READER = (
        4001,
        "The connection did not take what was sent to it; come back and go on where it stopped.",
    )
    HELLO_TIMEOUT = 4002, "No hello arrived in time."
    STORE_TROUBLE = 4003, "The server could not reach its store; come back in a moment."
    IDLE = 4004, "The connection was silent for too long."
    TICKET_EXPIRED = 4005, "The ticket has expired; come back with a new one."

    PROTOCOL_ERROR = 4500, "The other side sent something that this protocol does not know."
    FRAME_TOO_BIG = 4501, "A frame was larger than this server takes."
    ROOM_UNAVAILABLE = 4502, "This room cannot be joined."
    INVALID_TOKEN = 4503, "The token is not valid for this room (any more)."
    REMOVED = 4504, "The host has sent this person out of the room."
    ROOM_ENDED = 4505, "The host has ended this room."
    ROOM_DELETED = 4506, "This room has been deleted."
    TOO_MANY_ERRORS = 4507, "Too many frames could not be understood."
    REFUSED = 4508, "The server did not let this connection in; the refusal before says why."

    @property
    def is_final(self) -> bool:
        """Whether coming back is pointless."""
        return self >= FINAL_FROM


def is_final(code: int | None) -> bool:
    """Whether a client that was closed with `code` must not come back by itself."""
    return code is not None and FINAL_FROM <= code <= 4999
