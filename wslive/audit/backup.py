"""A copy of a store that is whole, while a server goes on writing.

`VACUUM INTO` reads one committed state, however many votes come meanwhile, and holds nobody up. What was erased or
deleted is not in the copy, not even as unused pages. The copy gets its name only when it was written to the disk and
checked; a file that is there is never overwritten.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from pathlib import Path

from wslive.audit.store import StoreReport, look_into, verify
from wslive.core.errors import StoreUnwritable
from wslive.eventlog.key_files import sync_folder, write_private


def key_of(store: Path) -> Path:
    """The file beside a store with the key that signs tokens."""
    return store.with_name(store.name + ".key")


def back_up(store: str | os.PathLike[str], target: str | os.PathLike[str]) -> StoreReport:
    """Copy a store and its key, readable by their owner alone, and check the copy.

    The keys of secret polls stay where they are: with them a copy would tell for ever what nobody is to find out.

    Returns:
        What was found in the copy; where it is not sound, it was made all the same, and says so.

    Raises:
        StoreUnwritable: The target is there already or cannot be written; there is no store.
        StoreCorrupt · StoreTooNew: The store cannot be read.
    """
    source = Path(store).expanduser().resolve()
    copy = Path(target).expanduser().resolve()
    for path in (copy, key_of(copy)):
        if path.exists():
            raise StoreUnwritable(f"{path} is there already, and a backup overwrites nothing. Choose another name.")
    partial = copy.with_name(f"{copy.name}.{secrets.token_hex(4)}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL, 0o600))
        try:
            look_into(source, lambda db: _copy(db, partial), in_one_state=False)
            report = verify(partial)
            _sync(partial)
            # Before the copy: one that is there has its key. No server has opened a store that has none.
            key = key_of(source).read_bytes() if key_of(source).exists() else None
            if key is not None:
                write_private(key_of(copy), key)
            try:
                _name(partial, copy)
            except OSError:
                if key is not None:
                    key_of(copy).unlink()
                raise
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(copy.parent)
    except OSError as error:
        raise StoreUnwritable(
            f"The backup {copy} could not be made ({error.strerror}). See that its folder is there, writable for you, "
            "and has space."
        ) from None
    return report


def _name(partial: Path, copy: Path) -> None:
    """Give the copy its name, unless something has come there meanwhile."""
    try:
        os.link(partial, copy)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as that of a memory stick
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL, 0o600))
        partial.replace(copy)


def _copy(db: sqlite3.Connection, partial: Path) -> None:
    os.truncate(partial, 0)  # a second try, where a server was started meanwhile
    try:
        db.execute("VACUUM INTO ?", (str(partial),))
    except sqlite3.OperationalError as error:  # about the copy; a damaged store is another error
        raise OSError(0, str(error)) from None


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)
