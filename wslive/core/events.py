"""Events (what has happened) and positions (how far a reader has come).

A position is (epoch, offset, chain). The offset counts a room's events from 1. The epoch names one life of the
log: without it, a log that was lost and reached the same offset again would hide what differs. The chain is the
head of a hash chain over the events: without it, a log restored from a backup would look like a continuation.

The chain runs over the hash of a body, not over the body, so a body can be erased and the chain still verifies.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

import msgspec

CHAIN_START = b"\0" * 32
"""The chain before the first event."""

_encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct, frozen=True, gc=False):
    """One fact in a room's log.

    Attributes:
        offset: Its number in the room, from 1, without gaps.
        at_ms: Wall-clock time of acceptance in milliseconds since 1970, UTC.
        actor: Who did it.
        ref: The command's name, chosen by the actor: (room, actor, ref) is unique for ever.
        activity: The activity's id (the offset of its opening event); 0 is the room itself.
        kind: What happened, in the past tense.
        version: The version of the body's shape, per kind.
        body: JSON; b"" where it was erased.
        body_hash: SHA-256 of the body as it was stored first.
        chain: SHA-256 over the chain before and everything above but the body.
    """

    offset: int
    at_ms: int
    actor: str
    ref: str
    activity: int
    kind: str
    version: int
    body: bytes
    body_hash: bytes
    chain: bytes


class Position(msgspec.Struct, frozen=True):
    """How far a reader has come: `chain` is the first 8 bytes of the chain hash at `offset`, in hexadecimal."""

    epoch: str
    offset: int
    chain: str


class Head(msgspec.Struct, frozen=True):
    """The end of a log: the position with the whole chain hash."""

    epoch: str
    offset: int = 0
    chain: bytes = CHAIN_START

    @property
    def position(self) -> Position:
        """The position that readers are told."""
        return Position(self.epoch, self.offset, self.chain[:8].hex())


class End(Protocol):
    """Whatever knows where a log ends: a `Head`, or a room."""

    @property
    def offset(self) -> int:
        """That of the last event."""
        ...

    @property
    def chain(self) -> bytes:
        """The whole chain hash there."""
        ...


def next_event(
    end: End,
    *,
    at_ms: int,
    actor: str,
    ref: str,
    activity: int,
    kind: str,
    version: int,
    body: bytes,
    hashes: dict[bytes, bytes] | None = None,
) -> Event:
    """Make the event that follows `end`, with its place in the chain.

    Of bodies that are in `hashes` the hash is taken from there; the others are added.
    """
    offset = end.offset + 1
    body_hash = None if hashes is None else hashes.get(body)
    if body_hash is None:
        body_hash = sha256(body).digest()
        if hashes is not None:
            hashes[body] = body_hash
    chain = chain_hash(end.chain, offset, at_ms, actor, ref, activity, kind, version, body_hash)
    return Event(offset, at_ms, actor, ref, activity, kind, version, body, body_hash, chain)


def chain_hash(
    before: bytes,
    offset: int,
    at_ms: int,
    actor: str,
    ref: str,
    activity: int,
    kind: str,
    version: int,
    body_hash: bytes,
) -> bytes:
    """SHA-256 over the chain before, a JSON array of the event's fields, and the hash of its body.

    JSON separates the fields unambiguously: no actor or ref can be chosen so that two events hash alike.
    """
    fields = _encode((offset, at_ms, actor, ref, activity, kind, version))
    return sha256(before + fields + body_hash).digest()


def chain_after(before: bytes, event: Event) -> bytes:
    """The chain that `event` must have where the chain before it is `before`; its body's hash is taken as it stands."""
    return chain_hash(
        before,
        event.offset,
        event.at_ms,
        event.actor,
        event.ref,
        event.activity,
        event.kind,
        event.version,
        event.body_hash,
    )


def follows(head: Head, event: Event) -> bool:
    """Whether `event` is the next one after `head`, with an unbroken chain."""
    return event.offset == head.offset + 1 and event.chain == chain_after(head.chain, event)


def head_after(head: Head, event: Event) -> Head:
    """The head once `event` is appended."""
    return Head(head.epoch, event.offset, event.chain)
