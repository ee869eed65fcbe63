"""Who may come into the rooms of a Jupyter Server without its login, and at which address.

Nobody, until a host lets people into one room by an act of their own; and never more than the operator allows. It is
not remembered: a Jupyter Server that was started again is closed until a host lets people in again.

How people come depends on how Jupyter itself is reached:

    bound to loopback     a second listener on the addresses of this computer's networks, with the audience's pages
                          and WebSocket and nothing of Jupyter on it
    anything else         the address by which the host's own browser reaches Jupyter; only that browser knows it behind
                          hubs and proxies, so links are made there (`here`)
"""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Sequence
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from wslive.core.errors import BadCommand, NotAllowed
from wslive.server.access.origins import is_loopback
from wslive.server.access.tokens import clean_code
from wslive.server.app import Server

Allowed = Literal["never", "hub_users", "anyone"]
ALLOWED: tuple[Allowed, ...] = ("never", "hub_users", "anyone")
"""Whom hosts may let in, from nobody to everybody."""

_REASONS: dict[Allowed, str] = {
    "never": "The operator of this Jupyter lets nobody into its rooms who has no login here.",
    "hub_users": (
        "On this hub rooms are for people who have logged in and whom the hub lets onto this server. To let in anybody "
        "with the link, the operator sets WSLIVE_AUDIENCE_ALLOWED=anyone in c.Spawner.environment."
    ),
}


class Invitation(NamedTuple):
    """How people come into a room.

    Attributes:
        links: Base URLs that others can reach, the best one first.
        here: Whether they can also come by the address at which the host's browser reaches Jupyter.
    """

    links: list[str]
    here: bool


CLOSED = Invitation([], here=False)


def clamped(wanted: Allowed, operators: Allowed) -> Allowed:
    """What was wanted, but no more than the operator allows."""
    return min(wanted, operators, key=ALLOWED.index)


class Audience:
    """The rooms of one server that people without a login may come into."""

    def __init__(
        self,
        server: Server,
        allowed: Allowed,
        *,
        path: str,
        is_direct: bool,
        addresses: Sequence[str],
        audit: logging.Logger,
    ) -> None:
        """Start closed.

        Args:
            server: Has the rooms.
            allowed: Whom hosts may let in.
            path: Where the rooms are on Jupyter's address, e.g. "/user/ada/wslive".
            is_direct: Whether only this computer can reach Jupyter.
            addresses: Base URLs at which others reach Jupyter, as far as it knows them itself.
            audit: Is told who let whom in, and when.
        """
        self._server = server
        self._allowed = allowed
        self._path = path
        self._is_direct = is_direct
        self._addresses = list(addresses)
        self._audit = audit
        self._shown_at: dict[str, str] = {}
        self._codes: set[str] = set()
        server.context.door.let_in = self._codes

    @property
    def is_open(self) -> bool:
        """Whether people are let into any room."""
        return bool(self._codes)

    def invitation(self, code: str) -> Invitation:
        """How people come into a room now."""
        code = clean_code(code)
        if code not in self._codes:
            return CLOSED
        if self._is_direct:
            return Invitation(self._server.audience_urls, here=False)
        shown_at = self._shown_at.get(code)
        return Invitation(self._addresses if shown_at is None else [shown_at], here=shown_at is None)

    async def let_in(self, code: str, audience: str) -> Invitation:
        """Let people into a room; "this_computer" lets in nobody new.

        Args:
            code: The room's join code.
            audience: "this_computer", "network", or the public address of this Jupyter.

        Raises:
            NotAllowed: The operator does not allow it, or nothing leads from there to here.
            BadCommand: None of these, or there is no network.
            RoomUnavailable: There is no such room.
        """
        live = await self._server.context.node.find(code)
        code, room = live.record.code, live.record.room
        if audience == "this_computer":
            if self.close(code):
                self._audit.info("%s: room %s takes in nobody new without a login", _who(), room)
            return CLOSED
        if self._allowed != "anyone":
            self._audit.warning("%s: room %s was not opened to %s: %s", _who(), room, audience, self._allowed)
            raise NotAllowed(_REASONS[self._allowed])
        self._open(code, audience)
        found = self.invitation(code)
        where = [*found.links, *(["the address at which Jupyter is reached"] if found.here else [])]
        self._audit.info("%s: people without a login are let into room %s, at %s", _who(), room, ", ".join(where))
        return found

    def close(self, code: str) -> bool:
        """Let nobody new into a room, which may be no more; whether people were let in."""
        code = clean_code(code)
        was_open = code in self._codes
        self._codes.discard(code)
        self._shown_at.pop(code, None)
        if not self._codes and self._is_direct:
            self._server.context.network.let_in("this_computer")
        return was_open

    def _open(self, code: str, audience: str) -> None:
        if self._is_direct:
            if audience != "network":
                raise NotAllowed(
                    "This Jupyter answers to its own computer alone, and a tunnel to it would lead to all of Jupyter. "
                    'Use audience="network", or host on a server of its own: wslive serve --public-url …'
                )
            self._server.context.network.let_in(audience)
            self._shown_at.pop(code, None)
        elif audience == "network":
            self._shown_at.pop(code, None)
        else:
            self._shown_at[code] = self._address(audience)
        self._codes.add(code)

    def _address(self, audience: str) -> str:
        parts = urlsplit(audience)
        if parts.scheme not in ("http", "https") or not parts.hostname or is_loopback(parts.hostname):
            raise BadCommand(
                f"audience={audience[:100]!r} is none of 'this_computer', 'network' or the public address of this "
                f"Jupyter, like 'https://hub.example.org{self._path}'."
            )
        url = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        return url if url.endswith(self._path) else url + self._path


def _who() -> str:
    """Whose server this is: a Jupyter Server has one owner."""
    if name := os.environ.get("JUPYTERHUB_USER"):
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid())
