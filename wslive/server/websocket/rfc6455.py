"""WebSocket frames (RFC 6455) without I/O: what comes from a client, and what goes to it.

Theory of operation. `Receiver.feed` takes what one `recv` returned and yields the messages that it completes; there is
no coroutine, future or object per frame. Almost every message of a client is one text frame that arrived whole and by
itself: `whole` recognises it by its first bytes, unmasks and decodes it. Where a server has much to do several arrive
together, and `feed` does the same with each. Everything else takes the longer way, on which

    a header        is checked as soon as its first two bytes are there
    a payload       is unmasked, decoded and counted as it comes, however it is cut: so text that is no UTF-8 fails
                    with the byte that breaks it, not with the end of its frame or message
    a fragment      counts towards the one limit of its message, from its header on: what is announced too large is
                    refused before it is received
    a control frame is whole or waits; at most 131 bytes do

What the other side may not do raises a `Violation`. Bytes after it have no meaning any more, so the connection has to
be closed with its code.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, NamedTuple

from tornado.util import _websocket_mask as unmask  # in C where Tornado was built with it; tests hold it to its meaning

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
_FIN, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_WHOLE_TEXT = _FIN | TEXT
_MASKED = 0x80
_SIZE_16, _SIZE_64 = 126, 127
_MAX_CONTROL_BYTES = 125
_MAX_REASON_BYTES = _MAX_CONTROL_BYTES - 2

NORMAL = 1000
PROTOCOL_ERROR = 1002
NOT_UTF8 = 1007
TOO_BIG = 1009
INTERNAL_ERROR = 1011

_SHORT_HEADERS = [bytes((_WHOLE_TEXT, size)) for size in range(_SIZE_16)]

# Those that may be sent: of RFC 6455 and the registry, of libraries (3000 on) and of applications (4000 on).
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})
_FREE_CLOSE_CODES = range(3000, 5000)

_Utf8Decoder = codecs.getincrementaldecoder("utf-8")


class Violation(Exception):
    """The other side broke the rules; the connection is to be closed with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        """`reason` is for the close frame."""
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Ping(NamedTuple):
    """Is anybody there?"""

    payload: bytes


class Pong(NamedTuple):
    """Yes."""

    payload: bytes


class Closing(NamedTuple):
    """The other side closes; None where it says no code."""

    code: int | None
    reason: str


Incoming = str | bytes | Ping | Pong | Closing
"""A text message, a binary one, or a control frame."""


# ── to the client ─────────────────────────────────────────────────────────────────────────────────────────────────


def text_frame(payload: bytes) -> bytes:
    """A whole text message as one frame."""
    size = len(payload)
    if size < _SIZE_16:
        return _SHORT_HEADERS[size] + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def control_frame(opcode: int, payload: bytes) -> bytes:
    """A ping, pong or close with at most 125 bytes."""
    return bytes((_FIN | opcode, len(payload))) + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close frame; of the reason as much as fits, no character cut in two."""
    if code is None:
        return control_frame(CLOSE, b"")
    fits = reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore").encode()
    return control_frame(CLOSE, code.to_bytes(2, "big") + fits)


def unframed(frame: bytes) -> bytes:
    """The payload of what `text_frame` made, for a way out that is no WebSocket."""
    size = frame[1]
    return frame[2 if size < _SIZE_16 else 4 if size == _SIZE_16 else 10 :]


# ── from the client ───────────────────────────────────────────────────────────────────────────────────────────────


class Receiver:
    """What has come of one connection and is no whole message yet: at most one message's limit, and a header."""

    __slots__ = (
        "_decoder",
        "_is_last",
        "_kind",
        "_left_bytes",
        "_mask",
        "_max_bytes",
        "_parts",
        "_rest",
        "_size_bytes",
        "parts",
    )

    def __init__(self, max_message_bytes: int) -> None:
        """Start before the first frame."""
        self._max_bytes = max_message_bytes
        self._rest = b""
        """The beginning of a header, or of a control frame."""
        self._left_bytes = 0
        """How much of the payload of a data frame is still to come."""
        self._mask = b""
        """Its mask, from the next byte on."""
        self._is_last = False
        """Whether it ends its message."""
        self._kind = 0
        """TEXT or BINARY while a message is being received in parts."""
        self._parts: list[Any] = []
        self._size_bytes = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self.parts = 0
        """How many data frames did not come whole and by themselves: each is work, also where none ends a message."""

    def whole(self, data: bytes) -> str | None:
        """The message, where what came next is one whole text frame and nothing else; None: `feed` it.

        Raises:
            Violation: The text is no UTF-8.
        """
        if self._rest or self._left_bytes or self._kind or len(data) < 6 or data[0] != _WHOLE_TEXT:
            return None
        size, start = data[1] - _MASKED, 6
        if size == _SIZE_16 and len(data) >= 8:
            size, start = data[2] << 8 | data[3], 8
        if size + start != len(data) or size >= self._max_bytes or data[1] < _MASKED or data[1] == _MASKED | _SIZE_64:
            return None
        try:
            return unmask(data[start - 4 : start], data[start:]).decode()
        except UnicodeDecodeError:
            raise Violation(NOT_UTF8, "A text is not UTF-8.") from None

    def feed(self, data: bytes) -> Iterator[Incoming]:
        """Take what came next, and yield what it completes.

        Raises:
            Violation: After everything that came before it.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, end = 0, len(data)
        while at < end:
            if self._left_bytes:
                part = data[at : at + self._left_bytes]
                at += len(part)
                if (message := self._take(part)) is not None:
                    yield message
                continue
            if end - at < 2:
                break
            if data[at] == _WHOLE_TEXT and _MASKED <= data[at + 1] < _MASKED | _SIZE_64 and not self._kind:
                size, start = data[at + 1] - _MASKED, at + 6
                if size == _SIZE_16 and end - at >= 8:
                    size, start = data[at + 2] << 8 | data[at + 3], at + 8
                if start + size <= end and size <= self._max_bytes:
                    at = start + size
                    yield _text(unmask(data[start - 4 : start], data[start:at]))
                    continue
            opcode, size, start = self._header(data, at, end)
            if start > end:
                break
            mask = data[start - 4 : start]
            if opcode & 0x8:
                if start + size > end:
                    break
                at = start + size
                yield _control(opcode, unmask(mask, data[start:at]))
                continue
            self._begin(data[at], size, mask)
            at = start
            if not size and (message := self._take(b"")) is not None:
                yield message
        self._rest = data[at:]

    def _header(self, data: bytes, at: int, end: int) -> tuple[int, int, int]:
        """Check a header: its opcode, the size of its payload, and where that begins (beyond `end`: to come)."""
        first, second = data[at], data[at + 1]
        opcode, size, start = first & _OPCODE, second & ~_MASKED, at + 6
        if first & _RESERVED:
            raise Violation(PROTOCOL_ERROR, "A reserved bit is set, and no extension was agreed on.")
        if not second & _MASKED:
            raise Violation(PROTOCOL_ERROR, "A client has to mask its frames.")
        if opcode & 0x8:
            if opcode > PONG:
                raise Violation(PROTOCOL_ERROR, f"The opcode {opcode} is unknown.")
            if not first & _FIN or size > _MAX_CONTROL_BYTES:
                raise Violation(PROTOCOL_ERROR, "A control frame is never in fragments, and has at most 125 bytes.")
            return opcode, size, start
        if opcode > BINARY:
            raise Violation(PROTOCOL_ERROR, f"The opcode {opcode} is unknown.")
        if (opcode == _CONTINUATION) != bool(self._kind):
            raise Violation(PROTOCOL_ERROR, "A fragment is missing, or belongs to no message.")
        if size >= _SIZE_16:
            start += 2 if size == _SIZE_16 else 8
            if start > end:
                return opcode, 0, start
            size = int.from_bytes(data[at + 2 : start - 4], "big")
        if self._size_bytes + size > self._max_bytes:
            raise Violation(TOO_BIG, f"At most {self._max_bytes} bytes a message are taken.")
        return opcode, size, start

    def _begin(self, first: int, size: int, mask: bytes) -> None:
        """A data frame begins whose payload is taken as it comes."""
        if opcode := first & _OPCODE:
            self._kind = opcode
            self._decoder = _Utf8Decoder() if opcode == TEXT else None
        self._is_last = bool(first & _FIN)
        self._size_bytes += size
        self.parts += 1
        self._left_bytes, self._mask = size, mask

    def _take(self, part: bytes) -> str | bytes | None:
        """Take a part of a payload; the message, if that was all of it."""
        self._left_bytes -= len(part)
        plain = unmask(self._mask, part)
        turned = len(part) % 4
        self._mask = self._mask[turned:] + self._mask[:turned]
        is_whole = self._is_last and not self._left_bytes
        piece = plain if self._decoder is None else _decoded(self._decoder, plain, is_whole)
        if piece:  # empty fragments may come without end
            self._parts.append(piece)
        if not is_whole:
            return None
        message: str | bytes = b"".join(self._parts) if self._decoder is None else "".join(self._parts)
        self._kind = self._size_bytes = 0
        self._decoder = None
        self._parts = []
        return message


def _decoded(decoder: codecs.IncrementalDecoder, part: bytes, is_last: bool) -> str:
    try:
        text = decoder.decode(part, is_last)
    except UnicodeDecodeError:
        raise Violation(NOT_UTF8, "A text is not UTF-8.") from None
    # Half of a surrogate: Python waits for its third byte before it says no.
    pending = decoder.getstate()[0]
    if len(pending) == 2 and pending[0] == 0xED and pending[1] >= 0xA0:
        raise Violation(NOT_UTF8, "A text is not UTF-8.")
    return text


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Violation(NOT_UTF8, "A text is not UTF-8.") from None


def _control(opcode: int, payload: bytes) -> Incoming:
    if opcode == PING:
        return Ping(payload)
    if opcode == PONG:
        return Pong(payload)
    if not payload:
        return Closing(None, "")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (code in _CLOSE_CODES or code in _FREE_CLOSE_CODES):
        raise Violation(PROTOCOL_ERROR, "This is no close code.")
    return Closing(code, _text(payload[2:]))
