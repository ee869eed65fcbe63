"""When to come back: full jitter, so that a thousand clients of a restarted server do not come back at once."""

from __future__ import annotations

import random

FIRST_TRY_WITHIN_S = 1.0
LONGEST_DELAY_S = 30.0


class Backoff:
    """The delays before the next tries, in seconds."""

    def __init__(self, rng: random.Random) -> None:
        """Draw from `rng`."""
        self._rng = rng
        self._tries = 0

    def delay_s(self, spread_s: float = 0.0) -> float:
        """How long to wait before the next try.

        Args:
            spread_s: Within how many seconds the server wishes its clients back; 0: it said nothing. Then it is no
                failed try: it knows how many are coming.
        """
        if spread_s > 0:
            return self._rng.uniform(0, spread_s)
        tries = self._tries
        self._tries += 1
        if tries == 0:
            return self._rng.uniform(0, FIRST_TRY_WITHIN_S)
        # Beyond 2**10 the cap has long been reached; without the bound the power grows without end.
        return self._rng.uniform(0, min(LONGEST_DELAY_S, 0.5 * 2 ** min(tries, 10)))

    def succeeded(self) -> None:
        """A try led to a welcome; the count starts anew."""
        self._tries = 0
