"""Events read from a SQLite store, and never believed: SQLite has no checksums of its own."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from hashlib import sha256

from wslive.core.errors import StoreCorrupt
from wslive.core.events import CHAIN_START, Event, Head, chain_after
from wslive.eventlog.base import Checkpoint

logger = logging.getLogger("wslive.eventlog")

EVENT = ", ".join(Event.__struct_fields__)
"""The columns of an event, in its own order."""


def events_of(db: sqlite3.Connection, room: str, after: int, limit: int) -> list[Event]:
    """Read and verify: an event that is missing or was altered must never be counted or passed over."""
    # With the event before, whose chain the first one continues.
    rows = db.execute(
        f"SELECT {EVENT} FROM events WHERE room = ? AND offset >= ? ORDER BY offset LIMIT ?",
        (room, after, limit + bool(after)),
    ).fetchall()
    chain = CHAIN_START
    if after and rows and rows[0][0] == after:
        chain = Event(*rows.pop(0)).chain
    events = [Event(*row) for row in rows]
    sound = _how_many_are_sound(after, chain, events)
    if sound < len(events):
        raise _damaged(room, after + sound + 1)
    return events


def check_end(db: sqlite3.Connection, room: str, end: int) -> None:
    """See that a log ends where it seems to: SQLite has no checksums, and a spoiled page may hide all that follows.

    The index that keeps refs apart lies on other pages and has an entry for every event. To count these reads no row.
    """
    query = "SELECT count(*) FROM events INDEXED BY sqlite_autoindex_events_2 WHERE room = ?"
    (count,) = db.execute(query, (room,)).fetchone()
    if count > end:
        raise _damaged(room, end + 1)


def checkpoint_of(db: sqlite3.Connection, room: str) -> Checkpoint | None:
    """The checkpoint of a room, if it is whole and the log leads through its head."""
    found = db.execute(
        "SELECT kept.epoch, kept.offset, kept.chain, rules, kept.body, hash FROM checkpoints AS kept "
        "JOIN rooms USING (room, epoch) JOIN events USING (room, offset, chain) WHERE room = ?",
        (room,),
    ).fetchone()
    if found is None:
        return None
    epoch, offset, chain, rules, body, hash = found
    checkpoint = Checkpoint(Head(epoch, offset, chain), rules, body)
    if checkpoint.hash(room) != hash:
        logger.warning("the checkpoint of room %s is damaged; all of its log is read", room)
        return None
    return checkpoint


def _damaged(room: str, offset: int) -> StoreCorrupt:
    return StoreCorrupt(
        f"Event {offset} of room {room} is missing or was altered. Restore the store from a backup; "
        "what was acknowledged after it cannot be trusted here."
    )


def _how_many_are_sound(after: int, chain: bytes, events: Sequence[Event]) -> int:
    """How many of these events follow each other, the first the one at `after` with this chain, as they were written.

    `core.events.follows` says the same of one event; opening a room asks it of all it has, so here it is one loop, and
    a body that comes again (a thousand votes for the same option) is hashed once.
    """
    offset = after
    hashes: dict[bytes, bytes] = {}
    try:
        for event in events:
            body = event.body
            chain = chain_after(chain, event)
            found = hashes.get(body)
            if found is None:
                found = hashes[body] = sha256(body).digest()
            is_whole = found == event.body_hash or body == b""  # which was erased
            if event.offset != offset + 1 or event.chain != chain or not is_whole:
                break
            offset += 1
    except TypeError:  # a column of another type, from an edit by hand
        pass
    return offset - after
