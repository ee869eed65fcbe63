"""How many new people came into a room lately, and from where: told to its hosts, kept nowhere.

One person with a script can be many participants, and no server can tell them from a hall that comes in at once. Its
host can, who sees the hall: so the host is told, and nobody is refused.
"""

from __future__ import annotations

from collections import Counter, deque

from wslive.server.access.neighbours import Neighbourhood
from wslive.wire.messages import Arrivals

WINDOW_S = 60.0
MAX_KNOWN = 1000
"""How many networks of one room are remembered as such that people have come from."""


class RecentArrivals:
    """The new people of one room, as this node sees them. Times are seconds of any one monotonic clock."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._recent: deque[tuple[float, Neighbourhood]] = deque()
        self._networks: Counter[Neighbourhood] = Counter()
        self._known: set[bytes] = set()
        self._from_elsewhere = False

    def note(self, network: Neighbourhood, now_s: float) -> None:
        """Somebody new came in."""
        self._recent.append((now_s, network))
        self._networks[network] += 1

    def welcomed(self, network: Neighbourhood, *, from_elsewhere: bool = False) -> None:
        """Somebody, new or not, was let in from there; a person `from_elsewhere` proves that others can come."""
        self._from_elsewhere = self._from_elsewhere or from_elsewhere
        if network is not None and len(self._known) < MAX_KNOWN:
            self._known.add(network)

    def knows(self, network: Neighbourhood) -> bool:
        """Whether somebody was let in from this network before."""
        return network in self._known

    def now(self, now_s: float) -> Arrivals:
        """The last minute."""
        while self._recent and now_s - self._recent[0][0] >= WINDOW_S:
            _, network = self._recent.popleft()
            self._networks[network] -= 1
            if not self._networks[network]:
                del self._networks[network]
        largest = max(self._networks.values(), default=0)
        return Arrivals(len(self._recent), len(self._networks), largest, self._from_elsewhere)
