import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.eventlog.events import a_batch, a_record
from wslive.core.errors import StoreCorrupt, StoreInUse, StoreOnNetwork, StoreTooNew, StoreUnwritable
from wslive.eventlog import sqlite_store
from wslive.eventlog.base import Checkpoint
from wslive.eventlog.sqlite import SqliteLog
from wslive.eventlog.sqlite_store import SCHEMA, SCHEMA_VERSION, Store, filesystem_of, is_network

MOUNTS = """\
sysfs /sys sysfs rw,nosuid 0 0
/dev/sda1 / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
files:/export /home/ada/team\\040files nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/ada/team\\040files/disk ext4 rw 0 0
ada@far:/ /mnt/far fuse.sshfs rw 0 0
/dev/sdc1 /mnt/usb fuseblk rw 0 0
C: /mnt/c 9p rw 0 0
share /mnt/twice cifs rw 0 0
/dev/sdd1 /mnt/twice ext4 rw 0 0
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wslive.db"


def make(path: Path) -> None:
    Store(path).release()


# ── one holder ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_store_is_held_by_one_process_whose_number_and_path_are_told(path: Path) -> None:
    holder = Store(path)
    with pytest.raises(StoreInUse) as caught:
        Store(path)
    assert str(path) in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    assert "path for the store" in str(caught.value)
    holder.release()
    make(path)


def test_another_name_of_the_same_file_finds_the_same_lock(path: Path) -> None:
    holder = Store(path)
    link = path.with_name("other name.db")
    link.symlink_to(path)
    with pytest.raises(StoreInUse):
        Store(link)
    holder.release()


def test_releasing_twice_lets_nothing_else_go(path: Path) -> None:
    store = Store(path)
    store.release()
    with path.open("rb") as innocent:  # gets the number that the lock had
        store.release()
        assert innocent.read(6) == b"SQLite"


def test_beside_a_file_that_is_refused_nothing_new_is_left(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreCorrupt):
        Store(path)
    assert list(path.parent.iterdir()) == [path]
    lock = path.with_name("wslive.db.lock")
    lock.touch()  # somebody else's: it may be held in a moment
    with pytest.raises(StoreCorrupt):
        Store(path)
    assert lock.exists()


def test_a_store_that_was_refused_is_not_held(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            Store(path)


# ── places ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritable, match="no folder") as caught:
        Store(tmp_path / "missing" / "wslive.db")
    assert str(tmp_path / "missing") in str(caught.value)


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritable, match="is a folder"):
        Store(tmp_path)


@pytest.fixture
def somebody_else() -> Iterator[None]:
    """Root may write everywhere; so be nobody for a while, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def test_a_folder_that_cannot_be_written_is_named(locked_folder: Path, somebody_else: None) -> None:
    with pytest.raises(StoreUnwritable, match="cannot be written") as caught:
        Store(locked_folder / "wslive.db")
    assert str(locked_folder) in str(caught.value)
    assert "path for the store" in str(caught.value)


@pytest.fixture
def locked_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "wslive.db"
        make(path)
        path.with_name("wslive.db.lock").chmod(0o666)
        path.chmod(0o444)
        Path(name).chmod(0o755)
        yield path


def test_a_file_that_cannot_be_written_is_named(locked_file: Path, somebody_else: None) -> None:
    if locked_file.stat().st_uid == os.geteuid():
        locked_file.with_name("wslive.db.lock").chmod(0o600)
    with pytest.raises(StoreUnwritable, match="cannot be written"):
        Store(locked_file)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/var/lib/wslive.db", ("ext4", "/")),
        ("/tmp/wslive.db", ("tmpfs", "/tmp")),
        ("/tmpfiles/wslive.db", ("ext4", "/")),
        ("/home/ada/team files/wslive.db", ("nfs4", "/home/ada/team files")),
        ("/home/ada/team files/disk/wslive.db", ("ext4", "/home/ada/team files/disk")),
        ("/mnt/far/wslive.db", ("fuse.sshfs", "/mnt/far")),
        ("/mnt/twice/wslive.db", ("ext4", "/mnt/twice")),
    ],
)
def test_the_file_system_is_that_of_the_longest_and_latest_mount_point(path: str, expected: tuple[str, str]) -> None:
    assert filesystem_of(Path(path), MOUNTS) == expected


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.rclone", "ceph"])
def test_file_systems_of_other_machines_are_known(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "fuse.gocryptfs", "apfs", ""])
def test_file_systems_of_this_machine_are_let_through(kind: str) -> None:
    assert not is_network(kind)


def test_a_store_on_a_network_file_system_is_refused_and_a_local_path_proposed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = path.with_name("mounts")
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nfiles:/export {path.parent} nfs4 rw 0 0\n")
    monkeypatch.setattr(sqlite_store, "MOUNTS", mounts)
    with pytest.raises(StoreOnNetwork) as caught:
        Store(path)
    assert f"nfs4, mounted at {path.parent}" in str(caught.value)
    assert "for example /var/tmp/wslive.db" in str(caught.value)
    assert [found.name for found in path.parent.iterdir()] == ["mounts"]


def test_where_mounts_cannot_be_asked_for_the_store_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "MOUNTS", path.with_name("not there"))
    make(path)
    assert path.is_file()


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_store_that_others_could_read_is_closed_to_them(path: Path) -> None:
    make(path)
    path.chmod(0o644)
    make(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    make(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (SCHEMA_VERSION,)


async def test_a_store_from_before_there_were_checkpoints_gets_a_place_for_them(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)
    log = await SqliteLog.open(path)
    await log.create(a_record())
    start = await log.head("room-1")
    end = await log.append("room-1", start, a_batch(start, "a"))
    await log.keep("room-1", Checkpoint(end, b"rules", b"state"))
    await log.close()
    again = await SqliteLog.open(path)
    assert await again.kept("room-1") == Checkpoint(end, b"rules", b"state")
    await again.append("room-1", end, a_batch(end, "b"), [1])
    assert await again.kept("room-1") is None
    await again.close()


def test_a_store_of_a_newer_version_is_left_as_it_is(path: Path) -> None:
    make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="version 99") as caught:
        Store(path)
    assert "Update wslive" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE invoices (number INTEGER)",
        "CREATE TABLE meta (name TEXT, setting TEXT)",
        "CREATE TABLE meta (key TEXT, value TEXT)",
        "CREATE TABLE meta (key TEXT, value TEXT); INSERT INTO meta VALUES ('schema_version', 'two')",
    ],
)
def test_a_database_of_another_program_is_left_as_it_is(path: Path, schema: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(schema)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="not a store of wslive"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello", b"#!/bin/sh\n" * 2000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="left as it is"):
        Store(path)
    assert path.read_bytes() == content


def test_a_reading_connection_cannot_write(path: Path) -> None:
    store = Store(path)
    with closing(store.connect(writing=False)) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM events")
    store.release()
