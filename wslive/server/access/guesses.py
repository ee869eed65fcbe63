"""Wrong join codes: how many are answered, and when.

Strangers get one refusal for unknown, ended, locked and full rooms. So that it says as little by its time as by its
words, it leaves at the next full tenth of a second after the question came. And it is told only so often: different
wrong codes are counted per network and for the whole server, and beyond the budget a stranger is asked to come back
later, whether the code was right or not.

A hall is one network and must not be locked out by its own slips, nor by somebody who guesses from its midst:

- the same wrong code again costs nothing, since it tells nothing (a misprinted slide is one wrong code);
- where people of a network have come into a room, others of that network come in whatever its budget;
- holders of a token, a ticket or a host key are no strangers.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from wslive.core.errors import TooFast
from wslive.server.access.neighbours import Neighbourhood
from wslive.server.settings import Rate, ServerSettings

ANSWER_STEP_S = 0.1
"""Refusals of strangers leave at multiples of this after the question. Finding a room takes a fraction of it."""

MAX_NETWORKS = 10_000
"""How many networks are remembered, those with the latest wrong codes."""

MAX_CODES = 50
"""How many wrong codes of one network are remembered, the latest ones."""


def wait_s(asked_at_s: float, now_s: float) -> float:
    """How long an answer to a stranger has to wait."""
    steps = math.floor((now_s - asked_at_s) / ANSWER_STEP_S) + 1
    return asked_at_s + steps * ANSWER_STEP_S - now_s


class _Bucket:
    """Refills at `rate`; may be taken below zero, never by more than one at a time."""

    def __init__(self, rate: Rate, now_s: float) -> None:
        self._rate = rate
        self._level = float(rate.burst)
        self._at_s = now_s

    def level(self, now_s: float) -> float:
        self._level = min(self._rate.burst, self._level + (now_s - self._at_s) * self._rate.per_s)
        self._at_s = now_s
        return self._level

    def take(self, now_s: float) -> None:
        self._level = self.level(now_s) - 1

    def wait_s(self, now_s: float) -> float:
        """How long until there is one; 0 if there is."""
        return max(0.0, (1 - self.level(now_s)) / self._rate.per_s)


class _Network:
    """The wrong codes of one network."""

    def __init__(self, rate: Rate, now_s: float) -> None:
        self.bucket = _Bucket(rate, now_s)
        self.codes: OrderedDict[str, None] = OrderedDict()


class Guesses:
    """The budget of one server."""

    def __init__(self, settings: ServerSettings, now_s: float) -> None:
        """Begin with all of it."""
        self._settings = settings
        self._overall = _Bucket(settings.total_guess_rate, now_s)
        self._networks: OrderedDict[Neighbourhood, _Network] = OrderedDict()

    def check(self, network: Neighbourhood, now_s: float) -> None:
        """Whether a stranger's code is looked up.

        Raises:
            TooFast: Too many wrong ones came from there, or from everywhere; says when to come back.
        """
        wait_s = self._overall.wait_s(now_s)
        # Behind a proxy that the settings do not name everybody would be one network: only the server's budget counts.
        if network is not None and (kept := self._networks.get(network)) is not None:
            wait_s = max(wait_s, kept.bucket.wait_s(now_s))
        if wait_s > 0:
            retry_after_s = max(0.1, math.ceil(10 * wait_s) / 10)
            raise TooFast(
                f"Too many wrong codes were tried here. Check yours, and try again in {retry_after_s:g} seconds.",
                retry_after_s=retry_after_s,
            )

    def wrong(self, network: Neighbourhood, code: str, now_s: float) -> None:
        """Note a code that let nobody in."""
        kept = self._networks.get(network)
        if kept is None:
            kept = self._networks[network] = _Network(self._settings.guess_rate, now_s)
            if len(self._networks) > MAX_NETWORKS:
                self._networks.popitem(last=False)
        self._networks.move_to_end(network)
        is_new = code not in kept.codes
        kept.codes[code] = None
        kept.codes.move_to_end(code)
        if len(kept.codes) > MAX_CODES:
            kept.codes.popitem(last=False)
        if is_new:
            self._overall.take(now_s)
            kept.bucket.take(now_s)

    def forget(self, now_s: float) -> None:
        """Drop the networks whose budget has filled up again."""
        burst = self._settings.guess_rate.burst
        for network in [n for n, kept in self._networks.items() if kept.bucket.level(now_s) >= burst]:
            del self._networks[network]

    def __len__(self) -> int:
        """How many networks are remembered."""
        return len(self._networks)
