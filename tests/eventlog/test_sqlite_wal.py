"""When the write-ahead log is emptied, on real files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.eventlog.events import a_batch, a_record
from wslive.eventlog import sqlite_wal
from wslive.eventlog.sqlite import SqliteLog
from wslive.eventlog.sqlite_store import Store
from wslive.eventlog.sqlite_wal import WAITING_WAL_PAGES, WAL_PAGES, WalEmptier

ROWS_A_PAGE = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wslive.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    store = Store(path)
    with closing(store.connect(writing=True)) as db:
        yield db
    store.release()


def size(path: Path) -> int:
    return path.stat().st_size


def fill(db: sqlite3.Connection, what: str) -> None:
    """Put something into the log that is not in the store."""
    db.execute("INSERT INTO meta VALUES (?, zeroblob(20000))", (what,))


def test_a_short_log_is_left_alone(db: sqlite3.Connection, path: Path) -> None:
    emptier = WalEmptier()
    fill(db, "a")
    before = size(path)
    emptier.committed(1)
    emptier.empty(db, is_awaited=False)
    assert size(path) == before


def test_a_long_one_is_emptied_into_the_store_once(db: sqlite3.Connection, path: Path) -> None:
    emptier = WalEmptier()
    fill(db, "a")
    emptier.committed(ROWS_A_PAGE * WAL_PAGES)
    before = size(path)
    emptier.empty(db, is_awaited=False)
    emptied = size(path)
    assert emptied > before
    fill(db, "b")
    emptier.committed(1)
    emptier.empty(db, is_awaited=False)
    assert size(path) == emptied


def test_many_small_commits_make_it_long_too(db: sqlite3.Connection, path: Path) -> None:
    emptier = WalEmptier()
    fill(db, "a")
    before = size(path)
    for _ in range(WAL_PAGES // 4):
        emptier.committed(1)
    emptier.empty(db, is_awaited=False)
    assert size(path) > before


def test_where_somebody_waits_it_is_let_grow_further_but_not_for_ever(db: sqlite3.Connection, path: Path) -> None:
    emptier = WalEmptier()
    fill(db, "a")
    before = size(path)
    emptier.committed(ROWS_A_PAGE * WAL_PAGES)
    emptier.empty(db, is_awaited=True)
    assert size(path) == before
    emptier.committed(ROWS_A_PAGE * (WAITING_WAL_PAGES - WAL_PAGES))
    emptier.empty(db, is_awaited=True)
    assert size(path) > before


def test_it_waits_for_no_reader_and_is_stopped_by_no_error(db: sqlite3.Connection, path: Path) -> None:
    emptier = WalEmptier()
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM rooms").fetchone() == (0,)
        fill(db, "a")
        emptier.committed(ROWS_A_PAGE * WAL_PAGES)
        emptier.empty(db, is_awaited=False)
        fill(db, "b")
    db.close()
    emptier.committed(ROWS_A_PAGE * WAL_PAGES)
    emptier.empty(db, is_awaited=False)  # the connection is gone


async def test_a_log_empties_it_between_commits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_wal, "WAL_PAGES", 10)
    log = await SqliteLog.open(path)
    await log.create(a_record())
    before = size(path)
    head = await log.head("room-1")
    for number in range(5):
        head = await log.append("room-1", head, a_batch(head, *(f"{number}-{i}" for i in range(100))))
    await log.probe()  # the same thread, after what came before it
    assert size(path) > before
    await log.close()
