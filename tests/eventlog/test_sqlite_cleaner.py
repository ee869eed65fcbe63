"""No file of a store holds what was erased."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import threading
from collections import defaultdict
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.eventlog.events import a_batch, a_record
from tests.eventlog.test_sqlite_reads import spoil
from wslive.core.events import Head
from wslive.eventlog.base import Checkpoint
from wslive.eventlog.sqlite import SqliteLog
from wslive.eventlog.sqlite_cleaner import Cleaner

SEED = 4
ROOMS = ("room-1", "room-2", "room-3")


def left(folder: Path, texts: list[str]) -> list[str]:
    """Those texts that are in any file of a folder."""
    files = b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())
    return [text for text in texts if text.encode() in files]


async def written(log: SqliteLog) -> tuple[dict[str, Head], dict[str, dict[int, str]]]:
    """Rooms that were written in turns, so that pages were split between them: their heads, and texts by offset."""
    chance = random.Random(SEED)
    heads: dict[str, Head] = {}
    texts: dict[str, dict[int, str]] = defaultdict(dict)
    for number, room in enumerate(ROOMS):
        await log.create(a_record(room, f"CODE{number}"))
        heads[room] = await log.head(room)
    for number in range(600):
        room = chance.choice(ROOMS)
        text = f"[{number} {chance.randbytes(8).hex()}]"
        body = text.encode() + b"." * chance.randrange(400)
        batch = a_batch(heads[room], f"r{number}", body=body)
        heads[room] = await log.append(room, heads[room], batch)
        texts[room][batch[0].offset] = text
    return heads, texts


async def test_of_what_was_erased_or_deleted_no_copy_is_left_on_any_page(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path / "wslive.db")
    heads, texts = await written(log)
    erased, *others = ROOMS
    offsets = list(texts[erased])[::2]
    await log.append(erased, heads[erased], a_batch(heads[erased], "erasing"), offsets)
    assert left(tmp_path, [texts[erased][offset] for offset in offsets]) == []
    kept = [text for offset, text in texts[erased].items() if offset not in offsets]
    assert left(tmp_path, kept) == kept
    await log.delete(others[0])
    await log.close()
    assert left(tmp_path, list(texts[others[0]].values())) == []
    assert left(tmp_path, [*kept, *texts[others[1]].values()]) == [*kept, *texts[others[1]].values()]


class KilledLog(SqliteLog):
    """Copies its files where a kill would have left them: after the commit, before anything else."""

    def _commit(self, db: sqlite3.Connection) -> None:
        super()._commit(db)
        killed = self._store.path.parent / "killed"
        shutil.rmtree(killed, ignore_errors=True)
        shutil.copytree(self._store.path.parent, killed, ignore=shutil.ignore_patterns("killed", "*.lock", "*-shm"))


async def test_a_server_that_was_killed_after_erasing_cleans_at_its_next_start(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path / "wslive.db")
    heads, texts = await written(log)
    await log.close()
    room = ROOMS[0]
    erased = list(texts[room].values())
    killed = await KilledLog.open(tmp_path / "wslive.db")
    await killed.append(room, heads[room], a_batch(heads[room], "erasing"), list(texts[room]))
    await killed.close()
    assert left(tmp_path / "killed", erased) != []
    again = await SqliteLog.open(tmp_path / "killed" / "wslive.db")
    assert left(tmp_path / "killed", erased) == []
    await again.close()


def watch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a cleaning has left nothing of a text in a folder; tries follow each other at once."""
    cleaned = threading.Event()
    clean = Cleaner.clean

    def tell(self: Cleaner, db: sqlite3.Connection) -> None:
        clean(self, db)
        if not left(folder, ["nobody may read this"]):
            cleaned.set()

    monkeypatch.setattr("wslive.eventlog.sqlite_cleaner.AGAIN_S", 0.01)
    monkeypatch.setattr(Cleaner, "clean", tell)
    return cleaned


async def test_while_somebody_reads_the_files_are_cleaned_as_soon_as_they_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await SqliteLog.open(tmp_path / "wslive.db")
    await log.create(a_record())
    head = await log.append("room-1", Head("e1"), a_batch(Head("e1"), "a", body=b"nobody may read this"))
    cleaned = watch(tmp_path, monkeypatch)
    with closing(sqlite3.connect(tmp_path / "wslive.db", isolation_level=None)) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM events").fetchone()
        await log.append("room-1", head, a_batch(head, "b"), [1])
        assert not cleaned.is_set()
    assert await asyncio.to_thread(cleaned.wait, 60)  # nobody appends anything
    await log.close()


async def test_what_a_start_cannot_clean_is_cleaned_soon_though_nobody_appends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = await KilledLog.open(tmp_path / "wslive.db")
    await killed.create(a_record())
    head = await killed.append("room-1", Head("e1"), a_batch(Head("e1"), "a", body=b"nobody may read this"))
    await killed.append("room-1", head, a_batch(head, "b"), [1])
    await killed.close()
    folder = tmp_path / "killed"
    cleaned = watch(folder, monkeypatch)
    with closing(sqlite3.connect(folder / "wslive.db", isolation_level=None)) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM events").fetchone()
        log = await SqliteLog.open(folder / "wslive.db")
        assert not cleaned.is_set()
    assert await asyncio.to_thread(cleaned.wait, 60)
    await log.close()


@pytest.mark.parametrize("theirs", ["BEGIN", "BEGIN IMMEDIATE"])
def test_whoever_is_in_the_way_is_not_waited_for_with_each_commit(
    theirs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wslive.eventlog.sqlite_cleaner.AGAIN_S", 3600.0)
    connect = partial(sqlite3.connect, tmp_path / "wslive.db", isolation_level=None)
    said: list[str] = []
    with closing(connect()) as db, closing(connect()) as other:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value)")
        cleaner = Cleaner(db, lambda: None)
        db.execute("BEGIN")
        cleaner.soil(db)
        db.execute("COMMIT")
        other.execute(theirs)
        other.execute("SELECT count(*) FROM meta").fetchone()
        db.set_trace_callback(said.append)
        for _ in range(10):
            cleaner.clean(db)
        assert sum("VACUUM" in text or "wal_checkpoint" in text for text in said) in (1, 2), said
        assert sum("integrity_check" in text for text in said) == 1
        other.execute("ROLLBACK")
        cleaner.finish(db)
        assert db.execute("SELECT count(*) FROM meta").fetchone() == (0,)


async def test_a_damaged_store_is_not_put_in_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "wslive.db"
    log = await SqliteLog.open(path)
    await log.create(a_record())
    await log.append("room-1", Head("e1"), a_batch(Head("e1"), *map(str, range(200))))
    await log.close()
    assert spoil(path, b"hello", b"room-1", b"rqom-1") > 5
    damaged = await SqliteLog.open(tmp_path / "3.db")
    await damaged.create(a_record("room-9", "CODE9"))
    await damaged.delete("room-9")
    await damaged.create(a_record("room-8", "CODE8"))
    await damaged.close()
    assert caplog.text.count("the store is damaged") == 1  # it is not looked for again with every batch
    with closing(sqlite3.connect(tmp_path / "3.db")) as db:
        assert "missing from index" in str(db.execute("PRAGMA integrity_check").fetchall())


async def test_of_a_checkpoint_nothing_is_left_once_something_in_its_room_was_erased(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path / "wslive.db")
    heads, _ = await written(log)
    texts = {room: [f"<begin {room}>", f"<end {room}>"] for room in ROOMS}
    for room, (begin, end) in texts.items():
        await log.keep(room, Checkpoint(heads[room], b"rules", f"{begin}{'.' * 50_000}{end}".encode()))
    head, (begin, end) = heads["room-1"], texts["room-1"]
    for size in (20_000, 70_000, 3_000):  # each of them in the place of the one before
        head = await log.append("room-1", head, a_batch(head, f"later-{size}"))
        await log.keep("room-1", Checkpoint(head, b"rules", f"{begin}{'.' * size}{end}".encode()))
    everything = [text for both in texts.values() for text in both]
    assert left(tmp_path, everything) == everything
    await log.append("room-1", head, a_batch(head, "erasing"), [1])
    assert left(tmp_path, everything) == [*texts["room-2"], *texts["room-3"]]
    await log.delete("room-2")
    await log.close()
    assert left(tmp_path, everything) == texts["room-3"]
