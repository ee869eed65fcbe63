"""What a measurement ran on, what a process cost, and whether others disturbed it.

CPU time means something on a busy machine too; wall-clock figures do not. So each run says for how long its server and
its load waited for a processor because somebody else had it; a run with more than a few per cent of that is void.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD = REPOSITORY / "build" / "bench"
"""What benchmarks compile, install and write; git ignores it."""

MAX_WAIT_SHARE = 0.03
"""A run in which server or load waited for others for a larger share of the time is void."""


class Usage(NamedTuple):
    """What a process and its core have used so far, in seconds.

    Attributes:
        at_s: When this was read (time.monotonic).
        run_s: On a processor, over all threads.
        wait_s: Ready to run, but not running, over all threads; threads of one process on one core wait for each other.
        core_s: For how long the core it is pinned to was busy, with whatever, since some moment.
    """

    at_s: float
    run_s: float
    wait_s: float
    core_s: float


def usage(pid: int, core: int | None = None) -> Usage:
    """The usage of a process that lives."""
    try:
        stats = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        stats = []
    if stats:
        run_s, wait_s = (sum(int(fields[field]) for fields in stats) / 1e9 for field in (0, 1))
    else:  # only Linux tells
        times = psutil.Process(pid).cpu_times()
        run_s, wait_s = times.user + times.system, 0.0
    return Usage(time.monotonic(), run_s, wait_s, 0.0 if core is None else _busy_s(core))


def _busy_s(core: int) -> float:
    """All the time that a core was not idle.

    Linux knows exactly how long a core was idle, and what it did else only by looking 250 times a second: for a server
    that works in step with the clock that is wrong by up to a fifth, and runs were void that nobody had disturbed.
    """
    times = psutil.cpu_times(percpu=True)[core]
    return float(time.monotonic() - times.idle - getattr(times, "iowait", 0.0))


class Cost(NamedTuple):
    """What a process used between two readings.

    Attributes:
        took_s: Wall-clock time.
        run_s: CPU time.
        waited_share: For which share of the time it may have waited for others, at most: it waited no longer than its
            threads waited for anything, and no longer than others had its core.
    """

    took_s: float
    run_s: float
    waited_share: float

    @property
    def share(self) -> float:
        """CPU time over time."""
        return self.run_s / self.took_s


def cost(before: Usage, after: Usage) -> Cost:
    """What was used in between."""
    took_s, run_s = after.at_s - before.at_s, after.run_s - before.run_s
    waited_s = after.wait_s - before.wait_s
    if before.core_s:
        waited_s = min(waited_s, max(0.0, after.core_s - before.core_s - run_s))
    return Cost(took_s, run_s, waited_s / took_s)


def rss_bytes(pid: int) -> int:
    """The memory that a process holds, without what the kernel keeps for its sockets."""
    return int(psutil.Process(pid).memory_info().rss)


def pin(core: int | None) -> None:
    """Keep this process to one processor core, where the system can do that."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


@contextmanager
def ahead_of_others() -> Iterator[bool]:
    """Go before what else runs on this machine, servers and load alike; that takes root's rights.

    Linux shares time between sessions first, so it is the whole session that goes ahead.

    Returns:
        Whether it does.
    """
    session = Path("/proc/self/autogroup")
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        if session.exists():
            session.write_text("-20")
    except (OSError, AttributeError):
        yield False
        return
    try:
        yield True
    finally:
        if session.exists():
            session.write_text("0")


def two_cores() -> tuple[int | None, int | None]:
    """A core for the server and another for the load; None where there are no two to choose from."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def described() -> dict[str, Any]:
    """The machine and the versions."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in ("wslive", "tornado", "msgspec")},
        "uvloop": _version("uvloop"),
        "node": _node(),
        "load_average": os.getloadavg() if sys.platform != "win32" else None,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except ModuleNotFoundError:
        return None


def _node() -> str | None:
    try:
        return subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except OSError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
