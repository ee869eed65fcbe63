"""Those who are told of a connection: they wait until a view fulfils a condition, or left a function to call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from wslive.core.view import View

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")


class Watchers:
    """Conditions on a view, each with a future that is done once it holds."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._waiting: dict[asyncio.Future[Any], Callable[[View], Any]] = {}

    async def wait(self, predicate: Callable[[View], ResultT], timeout_s: float | None) -> ResultT:
        """Wait until a `look` finds `predicate(view)` true, and return what it returned.

        Raises:
            TimeoutError: It was not within `timeout_s` seconds.
        """
        waiter: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = predicate
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        finally:
            self._waiting.pop(waiter, None)

    def look(self, view: View) -> None:
        """Check all conditions; a condition's exception goes to whoever waits for it."""
        for waiter, predicate in list(self._waiting.items()):
            if waiter.done():
                continue
            try:
                found = predicate(view)
            except Exception as error:
                waiter.set_exception(error)
            else:
                if found:
                    waiter.set_result(found)

    def fail_all(self, error: Exception) -> None:
        """No condition will be looked at any more."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)


def tell(callback: Callable[..., None] | None, *args: object) -> None:
    """Call what somebody left; a mistake in it must not take the connection with it."""
    if callback is None:
        return
    try:
        callback(*args)
    except Exception:
        log.exception("a callback of a connection failed")
