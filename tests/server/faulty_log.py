"""An event log that fails, stalls or lies in doubt when it is told to; otherwise it is the real one inside."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from wslive.eventlog.base import EventLog


class FaultyLog:
    """Everything goes to `inner`, unless a fault was ordered.

    Attributes:
        calls: How often each method was called.
    """

    def __init__(self, inner: EventLog) -> None:
        self.inner = inner
        self.calls: Counter[str] = Counter()
        self._faults: defaultdict[str, list[tuple[Exception, bool]]] = defaultdict(list)
        self._broken: dict[str, Exception] = {}
        self._spared: Counter[str] = Counter()
        self._gates: dict[str, asyncio.Event] = {}
        self._waiting: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def fail(self, method: str, error: Exception, *, but_do_it: bool = False) -> None:
        """Let the next call of `method` fail; with `but_do_it` only its answer is lost."""
        self._faults[method].append((error, but_do_it))

    def spare(self, method: str, calls: int) -> None:
        """Let that many calls of `method` pass, whatever else was ordered."""
        self._spared[method] = calls

    @contextmanager
    def broken(self, error: Exception, *methods: str) -> Iterator[None]:
        """Let all calls of these methods fail."""
        self._broken |= dict.fromkeys(methods, error)
        try:
            yield
        finally:
            for method in methods:
                del self._broken[method]

    @contextmanager
    def held(self, method: str) -> Iterator[Callable[[], Awaitable[Any]]]:
        """Let calls of `method` wait until the block ends; what it yields is awaited to know that one does."""
        self._gates[method] = asyncio.Event()
        self._waiting[method].clear()
        try:
            yield self._waiting[method].wait
        finally:
            self._gates.pop(method).set()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self.inner, name)

        async def call(*args: Any) -> Any:
            self.calls[name] += 1
            gate = self._gates.get(name)
            if gate is not None:
                self._waiting[name].set()
                await gate.wait()
            if self._spared[name]:
                self._spared[name] -= 1
                return await method(*args)
            if name in self._broken:
                raise self._broken[name]
            if self._faults[name]:
                error, but_do_it = self._faults[name].pop(0)
                if but_do_it:
                    await method(*args)
                raise error
            return await method(*args)

        return call
