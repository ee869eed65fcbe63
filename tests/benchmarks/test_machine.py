"""What a run cost, and whether others disturbed it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks import machine
from benchmarks.machine import Usage, cost, usage


def test_a_process_waited_for_others_no_longer_than_they_had_its_core():
    # 2 s on the processor, 3 s waiting in its threads, mostly for each other: others had the core for half a second.
    assert cost(Usage(0, 0, 0, 100), Usage(10, 2, 3, 102.5)).waited_share == pytest.approx(0.05)
    assert cost(Usage(0, 0, 0, 100), Usage(10, 2, 0.1, 109)).waited_share == pytest.approx(0.01)
    assert cost(Usage(0, 0, 0, 0), Usage(10, 2, 3, 0)).waited_share == pytest.approx(0.3)


@pytest.fixture
def core() -> Iterator[int]:
    """The one that this process keeps to."""
    cores = os.sched_getaffinity(0)
    core = min(cores)
    machine.pin(core)
    yield core
    os.sched_setaffinity(0, cores)


def test_a_core_is_busy_at_least_while_it_works_for_us(core: int):
    before = usage(os.getpid(), core)
    after = usage(os.getpid(), core)
    while after.run_s - before.run_s < 0.1:
        after = usage(os.getpid(), core)
    granule_s = 0.02  # idle time is told in hundredths
    assert after.core_s - before.core_s >= after.run_s - before.run_s - granule_s
