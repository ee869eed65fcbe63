"""The hub as a provider of identities, before a small web server that answers as a hub's API does.

tests/end_to_end/test_hub_service.py has the real hub: its login, its tokens, its groups.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from jupyterhub.services.auth import HubOAuth
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler, create_signed_value

from wslive.core.errors import HostingNotAllowed, LoginNeeded, NotAllowed, TemporarilyUnavailable
from wslive.core.roles import Level
from wslive.eventlog.memory import MemoryLog
from wslive.hub import HubIdentity
from wslive.server.access.tokens import Signer
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

ACCESS = "access:services!service=wslive"
USERS: dict[str, Any] = {
    "t-ada": {"name": "ada", "kind": "user", "scopes": [ACCESS]},
    "t-mallory": {"name": "mallory", "kind": "user", "scopes": ["read:users!user=mallory"]},
    "t-service": {"name": "grader", "kind": "service", "scopes": [ACCESS]},
}
GROUPS = {"ada": ["students"], "lena": ["lecturers", "students"]}


class UserHandler(RequestHandler):
    """`/hub/api/user`: whose token it is."""

    def get(self) -> None:
        found = USERS.get(self.request.headers.get("Authorization", "").partition(" ")[2])
        if self.settings["is_broken"]:
            self.set_status(503)
        elif found is None:
            self.set_status(403)
        else:
            self.finish(json.dumps(found))


class GroupsHandler(RequestHandler):
    """`/hub/api/users/NAME`, for the service's own token."""

    def get(self, name: str) -> None:
        assert self.request.headers["Authorization"] == "token of the service"
        if self.settings["is_broken"]:
            self.request.connection.stream.close()  # type: ignore[attr-defined]
            return
        groups = GROUPS.get(name)
        self.finish({"name": name} if groups is None else {"name": name, "groups": groups})


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    application = Application(
        [(r"/hub/api/user", UserHandler), (r"/hub/api/users/(.*)", GroupsHandler)], is_broken=False
    )
    server = HTTPServer(application)
    socket, port = bind_unused_port()
    server.add_sockets([socket])
    monkeypatch.setenv("JUPYTERHUB_API_URL", f"http://127.0.0.1:{port}/hub/api")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "of the service")
    monkeypatch.setenv("JUPYTERHUB_CLIENT_ID", "service-wslive")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/services/wslive/")
    monkeypatch.setenv("JUPYTERHUB_OAUTH_ACCESS_SCOPES", json.dumps([ACCESS]))
    HubOAuth.clear_instance()
    yield application
    HubOAuth.clear_instance()
    server.stop()
    await server.close_all_connections()


def identity(*groups: str) -> HubIdentity:
    return HubIdentity(Signer(b"k" * 32), groups)


async def test_a_token_is_whom_the_hub_says(hub: Application) -> None:
    person = await identity().of_proof("t-ada")
    assert (person.id, person.name) == ("ada", "ada")
    assert identity().level is Level.HUB


@pytest.mark.parametrize(
    ("token", "error", "words"),
    [
        ("t-nobody", LoginNeeded, "does not know this login"),
        ("t-mallory", NotAllowed, "mallory is not let into the rooms of this hub"),
        ("t-service", NotAllowed, "The service grader is no user"),
    ],
)
async def test_whoever_may_not_use_the_service_is_told_why(
    hub: Application, token: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await identity().of_proof(token)


async def test_a_hub_that_does_not_answer_is_no_verdict(hub: Application) -> None:
    hub.settings["is_broken"] = True
    with pytest.raises(TemporarilyUnavailable):
        await identity().of_proof("t-ada")


async def test_members_of_the_groups_host(hub: Application) -> None:
    provider = identity("lecturers", "tutors")
    ada = await provider.of_proof("t-ada")
    await provider.check_host(ada._replace(id="lena"))
    with pytest.raises(HostingNotAllowed, match="members of lecturers or tutors open rooms, and ada is none"):
        await provider.check_host(ada)


async def test_without_a_group_nobody_hosts(hub: Application) -> None:
    provider = identity()
    with pytest.raises(HostingNotAllowed, match="nobody"):
        await provider.check_host((await provider.of_proof("t-ada"))._replace(id="lena"))


async def test_a_hub_that_hides_its_groups_is_told_what_the_service_needs(
    hub: Application, caplog: pytest.LogCaptureFixture
) -> None:
    provider = identity("lecturers")
    somebody = (await provider.of_proof("t-ada"))._replace(id="somebody")
    with pytest.raises(TemporarilyUnavailable):
        await provider.check_host(somebody)
    assert "read:users:groups" in caplog.text


async def test_a_hub_that_hangs_up_is_no_verdict_about_who_may_host(hub: Application) -> None:
    provider = identity("lecturers")
    ada = await provider.of_proof("t-ada")
    hub.settings["is_broken"] = True
    with pytest.raises(TemporarilyUnavailable, match="The hub does not answer"):
        await provider.check_host(ada)


def test_a_login_leads_back_to_where_somebody_wanted_to_go(hub: Application) -> None:
    assert identity().login_url("/services/wslive/r/K7M2QX") == (
        "/services/wslive/login?next=/services/wslive/r/K7M2QX"
    )


# ── a whole server ────────────────────────────────────────────────────────────────────────────────────────────────────

BASE = "/services/wslive"


@pytest.fixture
async def server(hub: Application) -> AsyncIterator[Server]:
    """A service of the hub. Both are on one loop, so neither may wait for the other without letting it work."""
    settings = ServerSettings(port=0, base_path=BASE, any_host=True, may_open_network=False)
    server = Server(settings, MemoryLog(), identity=lambda keys: HubIdentity(keys, ["lecturers"]))
    await server.start()
    yield server
    await server.stop()


async def get(server: Server, path: str, **headers: str) -> HTTPResponse:
    return await AsyncHTTPClient().fetch(server.url + path, headers=headers, follow_redirects=False, raise_error=False)


async def test_a_login_stops_nobody_else(server: Server) -> None:
    back = await get(server, f"/login?next={BASE}/r/K7M2QX", Authorization="token t-ada")
    assert (back.code, back.headers["Location"]) == (302, f"{BASE}/r/K7M2QX")
    away = await get(server, "/login?next=//elsewhere.example/", Authorization="token t-ada")
    assert (away.code, away.headers["Location"]) == (302, f"{BASE}/")
    to_the_hub = await get(server, f"/login?next={BASE}/r/K7M2QX", Authorization="token t-nobody")
    assert to_the_hub.code == 302
    assert "/hub/api/oauth2/authorize" in to_the_hub.headers["Location"]


async def test_a_login_while_the_hub_is_away_says_so(hub: Application, server: Server) -> None:
    hub.settings["is_broken"] = True
    answer = await get(server, "/login", Authorization="token t-ada")
    assert (answer.code, answer.body) == (503, b"The hub does not answer; try again in a moment.")


async def test_no_address_of_a_login_or_a_room_is_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)  # what a server shows
    secret = server.context.door.vouching.identity.application_settings()["cookie_secret"]  # type: ignore[union-attr]
    cookie = create_signed_value(secret, "service-wslive", "t-ada").decode()
    assert (await get(server, "/r/K7M2QX", Cookie=f"service-wslive={cookie}")).code == 200
    assert (await get(server, "/oauth_callback?state=s&code=a-code-that-opens-a-session")).code == 403
    failed = await get(server, "/oauth_callback")
    assert failed.code == 400
    assert "frame-ancestors 'none'" in failed.headers["Content-Security-Policy"]
    for what in ("K7M2QX", "a-code-that-opens", "127.0.0.1"):
        assert what not in caplog.text
