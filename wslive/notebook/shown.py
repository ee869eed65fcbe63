"""How the things of a room show themselves in a cell.

One output carries all of it, and each front end takes what it understands first:

    application/vnd.wslive.v1+json              JupyterLab and Notebook 7: drawn by our own renderer, which needs no
                                                kernel (a reload while the kernel computes) and falls back to the
                                                results below when nothing is live (a saved notebook)
    application/vnd.jupyter.widget-view+json    every other front end that knows ipywidgets
    text/html                                   saved notebooks elsewhere, nbconvert: the latest results
    text/plain                                  terminals
"""

from __future__ import annotations

import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from wslive.notebook.keys import ipython

if TYPE_CHECKING:
    from wslive.notebook.live import Live
    from wslive.notebook.widget import RoomWidget

_making = threading.Lock()

_OURS = frozenset(
    "at catch_up command connection describe_resumed events learn_links let_go live open part part_of peek reactions "
    "read refresh_saved saved_html saved_text speak widgets".split()
)
"""What rooms and their parts are made of, and no completion offers."""


class Shown:
    """Something with a live view in a cell."""

    part: ClassVar[str]
    """What the view shows: "room", "poll", "chat", "people" or "me"."""

    id: int = 0
    """The activity, where it is one."""

    def __init__(self, live: Live) -> None:
        """Show a part of what `live` sees."""
        self.live = live
        self._widget: RoomWidget | None = None
        self._display_id: str | None = None

    @property
    def widget(self) -> RoomWidget:
        """The live view as an ipywidget (always the same one), for `HBox`, `GridBox`, `observe` and `link`."""
        from wslive.notebook.widget import RoomWidget

        with _making:  # a callback may want it at the same moment as a cell
            if self._widget is None:
                self._widget = RoomWidget(self.live, self.part, self.id)
            return self._widget

    async def catch_up(self) -> None:
        """See `Live.catch_up`."""
        await self.live.catch_up()

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in _OURS]

    def saved_html(self) -> str:
        """What a saved notebook shows."""
        raise NotImplementedError

    def saved_text(self) -> str:
        """The same for terminals."""
        return repr(self)

    def refresh_saved(self) -> None:
        """Replace what saved notebooks show by the present state, wherever this is displayed."""
        if self._display_id is not None:
            self._publish(update=True)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": self.saved_text()}
        if _has_front_end():
            bundle["text/html"] = self.saved_html()
            bundle |= self.widget.mimes()
        return bundle

    def _ipython_display_(self) -> None:
        if not _has_front_end():
            sys.stdout.write(f"{self.saved_text()}\n")
            return
        self._display_id = self._display_id or uuid.uuid4().hex
        self._publish(update=False)

    def _publish(self, *, update: bool) -> None:
        # Not display(): that would ask this object again how it wants to be displayed.
        transient = {"display_id": self._display_id}
        ipython().display_pub.publish(self._repr_mimebundle_(), transient=transient, update=update)


def _has_front_end() -> bool:
    shell = ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None
