"""Small files beside a store, for their owner alone: keys. On the disk, name and all, before anything rests on them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Make a file, which is on the disk when this returns.

    Raises:
        FileExistsError: Something is there already; it is left as it is.
        OSError: It cannot be made.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as durable as the files."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
