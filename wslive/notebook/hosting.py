"""The four ways into a room from a notebook: `host`, `join`, `watch`, and `rooms` for what one hosts already."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, TypeVar, overload

from wslive.client.connection import Status
from wslive.client.http import fetch_json
from wslive.core.errors import (
    CodeNeedsServer,
    HostingNotAllowed,
    InvalidToken,
    NotConnected,
    Refused,
    RoomUnavailable,
    WrongHostKey,
)
from wslive.core.roles import Role
from wslive.core.text import MAX_TITLE_CHARS, clean
from wslive.notebook import keys, local_server
from wslive.notebook.calls import begin, run
from wslive.notebook.live import TIMEOUT_S, Live, shown_time
from wslive.notebook.participant import Participant, Viewer
from wslive.notebook.room import HostRoom

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from wslive.notebook.form import JoinForm

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
LiveT = TypeVar("LiveT", bound=Live)

_open: dict[tuple[str, ...], Live] = {}
"""What this kernel is in already; used on the connections' thread alone."""


class Hosted(NamedTuple):
    """A room of this user."""

    title: str
    code: str
    link: str
    opened: str


def host(
    title: str | None = None,
    *,
    audience: str = "this_computer",
    server: str | None = None,
    new: bool = False,
    code: str | None = None,
    host_key: str | None = None,
    chat: Literal["on", "off", "to_host"] | None = None,
) -> HostRoom:
    """Open a room, or go on with the one of that title that is open already.

    Args:
        title: What people see; the notebook's name without it.
        audience: Who can reach the room: "this_computer", "network" (phones in the same network; shows a link and a
            QR code that they can follow), or the https address of a proxy in front of the server.
        server: The base URL of a wslive server; else `WSLIVE_SERVER`; else your own one, started when needed.
        new: Open another room, even if there is one of that title.
        code: Take over the room of that join code instead, with its `host_key` (needed where this user has it not).
        host_key: The key of that room.
        chat: Who reads what participants say; unchanged without it.

    Raises:
        NoServer: No server answers, and none could be started.
        HostingNotAllowed · WrongHostKey · RoomUnavailable: The server said no; the message says what to do.
    """
    room = run(_host(title, audience, server, new, code, host_key, chat))
    if room.resumed:
        sys.stdout.write(f"{room.resumed} · wslive.host({room.title!r}, new=True) starts afresh\n")
    return room


@overload
def join(link_or_code: str, name: str | None = None) -> Participant: ...
@overload
def join(link_or_code: None = None, name: str | None = None) -> JoinForm: ...
def join(link_or_code: str | None = None, name: str | None = None) -> Participant | JoinForm:
    """Join a room; the same notebook with the same name is the same person, also after a restart of its kernel.

    Args:
        link_or_code: The join link, or that of an invitation. A bare code is enough for a server on this computer or in
            `WSLIVE_SERVER`. Without it a form is shown.
        name: What the others see; "Guest 17" without it.

    Raises:
        RoomUnavailable: There is no such room (any more), or it takes nobody in.
        NotAllowed: Somebody else has used this invitation, or the name is the host's.
        CodeNeedsServer: A bare code, and no server that knows it.
        NotConnected: No server answers at that address.
    """
    if link_or_code is None:
        from wslive.notebook.form import JoinForm

        return JoinForm(name, join)
    return run(_join(link_or_code, name))


def watch(link_or_code: str) -> Viewer:
    """Look at a room without a name, a ballot or a voice.

    Raises:
        RoomUnavailable · CodeNeedsServer · NotConnected: As for `join`.
    """
    return run(_watch(link_or_code))


def rooms(server: str | None = None) -> list[Hosted]:
    """The rooms that this user hosts on a server, the latest first; `host(code=…)` takes one up.

    Raises:
        NoServer: No server answers, and none could be started.
    """
    return run(_rooms(server))


class _Aio:
    """`await wslive.aio.host(…)`: the same four, to be awaited on any loop."""

    def host(self, title: str | None = None, **options: Any) -> Awaitable[HostRoom]:
        """See `wslive.host`."""
        defaults = {"audience": "this_computer", "server": None, "new": False, "code": None, "host_key": None}
        return begin(_host(title, **{**defaults, "chat": None, **options}))

    def join(self, link_or_code: str, name: str | None = None) -> Awaitable[Participant]:
        """See `wslive.join`."""
        return begin(_join(link_or_code, name))

    def watch(self, link_or_code: str) -> Awaitable[Viewer]:
        """See `wslive.watch`."""
        return begin(_watch(link_or_code))

    def rooms(self, server: str | None = None) -> Awaitable[list[Hosted]]:
        """See `wslive.rooms`."""
        return begin(_rooms(server))


aio = _Aio()


# ── hosting ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _host(
    title: str | None,
    audience: str,
    server: str | None,
    new: bool,
    code: str | None,
    host_key: str | None,
    chat: Literal["on", "off", "to_host"] | None,
) -> HostRoom:
    if "VOILA_BASE_URL" in os.environ:
        raise HostingNotAllowed(
            "Voilà runs this notebook once for each visitor, and each would be a host. Show a room with "
            "wslive.watch(link), or let visitors answer with wslive.join(); host it from a notebook of your own."
        )
    at = await local_server.find(server)
    if code is not None:
        room = await _take_over(at, code, host_key)
    else:
        wanted = clean(_notebook_title() if title is None else title, max_chars=MAX_TITLE_CHARS, what="The title")
        room = (None if new else await _resumed(at, wanted)) or await _opened(at, wanted)
    if audience != "this_computer":
        await room.aio.let_in(audience)
    else:
        await room.learn_links()
    if chat is not None:
        await room.chat.aio.set_mode(chat)
    return room


async def _take_over(at: local_server.ServerAt, code: str, host_key: str | None) -> HostRoom:
    code = _clean_code(code)
    known = next((k for k in keys.hosted(at.name) if k.code == code), None)
    key = host_key or (known.host_key if known else None)
    if key is None:
        raise WrongHostKey(f"This user has no host key for room {code}: give it as host_key=….")
    room = await _enter(("host", at.name, code, key), lambda: HostRoom(at, code, key))
    if known is None or known.host_key != key:
        keys.keep_host(keys.HostKey(at.name, code, room.connection.replica.view["room"]["title"], key, time.time()))
    room.describe_resumed()
    return room


async def _resumed(at: local_server.ServerAt, title: str) -> HostRoom | None:
    for known in keys.hosted(at.name):
        if known.title != title:
            continue
        place = ("host", at.name, known.code, known.host_key)
        try:
            room = await _enter(place, lambda known=known: HostRoom(at, known.code, known.host_key))  # type: ignore[misc]
        except (RoomUnavailable, WrongHostKey):
            keys.forget_host(at.name, known.code)  # deleted, or another life of the store
            continue
        if not room.connection.replica.view["room"]["ended"]:
            room.describe_resumed()
            return room
        _open.pop(place, None)
        await room.let_go()
    return None


async def _opened(at: local_server.ServerAt, title: str) -> HostRoom:
    made = await fetch_json(at.url, "/api/rooms", method="POST", body={"title": title}, bearer=at.hosting_token)
    code, key = made["code"], made["host_key"]
    keys.keep_host(keys.HostKey(at.name, code, title, key, time.time()))
    return await _enter(("host", at.name, code, key), lambda: HostRoom(at, code, key))


async def _rooms(server: str | None) -> list[Hosted]:
    at = await local_server.find(server)
    return [
        Hosted(k.title, k.code, f"{at.url}/r/{k.code}", shown_time(k.opened_at_s * 1000)) for k in keys.hosted(at.name)
    ]


# ── joining ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _join(link_or_code: str, name: str | None) -> Participant:
    server, code = await _where(link_or_code)
    invitation = link_or_code.strip().partition("#")[2] or None
    if not isinstance(name, str | None):
        raise TypeError(f"The name is a text, not {name!r}.")
    at = local_server.name_of(server)
    token = keys.token(at, code, name)
    place = ("join", at, code, name or "")

    def person(token: str | None) -> Callable[[], Participant]:
        return lambda: Participant(server, code, Role.PARTICIPANT, name=name, token=token, invitation=invitation)

    try:
        me = await _enter(place, person(token))
    except InvalidToken:
        if token is None:
            raise
        # Another life of the server's store: the person is new there.
        keys.forget_token(at, code, name)
        me = await _enter(place, person(None))
    if me.connection.token and me.connection.token != token:
        keys.keep_token(at, code, name, me.connection.token)
    return me


async def _watch(link_or_code: str) -> Viewer:
    server, code = await _where(link_or_code)
    return await _enter(("watch", server, code), lambda: Viewer(server, code, Role.VIEWER))


async def _where(link_or_code: str) -> tuple[str, str]:
    """The server and the code that a link or a bare code means."""
    if not isinstance(link_or_code, str):
        raise TypeError(
            f"A join link or code is a text, like 'http://192.168.1.7:8765/r/K7M2QX', not {link_or_code!r}."
        )
    text = link_or_code.strip()
    if not text:
        raise CodeNeedsServer("Paste the join link that the host shows, like 'http://192.168.1.7:8765/r/K7M2QX'.")
    if "/" in text:
        found = re.match(r"(https?://[^?#]+?)/r/([A-Za-z0-9-]+)(?:/screen)?/?(?:[?#].*)?$", text)
        if found is None:
            raise RoomUnavailable(f"{text!r} is no join link; it looks like 'http://192.168.1.7:8765/r/K7M2QX'.")
        code = _clean_code(found[2])
        return await local_server.nearest(found[1].rstrip("/"), code), code
    code = _clean_code(text)
    servers = await local_server.known()
    for at in servers:
        try:
            await fetch_json(at.url, f"/r/{code}/about", timeout_s=TIMEOUT_S)
        except (NotConnected, Refused):
            continue
        return at.url, code
    asked = ", ".join(at.url for at in servers)
    where = f" None of the servers that this notebook knows has a room {code} ({asked})." if asked else ""
    raise CodeNeedsServer(
        f"A code needs its server: paste the whole link, like 'http://192.168.1.7:8765/r/{code}'.{where}"
    )


# ── both ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _enter(place: tuple[str, ...], make: Callable[[], LiveT]) -> LiveT:
    """What this kernel is in already, or a new connection."""
    before: Any = _open.get(place)
    if before is not None and before.connection.status is not Status.ENDED:
        return before  # type: ignore[no-any-return]
    live = make()
    await live.open()
    _open[place] = live
    return live


def _clean_code(code: str) -> str:
    return re.sub(r"[\s-]", "", code).upper()


def _notebook_title() -> str:
    path = keys.notebook_id()
    return Path(path).stem if path.endswith(".ipynb") else "Untitled room"
