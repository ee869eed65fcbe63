"""Who is connected right now, on this node. Absolute and without offset: presence is never logged.

A person with several connections is here once. Somebody whose last connection went is away, and counts as having
left only after a while: a reload is not a leave.
"""

from __future__ import annotations

AWAY_AFTER_S = 15.0
"""How long somebody may be gone before the others are told."""


class Presence:
    """The people of one room as this node sees them. Times are seconds of any one monotonic clock."""

    def __init__(self, away_after_s: float = AWAY_AFTER_S) -> None:
        """Start with nobody."""
        self.away_after_s = away_after_s
        self._connections: dict[str, int] = {}
        self._gone_at: dict[str, float] = {}

    def arrive(self, actor: str) -> bool:
        """Note a connection; True if the others have to be told that this person is here."""
        before = self._connections.get(actor, 0)
        self._connections[actor] = before + 1
        was_away = self._gone_at.pop(actor, None) is not None
        return before == 0 and not was_away

    def depart(self, actor: str, now_s: float) -> None:
        """Note the end of a connection."""
        left = self._connections.get(actor, 0) - 1
        if left > 0:
            self._connections[actor] = left
            return
        if self._connections.pop(actor, None) is not None:
            self._gone_at[actor] = now_s

    def remove(self, actor: str) -> bool:
        """Take somebody out at once, whatever is still open; True if the others had been told of them."""
        was_connected = self._connections.pop(actor, None) is not None
        was_away = self._gone_at.pop(actor, None) is not None
        return was_connected or was_away

    def expire(self, now_s: float) -> list[str]:
        """Take out those who have been gone too long, and return them."""
        left = [a for a, gone_at in self._gone_at.items() if now_s - gone_at >= self.away_after_s]
        for actor in left:
            del self._gone_at[actor]
        return left

    @property
    def next_expiry_s(self) -> float | None:
        """When `expire` will find somebody next, on the caller's clock."""
        return min(self._gone_at.values()) + self.away_after_s if self._gone_at else None

    @property
    def count(self) -> int:
        """How many `here` would list; asked once a welcome, so it must not cost more the more there are."""
        return len(self._connections) + len(self._gone_at)

    @property
    def here(self) -> list[str]:
        """Everybody who has not left: connected, or gone for a moment."""
        return [*self._connections, *self._gone_at]
