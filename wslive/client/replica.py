"""A replica: the view of a room as one reader sees it, kept up to date by what the server sends.

    welcome    resume: patch the view as it was; snapshot and reset: replace it
    delta      covers the offsets (from, to]: applied if from ≤ mine < to, ignored if to ≤ mine, else there is a gap
    snapshot   replaces the view

A gap means that something was missed: the connection is closed and opened again with the position, and the server
resumes from there. So a replica is never shown with a hole in it. Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

from wslive.core.errors import WsliveError
from wslive.core.events import Position
from wslive.core.view import View, patch
from wslive.wire.messages import Delta, Snapshot, Welcome


class Gap(WsliveError):
    """What came does not continue the replica; it has to be resumed from its position."""


class Replica:
    """One reader's view of a room.

    Attributes:
        position: How far the view has come; None before the first welcome.
        view: The view, changed in place. Readers on other threads take what they need on the connection's loop.
    """

    __slots__ = ("position", "view")

    def __init__(self) -> None:
        """Start with nothing."""
        self.position: Position | None = None
        self.view: View = {}

    @property
    def offset(self) -> int:
        """The offset of the position; 0 before the first welcome."""
        return 0 if self.position is None else self.position.offset

    def welcome(self, welcome: Welcome) -> None:
        """Continue or begin, as the server says.

        Raises:
            Gap: It resumes a replica that is empty or of another epoch; say hello again without a position.
        """
        if welcome.mode != "resume":
            self._replace(welcome.view or {}, welcome.position)
            return
        if self.position is None or self.position.epoch != welcome.position.epoch:
            self.position = None
            raise Gap("the server resumed a replica that is not there")
        patch(self.view, welcome.ops or ())
        self.position = welcome.position

    def delta(self, delta: Delta) -> bool:
        """Apply a delta; False if it brings nothing new.

        Raises:
            Gap: It begins after the replica's offset.
        """
        mine = self.position
        if mine is None or delta.from_ > mine.offset:
            raise Gap(f"a delta from offset {delta.from_} does not continue a replica at {self.offset}")
        if delta.to <= mine.offset:
            return False
        patch(self.view, delta.ops)
        self.position = Position(mine.epoch, delta.to, delta.chain)
        return True

    def snapshot(self, snapshot: Snapshot) -> None:
        """Replace the view."""
        self._replace(snapshot.view, snapshot.position)

    def _replace(self, view: View, position: Position) -> None:
        self.view = view
        self.position = position
