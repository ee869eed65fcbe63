"""Replicas that remember how each line of a chat came to them, and what they were told when they came back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from wslive.client.replica import Replica
from wslive.core.view import Op, Put, View
from wslive.wire.messages import Delta, Snapshot, Welcome

LINES = ("activities", "2", "lines")


class Witness(Replica):
    """A replica with a memory.

    Attributes:
        returns: What each welcome but the first said, and how many offsets were missed.
        spells: The lines as they came, in one list for each snapshot and all that was patched onto it; before them
            the first offset that may be missing without having been announced.
    """

    __slots__ = ("returns", "spells")

    def __init__(self) -> None:
        """Know nothing."""
        super().__init__()
        self.returns: list[tuple[str, int]] = []
        self.spells: list[tuple[int, list[int]]] = []

    def welcome(self, welcome: Welcome) -> None:
        """Note what was said, and the lines that it brings."""
        if self.position is not None:
            self.returns.append((welcome.mode, welcome.position.offset - self.offset))
        new = self._new(welcome.ops or ())
        super().welcome(welcome)
        if welcome.mode == "resume":
            self.spells[-1][1].extend(new)
        else:
            self._begin()

    def delta(self, delta: Delta) -> bool:
        """Note the lines of a delta that is applied."""
        new = self._new(delta.ops)
        is_applied = super().delta(delta)
        if is_applied:
            self.spells[-1][1].extend(new)
        return is_applied

    def snapshot(self, snapshot: Snapshot) -> None:
        """Begin anew."""
        super().snapshot(snapshot)
        self._begin()

    @property
    def _lines(self) -> View:
        lines: View = self.view["activities"]["2"]["lines"] if self.view else {}
        return lines

    def _begin(self) -> None:
        lines = [int(key) for key in self._lines]
        self.spells.append((lines[0] if lines else self.offset + 1, lines))

    def _new(self, ops: Sequence[Op]) -> list[int]:
        """What is not in the view yet: a delta may begin before its position, and nobody sees a line twice then."""
        known = self._lines
        return [int(op.key) for op in ops if isinstance(op, Put) and op.path == LINES and op.key not in known]


def untold(spells: Sequence[Any], said: Sequence[int], until: int) -> Iterable[str]:
    """What somebody did not see as it was said, without having been told so.

    Args:
        spells: See `Witness`; the next spell ends the one before.
        said: The offsets of all lines of the log, in order.
        until: How far the last spell went.
    """
    for number, (first, seen) in enumerate(spells):
        last = until if number == len(spells) - 1 else (seen[-1] if seen else first - 1)
        due = [offset for offset in said if first <= offset <= last]
        if list(seen) != due:
            missing, extra = sorted(set(due) - set(seen)), sorted(set(seen) - set(due))
            yield f"spell {number} from {first} to {last}: {missing=} {extra=}, {len(seen)} of {len(due)} lines"
