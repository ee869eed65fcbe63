"""When whose handshake is taken."""

from __future__ import annotations

from wslive.server.settings import Rate

LONGEST_WAIT_S = 10


class Turns:
    """So many handshakes a second; all others are told when it will be their turn.

    After a restart a full hall is back within a second or two. Each welcome costs more than a refusal, and acks wait
    meanwhile; so it comes in slices, and everybody beyond is given a time of their own, as in a queue.
    """

    def __init__(self, rate: Rate) -> None:
        """Let `rate.burst` in at once, `rate.per_s` a second after that."""
        self._rate = rate
        self._level = rate.burst
        self._turned_away = 0.0
        """How many of those that were turned away are not due yet."""
        self._at_s = 0.0

    def take(self, now_s: float) -> int:
        """Take a turn; returns 0, or after how many whole seconds to come back (at most `LONGEST_WAIT_S`)."""
        passed = max(0.0, now_s - self._at_s) * self._rate.per_s
        self._at_s = now_s
        self._level = min(self._rate.burst, self._level + passed)
        self._turned_away = max(0.0, self._turned_away - passed)
        if self._level >= 1:
            self._level -= 1
            return 0
        self._turned_away += 1
        return min(LONGEST_WAIT_S, 1 + int(self._turned_away / self._rate.per_s))
