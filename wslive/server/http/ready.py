"""Whether the server can do its work: whether an event could be stored now."""

from __future__ import annotations

import asyncio
import time

from wslive.core.errors import LogError
from wslive.eventlog.base import EventLog

KEPT_S = 1.0
"""How long an answer is good for: however many ask, the store is asked once in this time."""
TIMEOUT_S = 5.0


class Readiness:
    """Asks the store, seldom."""

    def __init__(self, log: EventLog) -> None:
        """Know nothing yet."""
        self._log = log
        self._asking: asyncio.Task[str | None] | None = None
        self._asked_at_s = float("-inf")
        self.is_stopping = False

    async def trouble(self) -> str | None:
        """Why nothing could be stored now; None: it could."""
        if self.is_stopping:
            return "The server is stopping."
        if self._asking is None or (self._asking.done() and time.monotonic() - self._asked_at_s > KEPT_S):
            self._asked_at_s = time.monotonic()
            self._asking = asyncio.create_task(self._ask(), name="readiness")
        asking = self._asking
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asyncio.shield(asking)
        except TimeoutError:
            return f"The store has not answered for {TIMEOUT_S:g} seconds."

    async def _ask(self) -> str | None:
        try:
            await self._log.probe()
        except LogError as error:
            return str(error)
        return None
