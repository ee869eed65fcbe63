"""A store on disk: a SQLite file, and everything that is settled before it is written to.

    one holder      a lock of the operating system on `<store>.lock`, held as long as the store is open; SQLite's own
                    locks are not enough, for two servers would each fold a room and take turns to write it
    a local disk    the write-ahead log needs memory that all connections share: not there on a network file system,
                    where SQLite corrupts silently instead of failing
    our own file    a file of another program, or of a newer version, is left as it was found
    nobody else's   store, side files and lock are readable by their owner alone

Whatever does not hold is a named error with a sentence that says what to do.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from contextlib import closing, suppress
from pathlib import Path

from wslive.core.errors import (
    LogError,
    StoreCorrupt,
    StoreInUse,
    StoreOnNetwork,
    StoreTooNew,
    StoreUnwritable,
)
from wslive.eventlog.sqlite_wal import WAITING_WAL_PAGES

SCHEMA_VERSION = 1

SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('schema_version', {SCHEMA_VERSION});
CREATE TABLE rooms (
    room TEXT PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    host_key_hash BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE events (
    room TEXT NOT NULL,
    offset INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    ref TEXT NOT NULL,
    activity INTEGER NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL,
    body_hash BLOB NOT NULL,
    chain BLOB NOT NULL,
    PRIMARY KEY (room, offset),
    UNIQUE (room, ref, actor)
) WITHOUT ROWID;
"""

CHECKPOINTS = """
CREATE TABLE checkpoints (
    room TEXT PRIMARY KEY,
    epoch TEXT NOT NULL,
    offset INTEGER NOT NULL,
    chain BLOB NOT NULL,
    rules BLOB NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE TRIGGER an_event_was_changed AFTER UPDATE ON events BEGIN
    DELETE FROM checkpoints WHERE room = OLD.room;
END;
CREATE TRIGGER a_room_was_deleted AFTER DELETE ON rooms BEGIN
    DELETE FROM checkpoints WHERE room = OLD.room;
END;
"""
"""Stores of the first versions have none of this, and get it when they are opened.

Triggers, so that whoever changes an event or deletes a room takes away what was made of it, in the same transaction:
also a wslive that knows of no checkpoints, and somebody with a shell.
"""

CACHE_KIB = 16 * 1024
"""How much of the store a connection that writes keeps in memory at most. Where refs are random the index of refs is
changed all over, and with SQLite's own two megabytes its pages are read again and again."""

BUSY_TIMEOUT_S = 5.0
"""How long a commit waits for an operator's own connection (a backup, a shell) to let go."""

MOUNTS = Path("/proc/self/mounts")
_NETWORK = frozenset(
    "9p afs beegfs ceph cifs coda davfs glusterfs gpfs lustre ncpfs nfs nfs4 orangefs smb smb2 smb3 smbfs".split()
)
# Under FUSE most are local (ntfs, overlay, encryption); these are not.
_NETWORK_FUSE = frozenset(
    "sshfs rclone s3fs gcsfuse blobfuse blobfuse2 glusterfs ceph cephfs davfs davfs2 juicefs goofys curlftpfs "
    "smbnetfs grpcfuse mount-s3".split()
)


class Store:
    """A store that this process holds. Blocking; `sqlite.SqliteLog` calls it from threads."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Take hold of the store at `path` and check it; make it if nothing is there.

        Raises:
            StoreUnwritable · StoreOnNetwork · StoreInUse · StoreTooNew · StoreCorrupt
        """
        try:
            # Two names of one file must find the same lock beside it.
            self.path = Path(path).expanduser().resolve()
            _check_place(self.path)
        except OSError as error:
            raise _unwritable(Path(path), error) from None
        was_held_before = _beside(self.path).exists()
        self._lock: int | None = _lock(self.path)
        try:
            _make_private(self.path)
            self._prepare()
        except (StoreCorrupt, StoreTooNew):
            # It is left as it was found. Whoever takes hold of the removed file meanwhile is refused just so.
            if not was_held_before:
                with suppress(OSError):
                    _beside(self.path).unlink()
            self.release()
            raise
        except BaseException:
            self.release()
            raise

    def connect(self, *, writing: bool) -> sqlite3.Connection:
        """A new connection to the store.

        Raises:
            sqlite3.Error: The file cannot be opened.
        """
        db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            # FULL: each commit is synced to the disk before it returns, or an ack would be a hope.
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA wal_autocheckpoint = {WAITING_WAL_PAGES}")
            # What is deleted is overwritten, not only unlinked.
            db.execute("PRAGMA secure_delete = ON")
            if writing:
                db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            db.execute(f"PRAGMA query_only = {'OFF' if writing else 'ON'}")
        except BaseException:
            db.close()
            raise
        return db

    def release(self) -> None:
        """Let another process have the store. The lock's file stays: removing it would race with its next holder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def error(self, error: sqlite3.Error | UnicodeDecodeError) -> LogError:
        """What to tell people about an error of SQLite, or of bytes in its file that are no text."""
        if _is_damage(error):
            return StoreCorrupt(
                f"The store {self.path} is damaged ({error}). Restore it from a backup, or choose another "
                "path for the store. It was left as it is."
            )
        return StoreUnwritable(
            f"The store {self.path} cannot be read or written ({error}). See that its disk works, has space and "
            "lets you write, or choose another path for the store."
        )

    def _prepare(self) -> None:
        try:
            with closing(self.connect(writing=True)) as db:
                tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                if tables:
                    self._check_version(db, tables)
                # Only now, for it changes the file.
                (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
                if mode != "wal":
                    raise _on_network(self.path, "this one", "no shared memory")
                if not tables:
                    db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {CHECKPOINTS} COMMIT;")
                elif "checkpoints" not in tables:
                    db.executescript(f"BEGIN IMMEDIATE; {CHECKPOINTS} COMMIT;")
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self.error(error) from None

    def _check_version(self, db: sqlite3.Connection, tables: set[str]) -> None:
        row = None
        if "meta" in tables:
            with suppress(sqlite3.OperationalError):  # a table of that name with other columns
                row = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        if row is None or not isinstance(row[0], int):
            raise StoreCorrupt(
                f"{self.path} is a database, but not a store of wslive. Choose another path for the store. "
                "It was left as it is."
            )
        if row[0] > SCHEMA_VERSION:
            raise StoreTooNew(
                f"The store {self.path} was written by a newer version of wslive (it has version {row[0]}; this "
                f"wslive knows {SCHEMA_VERSION}). Update wslive, or choose another path for the store. "
                "It was left as it is."
            )


def filesystem_of(path: Path, mounts: str) -> tuple[str, str]:
    """The type and mount point of the file system a path lies on, by the text of /proc/self/mounts."""
    found = ("", "/")
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].encode().decode("unicode_escape")  # a space is written \040
        # Later lines lie over earlier ones of the same point.
        if path.is_relative_to(point) and len(point) >= len(found[1]):
            found = (fields[2], point)
    return found


def is_network(filesystem: str) -> bool:
    """Whether a file system of this type lies on other machines."""
    return filesystem in _NETWORK or filesystem.removeprefix("fuse.") in _NETWORK_FUSE


def _check_place(path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreUnwritable(
            f"The store {path} cannot be made: there is no folder {path.parent}. Create it, or choose another "
            "path for the store."
        )
    if path.is_dir():
        raise StoreUnwritable(f"The store {path} is a folder. Give the path of a file.")
    with suppress(OSError):  # not Linux: nothing to ask
        filesystem, point = filesystem_of(path, MOUNTS.read_text("utf-8", "replace"))
        if is_network(filesystem):
            raise _on_network(path, filesystem, f"mounted at {point}")


def _on_network(path: Path, filesystem: str, detail: str) -> StoreOnNetwork:
    return StoreOnNetwork(
        f"The store {path} lies on a network file system ({filesystem}, {detail}), where acknowledged answers could "
        f"be lost. Choose a path for the store on a local disk, for example {Path('/var/tmp') / path.name}"
    )


def _unwritable(path: Path, error: OSError) -> StoreUnwritable:
    return StoreUnwritable(
        f"The store {path} cannot be written ({error.strerror}). Make its folder and file writable for you, or choose "
        "another path for the store."
    )


def _make_private(path: Path) -> None:
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # SQLite gives its side files the mode of the store.
            if hasattr(os, "fchmod") and stat.S_IMODE(os.fstat(file).st_mode) & 0o077:
                os.fchmod(file, 0o600)
        finally:
            os.close(file)
    except OSError as error:
        raise _unwritable(path, error) from None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _lock(path: Path) -> int:
    try:
        file = os.open(_beside(path), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        _take(file)
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())
    except OSError as error:
        holder = os.pread(file, 20, 0).decode(errors="replace") if hasattr(os, "pread") else ""
        os.close(file)
        if not isinstance(error, BlockingIOError | PermissionError):
            raise _unwritable(path, error) from None
        raise StoreInUse(
            f"The store {path} is held by another wslive server (process {holder or 'unknown'}). Use that server, "
            "stop it, or choose another path for the store."
        ) from None
    return file


if sys.platform == "win32":
    import msvcrt

    def _take(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_damage(error: sqlite3.Error | UnicodeDecodeError) -> bool:
    # A damaged text, or a damaged schema that SQLite's own message quotes.
    if isinstance(error, UnicodeDecodeError) or "Could not decode to UTF-8" in str(error):
        return True
    # The higher bytes say which I/O failed. Errors that the module raises by itself have no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
