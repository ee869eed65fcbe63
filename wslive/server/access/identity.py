"""Who somebody is, where others vouch for people: a JupyterHub knows its users, and this server asks it.

`Identity` is the one seam. Without one (the usual case) nobody is asked who they are, and tokens of our own make
people. With one nobody comes in who is not vouched for: a browser shows its login to pages and calls, never to a
WebSocket, and gets a ticket there; a program shows a token in a header of the handshake. `Vouching` asks again from
time to time, so a login that has ended ends connections too.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections import defaultdict
from typing import Any, NamedTuple, Protocol

from tornado.web import RequestHandler

from wslive.core.errors import LoginNeeded, Refused, TemporarilyUnavailable
from wslive.core.roles import Level
from wslive.wire.close_codes import CloseCode

logger = logging.getLogger("wslive.identity")


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
    """A connection of somebody who is vouched for.

    Attributes:
        vouch: By what; see `Vouching.note`.
    """

    vouch: str

    def close(self, code: CloseCode) -> None:
        """Close it with a code of ours."""
        ...


class _Word:
    """What a provider has said.

    Attributes:
        person: Of whom.
        asked_at_s: When it was asked last.
        used_at_s: When somebody last came, was here, or got a ticket by it.
    """

    def __init__(self, person: Person, now_s: float) -> None:
        self.person = person
        self.asked_at_s = self.used_at_s = now_s


class Vouching:
    """Who is here on a provider's word, and whether that word still holds.

    It is asked about what somebody has shown, and not about each connection: a ticket opens another one, which lasts no
    longer than the login by which the ticket was made, and neither do the tickets that it is given.

    Attributes:
        identity: The provider.
    """

    def __init__(self, identity: Identity, interval_s: float, kept_s: float) -> None:
        """Ask again every `interval_s` seconds; tickets open connections for at most `kept_s`."""
        self.identity = identity
        self._interval_s = interval_s
        self._kept_s = kept_s
        self._salt = secrets.token_bytes(16)
        self._words: dict[str, _Word] = {}
        self._here: defaultdict[str, set[Vouched]] = defaultdict(set)
        self._asking: asyncio.Task[None] | None = None

    def note(self, person: Person) -> str:
        """Remember with what somebody has come, just now; returns what tickets tell of it, which is no secret."""
        vouch = hashlib.blake2b(person.proof.encode(), digest_size=12, key=self._salt).hexdigest()
        self._words[vouch] = _Word(person, time.monotonic())
        return vouch

    def holds(self, vouch: str) -> bool:
        """Whether that still counts, as far as is known; the tickets of before this server's start do not."""
        word = self._words.get(vouch)
        if word is None:
            return False
        word.used_at_s = time.monotonic()
        return True

    def opened(self, connection: Vouched) -> None:
        """Somebody is here from now on."""
        self._here[connection.vouch].add(connection)

    def lost(self, connection: Vouched) -> None:
        """They are not any more."""
        here = self._here[connection.vouch]
        here.discard(connection)
        if not here:
            del self._here[connection.vouch]

    def look_again(self) -> None:
        """Ask about those who are due, one after the other, unless that is going on already.

        Also about those who are not here just now: whoever comes only for moments must not be overlooked for ever.
        """
        now_s = time.monotonic()
        for vouch in self._here:
            self.holds(vouch)
        self._words = {v: word for v, word in self._words.items() if now_s - word.used_at_s <= self._kept_s}
        due = [v for v, word in self._words.items() if now_s - word.asked_at_s > self._interval_s]
        due += [v for v in self._here if v not in self._words]
        if due and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask(due), name="vouching")

    async def _ask(self, due: list[str]) -> None:
        for vouch in due:
            try:
                code = await self._code(vouch)
            except TemporarilyUnavailable:
                return  # a hub that restarts must not empty the hall; all who are due are asked about later
            if code is None:
                continue
            self._words.pop(vouch, None)
            for connection in list(self._here.get(vouch, ())):
                connection.close(code)

    async def _code(self, vouch: str) -> CloseCode | None:
        """How to close the connections of somebody; None where they stay.

        Raises:
            TemporarilyUnavailable: The provider does not answer.
        """
        word = self._words.get(vouch)
        if word is None:
            return CloseCode.TICKET_EXPIRED
        try:
            now = await self.identity.of_proof(word.person.proof)
        except TemporarilyUnavailable:
            raise
        except Refused as refused:
            logger.info("%s: %s", word.person.id, refused.message)
            return CloseCode.LOGIN_ENDED
        except Exception:
            logger.exception("asking about %s failed", word.person.id)
        else:
            if now.id != word.person.id:
                return CloseCode.LOGIN_ENDED
        word.asked_at_s = time.monotonic()
        return None

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
