"""Virtual time: a loop that never waits, and nothing that differs between two runs of a seed.

Where nothing is left to do, the loop's clock jumps to the next timer; an hour of a room takes a second. The wall clock,
the monotonic clock and the system's random bytes follow the same loop and the same seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import selectors
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar
from unittest.mock import patch

ResultT = TypeVar("ResultT")

BEGAN_AT_S = 1_800_000_000
"""The wall clock's time when a run begins."""


class Wall:
    """The wall clock, which somebody may set."""

    shift_s = 0.0


class _Clock(selectors.DefaultSelector):
    """Waits for nothing: there are no sockets, and time is ours."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Let the time pass that the loop would have waited."""
        if timeout is None:
            raise RuntimeError("everybody waits for somebody else, and no timer will end it")
        self.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._clock.now_s

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """What is given to a thread happens at once: a thread would not know of this time, nor this time of it."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run(seed: int, main: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
    """Run `main` in virtual time, with all chance drawn from `seed`."""
    chance = random.Random(f"{seed}/bytes")
    Wall.shift_s = 0.0
    loop = VirtualLoop()
    with ExitStack() as stack:
        for module, name, replacement in (
            (time, "monotonic", loop.time),
            (time, "time", lambda: BEGAN_AT_S + Wall.shift_s + loop.time()),
            (time, "time_ns", lambda: int((BEGAN_AT_S + Wall.shift_s + loop.time()) * 1e9)),
            (os, "urandom", chance.randbytes),
            (random, "_urandom", chance.randbytes),  # what `secrets` draws from
        ):
            stack.enter_context(patch.object(module, name, replacement))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main())
