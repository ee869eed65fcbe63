from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.eventlog.events import a_batch, a_record
from wslive.core.errors import StoreCorrupt
from wslive.eventlog.base import Checkpoint
from wslive.eventlog.sqlite import SqliteLog
from wslive.eventlog.sqlite_reads import check_end, checkpoint_of, events_of

EVENTS = 200


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with one long room."""
    log = await SqliteLog.open(tmp_path / "wslive.db")
    await log.create(a_record())
    head = await log.head("room-1")
    await log.append("room-1", head, a_batch(head, *map(str, range(EVENTS))))
    await log.close()
    return tmp_path / "wslive.db"


def spoil(store: Path, wanted: bytes, before: bytes, after: bytes) -> int:
    """Change a text on each page that has `wanted`, one page a store; how many pages there are is returned."""
    with closing(sqlite3.connect(store)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
    content = store.read_bytes()
    pages = [n for n in range(0, len(content), size) if wanted in content[n : n + size]]
    for number, page in enumerate(pages):
        spoiled = content[page : page + size].replace(before, after)
        store.with_name(f"{number}.db").write_bytes(content[:page] + spoiled + content[page + size :])
    return len(pages)


@pytest.mark.parametrize("other", [b"rqom-1", b"rZom-1"])
async def test_no_spoiled_page_makes_a_log_shorter_or_different(store: Path, other: bytes):
    pages = spoil(store, b"hello", b"room-1", other)
    assert pages > 5
    refused = 0
    for number in range(pages):
        log = await SqliteLog.open(store.with_name(f"{number}.db"))
        try:
            found = len(await log.read("room-1", 0, 1000))
        except StoreCorrupt:
            found = 0
        await log.close()
        assert found in (0, EVENTS)
        refused += not found
    assert refused >= 2


def test_the_end_is_looked_for_without_reading_a_row(store: Path):
    with closing(sqlite3.connect(store)) as db:
        assert len(events_of(db, "room-1", 0, 1000)) == EVENTS
        check_end(db, "room-1", EVENTS)
        check_end(db, "room-1", EVENTS + 5)  # somebody asks beyond it
        with pytest.raises(StoreCorrupt, match="Event 200 of room room-1"):
            check_end(db, "room-1", EVENTS - 1)
        query = "SELECT count(*) FROM events INDEXED BY sqlite_autoindex_events_2 WHERE room = 'room-1'"
        assert "COVERING INDEX" in str(db.execute(f"EXPLAIN QUERY PLAN {query}").fetchall())


async def read_all(store: Path) -> None:
    log = await SqliteLog.open(store)
    try:
        await log.rooms()
        await log.read("room-1", 0, 1000)
    finally:
        await log.close()


@pytest.mark.parametrize("text", [b"CREATE TABLE events", b"room-1"])
async def test_a_text_that_is_none_any_more_is_damage_and_no_traceback(store: Path, text: bytes):
    replace(store, text, b"\xbe" + text[1:])
    with pytest.raises(StoreCorrupt):
        await read_all(store)


def replace(store: Path, before: bytes, after: bytes) -> None:
    store.write_bytes(store.read_bytes().replace(before, after))


# ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def kept(store: Path) -> Path:
    """The store with a checkpoint of its room."""
    log = await SqliteLog.open(store)
    await log.keep("room-1", Checkpoint(await log.head("room-1"), b"rules", b"state"))
    assert await log.kept("room-1") is not None
    await log.close()
    return store


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE checkpoints SET body = x'00'",
        "UPDATE checkpoints SET rules = x'00'",
        "UPDATE checkpoints SET hash = x'00'",
        "UPDATE checkpoints SET offset = 7",
        "UPDATE checkpoints SET chain = x'00'",
        "UPDATE checkpoints SET room = 'room-2'",
        "UPDATE checkpoints SET offset = 7, chain = (SELECT chain FROM events WHERE offset = 7)",
        "UPDATE rooms SET epoch = 'e2'",
        "DELETE FROM events WHERE offset = 200",
        "UPDATE events SET chain = x'00' WHERE offset = 200",
        "UPDATE events SET body = x'00' WHERE offset = 3",
    ],
)
async def test_a_checkpoint_that_was_altered_or_whose_log_was_is_none(kept: Path, change: str):
    with closing(sqlite3.connect(kept, isolation_level=None)) as db:
        assert db.execute(change).rowcount == 1
    log = await SqliteLog.open(kept)
    assert await log.kept("room-1") is None
    assert await log.kept("room-2") is None
    await log.close()


async def test_that_a_checkpoint_is_damaged_is_told(kept: Path, caplog: pytest.LogCaptureFixture):
    with closing(sqlite3.connect(kept, isolation_level=None)) as db:
        db.execute("UPDATE checkpoints SET body = x'00'")
        assert checkpoint_of(db, "room-1") is None
    assert "the checkpoint of room room-1 is damaged" in caplog.text
