"""Socket.IO packets, as python-socketio lets a server bring its own (its parameter `serializer`).

What a client emits is handed on whole, as one `Emitted`, instead of being looked up among handlers by its name: a
client could otherwise call the server's own `connect` and `disconnect`, and only the packet knows whether an answer is
waited for. What cannot be understood becomes an `Emitted` too, so that it is answered with a sentence. Binary payloads
are never put together: nothing here takes them.

The answer to a connect carries a `pid`, which clients from 4.6 on show when they come back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from socketio import packet

EMITTED = "emitted"
"""The one event that python-socketio has a handler for."""

MAX_ATTACHMENTS = 10


class _Json:
    """Unlike the standard library's, this reader takes no halves of surrogate pairs, which no text of ours can hold."""

    loads = staticmethod(msgspec.json.decode)
    dumps = staticmethod(json.dumps)


class Emitted(NamedTuple):
    """What a client emitted.

    Attributes:
        event: Its name; None where the packet could not be understood.
        payload: The first argument; None without one.
        id: What the client calls its acknowledgement; None if it waits for none.
    """

    event: str | None
    payload: Any = None
    id: int | None = None


def packet_class(pid_of: Callable[[str], str | None]) -> type[Any]:
    """The packets of one server; `pid_of` tells what a client (by its Socket.IO id) is to show when it comes back."""

    class Packet(packet.Packet):  # type: ignore[misc]
        """See above."""

        json = _Json
        data: Any
        id: int | None
        packet_type: int

        def __init__(self, *args: Any, encoded_packet: str | bytes | None = None, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if encoded_packet is not None:  # an empty one is none that can be understood either
                self.attachment_count = self.decode(encoded_packet)

        def encode(self) -> Any:
            if self.packet_type == packet.CONNECT:
                self.data = {**self.data, "pid": pid_of(self.data["sid"])}
            return super().encode()

        def decode(self, encoded_packet: str | bytes) -> int:
            try:
                attachments = int(super().decode(encoded_packet) or 0)
                emitted = _emitted(self.packet_type, self.data, self.id, attachments)
            except (ValueError, TypeError, RecursionError):
                self.packet_type, self.namespace, self.id = packet.EVENT, None, None
                self.data = [EMITTED, Emitted(None)]
                return 0
            if emitted is not None:
                self.data = [EMITTED, emitted]
                self.id = None  # the answer is ours to send
            return attachments

        def add_attachment(self, attachment: Any) -> bool:
            self.attachments.append(None)
            return bool(len(self.attachments) >= self.attachment_count)

    return Packet


def event_packet(event: str, payload: Any) -> str:
    """An event as text."""
    return str(packet.Packet(packet.EVENT, [event, payload], binary=False).encode())


def ack_packet(id: int, payload: Any) -> str:
    """An acknowledgement as text."""
    return str(packet.Packet(packet.ACK, [payload], id=id, binary=False).encode())


def _emitted(type: int, data: Any, id: int | None, attachments: int) -> Emitted | None:
    """What was emitted; None where the packet is of another kind that a client may send.

    Raises:
        ValueError: It is none that a client may send.
    """
    if type in (packet.CONNECT, packet.DISCONNECT, packet.ACK):
        return None
    if type not in (packet.EVENT, packet.BINARY_EVENT) or attachments > MAX_ATTACHMENTS:
        raise ValueError(type)
    if (type == packet.BINARY_EVENT) != (attachments > 0):
        raise ValueError(attachments)
    match data:
        case [str() as event]:
            return Emitted(event, None, id)
        case [str() as event, payload, *_]:
            return Emitted(event, payload, id)
    raise ValueError(data)
