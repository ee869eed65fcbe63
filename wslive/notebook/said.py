"""The name of a chat line said in a notebook cell: running the cell again is the same line, not another one.

The server stores a command of one name once, for ever. A line's name is made of notebook, cell, text, and how often
this run of the cell has said it: a second Run All says nothing twice, a loop of three says it three times.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from contextvars import ContextVar
from typing import NamedTuple

from wslive.notebook.keys import ipython, notebook_id


class Cell(NamedTuple):
    """The cell that is running: `run` tells this run from others, `cell` is the same for all runs of the cell."""

    run: object
    cell: str


calling_cell: ContextVar[Cell | None] = ContextVar("calling_cell", default=None)
"""The cell that made a call; set by `calls`, since the call itself happens on another thread."""

_said: tuple[object, Counter[str]] = (None, Counter())


def running_cell() -> Cell | None:
    """The cell that is running in this thread; None in a callback, another thread or a plain program."""
    shell = ipython()
    if shell is None or threading.current_thread() is not threading.main_thread():
        return None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        inputs = shell.user_ns.get("In") or [""]
        return Cell(len(inputs), inputs[-1])
    parent = kernel.get_parent("shell")
    header = parent.get("header", {})
    if header.get("msg_type") != "execute_request":
        return None
    # nbclient and others name no cell; then its source stands for it.
    cell = parent.get("metadata", {}).get("cellId") or parent.get("content", {}).get("code", "")
    return Cell(header.get("msg_id"), cell)


def line_ref(activity: int, text: str) -> str | None:
    """The name of a line that the calling cell says; None outside a cell."""
    global _said
    cell = calling_cell.get()
    if cell is None:
        return None
    if _said[0] != cell.run:
        _said = (cell.run, Counter())
    name = f"{notebook_id()}\n{cell.cell}\n{activity}\n{text}"
    _said[1][name] += 1
    return "cell-" + hashlib.sha256(f"{name}\n{_said[1][name]}".encode()).hexdigest()[:40]
