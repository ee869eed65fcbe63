"""How long a batch of commands gathers before it is stored.

A commit costs a sync of the disk and two changes of threads, whatever is in it. On a fast disk, votes that come one by
one would each get one of their own, and the server would have no time left for anything else. So the first commands of
a span are stored each as soon as it can be, and what comes after them in that span together, at its end: nobody in a
quiet room waits for others, and in a hall that votes an ack comes a few milliseconds later at most.
"""

from __future__ import annotations

SPAN_S = 0.005
"""The longest that a command waits for others."""

AT_ONCE = 4
"""So many commands of a span wait for nothing."""


class Pace:
    """Tells a writer when to take what waits."""

    def __init__(self) -> None:
        """Begin at rest."""
        self._span_began_s = float("-inf")
        self._taken = 0
        """Commands of this span."""

    def rest_s(self, now_s: float) -> float:
        """How long to let commands gather; 0 where little has come of late."""
        return max(0.0, self._span_began_s + SPAN_S - now_s) if self._taken >= AT_ONCE else 0.0

    def took(self, commands: int, now_s: float) -> None:
        """So many commands are being stored."""
        if now_s >= self._span_began_s + SPAN_S:
            self._span_began_s, self._taken = now_s, 0
        self._taken += commands
