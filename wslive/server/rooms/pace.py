"""How long a batch of commands gathers before it is stored.

A commit costs a sync of the disk and two changes of threads, whatever is in it. On a fast disk, votes that come one by
one would each get one of their own, and the server would have no time left for anything else. So the first commands of
a span are stored each as soon as it can be, and what comes after them in that span together, at its end: nobody in a
quiet room waits for others, and in a hall that votes an ack comes a few milliseconds later at most.

Where so much comes that the server needs most of its time for it, everybody's acks leave together with the tally that
they are in: one send a person and tick instead of two or three, of which each costs as much as deciding a vote. So
answers are held until the next tick is due, and batches come less often, the last one right before the tick: what it
tells is as new as it can be, and not much is left to be done for it.
"""

from __future__ import annotations

SPAN_S = 0.005
"""The longest that a command waits for others, as long as the server has time to spare."""

AT_ONCE = 4
"""So many commands of a span wait for nothing."""

MUCH_PER_S = 10_000.0
"""So many commands a second are half of what one core of a small server takes."""

COUNTED_OVER_S = 0.1
"""For how long commands are counted for that: after each tick of a hall a batch is larger than most."""

GATHER_S = 0.025
"""How long commands gather then. All that come between two ticks in one batch would make the tick wait for it."""

LONGEST_S = 0.2
"""The longest that an answer is held."""


class Pace:
    """Tells a writer when to take what waits."""

    def __init__(self) -> None:
        """Begin at rest."""
        self._span_began_s = float("-inf")
        self._taken = 0
        """Commands of this span."""
        self._took_at_s = self._counted_from_s = float("-inf")
        self._counted = 0
        self.has_much = False
        """Whether so much comes that answers are held for ticks."""

    def rest_s(self, now_s: float, tick_due_s: float = float("-inf")) -> float:
        """How long to let commands gather; 0 where little has come of late.

        Args:
            now_s: By a monotonic clock, like all times here.
            tick_due_s: When people are to be told next what has changed, if anything has.
        """
        if self._taken < AT_ONCE:
            return 0.0
        until_s = self._span_began_s + SPAN_S
        if self.has_much:
            until_s = self._took_at_s + GATHER_S
            last_s = tick_due_s - SPAN_S
            if self._took_at_s < last_s < until_s + GATHER_S / 2:
                until_s = last_s
        return max(0.0, until_s - now_s)

    def holds(self, now_s: float, tick_due_s: float) -> bool:
        """Whether answers are to wait for the next tick."""
        return self.has_much and now_s < tick_due_s

    def took(self, commands: int, now_s: float, *, refused: int = 0) -> None:
        """So many commands are being worked off, of which so many came too fast and will hardly be stored."""
        self._took_at_s = now_s
        self._counted += commands - refused
        counted_over_s = now_s - self._counted_from_s
        if counted_over_s >= COUNTED_OVER_S:
            self.has_much = self._counted > MUCH_PER_S * counted_over_s
            self._counted_from_s, self._counted = now_s, 0
        if now_s >= self._span_began_s + SPAN_S:
            self._span_began_s, self._taken = now_s, 0
        self._taken += commands
