from __future__ import annotations

import asyncio
import errno
import os
import stat
from pathlib import Path

import pytest

from tests.audit.stores import alter, stored
from tests.eventlog.events import a_batch, a_record
from tests.recorded import a_lecture
from wslive.audit.backup import back_up, key_of
from wslive.audit.store import verify
from wslive.core.errors import StoreCorrupt, StoreUnwritable
from wslive.eventlog.sqlite import SqliteLog

KEY = bytes(range(32))


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with a room in which everything has happened, and its key."""
    path = await stored(a_lecture(), tmp_path / "wslive.db")
    key_of(path).write_bytes(KEY)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_copy_is_whole_sound_and_for_its_owner_alone(store: Path, tmp_path: Path):
    folder = tmp_path / "backups"
    folder.mkdir()
    target = folder / "monday.db"
    report = back_up(store, target)
    assert report.is_sound
    assert report.rooms[0].head == verify(store).rooms[0].head == a_lecture().room.head.position.chain
    assert key_of(target).read_bytes() == KEY
    assert {path.name: mode(path) for path in folder.iterdir()} == {"monday.db": 0o600, "monday.db.key": 0o600}


@pytest.mark.parametrize("there", ["copy.db", "copy.db.key"])
def test_nothing_is_overwritten(store: Path, tmp_path: Path, there: str):
    (tmp_path / there).write_text("somebody's")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(StoreUnwritable, match="is there already"):
        back_up(store, tmp_path / "copy.db")
    assert (tmp_path / there).read_text() == "somebody's"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a memory stick."""

    def link(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)


def test_a_file_system_without_links_takes_a_copy_too(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_links(monkeypatch)
    folder = tmp_path / "stick"
    folder.mkdir()
    assert back_up(store, folder / "monday.db").is_sound
    assert verify(folder / "monday.db").is_sound
    assert {path.name: mode(path) for path in folder.iterdir()} == {"monday.db": 0o600, "monday.db.key": 0o600}


def test_a_copy_that_did_not_get_its_name_leaves_nothing(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "backups"
    folder.mkdir()

    def comes_first(source: Path, target: Path) -> None:
        Path(target).write_text("somebody's")
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", comes_first)
    with pytest.raises(StoreUnwritable, match="File exists"):
        back_up(store, folder / "monday.db")
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("monday.db", "somebody's")]


def test_a_folder_that_is_not_there_is_told_and_nothing_is_left(store: Path, tmp_path: Path):
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(StoreUnwritable, match="could not be made"):
        back_up(store, tmp_path / "nowhere" / "copy.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_store_that_is_not_there_leaves_nothing(tmp_path: Path):
    with pytest.raises(StoreUnwritable, match="There is no store"):
        back_up(tmp_path / "none.db", tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_gives_a_copy_that_says_so(store: Path, tmp_path: Path):
    alter(store, "UPDATE events SET body = x'7b7d' WHERE offset = 6")
    assert not back_up(store, tmp_path / "copy.db").is_sound
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at as if it were one" * 20)
    with pytest.raises(StoreCorrupt, match="is no database"):
        back_up(tmp_path / "text.db", tmp_path / "copy2.db")
    assert not (tmp_path / "copy2.db").exists()


async def test_a_copy_of_a_store_in_use_is_one_state_that_was_committed(tmp_path: Path):
    path = tmp_path / "wslive.db"
    log = await SqliteLog.open(path)
    await log.create(a_record())
    head = await log.head("room-1")
    stop = asyncio.Event()

    async def write() -> None:
        nonlocal head
        number = 0
        while not stop.is_set():
            number += 1
            head = await log.append("room-1", head, a_batch(head, f"a{number}", f"b{number}"))

    writing = asyncio.create_task(write())
    offsets = []
    for number in range(5):
        before = head.offset
        copy = tmp_path / f"copy{number}.db"
        (room,) = (await asyncio.to_thread(back_up, path, copy)).rooms
        # Batches are there whole or not at all; what was acknowledged before the backup began is in it.
        assert room.events % 2 == 0
        assert before <= room.events <= head.offset
        offsets.append(room.events)
    stop.set()
    await writing
    assert offsets == sorted(offsets)
    assert offsets[-1] > offsets[0]
    assert [event.offset for event in await log.read("room-1", 0, 10**6)] == list(range(1, head.offset + 1))
    await log.close()
    again = await SqliteLog.open(tmp_path / "copy4.db")
    copied = await again.head("room-1")
    assert await again.append("room-1", copied, a_batch(copied, "on")) == await again.head("room-1")
    await again.close()


async def test_what_was_erased_is_not_in_the_copy(tmp_path: Path):
    path = tmp_path / "wslive.db"
    log = await SqliteLog.open(path)
    await log.create(a_record())
    head = await log.head("room-1")
    head = await log.append("room-1", head, a_batch(head, "a", body=b'{"text":"nobody may read this"}'))
    await log.append("room-1", head, a_batch(head, "b"), [1])
    back_up(path, tmp_path / "copy.db")
    await log.close()
    assert b"nobody may read this" not in (tmp_path / "copy.db").read_bytes()
