"""The ipywidget behind everything that is displayed: it gives the page what only the kernel has.

    a ticket        so that the page opens its own connection to the server, past the kernel; again before it expires
    a bridge        where the page cannot reach the server: the same messages, over the comm
    what draws      once a page, compressed, where the page cannot fetch it from the server; and so plotly.js
    "let phones in" which needs the hosting token

Tickets and the rest go as custom messages, never as traits: traits are kept in notebooks. Everything here is done on
the connections' thread, so it works while a cell runs.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import segno
import traitlets

from wslive.client.background import background
from wslive.core.errors import WsliveError
from wslive.notebook.local_server import pages_urls
from wslive.notebook.relay import Relay
from wslive.server.http.cells import cells, plotly_js

if TYPE_CHECKING:
    from wslive.notebook.live import Live

MIME = "application/vnd.wslive.v1+json"
"""What our renderer in JupyterLab draws; see labextension/."""

_LOADER = Path(__file__).resolve().parent / "widget.js"

FIRST_TICKETS_AFTER_S = (0.0, 0.3, 1.0, 3.0, 10.0)
"""When a new page is given a ticket unasked: its asking waits while a cell runs, and before it has loaded our code
it does not hear."""


class RoomWidget(anywidget.AnyWidget):
    """One part of a room, live. Its traits say what is shown; nothing in them opens anything."""

    uid = traitlets.Unicode().tag(sync=True)
    urls = traitlets.List(traitlets.Unicode()).tag(sync=True)
    room = traitlets.Unicode().tag(sync=True)
    actor = traitlets.Unicode().tag(sync=True)
    role = traitlets.Unicode().tag(sync=True)
    part = traitlets.Unicode().tag(sync=True)
    activity = traitlets.Unicode().tag(sync=True)
    invite = traitlets.Dict().tag(sync=True)
    cells = traitlets.Unicode().tag(sync=True)
    figure = traitlets.Dict().tag(sync=True)

    # What a poll's widget says to Python, for `observe` and `link`; the page has a connection of its own.
    tally = traitlets.Dict(help="Votes by option text; empty where they are not shown.")
    answered = traitlets.Int()
    is_open = traitlets.Bool()

    def __init__(self, live: Live, part: str, activity: int) -> None:
        """Show a part of what `live` sees."""
        self._live = live
        self._relay: Relay | None = None
        self._offering: asyncio.Task[None] | None = None
        super().__init__(
            _esm=_LOADER.read_text("utf-8"),
            cells=cells().name,
            uid=secrets.token_hex(8),
            urls=pages_urls(live.server),
            room=live.code,
            actor=live.connection.actor,
            role=live.connection.role.value,
            part=part,
            activity=str(activity),
            invite=self._invite(live),
        )
        self.on_msg(self._heard)
        live.widgets.add(self)
        background().submit(self._offer())

    def mimes(self) -> dict[str, Any]:
        """This widget in an output, for front ends with our renderer and for those with ipywidgets alone."""
        names = ("uid", "urls", "room", "actor", "role", "part", "activity", "invite", "cells")
        return {
            MIME: {name: getattr(self, name) for name in names},
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
        }

    def get_state(self, *args: Any, **kwargs: Any) -> Any:
        """The traits. Whoever asks for them may be a page that was reloaded, so it is offered a ticket too."""
        if hasattr(self, "_offering"):  # not while traitlets sets this object up
            background().submit(self._offer())
        return super().get_state(*args, **kwargs)

    def refresh_invitation(self) -> None:
        """Show how people come into the room now."""
        self.invite = self._invite(self._live)

    @staticmethod
    def _invite(live: Live) -> dict[str, Any]:
        """An invitation, and what else stands beside it.

        `here` says that people can come by the page's own address too, which only the page knows; `notice` is what
        whoever runs this notebook server has to say to hosts.
        """
        here = getattr(live, "is_open_here", False)
        notice = os.environ.get("WSLIVE_NOTICE", "")
        return {**invitation(getattr(live, "links", [])), "here": here, "notice": notice}

    # ── on the connections' thread ────────────────────────────────────────────────────────────────────────────────

    async def _offer(self) -> None:
        if self._offering is not None:
            self._offering.cancel()
        self._offering = asyncio.create_task(self._offer_for_a_while())

    async def _offer_for_a_while(self) -> None:
        before = 0.0
        for after in FIRST_TICKETS_AFTER_S:
            await asyncio.sleep(after - before)
            before = after
            await self._give_ticket()

    async def _give_ticket(self) -> None:
        try:
            ticket, expires_in_s = await self._live.connection.ticket()
        except WsliveError:
            return  # no connection just now; the page asks again
        self.send({"type": "ticket", "ticket": ticket, "expires_in_s": expires_in_s})

    async def _carry(self, frame: str) -> None:
        if self._relay is None:
            self._relay = Relay(self._live, lambda text: self.send({"type": "frame", "frame": text}))
        await self._relay.carry(frame)

    async def _let_in(self) -> None:
        try:
            await self._live.aio.let_in("network")
        except WsliveError as error:
            self.send({"type": "told", "message": str(error)})
        else:
            self.send({"type": "told"})

    async def _send_cells(self) -> None:
        self.send({"type": "cells"}, buffers=[await asyncio.to_thread(_cells_js)])

    async def _send_plotly(self) -> None:
        self.send({"type": "plotly"}, buffers=[await asyncio.to_thread(_plotly_js)])

    def _heard(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        match content:
            case {"type": "ticket"}:
                background().submit(self._give_ticket())
            case {"type": "frame", "frame": str(frame)}:
                background().submit(self._carry(frame))
            case {"type": "let_in"}:
                background().submit(self._let_in())
            case {"type": "cells"}:
                background().submit(self._send_cells())
            case {"type": "plotly"}:
                background().submit(self._send_plotly())


@cache
def _cells_js() -> bytes:
    return gzip.compress(cells().body, 6, mtime=0)


@cache
def _plotly_js() -> bytes:
    path = plotly_js()
    assert path is not None, "wslive depends on plotly"
    return gzip.compress(path.read_bytes(), 6, mtime=0)


def invitation(links: list[str]) -> dict[str, Any]:
    """The join links that others can follow, and the best one as a QR code (SVG)."""
    if not links:
        return {"links": [], "qr": ""}
    drawing = io.BytesIO()
    segno.make(links[0], error="m").save(drawing, kind="svg", border=2, xmldecl=False, svgns=True, omitsize=True)
    return {"links": links, "qr": drawing.getvalue().decode()}
