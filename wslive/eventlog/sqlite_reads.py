"""Events read from a SQLite store, and never believed: SQLite has no checksums of its own."""

from __future__ import annotations

import hashlib
import sqlite3

from wslive.core.errors import StoreCorrupt
from wslive.core.events import Event, Head, follows, head_after

EVENT = ", ".join(Event.__struct_fields__)
"""The columns of an event, in its own order."""


def events_of(db: sqlite3.Connection, room: str, after: int, limit: int) -> list[Event]:
    """Read and verify: an event that is missing or was altered must never be counted or passed over."""
    # With the event before, whose chain the first one continues.
    rows = db.execute(
        f"SELECT {EVENT} FROM events WHERE room = ? AND offset >= ? ORDER BY offset LIMIT ?",
        (room, after, limit + bool(after)),
    ).fetchall()
    before = Head("", after)
    if after and rows and rows[0][0] == after:
        before = head_after(before, Event(*rows.pop(0)))
    events = []
    for row in rows:
        event = Event(*row)
        if not _is_sound(before, event):
            raise _damaged(room, before.offset + 1)
        before = head_after(before, event)
        events.append(event)
    return events


def check_end(db: sqlite3.Connection, room: str, end: int) -> None:
    """See that a log ends where it seems to: SQLite has no checksums, and a spoiled page may hide all that follows.

    The index that keeps refs apart lies on other pages and has an entry for every event. To count these reads no row.
    """
    query = "SELECT count(*) FROM events INDEXED BY sqlite_autoindex_events_2 WHERE room = ?"
    (count,) = db.execute(query, (room,)).fetchone()
    if count > end:
        raise _damaged(room, end + 1)


def _damaged(room: str, offset: int) -> StoreCorrupt:
    return StoreCorrupt(
        f"Event {offset} of room {room} is missing or was altered. Restore the store from a backup; "
        "what was acknowledged after it cannot be trusted here."
    )


def _is_sound(before: Head, event: Event) -> bool:
    try:
        is_erased = event.body == b""
        return follows(before, event) and (is_erased or hashlib.sha256(event.body).digest() == event.body_hash)
    except TypeError:  # a column of another type, from an edit by hand
        return False
