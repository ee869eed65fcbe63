"""What survives every server: a log in memory, or a real SQLite store whose threads are taken out.

Both remember the events as they were when they were appended, so that what was erased since can still be compared with
what people saw before.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from wslive.core.events import Event, Head
from wslive.eventlog import sqlite
from wslive.eventlog.memory import MemoryLog
from wslive.eventlog.sqlite import SqliteLog
from wslive.eventlog.sqlite_threads import Outcome


class _NoThread:
    """A worker of a store that works when it is asked: there is one thread, and its time is virtual."""

    def __init__(self, name: str, work_off: Any, afterwards: Any = lambda is_awaited: None) -> None:
        self._work_off = work_off
        self._afterwards = afterwards

    async def run(self, work: Any) -> Any:
        """Do it, in its turn."""
        await asyncio.sleep(0)
        outcome: Outcome = self._work_off([work])[0]
        self._afterwards(False)
        if outcome.error is not None:
            raise outcome.error
        return outcome.result

    def stop(self) -> None:
        """Nothing runs."""


class Disk:
    """An event log; a context that holds what it needs.

    Attributes:
        is_sqlite: Which of the two it is.
        appended: Every event of the one room, as it was appended.
    """

    def __init__(self, *, is_sqlite: bool) -> None:
        self.appended: list[Event] = []
        self.is_sqlite = is_sqlite
        self._log: Any = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        if self.is_sqlite:
            folder = self._held.enter_context(tempfile.TemporaryDirectory())
            self._path = Path(folder) / "wslive.db"
            self._held.enter_context(patch.object(sqlite, "Worker", _NoThread))
            self._log = SqliteLog._open(self._path)
            self._held.callback(lambda: self._log._close())
        else:
            self._log = MemoryLog()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def crash(self) -> None:
        """The process is gone; what it had been told is there."""
        if self.is_sqlite:
            self._log._close()
            self._log = SqliteLog._open(self._path)

    async def append(self, room: str, expected: Head, events: Sequence[Event], erase: Sequence[int] = ()) -> Head:
        """See `EventLog`."""
        head: Head = await self._log.append(room, expected, events, erase)
        self.appended += events
        return head

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)
