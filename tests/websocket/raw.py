"""WebSockets byte by byte: frames as they should not be, sent as they should not be sent, and what comes back.

Blocking, on plain sockets, and written from RFC 6455 alone: nothing here is shared with what is tested.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import IntEnum
from typing import NamedTuple, Self

HANG_S = 20.0
"""What does not come within this time never will."""

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Opcode(IntEnum):
    """RFC 6455 §5.2; the numbers that are missing are reserved."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class Frame(NamedTuple):
    """A frame as it came, or should come."""

    opcode: int
    payload: bytes = b""
    is_final: bool = True
    reserved: int = 0

    @property
    def close_code(self) -> int | None:
        """The code of a close frame; None where it has none."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


def masked(key: bytes, payload: bytes) -> bytes:
    """A payload masked or unmasked (§5.3)."""
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    is_final: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    length_bytes: int | None = None,
    claims: int | None = None,
) -> bytes:
    """A frame's bytes; by default one that a client may send.

    Args:
        opcode: Its kind.
        payload: What it carries.
        is_final: FIN.
        reserved: RSV1–3, as a number from 0 to 7.
        mask: The masking key; None leaves the payload as it is.
        length_bytes: 0, 2 or 8: how the length is written; None: as short as possible.
        claims: A length to name instead of the true one.
    """
    size = len(payload) if claims is None else claims
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    short = {0: size & 0x7F, 2: 126, 8: 127}[length_bytes]
    head = bytes(((0x80 if is_final else 0) | reserved << 4 | opcode, (0x80 if mask is not None else 0) | short))
    length = size.to_bytes(length_bytes, "big") if length_bytes else b""
    return head + length + (payload if mask is None else mask + masked(mask, payload))


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A close frame's bytes."""
    return frame(Opcode.CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def fragments(opcode: int, parts: list[bytes]) -> list[bytes]:
    """A message in as many frames as there are parts."""
    last = len(parts) - 1
    return [
        frame(opcode if number == 0 else Opcode.CONTINUATION, part, is_final=number == last)
        for number, part in enumerate(parts)
    ]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Data in pieces of a size."""
    return (data[start : start + size] for start in range(0, len(data), size))


def handshake(
    host: str,
    path: str,
    *,
    headers: Mapping[str, str | None] | None = None,
    request_line: str | None = None,
) -> bytes:
    """A handshake's bytes (§4.1); `headers` replaces, adds, or with None leaves out."""
    usual: dict[str, str | None] = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    lines = [request_line or f"GET {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in {**usual, **(headers or {})}.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def accept_of(key: str) -> str:
    """What a server answers to a key (§4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


class Answer(NamedTuple):
    """An HTTP answer's head."""

    status: int
    headers: dict[str, str]


class RawSocket:
    """One TCP connection to a server."""

    def __init__(self, address: tuple[str, int], *, receive_buffer_bytes: int | None = None) -> None:
        """Connect."""
        self.sock = socket.socket()
        if receive_buffer_bytes is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.sock.settimeout(HANG_S)
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = b""
        self._at_end = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    @classmethod
    def open(cls, address: tuple[str, int], path: str, *, headers: Mapping[str, str | None] | None = None) -> Self:
        """Connect and shake hands."""
        opened = cls(address)
        try:
            opened.send(handshake("{}:{}".format(*address), path, headers=headers))
            answer = opened.answer()
            assert answer.status == 101, answer
        except BaseException:
            opened.sock.close()
            raise
        return opened

    def send(self, data: bytes) -> None:
        """Send bytes; those that the other side does not take any more are lost."""
        try:
            self.sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it has closed: what it said before can still be read

    def answer(self) -> Answer:
        """The head of an HTTP answer.

        Raises:
            EOFError: The connection ended first.
        """
        while b"\r\n\r\n" not in self._came:
            self._more()
        head, self._came = self._came.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(int(first.split()[1]), headers)

    def frame(self) -> Frame | None:
        """The next frame; None at the end of the connection. Insists on what §5.1 and §5.2 ask of servers."""
        try:
            first, second = self._take(2)
        except EOFError:
            assert self._came == b"", "the connection ended within a frame"
            return None
        assert not second & 0x80, "a server must not mask"
        size = second & 0x7F
        if size > 125:
            length = self._take(2 if size == 126 else 8)
            size = int.from_bytes(length, "big")
            assert size > (125 if len(length) == 2 else 65535), "a length must be written as short as possible"
        return Frame(first & 0xF, self._take(size), bool(first & 0x80), first >> 4 & 7)

    def frames(self) -> list[Frame]:
        """All frames until the connection ends."""
        return list(iter(self.frame, None))

    def rest(self) -> bytes:
        """All that still comes, until the connection ends."""
        with suppress(EOFError):
            while True:
                self._more()
        came, self._came = self._came, b""
        return came

    def _take(self, size: int) -> bytes:
        while len(self._came) < size:
            self._more()
        taken, self._came = self._came[:size], self._came[size:]
        return taken

    def _more(self) -> None:
        try:
            came = self.sock.recv(65536)
        except ConnectionResetError:
            came = b""
        if not came:
            raise EOFError
        self._came += came
