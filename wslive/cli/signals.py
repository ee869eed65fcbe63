"""Ctrl-C, SIGTERM and a closed terminal, as an event to wait for."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def asked_to_end() -> Iterator[asyncio.Event]:
    """An event that the first of these signals sets; a second one of the same kind ends the process at once."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    known = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None))
    # Under nohup a hang-up is ignored, in the background of a script Ctrl-C is; it must stay so.
    caught = [number for number in known if number and signal.getsignal(number) is not signal.SIG_IGN]

    def note(number: signal.Signals) -> None:
        asked.set()
        loop.remove_signal_handler(number)

    try:
        for number in caught:
            loop.add_signal_handler(number, note, number)
    except NotImplementedError:  # Windows
        for number in caught:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(asked.set))
    yield asked
