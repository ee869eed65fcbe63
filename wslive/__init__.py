"""wslive: ask a room a question from a notebook cell; people answer, and the chart moves as they do.

    import wslive

    room = wslive.host("Sorting 101", audience="network")
    poll = room.poll("Which sort is stable?", ["quick", "merge", "heap"])
    poll                                     # a live chart
    poll.to_frame()                          # one row a ballot

    me = wslive.join("http://192.168.1.7:8765/r/K7M2QX", name="Ada")     # another notebook
    me.vote("merge")

Every call that waits has a twin to await: `poll.close()` and `await poll.aio.close()`, `wslive.host(…)` and
`await wslive.aio.host(…)`.

To learn how it works, read in this order: notebooks/01_host.ipynb, `activities.poll.model` (the rules of one kind of
question), `core.room` (how commands become events), `wire.session` (one connection), `server.rooms.room_task` (the
single writer), `client.replica` (what a reader holds), `notebook.room` (what a person types).

The names here are loaded when they are first used: `import wslive` alone loads neither Tornado nor a widget.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from wslive.core import errors as errors
    from wslive.crowd import Crowd as Crowd
    from wslive.notebook.hosting import aio as aio
    from wslive.notebook.hosting import host as host
    from wslive.notebook.hosting import join as join
    from wslive.notebook.hosting import rooms as rooms
    from wslive.notebook.hosting import watch as watch

_WHERE = {
    "host": "wslive.notebook.hosting",
    "join": "wslive.notebook.hosting",
    "watch": "wslive.notebook.hosting",
    "rooms": "wslive.notebook.hosting",
    "aio": "wslive.notebook.hosting",
    "Crowd": "wslive.crowd",
}
_MODULES = {"errors": "wslive.core.errors"}

__all__ = ["Crowd", "__version__", "aio", "errors", "host", "join", "rooms", "watch"]


def __getattr__(name: str) -> Any:
    """Load a public name on its first use."""
    if name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
    elif name in _MODULES:
        value = import_module(_MODULES[name])
    elif name == "__version__":
        # To look it up takes longer than all else here.
        value = import_module("importlib.metadata").version("wslive")
    else:
        raise AttributeError(f"module 'wslive' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
