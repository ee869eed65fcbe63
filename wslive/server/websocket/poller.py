"""Which of a thousand sockets have something to read, without a thousand callbacks of the event loop.

Theory of operation. An event loop makes of each readable socket a handle in its queue, and runs that in a context of
its own: more work than to read a vote. On Linux a set of sockets that the system watches (epoll) can be watched itself.
So all sockets of a loop are in one such set, which the loop sees as a single reader; its callback asks the set who is
ready and calls each in turn. Everybody is called at most once a turn, as by the loop itself.

Elsewhere the loop watches each socket. The set exists while a socket is in it, so no loop leaves one behind.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable
from socket import socket as Socket
from typing import Any, Protocol

logger = logging.getLogger("wslive.poller")

MAX_READY = 500
"""How many sockets are read before the rest of the loop gets its turn; the others are first the next time."""


class Readers(Protocol):
    """What watches sockets: a `Poller`, or an event loop."""

    def add_reader(self, fd: Socket, callback: Callable[[], object], /) -> Any:
        """Call `callback` once a turn while there is something to read."""
        ...

    def remove_reader(self, fd: Socket, /) -> Any:
        """Watch it no more; nothing happens where it is not watched."""
        ...


class Poller:
    """The sockets of one event loop that are waited for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch nothing yet."""
        self._loop = loop
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._epoll: select.epoll | None = None

    def add_reader(self, fd: Socket, callback: Callable[[], object]) -> None:
        """See `Readers`."""
        number = fd.fileno()
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop.add_reader(self._epoll, self._ready)
            _pollers[self._loop] = self
        if number not in self._callbacks:
            self._epoll.register(number, select.EPOLLIN)
        self._callbacks[number] = callback

    def remove_reader(self, fd: Socket) -> None:
        """See `Readers`."""
        number = fd.fileno()
        if self._callbacks.pop(number, None) is not None and self._epoll is not None:
            self._epoll.unregister(number)
        if not self._callbacks:
            if self._epoll is not None:
                self._loop.remove_reader(self._epoll)
                self._epoll.close()
                self._epoll = None
            _pollers.pop(self._loop, None)

    def _ready(self) -> None:
        if self._epoll is None:
            return
        callbacks = self._callbacks
        for number, _ in self._epoll.poll(0, MAX_READY):
            callback = callbacks.get(number)
            if callback is None:
                continue  # one of those before has closed it
            try:
                callback()
            except Exception:
                logger.exception("what came over a connection could not be worked off")


_pollers: dict[asyncio.AbstractEventLoop, Poller] = {}
"""Those in use."""


def readers_of(loop: asyncio.AbstractEventLoop) -> Readers:
    """What watches the sockets of a loop."""
    if not hasattr(select, "epoll"):
        return loop
    poller = _pollers.get(loop)
    if poller is None:
        poller = _pollers[loop] = Poller(loop)
    return poller
