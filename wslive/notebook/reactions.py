"""A user's callbacks: called when something has changed, on a thread of their own, with what is true then.

They cannot hold up the connection: a callback that is still at work when more changes come is called once more
afterwards, with the latest state. Registering a function of the same name replaces the earlier one, so running a cell
again does not pile callbacks up. An exception is shown below the cell that registered the callback.
"""

from __future__ import annotations

import queue
import sys
import threading
import traceback
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

from wslive.notebook.calls import look
from wslive.notebook.keys import ipython
from wslive.notebook.short_errors import is_ours


class Reaction(NamedTuple):
    """One callback.

    Attributes:
        call: Calls it.
        version: What it depends on, by value: it is called when this has changed. Read on the connection's thread.
        place: Where its exceptions are shown.
    """

    call: Callable[[], object]
    version: Callable[[], object]
    place: Place


class Place:
    """A spot below the cell that is running now, empty until something has to be said there."""

    def __init__(self, *, visible: bool = True) -> None:
        """Take the spot; where there is none (outside a notebook, or not wanted) standard error serves."""
        self._handle: Any = None
        shell = ipython()
        if visible and shell is not None and getattr(shell, "kernel", None) is not None:
            import IPython.display as ipd

            handle: Any = ipd.DisplayHandle  # untyped
            self._handle = handle()
            self._handle.display({"text/html": "<div hidden></div>", "text/plain": ""}, raw=True)

    def show(self, name: str, error: BaseException) -> None:
        """Show an exception of the callback `name`."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not is_ours(frame.filename)]
        lines = traceback.format_list(frames) + traceback.format_exception_only(error)
        text = f"{name.split()[-1].removeprefix('__main__.')} failed:\n{''.join(lines)}"
        if self._handle is None:
            print(text, file=sys.stderr)  # noqa: T201 - there is no other place
        else:
            html = f'<pre style="color:var(--jp-error-color1,#b00020)">{escape(text)}</pre>'
            self._handle.update({"text/html": html, "text/plain": text}, raw=True)

    def clear(self) -> None:
        """The callback has worked again."""
        if self._handle is not None:
            self._handle.update({"text/html": "<div hidden></div>", "text/plain": ""}, raw=True)


class Reactions:
    """All callbacks of one room in this kernel."""

    def __init__(self) -> None:
        """Start with none; the thread starts with the first."""
        self._reactions: dict[str, Reaction] = {}
        self._seen: dict[str, object] = {}
        self._failed: set[str] = set()
        self._due: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._queued: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(
        self, name: str, call: Callable[[], object], version: Callable[[], object], place: Place | None = None
    ) -> None:
        """Call `call` now and whenever `version()` has another value; `place` is below this cell by default."""
        reaction = Reaction(call, version, place or Place())
        with self._lock:
            self._reactions[name] = reaction
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="wslive callbacks", daemon=True)
                self._thread.start()
        self._seen[name] = look(version)
        self._enqueue(name)

    def changed(self) -> None:
        """Something has changed; called on the connection's thread after each change."""
        for name, reaction in list(self._reactions.items()):
            version = reaction.version()
            if version != self._seen.get(name):
                self._seen[name] = version
                self._enqueue(name)

    def close(self) -> None:
        """Call nobody any more."""
        with self._lock:
            self._reactions.clear()
            if self._thread is not None:
                self._due.put(None)
                self._thread = None

    def _enqueue(self, name: str) -> None:
        with self._lock:
            if name in self._queued:
                return
            self._queued.add(name)
        self._due.put(name)

    def _work(self) -> None:
        while (name := self._due.get()) is not None:
            with self._lock:
                self._queued.discard(name)
                reaction = self._reactions.get(name)
            if reaction is None:
                continue
            try:
                reaction.call()
            except Exception as error:
                self._failed.add(name)
                reaction.place.show(name, error)
            else:
                if name in self._failed:
                    self._failed.discard(name)
                    reaction.place.clear()
