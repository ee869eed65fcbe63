"""An event log in a SQLite file.

Theory of operation. Two threads, each with a connection of its own:

    writer   takes all appends (of whatever rooms) that wait and stores them in one transaction: BEGIN, the appends,
             COMMIT, one sync of the disk. Meanwhile the next ones gather. Nobody hears of an append, not even of a
             conflict, before the COMMIT it was in has returned. Where one fails by its own fault, all begin again,
             each in a savepoint: with savepoints from the start, SQLite would copy every page before changing it.
             Between commits it empties the write-ahead log (see `sqlite_wal`).
    reader   answers everything else from the last committed state. In WAL mode readers and the writer do not wait for
             each other, so `find` never stands behind a sync.

What can go wrong, and what is then known:

    before COMMIT       the transaction is rolled back: `NotAppended`, certain.
    COMMIT: full, busy  the end of the transaction did not get into the write-ahead log: `NotAppended`, certain.
    COMMIT: all else    the disk may keep what it was given, and after a crash SQLite would take it for committed:
                        `InDoubt`. The connection is opened anew and the write-ahead log emptied into the store, which
                        makes true whatever is then seen. Until that has succeeded nothing is read, so nobody can
                        compare a head that may still change. Each call tries it again.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

import msgspec

from wslive.core.errors import AppendConflict, InDoubt, LogError, NotAppended, StoreUnwritable
from wslive.core.events import CHAIN_START, Event, Head, head_after
from wslive.eventlog.base import GONE_ON, Checkpoint, CodeTaken, RoomRecord, check_batch
from wslive.eventlog.sqlite_cleaner import Cleaner
from wslive.eventlog.sqlite_reads import EVENT, check_end, checkpoint_of, events_of
from wslive.eventlog.sqlite_store import Store
from wslive.eventlog.sqlite_threads import Outcome, ResultT, Work, Worker
from wslive.eventlog.sqlite_wal import WalEmptier, empty_wal

_ROW = f"(?1, {', '.join('?' * len(Event.__struct_fields__))})"  # the room is given once for all rows
# So that the statements of all sizes fit into the module's cache of 128.
_ROWS_A_STATEMENT = 100
_RECORD = ", ".join(RoomRecord.__struct_fields__)
# About what the caller gave, not about the store.
_CALLERS_FAULT = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError)
_CERTAIN_AT_COMMIT = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)


class SqliteLog:
    """Keeps rooms in one file. Made by `open`."""

    def __init__(self, store: Store) -> None:
        """Start the threads. Blocks; raises sqlite3.Error."""
        self._store = store
        self._db: sqlite3.Connection | None = store.connect(writing=True)
        try:
            self._cleaner = Cleaner(self._db, lambda: self._writer.nudge())
            self._reading = store.connect(writing=False)
        except BaseException:
            self._db.close()
            raise
        self._wal = WalEmptier()
        self._writer = Worker("wslive-log-writer", self._write_batch, self._empty_wal)
        self._reader = Worker("wslive-log-reader", self._read_batch)
        if self._cleaner.is_due:
            self._writer.nudge()

    @classmethod
    async def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open the store at `path`; it is made if nothing is there.

        Raises:
            StoreInUse: Another process holds it.
            StoreUnwritable: It cannot be created or written.
            StoreOnNetwork: It lies on a network file system.
            StoreTooNew: A newer version of wslive wrote it.
            StoreCorrupt: It is damaged, or no store of wslive.
        """
        return await asyncio.to_thread(cls._open, path)

    @classmethod
    def _open(cls, path: str | os.PathLike[str]) -> Self:
        store = Store(path)
        try:
            return cls(store)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            store.release()
            raise store.error(error) from None

    async def create(self, record: RoomRecord) -> None:
        """See `EventLog`."""

        def work(db: sqlite3.Connection) -> None:
            if db.execute("SELECT 1 FROM rooms WHERE code = ?", (record.code,)).fetchone():
                raise CodeTaken(record.code)
            try:
                db.execute(f"INSERT INTO rooms ({_RECORD}) VALUES (?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(record))
            except sqlite3.IntegrityError:
                raise NotAppended(f"There is a room {record.room} already.") from None

        await self._writer.run(work)

    async def rooms(self) -> list[RoomRecord]:
        """See `EventLog`."""

        def work(db: sqlite3.Connection) -> list[RoomRecord]:
            rows = db.execute(f"SELECT {_RECORD} FROM rooms ORDER BY created_at_ms, room")
            return [RoomRecord(*row) for row in rows]

        return await self._read(work)

    async def record(self, code: str) -> RoomRecord | None:
        """See `EventLog`."""

        def work(db: sqlite3.Connection) -> RoomRecord | None:
            row = db.execute(f"SELECT {_RECORD} FROM rooms WHERE code = ?", (code,)).fetchone()
            return None if row is None else RoomRecord(*row)

        return await self._read(work)

    async def end(self, room: str, ended_at_ms: int) -> None:
        """See `EventLog`."""

        def work(db: sqlite3.Connection) -> None:
            if not db.execute("UPDATE rooms SET ended_at_ms = ? WHERE room = ?", (ended_at_ms, room)).rowcount:
                raise KeyError(room)

        await self._writer.run(work)

    async def delete(self, room: str) -> None:
        """See `EventLog`. Of its bytes nothing is left in the files."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM events WHERE room = ?", (room,))
            db.execute("DELETE FROM rooms WHERE room = ?", (room,))
            self._cleaner.soil(db)

        await self._writer.run(work)

    async def head(self, room: str) -> Head:
        """See `EventLog`."""
        return await self._read(lambda db: _head(db, room))

    async def append(self, room: str, expected: Head, events: Sequence[Event], erase: Sequence[int] = ()) -> Head:
        """See `EventLog`. Of the bytes of what is erased nothing is left in the files."""
        check_batch(expected, events)

        def work(db: sqlite3.Connection) -> Head:
            head = _head(db, room)
            if head != expected:
                raise _conflict(db, room, head, expected)
            try:
                for start in range(0, len(events), _ROWS_A_STATEMENT):
                    _insert(db, room, events[start : start + _ROWS_A_STATEMENT])
            except sqlite3.IntegrityError:
                raise NotAppended("A ref of the batch is in the log already; ask `find` first.") from None
            if erase:
                self._cleaner.soil(db)
                rows = [(room, offset) for offset in erase]
                db.executemany("UPDATE events SET body = x'' WHERE room = ? AND offset = ?", rows)
            return head_after(expected, events[-1]) if events else expected

        return await self._writer.run(work)

    async def read(self, room: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """See `EventLog`."""

        def work(db: sqlite3.Connection) -> list[Event]:
            db.execute("BEGIN")  # one state for both questions
            try:
                events = events_of(db, room, after, limit)
                if len(events) < limit:
                    check_end(db, room, after + len(events))
                return events
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

        return await self._read(work)

    async def find(self, room: str, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """See `EventLog`."""

        def work(db: sqlite3.Connection) -> dict[tuple[str, str], int]:
            # One statement for all: half the time of one each, and none of it holds up other threads.
            rows = db.execute(
                "SELECT actor, ref, offset FROM json_each(?) AS wanted CROSS JOIN events WHERE room = ? "
                "AND actor = json_extract(wanted.value, '$[0]') AND ref = json_extract(wanted.value, '$[1]')",
                (msgspec.json.encode(refs).decode(), room),
            )
            return {(actor, ref): offset for actor, ref, offset in rows}

        return await self._read(work)

    async def keep(self, room: str, checkpoint: Checkpoint) -> None:
        """See `EventLog`."""
        head, row = checkpoint.head, (checkpoint.rules, checkpoint.body, checkpoint.hash(room))

        def work(db: sqlite3.Connection) -> None:
            try:
                is_end = _head(db, room) == head
            except KeyError:
                is_end = False
            if not is_end:
                raise NotAppended(GONE_ON)
            values = (room, head.epoch, head.offset, head.chain, *row)
            db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)", values)

        await self._writer.run(work)

    async def kept(self, room: str) -> Checkpoint | None:
        """See `EventLog`."""
        return await self._read(lambda db: checkpoint_of(db, room))

    async def probe(self) -> None:
        """See `EventLog`."""
        await self._writer.run(
            lambda db: db.execute("INSERT OR REPLACE INTO meta VALUES ('probed_at_ms', ?)", (time.time_ns() // 10**6,))
        )

    async def close(self) -> None:
        """See `EventLog`. Calls after it fail with a `LogError`."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.stop()
        self._reader.stop()
        self._cleaner.finish(self._db)
        # The last connection to go empties the write-ahead log into the store: one file is left to copy.
        for db in (self._reading, self._db):
            with suppress(sqlite3.Error):
                if db is not None:
                    db.close()
        self._db = None
        self._store.release()

    # ── on the reader's thread ────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, work: Work[ResultT]) -> ResultT:
        if self._db is None:  # in doubt: what is seen now might still change
            try:
                await self._writer.run(lambda db: None)
            except NotAppended as error:
                raise StoreUnwritable(str(error)) from None
        return await self._reader.run(work)

    def _read_batch(self, works: list[Work[Any]]) -> list[Outcome]:
        return [self._read_one(work) for work in works]

    def _read_one(self, work: Work[Any]) -> Outcome:
        try:
            return Outcome(work(self._reading))
        except (sqlite3.Error, UnicodeDecodeError) as error:
            return Outcome(error=self._store.error(error))
        except Exception as error:
            return Outcome(error=error)

    # ── on the writer's thread ────────────────────────────────────────────────────────────────────────────────────

    def _write_batch(self, works: list[Work[Any]]) -> list[Outcome]:
        try:
            db = self._writable()
            rows_before = db.total_changes
            outcomes = _do_all(db, works)
        except (sqlite3.Error, LogError) as error:
            self._abandon()
            return [Outcome(error=NotAppended(f"Nothing was stored: {error}")) for _ in works]
        try:
            self._commit(db)
        except sqlite3.Error as error:
            is_certain = getattr(error, "sqlite_errorcode", 0) & 0xFF in _CERTAIN_AT_COMMIT
            self._abandon(reopen=not is_certain)
            kind = NotAppended if is_certain else InDoubt
            return [Outcome(error=kind(f"The store {self._store.path} did not commit: {error}")) for _ in works]
        self._wal.committed(db.total_changes - rows_before)
        self._cleaner.clean(db)
        return outcomes

    def _empty_wal(self, is_awaited: bool) -> None:
        if self._db is not None:
            self._wal.empty(self._db, is_awaited=is_awaited)

    def _commit(self, db: sqlite3.Connection) -> None:
        """The moment from which a batch counts (tests let it fail)."""
        db.execute("COMMIT")

    def _writable(self) -> sqlite3.Connection:
        if self._db is None:
            try:
                db = self._store.connect(writing=True)
                try:
                    is_empty = empty_wal(db)
                except BaseException:
                    db.close()
                    raise
            except sqlite3.Error as error:
                raise self._store.error(error) from None
            if not is_empty:
                db.close()
                raise StoreUnwritable(f"The store {self._store.path} is held by another program; close that.")
            self._db = db
        return self._db

    def _abandon(self, *, reopen: bool = False) -> None:
        db = self._db
        if db is None:
            return
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except sqlite3.Error:
            reopen = True
        if reopen:
            self._db = None
            with suppress(sqlite3.Error):
                db.close()
            with suppress(LogError):  # the next call tries again
                self._writable()


def _do_all(db: sqlite3.Connection, works: list[Work[Any]]) -> list[Outcome]:
    """Do the jobs of a batch in one transaction, which is left open."""
    db.execute("BEGIN IMMEDIATE")
    try:
        return [Outcome(work(db)) for work in works]
    except Exception as error:
        if _is_stores_fault(error):
            raise
    db.execute("ROLLBACK")
    db.execute("BEGIN IMMEDIATE")
    return [_in_savepoint(db, work) for work in works]


def _in_savepoint(db: sqlite3.Connection, work: Work[Any]) -> Outcome:
    """Do one job of a batch; if it fails by its own fault, the others are not concerned."""
    db.execute("SAVEPOINT job")
    try:
        outcome = Outcome(work(db))
    except Exception as error:
        if _is_stores_fault(error):
            raise
        db.execute("ROLLBACK TO job")
        outcome = Outcome(error=error)
    db.execute("RELEASE job")
    return outcome


def _is_stores_fault(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and not isinstance(error, _CALLERS_FAULT)


def _head(db: sqlite3.Connection, room: str) -> Head:
    found = db.execute("SELECT epoch FROM rooms WHERE room = ?", (room,)).fetchone()
    if found is None:
        raise KeyError(room)
    last = db.execute("SELECT offset, chain FROM events WHERE room = ? ORDER BY offset DESC LIMIT 1", (room,))
    return Head(found[0], *(last.fetchone() or (0, CHAIN_START)))


def _insert(db: sqlite3.Connection, room: str, events: Sequence[Event]) -> None:
    """Store rows by one statement: to start and end one for each row costs more, and two turns at Python's lock.

    OR FAIL leaves the rows before a bad one, which does not matter, for whoever called rolls all of it back. To take
    them back by itself, SQLite would copy every page before changing it, as for a savepoint.

    Bytes go as `bytearray`: Python's module knows what to do with numbers, texts and these, and for all else, `bytes`
    too, it first looks for an adapter. It finds none by way of an exception, three times a row.
    """
    rows = ", ".join([_ROW] * len(events))
    values: list[Any] = [room]
    for event in events:
        *others, body, body_hash, chain = msgspec.structs.astuple(event)
        values += others
        values += (bytearray(body), bytearray(body_hash), bytearray(chain))
    db.execute(f"INSERT OR FAIL INTO events (room, {EVENT}) VALUES {rows}", values)


def _conflict(db: sqlite3.Connection, room: str, head: Head, expected: Head) -> NotAppended:
    if expected.epoch == head.epoch and expected.offset < head.offset:
        before = db.execute(
            "SELECT chain FROM events WHERE room = ? AND offset = ?", (room, expected.offset)
        ).fetchone()
        if expected.chain == (before[0] if before else CHAIN_START):
            return AppendConflict(events_of(db, room, expected.offset, head.offset - expected.offset))
    return NotAppended(f"The log of room {room} is another one than expected; fold it again.")
