"""The answers that people have been told of late and that the log cannot repeat: they hold for late copies too.

Somebody whose connection hangs comes back by another one and sends again what has no answer. If that copy is refused,
the first one may still arrive, over the old connection, when the room has changed: it must not count then, for its
sender was told that it does not. So refusals are kept for longer than a connection lives that nothing is heard from.

Accepted commands need none of this, since the log knows their refs; but for those that went into a ballot box. When it
was counted, its key is gone, and with it who is behind a ref. So their acks are kept as long, here in memory: who put
something in and where it stands, never what it was.
"""

from __future__ import annotations

from wslive.core.errors import Refused, refusal

KEPT_S = 120.0
"""A connection that does not answer pings is closed after 50 seconds."""

MAX_KEPT = 20_000
"""Of one room: some 6 MB. More than a hall of people gets at once when a poll closes; a flood drops the oldest."""

Key = tuple[str, str]
"""(actor, ref)"""

Outcome = int | Refused
"""An offset, or why not."""


def as_answer(refused: Refused) -> Refused:
    """A refusal as a plain value: one that was raised holds the frames it came from, and all that they hold."""
    refused.__cause__ = refused.__context__ = None
    return refused.with_traceback(None)


class ToldAnswers:
    """What was answered lately in one room."""

    def __init__(self) -> None:
        """Start with none."""
        self._told: dict[Key, tuple[float, int | tuple[str, str]]] = {}  # oldest first

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._told)

    def get(self, key: Key) -> Outcome | None:
        """What the sender of this command was told, if it is kept."""
        if key not in self._told:
            return None
        _, answer = self._told[key]
        return answer if isinstance(answer, int) else refusal(*answer)

    def tell(self, key: Key, outcome: Outcome, now_s: float) -> None:
        """Keep an answer, if it is final. Of a refusal its text: the exception holds on to what it was raised in."""
        if key in self._told or (isinstance(outcome, Refused) and outcome.retry_after_s is not None):
            return
        self._told[key] = (now_s, outcome if isinstance(outcome, int) else (outcome.code, outcome.message))
        while len(self._told) > MAX_KEPT or next(iter(self._told.values()))[0] < now_s - KEPT_S:
            del self._told[next(iter(self._told))]
