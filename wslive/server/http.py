"""Pages, files and the small JSON interface for hosts."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Awaitable
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import msgspec
import segno
from tornado.web import RequestHandler

from wslive.core.errors import (
    BadCommand,
    HostingNotAllowed,
    NotAllowed,
    Refused,
    RoomUnavailable,
    TemporarilyUnavailable,
    WrongHostKey,
)
from wslive.core.room import Room
from wslive.server.access import key_fits
from wslive.server.context import Context
from wslive.server.node import LiveRoom, check_hosting
from wslive.server.origins import host_name, is_loopback, local_address

# Plotly puts one empty style element into the page; this is the hash of its content.
_PLOTLY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
_STATUS = {
    RoomUnavailable: 404,
    HostingNotAllowed: 403,
    WrongHostKey: 403,
    NotAllowed: 403,
    TemporarilyUnavailable: 503,
}
_PAGE_EVENTS = 2000


class Handler(RequestHandler):
    """Host check, headers and errors of all the others."""

    def initialize(self, context: Context) -> None:
        """Take what all handlers of a server share."""
        self.context = context

    def prepare(self) -> None:
        """Refuse names that are not ours (a page that made its own name point here)."""
        error = self.context.gate.host_error(self.request.host, local_address(self.request))
        if error is not None:
            self.set_status(403)
            self.finish(error)

    def set_default_headers(self) -> None:
        """No sniffing, no referrer, no Tornado version."""
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")

    async def live(self, code: str) -> LiveRoom:
        """The room of a code."""
        return await self.context.node.find(code)

    def refuse(self, refused: Refused) -> None:
        """Answer with a refusal."""
        self.set_status(_STATUS.get(type(refused), 400))
        if refused.retry_after_s:
            self.set_header("Retry-After", str(max(1, round(refused.retry_after_s))))
        self.finish({"code": refused.code, "message": refused.message})

    def bearer(self) -> str | None:
        """The token of the Authorization header."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token else None

    async def answered(self, work: Awaitable[None]) -> None:
        """Do the work, or answer with its refusal."""
        try:
            await work
        except Refused as refused:
            self.refuse(refused)


class PageHandler(Handler):
    """`/`, `/r/CODE` and `/r/CODE/screen`: static pages; the code is read by their scripts."""

    def initialize(self, context: Context, page: str = "index.html") -> None:
        """Show one page."""
        super().initialize(context)
        self.page = page

    def get(self, code: str = "") -> None:
        """Send the page with a policy that runs our files alone."""
        file = self.context.files.get(self.page)
        assert file is not None, f"{self.page} belongs to the package"
        host = self.request.host
        style = f"'self' {_PLOTLY_STYLE}" if self.page == "screen.html" else "'self'"
        self.set_header(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; img-src 'self' data:; font-src 'self'; "
            f"style-src {style}; connect-src 'self' ws://{host} wss://{host}; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
        )
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cache-Control", "no-cache")
        self.finish(file.body)


class FileHandler(Handler):
    """`/static/…`."""

    def get(self, name: str) -> None:
        """Send a file, compressed where that pays, or 304."""
        # Pages of a notebook server load plotly.js from here; nothing below /static/ is anybody's secret.
        self.set_header("Access-Control-Allow-Origin", "*")
        file = self.context.files.get(name)
        if file is None:
            self.set_status(404)
            self.finish("There is no such file.")
            return
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cache-Control", "no-cache")
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
        live = await self.live(code)

        def answer(room: Room) -> None:
            if room.has_ended or room.is_locked:
                self.refuse(RoomUnavailable())
                return
            kept = (
                "The host sees your name, what you write and how you answer. "
                f"It is kept in {self.context.settings.store_name}; the host can delete it."
            )
            self.finish({"title": room.title, "kept": kept})

        live.task.read(answer)


class LinkHandler(Handler):
    """`/r/CODE/link`: the join link for others."""

    def get(self, code: str) -> None:
        """The link and its address, and whether others can use it."""
        link, reachable = self.join_link(code)
        self.finish({"link": link, "reachable": reachable, "address": urlsplit(link).netloc})

    def join_link(self, code: str) -> tuple[str, bool]:
        """The best link: how this request came, if others can come so too; else another way in; else this one."""
        own = f"{self.request.protocol}://{self.request.host}"
        if not is_loopback(host_name(self.request.host)):
            return f"{own}/r/{code}", True
        urls = self.context.network.urls
        return (f"{urls[0]}/r/{code}", True) if urls else (f"{own}/r/{code}", False)


class QrHandler(LinkHandler):
    """`/r/CODE/qr.svg`: the join link as a QR code; a loopback address never becomes one."""

    def get(self, code: str) -> None:
        """Draw it, or 404 where nobody else could follow it."""
        link, reachable = self.join_link(code)
        if not reachable:
            self.set_status(404)
            self.finish("Only this computer can join; a QR code would lead nowhere.")
            return
        drawing = io.BytesIO()
        segno.make(link, error="m").save(drawing, kind="svg", border=2, xmldecl=False, svgns=True, omitsize=True)
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", "no-store")
        self.finish(drawing.getvalue())


class HealthHandler(Handler):
    """`/health`: the process answers."""

    def get(self) -> None:
        """Alive."""
        self.finish({"status": "alive"})


class ServerHandler(Handler):
    """`/api/server`: which server this is."""

    def get(self) -> None:
        """Nothing secret."""
        self.finish({"wslive": version("wslive"), "pid": os.getpid(), "audience": self.context.network.urls})


class RoomsHandler(Handler):
    """`/api/rooms`: make a room."""

    async def post(self) -> None:
        """With the hosting token; answers with the host key, once."""
        await self.answered(self._post())

    async def _post(self) -> None:
        context = self.context
        if not context.settings.anyone_may_host:
            check_hosting(context.hosting_token, self.bearer())
        title = _field(self.request.body, "title")
        made = await context.node.create(title)
        self.set_status(201)
        code = made.record.code
        link = f"{self.request.protocol}://{self.request.host}/r/{code}"
        self.finish({"room": made.record.room, "code": code, "host_key": made.host_key, "link": link})


class AudienceHandler(Handler):
    """`/api/audience`: who can reach this server."""

    async def post(self) -> None:
        """With the hosting token (`anyone_may_host` does not open an operator's network)."""
        await self.answered(self._post())

    async def _post(self) -> None:
        context = self.context
        check_hosting(context.hosting_token, self.bearer())
        self.finish({"links": context.network.let_in(_field(self.request.body, "audience"))})


class RoomHandler(Handler):
    """`/api/rooms/CODE`: delete a room."""

    async def delete(self, code: str) -> None:
        """With the host key."""
        await self.answered(self._delete(code))

    async def _delete(self, code: str) -> None:
        live = await self.hosted(code)
        await self.context.node.delete(live)
        self.finish({"deleted": code})

    async def hosted(self, code: str) -> LiveRoom:
        """The room, for the holder of its host key.

        Raises:
            RoomUnavailable · WrongHostKey: No such room; not its key.
        """
        live = await self.live(code)
        if not key_fits(self.bearer(), live.record.host_key_hash):
            raise WrongHostKey
        return live


class EventsHandler(RoomHandler):
    """`/api/rooms/CODE/events`: the log as JSON lines."""

    async def get(self, code: str) -> None:
        """With the host key; `activity` and `after` narrow it down. Refs stay inside: they are people's secrets."""
        await self.answered(self._get(code))

    async def _get(self, code: str) -> None:
        live = await self.hosted(code)
        activity = _number(self.get_query_argument("activity", ""), "activity")
        after = _number(self.get_query_argument("after", ""), "after") or 0
        self.set_header("Content-Type", "application/x-ndjson")
        while True:
            events = await self.context.node.log.read(live.record.room, after, _PAGE_EVENTS)
            for event in events:
                after = event.offset
                if activity is None or activity in (event.activity, event.offset):
                    self.write(
                        msgspec.json.encode(
                            {
                                "offset": event.offset,
                                "at_ms": event.at_ms,
                                "actor": event.actor,
                                "activity": event.activity,
                                "kind": event.kind,
                                "version": event.version,
                                "body": msgspec.Raw(event.body or b"null"),
                            }
                        )
                        + b"\n"
                    )
            if len(events) < _PAGE_EVENTS:
                return
            await self.flush()


def _number(text: str, name: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise BadCommand(f"{name} has to be a number, not {text[:20]!r}.")
    return int(text)


def _field(body: bytes, name: str) -> str:
    try:
        fields: Any = json.loads(body or b"{}")
        value = fields[name]
    except (ValueError, TypeError, KeyError, RecursionError):
        value = None
    if not isinstance(value, str):
        raise BadCommand(f'The body has to be JSON with a text field "{name}".')
    return value
