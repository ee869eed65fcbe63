"""A steady rate."""

from __future__ import annotations

import asyncio


class Beat:
    """Says when the next one is due. What a busy machine has missed is not made up for: a burst is another attack."""

    def __init__(self, per_s: float) -> None:
        """So many a second."""
        self._step_s = 1 / per_s
        self._due_s = asyncio.get_running_loop().time()

    async def next(self) -> None:
        """Wait for the next one."""
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(self._due_s + self._step_s, now_s)
        await asyncio.sleep(self._due_s - now_s)
