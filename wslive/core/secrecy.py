"""Ballot boxes: commands that stand in the log without their author and unreadably.

An activity may have a box open. What is put into it becomes an event `sealed`: its actor is a pseudonym, its ref a
hash, its content encrypted, all three by the box's key, which is kept outside the log. When the box closes, an event
of the activity says what was in it, and the key is destroyed. From then on the log says how many put something in,
when, and what it came to; not who, and not who put in what.

    pseudonym   HMAC of the actor: the same person has one ballot
    ref         HMAC of actor and ref: a retry is found, and a ref that its client chose badly tells nothing
    content     kind, version and body of the event within, all of one length, encrypted and authenticated

The encryption is deterministic (a synthetic initialization vector, as in RFC 5297, with HMAC-SHA256 for both of its
parts), so no randomness is needed here, and the same command sealed twice gives nothing away.

Without the key, a box that is open can be closed and nothing else: what it holds cannot be read any more.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any, NamedTuple

import msgspec

KEY_BYTES = 32
_TAG_BYTES = 16
_HEAD_BYTES = 64
"""For kind and version within: whether it is a vote or a retraction is not to be told by the length."""


class Box(NamedTuple):
    """Where an activity takes hidden commands just now.

    Attributes:
        name: Of this box in its activity, never used again after it was closed: lower-case letters, digits and `-`.
        max_bytes: The JSON of the largest event that could be put in, whatever is chosen. All are made as long.
    """

    name: str
    max_bytes: int


BoxId = tuple[int, str]
"""An activity and the name of one of its boxes."""


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """Something was put into a ballot box."""

    box: str
    content: str


class BoxKey:
    """What opens one box."""

    def __init__(self, secret: bytes) -> None:
        """Derive what is needed from `secret`, which is random and `KEY_BYTES` long."""
        self._naming, self._tagging, self._hiding = (
            hmac.digest(secret, purpose, "sha256") for purpose in (b"names", b"tags", b"contents")
        )

    def pseudonym(self, actor: str) -> str:
        """Under which name an actor's events stand."""
        return "s_" + _text(hmac.digest(self._naming, msgspec.json.encode(("actor", actor)), "sha256")[:12])

    def ref(self, actor: str, ref: str) -> str:
        """Under which ref an actor's command stands."""
        return _text(hmac.digest(self._naming, msgspec.json.encode(("ref", actor, ref)), "sha256")[:15])

    def seal(self, actor: str, ref: str, kind: str, version: int, body: bytes, max_bytes: int) -> str:
        """Encrypt an event for the place (`actor`, `ref`), both as they stand in the log."""
        plain = msgspec.json.encode((kind, version, msgspec.Raw(body)))
        plain = plain.ljust(_HEAD_BYTES + max_bytes)  # white space after JSON is nothing
        tag = self._tag(actor, ref, plain)
        return _text(tag + _xor(plain, self._stream(tag, len(plain))))

    def open(self, actor: str, ref: str, content: str) -> tuple[str, int, bytes] | None:
        """Kind, version and body of a sealed event; None where another key or another place made it."""
        try:
            sealed = base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))
        except (binascii.Error, ValueError):
            return None
        tag, hidden = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        plain = _xor(hidden, self._stream(tag, len(hidden)))
        if not hmac.compare_digest(tag, self._tag(actor, ref, plain)):
            return None
        kind, version, body = msgspec.json.decode(plain, type=tuple[str, int, msgspec.Raw])
        return kind, version, bytes(body)

    def __repr__(self) -> str:
        """Without the key: a repr ends up in logs."""
        return "BoxKey(…)"

    def _tag(self, actor: str, ref: str, plain: bytes) -> bytes:
        place = msgspec.json.encode((actor, ref))
        return hmac.digest(self._tagging, len(place).to_bytes(4, "big") + place + plain, "sha256")[:_TAG_BYTES]

    def _stream(self, tag: bytes, length: int) -> bytes:
        blocks = range(-(-length // 32))
        return b"".join(hmac.digest(self._hiding, tag + n.to_bytes(4, "big"), "sha256") for n in blocks)[:length]


def largest(*events: Any) -> int:
    """The length of the longest of some events' bodies."""
    return max(len(msgspec.json.encode(event)) for event in events)


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
