"""Which refs a room's log may hold: a "no" is certain, so the log is only asked about all others.

Theory of operation. Almost every command is a new one, and to look its ref up in an index of all refs, on another
thread, costs more than to decide it. So whoever writes a room keeps a mark of each ref in its log, which is half of its
hash: 32 bits in a table of places, at the place that the other half names, or at the next that is free. A new ref is
followed from its own place to the first free one. It almost never meets its mark (1 of a billion does); for these, and
for all that come again, the log is asked.

A table is filled to a half, so one finds the end after two places or so, which lie side by side: of what a vote costs,
waiting for memory is a good part. When it is full a larger one is put beside it, since marks do not tell where they
belong in a larger one. All together a ref takes eight bytes.

The hash is Python's own, of texts, which differs from process to process: nobody can make refs that collide.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from wslive.core.events import Event
from wslive.server.rooms.told import Key

FIRST_REFS = 4096
"""For how many refs the first table is made: 32 KiB, which most rooms never fill."""

GROWTH = 8
"""How much larger each table is than the one before: a million refs are in three."""

_MARK = 0xFFFF_FFFF


class SeenRefs:
    """A set of (actor, ref) pairs that knows for certain what is not in it."""

    def __init__(self, *, is_complete: bool = True) -> None:
        """Start with none.

        Args:
            is_complete: Whether all that are in the log are taken in; until then any may be in it.
        """
        self.is_complete = is_complete
        self._tables: list[tuple[array[int], int]] = []
        """Marks (0: a free place), and the mask of the numbers of places; the newest first."""
        self._table_refs = FIRST_REFS
        self._free = 0
        """How many more go into the newest table."""

    def add(self, events: Sequence[Event]) -> None:
        """Take in the refs of events."""
        start = 0
        while start < len(events):
            if not self._free:
                self._grow()
            part = events[start : start + self._free]
            start += len(part)
            self._free -= len(part)
            marks, mask = self._tables[0]
            for event in part:
                hashed = hash((event.actor, event.ref))
                place = hashed & mask
                while marks[place]:
                    place = place + 1 & mask
                marks[place] = hashed >> 32 & _MARK or 1

    def those_of(self, keys: Iterable[Key]) -> list[Key]:
        """Those (actor, ref) pairs that may have been taken in; all others were certainly not."""
        if not self.is_complete:
            return list(keys)
        found = []
        for key in keys:
            hashed = hash(key)
            mark = hashed >> 32 & _MARK or 1
            for marks, mask in self._tables:
                place = hashed & mask
                while (met := marks[place]) and met != mark:
                    place = place + 1 & mask
                if met:
                    found.append(key)
                    break
        return found

    def _grow(self) -> None:
        places = 2 * self._table_refs
        self._tables.insert(0, (array("I", bytes(4 * places)), places - 1))
        self._free = self._table_refs
        self._table_refs *= GROWTH
