"""What `wslive serve` may do to its process, and a server inside somebody else's process may not."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

GC_THRESHOLDS = (100_000, 50, 100)

SWITCH_INTERVAL_S = 0.001
"""How long the thread that stores votes waits for Python's lock, which it takes several times a commit. Python's own
5 ms are more than such a commit takes."""


def run(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """`asyncio.run`, on uvloop where that is installed (the extra `fast`)."""
    factory = import_module("uvloop").new_event_loop if find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(coroutine)


def settle() -> None:
    """After start-up: threads take turns more often, and what is there now stays.

    To collect it again and again takes time from people: the cyclic collector takes almost half of the time of a stock
    Tornado write. What connections leave behind is freed by reference counts anyway.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def allow_many_sockets() -> None:
    """Raise the soft limit of open files to the hard one: the usual 1,024 would end a full hall's joining."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            pass  # macOS names a hard limit that it does not grant; the soft one works for small rooms
