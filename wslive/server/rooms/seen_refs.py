"""Which refs a room's log may hold: a "no" is certain, so the log is only asked about all others.

Theory of operation. Almost every command is a new one, and to look its ref up in an index of all refs, on another
thread, costs more than to decide it. So whoever writes a room keeps a Bloom filter of the refs in its log, which is fed
with every event that is folded or written: each ref sets four bits, and one whose bits are not all set was never there.
Where a layer is full 1 new ref of 70,000 has all of its bits set by others; for these, and for all that come again, the
log is asked, and the whole batch waits: of a thousand votes hardly ever one may be among them. For that, eight bytes a
ref are enough. When a layer is full a larger one is put beside it, since bits do not tell whose they are and cannot be
moved.

Bits are chosen by Python's own hash of texts, which differs from process to process: nobody can make refs that collide.
Its two halves give all four, each a step of the one further than the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wslive.core.events import Event
from wslive.server.rooms.told import Key

BITS_A_REF = 64
FIRST_REFS = 4096
"""For how many refs the first layer is made: 32 KiB, which most rooms never fill."""

GROWTH = 8
"""How much larger each layer is than the one before: a million refs are in three."""


class SeenRefs:
    """A set of (actor, ref) pairs that knows for certain what is not in it."""

    def __init__(self, *, is_complete: bool = True) -> None:
        """Start with none.

        Args:
            is_complete: Whether all that are in the log are taken in; until then any may be in it.
        """
        self.is_complete = is_complete
        self._layers: list[tuple[bytearray, int]] = []
        """Bits, and the mask of the numbers of their bytes; the newest first."""
        self._layer_refs = FIRST_REFS
        self._free = 0
        """How many more go into the newest layer."""

    def add(self, events: Sequence[Event]) -> None:
        """Take in the refs of events."""
        start = 0
        while start < len(events):
            if not self._free:
                self._grow()
            part = events[start : start + self._free]
            start += len(part)
            self._free -= len(part)
            bits, mask = self._layers[0]
            for event in part:
                at = hash((event.actor, event.ref))
                step = at >> 32 | 1
                # One after the other: a loop would take as long again.
                bits[at >> 3 & mask] |= 1 << (at & 7)
                at += step
                bits[at >> 3 & mask] |= 1 << (at & 7)
                at += step
                bits[at >> 3 & mask] |= 1 << (at & 7)
                at += step
                bits[at >> 3 & mask] |= 1 << (at & 7)

    def those_of(self, keys: Iterable[Key]) -> list[Key]:
        """Those (actor, ref) pairs that may have been taken in; all others were certainly not."""
        if not self.is_complete:
            return list(keys)
        found = []
        for key in keys:
            hashed = hash(key)
            for bits, mask in self._layers:
                if bits[hashed >> 3 & mask] >> (hashed & 7) & 1 and _has_others(bits, mask, hashed):
                    found.append(key)
                    break
        return found

    def _grow(self) -> None:
        size = self._layer_refs * BITS_A_REF // 8
        self._layers.insert(0, (bytearray(size), size - 1))
        self._free = self._layer_refs
        self._layer_refs *= GROWTH


def _has_others(bits: bytearray, mask: int, hashed: int) -> bool:
    """Whether the bits of a ref beyond its first are set."""
    at, step = hashed, hashed >> 32 | 1
    for _ in range(3):
        at += step
        if not bits[at >> 3 & mask] >> (at & 7) & 1:
            return False
    return True
