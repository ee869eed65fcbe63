"""What a run cost, and whether others disturbed it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks import machine
from benchmarks.machine import Usage, cost, usage


def used(at_s: float, run_s: float, wait_s: float, core_s: float) -> Usage:
    return Usage(at_s, run_s, wait_s, core_s)


def test_threads_that_wait_for_one_another_are_not_disturbed():
    found = cost(used(10, 1, 1, 5), used(14, 4, 3, 8))
    assert found == (4, 3, 0)
    assert found.share == 0.75


def test_others_disturb_for_as_long_as_they_had_the_core():
    assert cost(used(10, 1, 1, 5), used(14, 3, 3, 8)).waited_share == 1 / 4


def test_nobody_is_disturbed_for_longer_than_they_waited():
    assert cost(used(10, 1, 1, 5), used(14, 2, 1.4, 9)).waited_share == pytest.approx(0.1)


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
