"""Our own errors in a notebook: the line of the cell that caused them and one sentence, without our frames."""

from __future__ import annotations

import asyncio
import concurrent.futures
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from wslive.core.errors import WsliveError
from wslive.notebook.keys import ipython

ErrorT = TypeVar("ErrorT", bound=WsliveError)

_NOT_THE_USERS = tuple(
    str(Path(file).resolve().parent)
    for file in (str(Path(__file__).parent), asyncio.__file__, concurrent.futures.__file__)
)


def shortened(error: ErrorT) -> ErrorT:
    """The same error, shown short: IPython asks an exception whether it wants to render itself."""
    if ipython() is not None:
        vars(error)["_render_traceback_"] = partial(_rendered, error)
    return error.with_traceback(None)


def users_part(trace: TracebackType | None) -> TracebackType | None:
    """The frames up to the first one of ours: what the person has written."""
    if trace is None or is_ours(trace.tb_frame.f_code.co_filename):
        return None
    return TracebackType(users_part(trace.tb_next), trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def is_ours(file: str) -> bool:
    """Whether a file is wslive's, or of what carries its calls from thread to thread."""
    return file.startswith(_NOT_THE_USERS)


def _rendered(error: WsliveError) -> list[str]:
    shell = ipython()
    trace = users_part(error.__traceback__) or error.__traceback__
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, trace)
    return lines
