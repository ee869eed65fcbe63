"""Frames to messages and back, with the limits that keep decoding cheap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from wslive.core.errors import WsliveError
from wslive.core.view import Op
from wslive.wire.messages import MAX_FRAME_BYTES, ClientMessage, ServerMessage

_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)

encode = _encoder.encode
"""A message as the UTF-8 payload of a text frame."""


class FrameError(WsliveError):
    """A frame that is not a message of this protocol; the text says what is wrong with it."""


class FrameTooBig(FrameError):
    """A frame with more bytes than are taken."""


def frame_bytes(frame: bytes | str) -> int:
    """How many bytes a frame had on the wire."""
    return len(frame) if isinstance(frame, bytes) or frame.isascii() else len(frame.encode(errors="surrogatepass"))


def is_larger(frame: bytes | str, max_frame_bytes: int) -> bool:
    """Whether a frame had more bytes than this; a character has at most four, so most need not be counted."""
    return 4 * len(frame) > max_frame_bytes and frame_bytes(frame) > max_frame_bytes


def decode_client(frame: bytes | str, max_frame_bytes: int = MAX_FRAME_BYTES) -> ClientMessage:
    """What a client sent.

    Raises:
        FrameTooBig: More than `max_frame_bytes`.
        FrameError: Not JSON, or not a message.
    """
    if is_larger(frame, max_frame_bytes):
        raise FrameTooBig(f"The frame has {frame_bytes(frame)} bytes; at most {max_frame_bytes} are taken")
    try:
        return _client_decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise FrameError(str(error)) from None


def decode_server(frame: bytes | str) -> ServerMessage:
    """What a server sent.

    Raises:
        FrameError: Not JSON, or not a message.
    """
    try:
        return _server_decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise FrameError(str(error)) from None


def delta_frame(from_: int, to: int, chain: str, fragments: Iterable[bytes]) -> bytes:
    """A `delta` put together from operations that are encoded already (without brackets, comma between them).

    A tick encodes each part once per audience; readers whose personal part changed too get theirs appended, which
    costs a join and no second encoding.
    """
    return b'{"type":"delta","from":%d,"to":%d,"chain":"%s","ops":[%s]}' % (
        from_,
        to,
        chain.encode(),
        b",".join(f for f in fragments if f),
    )


def encode_ops(ops: Sequence[Op]) -> bytes:
    """Operations as a fragment for `delta_frame`."""
    return _encoder.encode(ops)[1:-1]
