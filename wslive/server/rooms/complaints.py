"""What the log of the server says about a room whose events cannot be stored.

A disk that is full refuses each batch of votes, a hundred times a second, and whoever said so each time would fill what
is left of it. So the first trouble is told at once, and the same again at times only, with how often it was.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from wslive.core.errors import LogError

logger = logging.getLogger("wslive.room")

AGAIN_S = 10.0
"""How long the same trouble is not told again."""


class _Told(NamedTuple):
    text: str
    at_s: float
    times_since: int = 0


class Complaints:
    """Tells the troubles of one room."""

    def __init__(self, room: str) -> None:
        """`room` is its id."""
        self._room = room
        self._told: dict[str, _Told] = {}

    def tell(self, what: str, error: Exception, now_s: float) -> None:
        """Tell of a trouble; of a mistake of ours always, with where it was made.

        Args:
            what: What could not be done.
            error: Why.
            now_s: By a monotonic clock.
        """
        if not isinstance(error, LogError):
            logger.error("room %s: %s: %s", self._room, what, error, exc_info=error)
            return
        text, told = str(error), self._told.get(what)
        times = 0
        if told is not None and told.text == text:
            times = told.times_since + 1
            if now_s - told.at_s < AGAIN_S:
                self._told[what] = told._replace(times_since=times)
                return
        self._told[what] = _Told(text, now_s)
        since = f" ({times} more since it was last told)" if times else ""
        logger.warning("room %s: %s: %s%s", self._room, what, text, since)
