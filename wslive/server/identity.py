"""Who somebody is, where others vouch for people: a JupyterHub knows its users, and this server asks it.

`Identity` is the one seam. Without one (the usual case) nobody is asked who they are, and tokens of our own make
people. With one nobody comes in who is not vouched for: a browser shows its login to pages and calls, never to a
WebSocket, and gets a ticket there; a program shows a token in a header of the handshake. `Vouching` asks again from
time to time, so a login that has ended ends connections too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from tornado.web import RequestHandler

from wslive.core.errors import LoginNeeded, Refused, TemporarilyUnavailable
from wslive.core.roles import Level
from wslive.wire.close_codes import CloseCode

logger = logging.getLogger("wslive.identity")

Place = tuple[str, str]
"""A room's id and an actor in it."""


class Person(NamedTuple):
    """Somebody whom a provider vouches for.

    Attributes:
        id: What the provider calls them, for ever.
        name: What the others are shown.
        proof: What they have shown; the provider is asked again with it. A secret.
    """

    id: str
    name: str
    proof: str

    def __repr__(self) -> str:
        return f"Person({self.id!r})"


class Identity(Protocol):
    """A provider of identities.

    Attributes:
        name: The provider in a word, e.g. "jupyterhub"; actors depend on it.
        level: How sure it is who somebody is.
    """

    name: str
    level: Level

    async def of_request(self, handler: RequestHandler) -> Person:
        """Who asks for a page or makes a call, by the login of a browser or a header.

        Raises:
            LoginNeeded: Nobody the provider knows.
            NotAllowed: Somebody who may not come here.
            TemporarilyUnavailable: The provider does not answer.
        """
        ...

    async def of_proof(self, proof: str) -> Person:
        """Who has shown a token; the errors are those of `of_request`."""
        ...

    async def check_host(self, person: Person) -> None:
        """Whether somebody may open rooms.

        Raises:
            HostingNotAllowed: No; the message says what the operator has decided.
            TemporarilyUnavailable: The provider does not answer.
        """
        ...

    def login_url(self, path: str) -> str:
        """Where a browser logs in, to come back to `path` of this server."""
        ...

    def routes(self) -> list[Any]:
        """What the provider itself needs below the server's base path, as Tornado takes it."""
        ...

    def application_settings(self) -> dict[str, Any]:
        """Settings of the Tornado application that its handlers need."""
        ...


class Vouched(Protocol):
    """A connection of somebody who is vouched for."""

    vouched_at_s: float

    @property
    def place(self) -> Place | None:
        """Whose it is; None as long as that is not settled."""
        ...

    def close(self, code: CloseCode) -> None:
        """Close it with a code of ours."""
        ...


class Vouching:
    """Who is here on a provider's word, and whether that word still holds.

    Attributes:
        identity: The provider.
    """

    def __init__(self, identity: Identity, interval_s: float) -> None:
        """Ask again about everybody every `interval_s` seconds."""
        self.identity = identity
        self._interval_s = interval_s
        self._people: dict[Place, tuple[Person, float]] = {}
        self._asking: asyncio.Task[None] | None = None

    def note(self, place: Place, person: Person) -> None:
        """Remember with what somebody has come; the latest counts."""
        self._people[place] = (person, time.monotonic())

    def look_again(self, connections: Iterable[Vouched]) -> None:
        """Ask about those who are due, one after the other, unless that is going on already."""
        now_s = time.monotonic()
        due = [one for one in connections if now_s - one.vouched_at_s > self._interval_s and one.place is not None]
        here = {one.place for one in connections}
        kept_s = 2 * self._interval_s
        self._people = {p: found for p, found in self._people.items() if p in here or now_s - found[1] < kept_s}
        if due and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask(due), name="vouching")

    async def _ask(self, due: list[Vouched]) -> None:
        for connection in due:
            code = await self._code(connection.place)
            if code is None:
                connection.vouched_at_s = time.monotonic()
            else:
                connection.close(code)

    async def _code(self, place: Place | None) -> CloseCode | None:
        """How to close a connection of somebody; None where they stay."""
        if place is None or place not in self._people:
            # A ticket of before this server's start: whoever it belongs to gets another one by their login.
            return CloseCode.TICKET_EXPIRED
        person, _ = self._people[place]
        try:
            now = await self.identity.of_proof(person.proof)
        except TemporarilyUnavailable:
            return None  # a hub that restarts must not empty the hall
        except Refused as refused:
            logger.info("%s: %s", person.id, refused.message)
            return CloseCode.LOGIN_ENDED
        except Exception:
            logger.exception("asking about %s failed", person.id)
            return None
        return None if now.id == person.id else CloseCode.LOGIN_ENDED

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})


def shown(authorization: str) -> str:
    """The token of an Authorization header.

    Raises:
        LoginNeeded: There is none.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() not in ("bearer", "token") or not token.strip():
        raise LoginNeeded(
            "This server is for people of its hub. In a browser, open the join link; in a notebook on the hub, set "
            "WSLIVE_SERVER to this server's address before joining."
        )
    return token.strip()
