"""A thread that works off jobs for event loops.

A connection to SQLite blocks, so it lives on a thread of its own. Jobs come from coroutines and their outcomes go back
to the loop that each came from. While the thread is at work, new jobs gather; it then takes all of them at once, so a
batch grows with the load and an idle log answers at once, without any timer.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from wslive.core.errors import LogError

ResultT = TypeVar("ResultT")
Work = Callable[..., ResultT]


class Outcome(NamedTuple):
    """What became of a job: a result or an error."""

    result: Any = None
    error: Exception | None = None


class Job(NamedTuple):
    """Some work and the coroutine that waits for it."""

    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class _Signal(Enum):
    NUDGE = "nudge"
    LAST = "last"


class Worker:
    """One thread and the jobs that wait for it."""

    def __init__(
        self,
        name: str,
        work_off: Callable[[list[Work[Any]]], list[Outcome]],
        afterwards: Callable[[bool], None] = lambda is_awaited: None,
    ) -> None:
        """Start the thread.

        Args:
            name: The thread's name.
            work_off: Called on the thread with all works that wait; returns as many outcomes, in order. With none of
                them after a `nudge`.
            afterwards: Called on the thread when the outcomes have been handed back, with whether more works wait. For
                what nobody has to wait for; must not raise.
        """
        self._work_off = work_off
        self._afterwards = afterwards
        self._jobs: queue.SimpleQueue[Job | _Signal] = queue.SimpleQueue()
        self._gate = threading.Lock()  # no job may slip in behind the last one
        self._is_stopped = False
        # A daemon: a program that ends without `close` is not kept alive, and what was acked is on disk already.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def run(self, work: Work[ResultT]) -> ResultT:
        """Have some work done on the thread. Whether the caller still waits makes no difference to it.

        Raises:
            LogError: The log is closed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ResultT] = loop.create_future()
        with self._gate:
            if self._is_stopped:
                raise LogError("The event log is closed.")
            self._jobs.put(Job(work, loop, future))
        return await future

    def nudge(self) -> None:
        """Let `work_off` be called soon, also where nothing is to be done."""
        self._jobs.put(_Signal.NUDGE)

    def stop(self) -> None:
        """Finish all jobs that wait, and the thread. Blocks."""
        with self._gate:
            if not self._is_stopped:
                self._is_stopped = True
                self._jobs.put(_Signal.LAST)
        self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            waiting = [self._jobs.get()]
            while not self._jobs.empty():  # nobody else takes jobs out
                waiting.append(self._jobs.get())
            jobs = [job for job in waiting if isinstance(job, Job)]
            is_last = _Signal.LAST in waiting
            if is_last and not jobs:
                return
            try:
                outcomes = self._work_off([job.work for job in jobs])
            except Exception as error:  # a bug of ours: nobody may be left waiting for ever
                outcomes = [Outcome(error=error)] * len(jobs)
            _hand_back(jobs, outcomes)
            self._afterwards(not self._jobs.empty())


def _hand_back(jobs: list[Job], outcomes: list[Outcome]) -> None:
    # One wake-up a loop and batch: waking a loop is a system call.
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Outcome]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        by_loop.setdefault(job.loop, []).append((job.future, outcome))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, pairs)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            continue


def _settle(pairs: list[tuple[asyncio.Future[Any], Outcome]]) -> None:
    for future, outcome in pairs:
        if future.done():  # the caller was cancelled
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.result)
