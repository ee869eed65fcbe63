"""The ledger: what the server has acknowledged, written down outside of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One acknowledged command, as its line in the ledger."""

    actor: str
    ref: str
    offset: int
    activity: int
    kind: str
    body: dict[str, Any]


class Ledger:
    """A file of entries; without a path nothing is written."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        """Name the file; `open` makes it."""
        self._path = path
        self._file: BinaryIO | None = None

    def open(self) -> None:
        """Begin, or go on at the end of a file that is there.

        Raises:
            OSError: The file cannot be written.
        """
        if self._path is not None:
            # Unbuffered: a line that was written is the system's, whatever becomes of this process.
            self._file = open(self._path, "ab", buffering=0)

    def note(self, entry: Entry) -> None:
        """Write an entry down."""
        if self._file is not None:
            self._file.write(msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        """Make sure that all is on disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


def read_ledger(path: str | os.PathLike[str]) -> list[Entry]:
    """The entries of a ledger, in the order written. A last line that a kill cut in two does not count."""
    whole, _, _ = Path(path).read_bytes().rpartition(b"\n")
    return [msgspec.json.decode(line, type=Entry) for line in whole.splitlines()]
