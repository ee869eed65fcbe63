"""What a measurement ran on, and what a process cost.

CPU time means something on a busy machine too; wall-clock figures do not. So each run says for how long server and
load waited for a processor although they had work; where that is more than a few per cent, it is to be repeated.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import psutil


class Usage(NamedTuple):
    """What a process has used so far, in seconds, over all of its threads."""

    run_s: float
    wait_s: float | None
    """Ready to run, but not running; None where the system does not tell (only Linux does)."""


def usage(pid: int) -> Usage:
    """The usage of a process that lives."""
    times = psutil.Process(pid).cpu_times()
    try:
        stats = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        stats = []
    wait_s = sum(int(fields[1]) for fields in stats) / 1e9 if stats else None
    return Usage(times.user + times.system, wait_s)


def pin(core: int | None) -> None:
    """Keep this process to one processor core, where the system can do that."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def two_cores() -> tuple[int | None, int | None]:
    """A core for the server and another for the load; None where there are no two to choose from."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def described() -> dict[str, Any]:
    """The machine and the versions."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in ("wslive", "tornado", "msgspec")},
        "uvloop": _version("uvloop"),
        "load_average": os.getloadavg() if sys.platform != "win32" else None,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except ModuleNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
