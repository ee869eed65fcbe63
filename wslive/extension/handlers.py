"""The handlers: those of `wslive serve`, behind Jupyter's login.

Whoever asks is one of three:

    known       logged in to Jupyter; or one of this user's kernels, which shows the hosting token; or, at the
                WebSocket, the holder of a ticket of ours
    let in      anybody, once a host has let people into a room: its page, the page's files and its WebSocket
    a stranger  is told to ask the host, and nothing else; the same whether a room exists or not, and only for so many
                different codes: once a room is open its code could be guessed

Jupyter looks at the Host header itself. Its check of the Origin is made here for every handshake: Tornado skips it
when Host equals Origin.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import authenticated

from wslive.core.errors import InvalidToken, NotAllowed, Refused, RoomUnavailable, TemporarilyUnavailable
from wslive.extension.mount import Mount, as_nobody
from wslive.server.access.guesses import wait_s
from wslive.server.access.origins import is_readable
from wslive.server.access.tokens import check_hosting
from wslive.server.access.turns import LONGEST_WAIT_S
from wslive.server.http import api, pages
from wslive.server.http.handshake import is_full, turn_away
from wslive.server.http.socket import SocketHandler
from wslive.wire.messages import Hello

NOT_LET_IN = "Nobody is let in here at the moment. Ask the host of the room to let people in."
_CLOSED_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Not open · wslive</title>
<h1>This room is not open</h1>
<p>Nobody is let in here at the moment. Ask the host of the room to let people in, then load this page again.
<p><small>You are the host? <a href="{login}">Log in to Jupyter.</a></small>
</html>
"""


class Guarded(pages.Handler, JupyterHandler):
    """A handler of `wslive serve` behind Jupyter's login."""

    _is_known = False

    def initialize(self, mount: Mount) -> None:  # type: ignore[override]
        """Take what all handlers share, as far as it is there already."""
        self.mount = mount

    @property
    def log(self) -> logging.Logger:
        """Where Jupyter writes its line about this request."""
        return self.mount.log

    @property
    def is_stranger(self) -> bool:
        """Whether nothing is known of whoever asks."""
        return not self._is_known

    @property
    def lets_strangers_in(self) -> bool:
        """Whether people without a login may have this now."""
        raise NotImplementedError

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks, and turn strangers away."""
        await self.mount.ready.wait()
        self._is_known = await self.mount.recognises(self)
        if self._finished:
            return
        if not self._is_known and not self.lets_strangers_in:
            self.turn_away()
        elif not self._has_rooms():
            self.refuse(TemporarilyUnavailable(self.mount.trouble))

    def _has_rooms(self) -> bool:
        if self.mount.server is not None:
            self.context = self.mount.server.context
        return self.mount.server is not None

    def turn_away(self) -> None:
        """Answer a stranger."""
        self.set_header("Retry-After", str(LONGEST_WAIT_S))
        self.fail(403, NotAllowed.code, NOT_LET_IN)

    def join_link(self, code: str) -> tuple[str, bool]:
        """The link of the listener for the audience; else one on the address that this very browser has used.

        Behind proxies only the browser knows that address for certain, so its pages name their origin in the query.
        """
        assert self.mount.audience is not None
        links, here = self.mount.audience.invitation(code)
        own, is_public = self.link_of_page(code, self.mount.path)
        if here and is_public:
            return own, True
        return (f"{links[0]}/r/{code}", True) if links else (own, False)


class _OfRoom(Guarded):
    """About one room, or the page that asks which."""

    @property
    def lets_strangers_in(self) -> bool:
        return self.mount.audience is not None and self.mount.audience.is_open

    async def prepare(self) -> None:  # type: ignore[override]
        """Turn strangers away from rooms that are not open, as often as they may be wrong about one."""
        await super().prepare()
        code = self.path_args[0] if self.path_args else ""
        if self._finished or self._is_known or not code:
            return
        loop = asyncio.get_running_loop()
        asked_at_s = loop.time()
        door, network = self.context.door, self.context.neighbours.of(self.request)
        try:
            door.check_code(code, network)
        except Refused as refused:
            if isinstance(refused, RoomUnavailable):
                door.guessed_wrong(Hello(code), network)
            await asyncio.sleep(wait_s(asked_at_s, loop.time()))
            if isinstance(refused, RoomUnavailable):
                self.turn_away()
            else:
                self.refuse(refused)


class PageHandler(_OfRoom, pages.PageHandler):  # type: ignore[misc]
    """`/` and `/r/CODE`."""

    page = "index.html"
    get = allow_unauthenticated(pages.PageHandler.get)

    def turn_away(self) -> None:
        """Say it to a person."""
        self.set_status(403)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(_CLOSED_PAGE.format(login=self.settings["login_url"]))


class SlashHandler(PageHandler):
    """`/wslive`: relative addresses need the slash."""

    @allow_unauthenticated
    async def get(self, code: str = "") -> None:
        """Send people to the page."""
        self.redirect(f"{self.mount.path}/")


class AboutHandler(_OfRoom, pages.AboutHandler):
    """`/r/CODE/about`."""

    get = allow_unauthenticated(pages.AboutHandler.get)


class FileHandler(Guarded, pages.FileHandler):
    """`/static/…`."""

    get = allow_unauthenticated(pages.FileHandler.get)

    @property
    def lets_strangers_in(self) -> bool:
        """With the page of any room."""
        return self.mount.audience is not None and self.mount.audience.is_open


class _ForHosts(Guarded):
    """For those who have logged in; Jupyter sends the others to its login."""

    lets_strangers_in = True
    """They do not get past `authenticated`."""


class ScreenHandler(_ForHosts, pages.PageHandler):  # type: ignore[misc]
    """`/r/CODE/screen`."""

    page = "screen.html"
    get = authenticated(pages.PageHandler.get)  # type: ignore[assignment]


class LinkHandler(_ForHosts, pages.LinkHandler):
    """`/r/CODE/link`."""

    get = authenticated(pages.LinkHandler.get)  # type: ignore[assignment]


class QrHandler(_ForHosts, pages.QrHandler):
    """`/r/CODE/qr.svg`."""

    get = authenticated(pages.QrHandler.get)  # type: ignore[assignment]


class _Api(Guarded):
    """Calls of hosts, each of which asks for the hosting token or a host key.

    No login and no cookie counts here, so no page of others can make a browser call.
    """

    async def prepare(self) -> None:  # type: ignore[override]
        """Look at the Host header, and at nothing that a browser sends by itself."""
        await self.mount.ready.wait()
        as_nobody(self)
        if not self._has_rooms():
            self.refuse(TemporarilyUnavailable("There are no rooms here; the log of the Jupyter Server says why."))

    def check_xsrf_cookie(self) -> None:
        """There is no cookie that counts."""


class ServerHandler(_Api, api.ServerHandler):
    """`/api/server`."""

    @allow_unauthenticated
    async def get(self) -> None:  # type: ignore[override]
        """With the hosting token: this server, and how people come into a room."""
        await self.answered(self._get())

    async def _get(self) -> None:
        check_hosting(self.context.hosting_token, self.bearer())
        assert self.mount.audience is not None
        links, here = self.mount.audience.invitation(self.get_query_argument("room", ""))
        self.finish({**api.about_server(), "audience": links, "here": here})


class RoomsHandler(_Api, api.RoomsHandler):
    """`/api/rooms`."""

    post = allow_unauthenticated(api.RoomsHandler.post)


class AudienceHandler(_Api, api.AudienceHandler):
    """`/api/audience`: who comes into one room."""

    post = allow_unauthenticated(api.AudienceHandler.post)

    async def _post(self) -> None:
        await self.check_may_host()
        assert self.mount.audience is not None
        body = self.request.body
        links, here = await self.mount.audience.let_in(api.field(body, "room"), api.field(body, "audience"))
        self.finish({"links": links, "here": here})


class RoomHandler(_Api, api.RoomHandler):
    """`/api/rooms/CODE`."""

    delete = allow_unauthenticated(api.RoomHandler.delete)

    async def _delete(self, code: str) -> None:
        await super()._delete(code)
        assert self.mount.audience is not None
        self.mount.audience.close(code)  # the last one takes the way in with it


class PersonHandler(_Api, api.PersonHandler):
    """`/api/rooms/CODE/people/PERSON`."""

    delete = allow_unauthenticated(api.PersonHandler.delete)


class InvitationsHandler(_Api, api.InvitationsHandler):
    """`/api/rooms/CODE/invitations`."""

    get = allow_unauthenticated(api.InvitationsHandler.get)


class EventsHandler(_Api, api.EventsHandler):
    """`/api/rooms/CODE/events`."""

    get = allow_unauthenticated(api.EventsHandler.get)


class RoomSocket(SocketHandler, JupyterHandler):  # type: ignore[misc]
    """`/ws`: the second thin shell around a connection."""

    get = allow_unauthenticated(SocketHandler.get)

    def initialize(self, mount: Mount) -> None:  # type: ignore[override]
        """Take what all handlers share, as far as it is there already."""
        self.mount = mount

    @property
    def log(self) -> logging.Logger:
        """Where Jupyter writes its line about this request."""
        return self.mount.log

    async def prepare(self) -> None:  # type: ignore[override]
        """Admit or refuse the handshake."""
        await self.mount.ready.wait()
        is_known = await self.mount.recognises(self)
        if self._finished:
            return
        server, audience = self.mount.server, self.mount.audience
        if server is None or audience is None:
            turn_away(self, 503, "There are no rooms here; the log of the Jupyter Server says why.")
            return
        super().initialize(server.context, audience_only=True)
        try:
            self._ticket = self._offered_ticket()
        except InvalidToken as invalid:
            turn_away(self, 403, invalid.message)
            return
        has_ticket = self._ticket is not None
        if not is_readable(self.request.headers.get("Origin", "")):
            turn_away(self, 403, "The Origin header is no origin of a page.")
        elif not has_ticket and not self._may_come_from_there():
            turn_away(self, 403, f"Pages from {self.request.headers['Origin']} may not connect to this Jupyter.")
        elif not (is_known or has_ticket or audience.is_open):
            self.set_header("Retry-After", str(LONGEST_WAIT_S))
            turn_away(self, 403, NOT_LET_IN)
        elif not is_full(self, server.context):
            self._audience_only = not (is_known or has_ticket)

    def _may_come_from_there(self) -> bool:
        """Jupyter's own rule, `c.ServerApp.allow_origin` included, but for pages without an origin."""
        return self.request.headers.get("Origin") != "null" and JupyterHandler.check_origin(self)


def routes(mount: Mount) -> list[Any]:
    """The routes, for Jupyter's web application."""
    here = re.escape(mount.path)
    code = r"([A-Za-z0-9-]{1,20})"
    own = {"mount": mount}
    paths: list[tuple[str, type[JupyterHandler]]] = [
        (r"", SlashHandler),
        (r"/", PageHandler),
        (rf"/r/{code}", PageHandler),
        (rf"/r/{code}/screen", ScreenHandler),
        (rf"/r/{code}/about", AboutHandler),
        (rf"/r/{code}/link", LinkHandler),
        (rf"/r/{code}/qr\.svg", QrHandler),
        (r"/static/([A-Za-z0-9_./-]+)", FileHandler),
        (r"/ws", RoomSocket),
        (r"/api/server", ServerHandler),
        (r"/api/rooms", RoomsHandler),
        (r"/api/audience", AudienceHandler),
        (rf"/api/rooms/{code}", RoomHandler),
        (rf"/api/rooms/{code}/events", EventsHandler),
        (rf"/api/rooms/{code}/invitations", InvitationsHandler),
        (rf"/api/rooms/{code}/people/([A-Za-z0-9_-]{{1,80}})", PersonHandler),
    ]
    return [(here + path, handler, own) for path, handler in paths]
