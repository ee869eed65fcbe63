"""A thread with an event loop of its own, for connections that outlive a cell.

A notebook's own loop is blocked while a cell computes, and its main thread is interrupted when the user presses stop.
Connections live here instead: they go on receiving while cells run, and an interrupt ends only the waiting for an
answer, never the connection.

    background().run(coroutine)      from plain code: blocks until the result
    await background().aio(…)        from a coroutine on another loop
    background().submit(…)           from plain code: a `concurrent.futures.Future`
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Awaitable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

STOP_WAIT_S = 3.0
"""How long the connections may take to say good-bye when the program ends."""


class Background:
    """One daemon thread that runs one event loop."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        started = threading.Event()
        self._thread = threading.Thread(target=self._main, args=(started,), name="wslive", daemon=True)
        self._thread.start()
        started.wait()
        # A loop that is frozen with its daemon thread complains about pending tasks while the interpreter goes.
        atexit.register(self.stop)

    @property
    def is_current(self) -> bool:
        """Whether the caller runs on the thread."""
        return threading.current_thread() is self._thread

    def submit(self, coroutine: Coroutine[Any, Any, ResultT]) -> Future[ResultT]:
        """Run a coroutine on the thread; cancelling the future cancels it."""
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise

    def run(self, coroutine: Coroutine[Any, Any, ResultT], timeout_s: float | None = None) -> ResultT:
        """Run a coroutine on the thread and wait for its result.

        An interrupt of the waiting thread cancels the coroutine there; a command of a `Connection` stays queued then.

        Raises:
            TimeoutError: Not done within `timeout_s` seconds; the coroutine was cancelled.
            RuntimeError: Called on the thread itself, which would wait for itself for ever.
        """
        if self.is_current:
            coroutine.close()
            raise RuntimeError("A blocking call in a callback would wait for itself; await its twin under .aio there.")
        future = self.submit(coroutine)
        try:
            return future.result(timeout_s)
        except BaseException:
            future.cancel()
            raise

    def aio(self, coroutine: Coroutine[Any, Any, ResultT]) -> Awaitable[ResultT]:
        """Run a coroutine on the thread; await its result on the caller's loop."""
        if self.is_current:
            return coroutine
        return asyncio.wrap_future(self.submit(coroutine))

    def stop(self) -> None:
        """Cancel everything and end the thread. Nothing can be run afterwards."""
        atexit.unregister(self.stop)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_WAIT_S)

    def _main(self, started: threading.Event) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._stopping = asyncio.Event()
            started.set()
            await self._stopping.wait()

        asyncio.run(main())  # cancels what is left and waits until it has ended


_lock = threading.Lock()
_the_one: Background | None = None


def background() -> Background:
    """The one thread of this process, started when it is first wanted."""
    global _the_one
    with _lock:
        if _the_one is None:
            _the_one = Background()
        return _the_one


def _after_fork() -> None:
    # Threads do not survive a fork: the child starts its own, and never touches the parent's sockets.
    global _lock, _the_one
    if _the_one is not None:
        atexit.unregister(_the_one.stop)
    _lock, _the_one = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
