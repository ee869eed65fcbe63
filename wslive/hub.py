"""wslive as a service of a JupyterHub: the hub starts it, and says who somebody is and who may host.

A browser logs in at the hub (OAuth, by `jupyterhub.services.auth`) and keeps a cookie of this service, which pages and
calls look at and WebSockets do not. A notebook on the hub shows the token of its own server, `JUPYTERHUB_API_TOKEN`.
Both are tokens that the hub is asked about; it says the name, and whether this service may be used with them. Who is
in the group of hosts is asked with the service's own token, when somebody opens a room.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler, HubOAuthenticated
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.web import HTTPError, RequestHandler

from wslive.core.errors import BadCommand, HostingNotAllowed, LoginNeeded, NotAllowed, TemporarilyUnavailable
from wslive.core.roles import Level
from wslive.server.access.identity import Person
from wslive.server.access.tokens import Signer
from wslive.server.http.access_log import Discreet

logger = logging.getLogger("wslive.hub")

BELIEVED_FOR_S = 30
"""How long the hub's answer about a token is believed."""
_RETRY_AFTER_S = 5.0


class _Group(msgspec.Struct):
    """A user, as far as it matters here."""

    groups: list[str] | None = None


class HubIdentity:
    """The users of the hub that runs this service.

    Attributes:
        name: Part of what makes actors.
        level: That of everybody.
    """

    name = "jupyterhub"
    level = Level.HUB

    def __init__(self, keys: Signer, hosts_groups: Sequence[str], *, believed_for_s: float = BELIEVED_FOR_S) -> None:
        """Take the hub's settings from the environment; members of `hosts_groups` may open rooms."""
        logging.getLogger("tornado.application").addFilter(_has_no_address)
        self._hosts_groups = frozenset(hosts_groups)
        self._cookie_secret = keys.key_for("cookies of the hub service")
        self._hub = HubOAuth.instance(
            base_url=os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/"),
            cache_max_age=int(believed_for_s),
            allow_token_in_url=False,
        )

    async def of_request(self, handler: RequestHandler) -> Person:
        """See `Identity`."""
        proof = self._hub.get_token(handler)
        if not proof:
            raise LoginNeeded
        try:
            # This looks at the XSRF token too: other pages of the hub share its origin with ours.
            return self._person(await self._hub.get_user(handler, sync=False), proof)
        except HTTPError as error:
            raise _no_answer(error) from None

    async def of_proof(self, proof: str) -> Person:
        """See `Identity`."""
        try:
            return self._person(await self._hub.user_for_token(proof, sync=False), proof)
        except HTTPError as error:
            raise _no_answer(error) from None

    def _person(self, model: dict[str, Any] | None, proof: str) -> Person:
        if model is None:
            raise LoginNeeded("The hub does not know this login (any more). Log in at the hub again.")
        name = str(model["name"])
        if model.get("kind") != "user":
            raise NotAllowed(f"The service {name} is no user of the hub, and rooms are for its users.")
        if not self._hub.check_scopes(self._hub.access_scopes, model):
            needed = ", ".join(sorted(self._hub.access_scopes))
            logger.warning("%s is not let in: neither the user nor the token has the scope %s", name, needed)
            raise NotAllowed(f"The user {name} is not let into the rooms of this hub. Its operator decides ({needed}).")
        return Person(name, name, proof)

    async def check_host(self, person: Person) -> None:
        """See `Identity`."""
        if not self._hosts_groups:
            raise HostingNotAllowed("The operator of this hub lets nobody open rooms: no group of hosts is set.")
        if not self._hosts_groups & await self._groups(person.id):
            logger.warning("%s may not host", person.id)
            wanted = " or ".join(sorted(self._hosts_groups))
            raise HostingNotAllowed(f"On this hub members of {wanted} open rooms, and {person.id} is none of them.")

    async def _groups(self, name: str) -> frozenset[str]:
        """The groups of a user now: somebody who was taken out of them stops hosting at once."""
        request = HTTPRequest(
            f"{self._hub.api_url}/users/{quote(name, safe='')}",
            headers={"Authorization": f"token {self._hub.api_token}"},
            request_timeout=10.0,
        )
        try:
            response = await AsyncHTTPClient().fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:  # the latter where it took the connection, and then too long
            raise _no_answer(error) from None
        groups = msgspec.json.decode(response.body, type=_Group).groups if response.code == 200 else None
        if groups is None:
            logger.error(
                "the hub does not tell who is in which group (HTTP %d): give this service the scope read:users:groups",
                response.code,
            )
            raise TemporarilyUnavailable("The hub does not tell who may host; its log says why.")
        return frozenset(groups)

    def login_url(self, path: str) -> str:
        """See `Identity`."""
        return f"{self._hub.base_url}login?next={quote(path, safe='/')}"

    def routes(self) -> list[Any]:
        """See `Identity`."""
        return [(r"/login", _LoginHandler), (r"/oauth_callback", _CallbackHandler)]

    def application_settings(self) -> dict[str, Any]:
        """See `Identity`."""
        return {"cookie_secret": self._cookie_secret}


class _OfLogin(HubOAuthenticated, Discreet):  # type: ignore[misc]
    """A step of the login. Who has logged in already is asked here: `current_user` would stop the server for it."""

    async def prepare(self) -> None:
        """Ask the hub, if there is something to ask about."""
        try:
            self.user = await self.hub_auth.get_user(self, sync=False)
        except HTTPError as error:
            self.set_status(503)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(_no_answer(error).message)


class _LoginHandler(_OfLogin):
    """`/login`: by way of the hub back to where somebody wanted to go."""

    def get(self) -> None:
        """To the hub, or back."""
        wanted = self.get_query_argument("next", "")
        base = self.hub_auth.base_url
        back = wanted if wanted.startswith(base) and not urlsplit(wanted).netloc else base
        self.redirect(self.get_login_url() if self.user is None else back)


class _CallbackHandler(_OfLogin, HubOAuthCallbackHandler):  # type: ignore[misc]
    """`/oauth_callback`: from the hub, with a code in the address."""


def _has_no_address(record: logging.LogRecord) -> bool:
    """Unlike the warning of JupyterHub's code about browsers that do not say how they ask: join codes stand in it."""
    return record.module != "_xsrf_utils"


def listening() -> tuple[str, int, str]:
    """Where the hub wants its service: host, port and base path.

    Raises:
        BadCommand: No hub has started this process.
    """
    url, prefix = os.environ.get("JUPYTERHUB_SERVICE_URL", ""), os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    parts = urlsplit(url)
    if not parts.hostname or not parts.port or not prefix or not os.environ.get("JUPYTERHUB_API_TOKEN"):
        raise BadCommand(
            "--hub is for the JupyterHub that starts this server: put it under c.JupyterHub.services with a url like "
            "'http://127.0.0.1:8766' (docs/jupyter.md)."
        )
    return parts.hostname, parts.port, prefix.rstrip("/")


def _no_answer(error: Exception) -> TemporarilyUnavailable:
    logger.error("the hub does not answer: %s", error)
    return TemporarilyUnavailable("The hub does not answer; try again in a moment.", retry_after_s=_RETRY_AFTER_S)
