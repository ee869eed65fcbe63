"""When the write-ahead log of a SQLite store is emptied into the store.

SQLite does that by itself within the commit that makes the log too long, and whoever waits for that commit waits for
the whole store to be synced: a hall that votes would see its chart stop for 50 ms every few seconds. So it is done
between commits, after everybody has been told, by the same thread: while it lasts the next appends gather.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress

WAL_PAGES = 4000
"""After so many pages (16 MB) the log is emptied. Where refs are random, a commit changes pages all over the index of
refs: emptied less often, the log gets the same page several times and the store gets it once."""

WAITING_WAL_PAGES = 2 * WAL_PAGES
"""After so many it is emptied also where somebody waits, if need be by SQLite within a commit."""

_PAGES_A_COMMIT = 4.0
_PAGES_A_ROW = 0.25
"""What a commit puts into the log, about: SQLite does not tell Python. Where it is more, the limit above holds."""


class WalEmptier:
    """Empties the log of one store, on the thread and through the connection that writes it."""

    def __init__(self) -> None:
        """Begin with an empty log."""
        self._pages = 0.0

    def committed(self, rows: int) -> None:
        """A commit has changed so many rows."""
        self._pages += _PAGES_A_COMMIT + rows * _PAGES_A_ROW

    def empty(self, db: sqlite3.Connection, *, is_awaited: bool) -> None:
        """Empty the log if it is long enough; what fails is tried again later, and readers hold nothing up.

        Args:
            db: The connection, between transactions.
            is_awaited: Whether somebody waits for the next commit already.
        """
        if self._pages >= (WAITING_WAL_PAGES if is_awaited else WAL_PAGES):
            self._pages = 0.0
            with suppress(sqlite3.Error):  # the next commit finds out what is wrong
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def empty_wal(db: sqlite3.Connection) -> bool:
    """Write all that is committed into the store itself and sync it; False if another program is in the way."""
    is_busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy
