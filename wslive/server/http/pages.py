"""Pages, files, and what anybody may ask; what only hosts may ask is in `api`."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

from wslive.core.errors import (
    BadCommand,
    LoginNeeded,
    NotAllowed,
    Refused,
    RoomUnavailable,
    TooFast,
    WrongHostKey,
)
from wslive.core.roles import Role
from wslive.server.access.guesses import wait_s
from wslive.server.access.identity import Person
from wslive.server.access.origins import host_name, is_loopback, local_address, origin_of, refusal_of
from wslive.server.access.tokens import READ
from wslive.server.http.access_log import Discreet
from wslive.server.http.context import Context
from wslive.server.http.handshake import STATUS
from wslive.server.http.static import missing
from wslive.wire.messages import Hello

_MAX_ORIGIN_CHARS = 270
"""The longest name there is, with its scheme and port."""

# Plotly puts one empty style element into the page; this is the hash of its content.
_PLOTLY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"


class Handler(Discreet):
    """Host and Origin checks, headers and errors of all the others."""

    def initialize(self, context: Context) -> None:
        """Take what all handlers of a server share."""
        self.context = context

    @property
    def is_stranger(self) -> bool:
        """Whether nothing is known of whoever asks."""
        return True

    def prepare(self) -> Awaitable[None] | None:
        """Refuse names that are not ours (a page that made its own name point here), and pages of others that write."""
        if self.request.method in ("GET", "HEAD"):
            error = self.context.gate.host_error(self.request.host, local_address(self.request))
        else:
            error = refusal_of(self.context.gate, self.request, has_ticket=False)
        if error is not None:
            self.fail(403, NotAllowed.code, error)
        return None

    def set_default_headers(self) -> None:
        """No sniffing, no referrer, no Tornado version."""
        super().set_default_headers()
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")

    def fail(self, status: int, code: str, message: str) -> None:
        """Answer with an error: a sentence for people, and JSON where programs ask."""
        self.set_status(status)
        if self.is_for_programs:
            self.finish({"code": code, "message": message})
        else:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(message)

    @property
    def is_for_programs(self) -> bool:
        """Whether errors are told as JSON."""
        return True

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """What Tornado found wrong itself: another method, a broken argument, a mistake of ours."""
        code = BadCommand.code if status_code < 500 else Refused.code
        self.fail(status_code, code, f"{status_code}: {self._reason}.")

    def refuse(self, refused: Refused) -> None:
        """Answer with a refusal."""
        if refused.retry_after_s:
            self.set_header("Retry-After", str(max(1, round(refused.retry_after_s))))
        self.fail(STATUS.get(type(refused), 400), refused.code, refused.message)

    def bearer(self) -> str | None:
        """The token of the Authorization header."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token else None

    async def person(self) -> Person | None:
        """Who asks, where somebody vouches for people here; None where nobody does.

        Raises:
            LoginNeeded · NotAllowed · TemporarilyUnavailable: See `access.identity.Identity.of_request`.
        """
        vouching = self.context.door.vouching
        return None if vouching is None else await vouching.identity.of_request(self)

    async def answered(self, work: Awaitable[None]) -> None:
        """Do the work, or answer with its refusal."""
        loop = asyncio.get_running_loop()
        asked_at_s = loop.time()
        try:
            await work
        except Refused as refused:
            if isinstance(refused, RoomUnavailable | WrongHostKey | TooFast):
                # Which codes exist must not be told by how long it took to find out.
                await asyncio.sleep(wait_s(asked_at_s, loop.time()))
            self.refuse(refused)

    def join_link(self, code: str) -> tuple[str, bool]:
        """The best link: how this request came, if others can come so too; else another way in; else this one."""
        own = f"{self.request.protocol}://{self.request.host}{self.context.settings.base_path}"
        if self.context.settings.any_host:
            return self.link_of_page(code, self.context.settings.base_path)
        # What arrives at loopback came from this computer or through a proxy, under whatever name.
        if not is_loopback(local_address(self.request)) and not is_loopback(host_name(self.request.host)):
            return f"{own}/r/{code}", True
        urls = self.context.network.urls
        return (f"{urls[0]}/r/{code}", True) if urls else (f"{own}/r/{code}", False)

    def link_of_page(self, code: str, base_path: str) -> tuple[str, bool]:
        """The link at the address of the page that asks; behind a hub that page alone knows it, so it says so."""
        own = f"{self.request.protocol}://{self.request.host}"
        origin = origin_of(self.get_query_argument("origin", own))
        if not origin.startswith(("http://", "https://")) or len(origin) > _MAX_ORIGIN_CHARS:
            return f"{own}{base_path}/r/{code}", False
        return f"{origin}{base_path}/r/{code}", not is_loopback(host_name(urlsplit(origin).netloc))


class PageHandler(Handler):
    """`/`, `/r/CODE` and `/r/CODE/screen`: static pages; the code is read by their scripts."""

    def initialize(self, context: Context, page: str = "index.html") -> None:
        """Show one page."""
        super().initialize(context)
        self.page = page

    @property
    def is_for_programs(self) -> bool:
        """A person reads this."""
        return False

    async def get(self, code: str = "") -> None:
        """Send the page with a policy that runs our files alone; whoever has to log in is sent to do that first."""
        vouching = self.context.door.vouching
        if vouching is not None:
            try:
                await self.person()
            except LoginNeeded:
                self.redirect(vouching.identity.login_url(self.request.path))
                return
            except Refused as refused:
                self.refuse(refused)
                return
        file = self.context.files.get(self.page)
        assert file is not None, f"{self.page} belongs to the package"
        host = self.request.host
        # Where there are logins, pages of others may have our origin, and could read what is in a frame of theirs.
        framed_by = "'self'" if vouching is None else "'none'"
        style = f"'self' {_PLOTLY_STYLE}" if self.page == "screen.html" else "'self'"
        self.set_header(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; img-src 'self' data:; font-src 'self'; "
            f"style-src {style}; connect-src 'self' ws://{host} wss://{host}; "
            f"base-uri 'none'; form-action 'self'; frame-ancestors {framed_by}",
        )
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cache-Control", "no-cache")
        body = file.body if vouching is None else file.body.replace(b"<html ", b"<html data-login ")
        # The files name each other from below /r/; the page that asks for the code is one level higher.
        self.finish(body if code else body.replace(b'"../static/', b'"static/'))


class FileHandler(Handler):
    """`/static/…`."""

    @property
    def is_for_programs(self) -> bool:
        """A person may have typed this."""
        return False

    async def get(self, name: str) -> None:
        """Send a file, compressed where that pays, or 304."""
        # Pages of a notebook server load plotly.js from here; nothing below /static/ is anybody's secret.
        self.set_header("Access-Control-Allow-Origin", "*")
        # Read on a thread: compressing plotly.js takes a good part of a second, once.
        file = self.context.files.kept(name) or await asyncio.to_thread(self.context.files.get, name)
        if file is None:
            self.fail(404, RoomUnavailable.code, missing(name))
            return
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cache-Control", "public, max-age=31536000, immutable" if file.is_for_ever else "no-cache")
        self.set_header("Vary", "Accept-Encoding")
        self.set_header("Etag", file.etag)
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
        elif file.gzipped is not None and "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            self.finish(file.gzipped)
        else:
            self.finish(file.body)

    def compute_etag(self) -> str | None:
        """Ours is set already; Tornado's would hash megabytes a request."""
        return None


class AboutHandler(Handler):
    """`/r/CODE/about`: what the join page says before anybody joins."""

    async def get(self, code: str) -> None:
        """The title, and one sentence on what the host sees."""
        await self.answered(self._get(code))

    async def _get(self, code: str) -> None:
        person = await self.person()
        door, network = self.context.door, self.context.neighbours.of(self.request)
        hello = Hello(code, invitation=self.bearer())
        try:
            if self.is_stranger:
                await door.check_stranger(hello, network)
            title = await door.title(hello, network, person)
        except RoomUnavailable:
            door.guessed_wrong(hello, network)
            raise
        kept = (
            "The host sees your name, what you write and how you answer, except to a question that says it is secret. "
            f"All of it is kept in {self.context.settings.store_name}; the host can delete it."
        )
        self.finish({"title": title, "kept": kept, "name": None if person is None else person.name})


class TicketHandler(Handler):
    """`/r/CODE/ticket`: a browser's login, in exchange for what opens its WebSocket; that takes no login itself."""

    async def post(self, code: str) -> None:
        """Let in whoever is vouched for, as participant or (`?role=viewer`) to look on."""
        await self.answered(self._post(code))

    async def _post(self, code: str) -> None:
        person = await self.person()
        if person is None:
            raise BadCommand("There is no login here: join with a hello.")
        role = Role.VIEWER if self.get_query_argument("role", "") == Role.VIEWER else Role.PARTICIPANT
        door, network = self.context.door, self.context.neighbours.of(self.request)
        try:
            live = await door.find(code, network, person)
            live.rates.check(f"{person.id} asks for tickets", role, READ, time.monotonic())
            who = await door.enter(live, person, role)
        except RoomUnavailable:
            door.guessed_wrong(Hello(code), network)
            raise
        assert door.vouching is not None
        ticket = door.ticket(live, who, door.vouching.note(person))
        self.set_header("Cache-Control", "no-store")
        self.finish({"ticket": ticket, "expires_in_s": self.context.settings.ticket_life_s, "actor": who.actor})


class LinkHandler(Handler):
    """`/r/CODE/link`: the join link for others."""

    def get(self, code: str) -> None:
        """The link and its address, and whether others can use it."""
        link, reachable = self.join_link(code)
        self.finish({"link": link, "reachable": reachable, "address": urlsplit(link).netloc})


class QrHandler(Handler):
    """`/r/CODE/qr.svg`: the join link as a QR code; a loopback address never becomes one."""

    @property
    def is_for_programs(self) -> bool:
        """A person looks at this."""
        return False

    def get(self, code: str) -> None:
        """Draw it, or 404 where nobody else could follow it."""
        link, reachable = self.join_link(code)
        self.set_header("Cache-Control", "no-store")
        if not reachable:
            self.fail(404, NotAllowed.code, "Only this computer can join; a QR code would lead nowhere.")
            return
        import segno  # a server is to be there at once, and this takes a part of its start

        drawing = io.BytesIO()
        segno.make_qr(link, error="m").save(drawing, kind="svg", border=2, xmldecl=False, svgns=True, omitsize=True)
        self.set_header("Content-Type", "image/svg+xml")
        self.finish(drawing.getvalue())


class NotFoundHandler(Handler):
    """Everything else."""

    @property
    def is_for_programs(self) -> bool:
        """Programs ask below /api."""
        return self.request.path.startswith(f"{self.context.settings.base_path}/api/")

    def prepare(self) -> Awaitable[None] | None:
        """Say so, whatever the method."""
        super().prepare()
        if not self._finished:
            self.fail(404, BadCommand.code, "There is nothing at this address. A room is joined at /r/ and its code.")
        return None
