"""Small JSON files that only their owner can read, shared by all kernels of one user."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from jupyter_core.paths import jupyter_data_dir

ContentT = TypeVar("ContentT")

_threads = threading.Lock()


def data_folder() -> Path:
    """Where wslive keeps what must outlive a kernel: keys, tokens, the user's own rooms."""
    folder = Path(jupyter_data_dir()) / "wslive"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock of that name against every other process and thread of this user.

    The lock is the operating system's: it goes with the process, however that ends.
    """
    with _threads, open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read(path: Path, content: type[ContentT]) -> ContentT | None:
    """The content of a file; None where there is none (or nothing that can be understood)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=content)
    except (OSError, msgspec.DecodeError):
        return None


def write(path: Path, content: object) -> None:
    """Replace a file at once; nobody else can read it at any moment."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(content)))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
