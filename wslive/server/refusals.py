"""The refusals that people have been told of late: they are final also for copies that are still on their way.

Somebody whose connection hangs comes back by another one and sends again what has no answer. If that copy is refused,
the first one may still arrive, over the old connection, when the room has changed: it must not count then, for its
sender was told that it does not. So refusals are kept for longer than a connection lives that nothing is heard from.
Accepted commands need none of this, since the log knows their refs.
"""

from __future__ import annotations

from wslive.core.errors import Refused, refusal

KEPT_S = 120.0
"""A connection that does not answer pings is closed after 50 seconds."""

MAX_KEPT = 20_000
"""Of one room: some 6 MB. More than a hall of people gets at once when a poll closes; a flood drops the oldest."""

Key = tuple[str, str]
"""(actor, ref)"""


def as_answer(refused: Refused) -> Refused:
    """A refusal as a plain value: one that was raised holds the frames it came from, and all that they hold."""
    refused.__cause__ = refused.__context__ = None
    return refused.with_traceback(None)


class ToldRefusals:
    """What was refused lately in one room."""

    def __init__(self) -> None:
        """Start with none."""
        self._told: dict[Key, tuple[float, str, str]] = {}  # oldest first

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._told)

    def get(self, key: Key) -> Refused | None:
        """The refusal that the sender of this command was told, if there was one."""
        if key not in self._told:
            return None
        _, code, message = self._told[key]
        return refusal(code, message)

    def tell(self, key: Key, refused: Refused, now_s: float) -> None:
        """Keep a refusal, if it is final. Its text alone: the exception holds on to the state that it was raised in."""
        if refused.retry_after_s is not None or key in self._told:
            return
        self._told[key] = (now_s, refused.code, refused.message)
        while len(self._told) > MAX_KEPT or next(iter(self._told.values()))[0] < now_s - KEPT_S:
            del self._told[next(iter(self._told))]
