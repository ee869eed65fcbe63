"""What is erased from a SQLite store is in none of its files any more.

`secure_delete` overwrites a row where it stands. But it may stand elsewhere too:

    the write-ahead log   has the pages as they were; it is emptied into the store
    the store's pages     when SQLite splits a page, one half keeps the bytes of what has moved to the other; so the
                          store is written anew, by VACUUM

Both are done right after the commit that erased something. What cannot be done then (another program reads, the disk
has no space for it) is done later, and a note in the store, of the same commit, tells the next start to do it. A store
that is damaged is never written anew: that would put in order what tells of the damage.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from wslive.eventlog.sqlite_store import BUSY_TIMEOUT_S
from wslive.eventlog.sqlite_wal import empty_wal

logger = logging.getLogger("wslive.eventlog")

WAIT_S = 0.1
"""How long all rooms wait for another program that is in the way."""

AGAIN_S = 1.0
"""How long until the next try: not with each commit, all of which would wait."""

REST = 20
"""While a store is written anew all rooms wait, in a large one for seconds: so not again for so many times as long,
whether it could be done or not."""


class Cleaner:
    """Cleans one store, on the thread and through the connection that writes it.

    Attributes:
        is_due: Whether what the last process has left could not be done yet: `clean` has to be called soon.
    """

    def __init__(self, db: sqlite3.Connection, call_again: Callable[[], None]) -> None:
        """See what the last process has left to be done; `call_again` lets `clean` be called soon, on its thread."""
        self._call_again = call_again
        self._is_store_soiled = self._is_wal_soiled = (
            db.execute("SELECT 1 FROM meta WHERE key = 'soiled'").fetchone() is not None
        )
        self._is_damaged = False
        self._again_at_s = self._rests_until_s = float("-inf")
        self._timer: threading.Timer | None = None
        self.is_due = not self._clean(db)

    def soil(self, db: sqlite3.Connection) -> None:
        """Something is erased by the transaction that is open."""
        db.execute("INSERT OR REPLACE INTO meta VALUES ('soiled', 1)")
        self._is_store_soiled = self._is_wal_soiled = True

    def clean(self, db: sqlite3.Connection) -> None:
        """Clean what has to be, now or later."""
        if not self._clean(db) and self._timer is None:
            wait_s = max(AGAIN_S, self._rests_until_s - time.monotonic())
            self._timer = threading.Timer(wait_s, self._due)
            self._timer.daemon = True
            self._timer.start()

    def _due(self) -> None:
        self._timer = None
        self._call_again()

    def finish(self, db: sqlite3.Connection | None) -> None:
        """Clean what is left, if that is possible: the store is closed."""
        timer = self._timer
        if timer is not None:
            timer.cancel()
        self._again_at_s = self._rests_until_s = float("-inf")
        if db is not None:
            self._clean(db)

    def _clean(self, db: sqlite3.Connection) -> bool:
        """Whether everything was done that can be."""
        now_s = time.monotonic()
        if (self._is_store_soiled or self._is_wal_soiled) and now_s >= self._again_at_s:
            is_hindered = True
            with suppress(sqlite3.Error), _patience(db, WAIT_S):
                if self._is_store_soiled and not self._is_damaged and now_s >= self._rests_until_s:
                    self._write_anew(db)
                if self._is_wal_soiled:
                    self._is_wal_soiled = not empty_wal(db)
                if not self._is_store_soiled and not self._is_wal_soiled:
                    db.execute("DELETE FROM meta WHERE key = 'soiled'")
                is_hindered = self._is_wal_soiled
            if is_hindered:
                self._again_at_s = time.monotonic() + AGAIN_S
        return (self._is_damaged or not self._is_store_soiled) and not self._is_wal_soiled

    def _write_anew(self, db: sqlite3.Connection) -> None:
        began_s = time.monotonic()
        try:
            if db.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                self._is_damaged = True
                logger.error("the store is damaged, so what was erased may be left in it: see `wslive verify`")
                return
            db.execute("VACUUM")
            self._is_store_soiled, self._is_wal_soiled = False, True
        finally:
            ended_s = time.monotonic()
            self._rests_until_s = ended_s + REST * (ended_s - began_s)


@contextmanager
def _patience(db: sqlite3.Connection, wait_s: float) -> Iterator[None]:
    """Let other programs hold a connection up for so long."""
    db.execute(f"PRAGMA busy_timeout = {round(1000 * wait_s)}")
    try:
        yield
    finally:
        db.execute(f"PRAGMA busy_timeout = {round(1000 * BUSY_TIMEOUT_S)}")
