"""Pings: is the other side still there?

All connections of a server are asked in the same interval, so the one asked longest ago is always the next: one queue
and one timer serve all of them, however many there are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

AT_ONCE = 200
"""How many are asked before others get their turn: a hall that came at the same moment is due at the same moment."""


class Asked(Protocol):
    """A connection."""

    def ask(self) -> bool:
        """Ask whether somebody is there; False if it is over, or nothing was heard since it was asked last."""
        ...


class Keepalive:
    """The pings of one server."""

    def __init__(self, interval_s: float) -> None:
        """Ask each connection once in `interval_s`; 0: never."""
        self._interval_s = interval_s
        self._due: deque[tuple[float, Asked]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connection: Asked) -> None:
        """Ask this one too, from now on."""
        if self._interval_s > 0:
            loop = asyncio.get_running_loop()
            self._due.append((loop.time() + self._interval_s, connection))
            self._wake(loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None and self._due:
            self._timer = loop.call_at(self._due[0][0], self._ask)

    def _ask(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for _ in range(AT_ONCE):
            if not self._due or self._due[0][0] > now_s:
                break
            _, connection = self._due.popleft()
            if connection.ask():
                self._due.append((now_s + self._interval_s, connection))
        self._wake(loop)
