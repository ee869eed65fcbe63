"""How much one connection may send before it is read more slowly.

A client that behaves never notices. One that floods is not refused anything: what it sent waits with itself, and its
turn comes when it has not been read for a while, so the others' answers do not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable

from wslive.server.settings import Rate

MESSAGE_COST_BYTES = 256
"""What a message or a control frame costs beside its bytes: many small ones are more work than a large one."""


class Throttle:
    """A token bucket of bytes, for one connection. As long as it is far from empty nobody asks what time it is."""

    __slots__ = ("_looked_at_s", "_rate", "_spent")

    def __init__(self, rate: Rate, now_s: float) -> None:
        """Begin with a full bucket."""
        self._rate = rate
        self._spent = 0.0
        self._looked_at_s = now_s

    def pause_s(self, data_bytes: int, messages: int, now: Callable[[], float]) -> float:
        """How long to read no more, after so many bytes with so many messages or fragments in them; usually 0."""
        self._spent += data_bytes + messages * MESSAGE_COST_BYTES
        if self._spent <= self._rate.burst:
            return 0.0
        now_s = now()
        self._spent = max(0.0, self._spent - (now_s - self._looked_at_s) * self._rate.per_s)
        self._looked_at_s = now_s
        return max(0.0, self._spent - self._rate.burst) / self._rate.per_s
