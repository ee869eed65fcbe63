import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from wslive.core.errors import LogError
from wslive.eventlog.sqlite_threads import Outcome, Work, Worker


class Sums:
    """Works off jobs once it is let go, and notes in which batches they came."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.at_work = threading.Semaphore(0)
        self.batches: list[int] = []

    def work_off(self, works: list[Work[Any]]) -> list[Outcome]:
        self.at_work.release()
        assert self.gate.acquire(timeout=60)
        self.batches.append(len(works))
        return [Outcome(work()) for work in works]


@pytest.fixture
def sums() -> Sums:
    return Sums()


@pytest.fixture
def worker(sums: Sums) -> Iterator[Worker]:
    worker = Worker("test", sums.work_off)
    yield worker
    sums.gate.release(1000)
    worker.stop()


async def test_results_come_back_to_those_who_asked(worker: Worker, sums: Sums) -> None:
    sums.gate.release(10)
    assert await asyncio.gather(*(worker.run(lambda n=n: n * n) for n in range(10))) == [n * n for n in range(10)]


async def test_what_gathers_while_the_thread_is_at_work_is_one_batch(worker: Worker, sums: Sums) -> None:
    first = asyncio.ensure_future(worker.run(lambda: 0))
    await asyncio.to_thread(sums.at_work.acquire)
    rest = [asyncio.ensure_future(worker.run(lambda: 0)) for _ in range(50)]
    await asyncio.sleep(0)
    sums.gate.release(2)
    await asyncio.gather(first, *rest)
    assert sums.batches == [1, 50]


async def test_a_cancelled_caller_changes_nothing_for_the_others(worker: Worker, sums: Sums) -> None:
    done: list[str] = []
    first = asyncio.ensure_future(worker.run(lambda: done.append("first")))
    await asyncio.to_thread(sums.at_work.acquire)
    second = asyncio.ensure_future(worker.run(lambda: done.append("second")))
    third = asyncio.ensure_future(worker.run(lambda: done.append("third")))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    sums.gate.release(2)
    await third
    assert done == ["first", "second", "third"]


async def test_what_nobody_waits_for_is_done_when_everybody_has_been_told() -> None:
    awaited: list[bool] = []
    may_end = threading.Semaphore(0)

    def afterwards(is_awaited: bool) -> None:
        awaited.append(is_awaited)
        assert may_end.acquire(timeout=60)

    worker = Worker("test", lambda works: [Outcome(work()) for work in works], afterwards)
    assert await worker.run(lambda: "told") == "told"  # though `afterwards` has not ended
    next_one = asyncio.ensure_future(worker.run(lambda: "next"))
    await asyncio.sleep(0)
    assert not next_one.done()
    may_end.release(2)
    assert await next_one == "next"
    worker.stop()
    assert len(awaited) == 2


async def test_it_is_told_whether_somebody_waits(sums: Sums) -> None:
    awaited: list[bool] = []
    worker = Worker("test", sums.work_off, awaited.append)
    first = asyncio.ensure_future(worker.run(lambda: 0))
    await asyncio.to_thread(sums.at_work.acquire)
    second = asyncio.ensure_future(worker.run(lambda: 0))
    await asyncio.sleep(0)
    sums.gate.release(2)
    await asyncio.gather(first, second)
    worker.stop()
    assert awaited == [True, False]


async def test_a_bug_in_the_work_leaves_nobody_waiting() -> None:
    def broken(works: list[Work[Any]]) -> list[Outcome]:
        raise RuntimeError("a bug")

    worker = Worker("test", broken)
    results = await asyncio.gather(*(worker.run(lambda: 0) for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["a bug"] * 3
    with pytest.raises(RuntimeError, match="a bug"):  # and the thread lives on
        await worker.run(lambda: 0)
    worker.stop()


async def test_stopping_finishes_what_waits_and_takes_nothing_more(worker: Worker, sums: Sums) -> None:
    waiting = [asyncio.ensure_future(worker.run(lambda n=n: n)) for n in range(5)]
    await asyncio.sleep(0)
    sums.gate.release(10)
    await asyncio.to_thread(worker.stop)
    assert await asyncio.gather(*waiting) == list(range(5))
    with pytest.raises(LogError, match="closed"):
        await worker.run(lambda: 0)
    worker.stop()
