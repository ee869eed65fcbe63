"""What may be counted in a server, and where. This one counts nothing and costs a call a batch or a tick.

`http.metrics` counts for Prometheus. Nothing here is called once a vote: room tasks tell of batches, fan-outs of ticks.
"""

from __future__ import annotations

from collections.abc import Sequence

from wslive.core.errors import Refused
from wslive.wire.close_codes import CloseCode


class Meter:
    """Counts nothing."""

    def appended(self, events: int, seconds: float) -> None:
        """The store has taken a batch."""

    def decided(self, kinds: Sequence[str], outcomes: Sequence[int | Refused]) -> None:
        """This came of the commands of a batch: of what kind each was, and its answer."""

    def answered(self, seconds: float) -> None:
        """A batch was answered, so long after it was begun."""

    def failed(self, error: Exception) -> None:
        """The store did not take a batch, or could not be read."""

    def ticked(self, frames: int, size_bytes: int) -> None:
        """A tick is sent: so many frames, with so many bytes in all."""

    def welcomed(self, mode: str) -> None:
        """Somebody was let in; `mode` as in the welcome."""

    def turned_away(self, refused: Refused) -> None:
        """A hello was refused."""

    def closed(self, code: CloseCode) -> None:
        """The server has closed a connection."""

    def lagged(self, seconds: float) -> None:
        """The loop came to a timer so much too late."""


SILENT = Meter()
