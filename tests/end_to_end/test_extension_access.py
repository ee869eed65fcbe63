"""Who gets what from a Jupyter Server with wslive in it: each cell of the table, before and after people are let in."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.web import RequestHandler

from tests.end_to_end.jupyter import JupyterServer
from wslive.extension.handlers import routes
from wslive.extension.mount import Mount

PROXIED = "--ServerApp.allow_remote_access=True"
"""As behind a proxy: others may reach this Jupyter by names that it does not know."""


@pytest.fixture(
    scope="module",
    params=[(base, open_) for base in ("/", "/user/x-1/") for open_ in (True, False)],
    ids=lambda given: f"base={given[0]} allow_unauthenticated_access={given[1]}",
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    base, open_ = request.param
    options = [f"--ServerApp.base_url={base}", f"--ServerApp.allow_unauthenticated_access={open_}", PROXIED]
    with JupyterServer(tmp_path_factory.mktemp("access") / "user", *options, has_frontends=True) as running:
        yield running


@pytest.fixture
def rooms(server: JupyterServer) -> Iterator[dict[str, dict[str, str]]]:
    """Two rooms; people will be let into the first."""
    made = {"OPEN": server.open_room("Open"), "SHUT": server.open_room("Shut")}
    yield made
    for room in made.values():
        server.let_in(room["code"], "this_computer")


# What is asked for: (a stranger before, a stranger once people are let into the room OPEN, whoever has logged in)
PAGES = {
    "wslive": (403, 302, 302),
    "wslive/": (403, 200, 200),
    "wslive/r/OPEN": (403, 200, 200),
    "wslive/r/SHUT": (403, 403, 200),
    "wslive/r/NOSUCH": (403, 403, 200),
    "wslive/r/OPEN/about": (403, 200, 200),
    "wslive/r/SHUT/about": (403, 403, 200),
    "wslive/r/NOSUCH/about": (403, 403, 404),
    "wslive/static/page.js": (403, 200, 200),
    "wslive/static/style.css": (403, 200, 200),
    "wslive/static/nothing.js": (403, 404, 404),
    "wslive/r/OPEN/screen": (302, 302, 200),
    "wslive/r/OPEN/link": (302, 302, 200),
    "wslive/r/OPEN/qr.svg": (302, 302, 404),  # 404: this is a loopback address
    # The calls of hosts ask for the hosting token or a host key, not for a login.
    "wslive/api/server": (403, 403, 403),
    "wslive/api/rooms/OPEN/events": (403, 403, 403),
    "wslive/api/rooms/OPEN/invitations": (403, 403, 403),
    # Jupyter itself: as without wslive.
    "api/status": (403, 403, 200),
    "api/contents": (403, 403, 200),
    "api/kernels": (403, 403, 200),
    "api/terminals": (403, 403, 200),
    "files/x": (302, 302, 404),
}
WRITES = {
    ("POST", "wslive/api/rooms"): (403, 403, 403),
    ("POST", "wslive/api/audience"): (403, 403, 403),
    ("DELETE", "wslive/api/rooms/OPEN"): (403, 403, 403),
    ("DELETE", "wslive/api/rooms/OPEN/people/p_nobody"): (403, 403, 403),
    ("POST", "api/kernels"): (403, 403, None),
    ("POST", "api/terminals"): (403, 403, None),
}
ORIGINS = {"none": None, "same": "http://127.0.0.1:{port}", "foreign": "https://elsewhere.example", "null": "null"}


def test_every_route_and_method_of_the_extension_has_its_row() -> None:
    rows = [("GET", path) for path in PAGES] + list(WRITES) + [("GET", "wslive/ws")]
    for pattern, handler, _ in routes(Mount("/wslive", logging.getLogger("tests.requests"))):
        for method in handler.SUPPORTED_METHODS:
            if getattr(handler, method.lower()) is RequestHandler._unimplemented_method:
                continue
            assert any(m == method and re.fullmatch(pattern, f"/{path}") for m, path in rows), f"{method} {pattern}"


def plain(path: str, status: int) -> int:
    """Jupyter's own interface turns pages of others away with 403 or 404, as its settings go."""
    return 403 if path.startswith("api/") and status == 404 else status


def headers_of(server: JupyterServer, origin: str, *, login: bool = False) -> dict[str, str]:
    headers = {"Authorization": f"token {server.token}"} if login else {}
    if (template := ORIGINS[origin]) is not None:
        headers["Origin"] = template.format(port=server.base_url.split(":")[2].split("/")[0])
    return headers


def filled(path: str, rooms: dict[str, dict[str, str]]) -> str:
    for name, room in rooms.items():
        path = path.replace(name, room["code"])
    return path


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_page_before_and_after_people_are_let_in(
    server: JupyterServer, rooms: dict[str, dict[str, str]], origin: str
) -> None:
    def statuses(*, login: bool) -> dict[str, int]:
        headers = headers_of(server, origin, login=login)
        return {path: plain(path, server.ask(filled(path, rooms), headers=headers)[0]) for path in PAGES}

    def expected(column: int) -> dict[str, int]:
        return {path: cells[column] for path, cells in PAGES.items()}

    assert statuses(login=False) == expected(0)
    assert statuses(login=True) == expected(2)
    assert server.let_in(rooms["OPEN"]["code"])["here"] is True
    assert statuses(login=False) == expected(1)
    assert statuses(login=True) == expected(2)
    server.let_in(rooms["OPEN"]["code"], "this_computer")
    assert statuses(login=False) == expected(0)


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_write_before_and_after_people_are_let_in(
    server: JupyterServer, rooms: dict[str, dict[str, str]], origin: str
) -> None:
    def statuses(column: int) -> dict[tuple[str, str], int]:
        headers = headers_of(server, origin, login=column == 2)
        asked = [cell for cell, expected in WRITES.items() if expected[column] is not None]
        body = {"title": "Mine", "room": rooms["OPEN"]["code"], "audience": "network"}
        return {
            (method, path): plain(path, server.ask(filled(path, rooms), method=method, headers=headers, body=body)[0])
            for method, path in asked
        }

    def expected(column: int) -> dict[tuple[str, str], int]:
        return {cell: found for cell, row in WRITES.items() if (found := row[column]) is not None}

    assert statuses(0) == expected(0)
    assert statuses(2) == expected(2)
    server.let_in(rooms["OPEN"]["code"])
    assert statuses(1) == expected(1)
    assert statuses(2) == expected(2)


# (who, origin): into OPEN before, into OPEN after, into SHUT after
SOCKETS = {
    ("stranger", "none"): ("handshake 403", "welcome", "room_unavailable"),
    ("stranger", "same"): ("handshake 403", "welcome", "room_unavailable"),
    ("stranger", "foreign"): ("handshake 403", "handshake 403", "handshake 403"),
    ("stranger", "null"): ("handshake 403", "handshake 403", "handshake 403"),
    ("login", "none"): ("welcome", "welcome", "welcome"),
    ("login", "same"): ("welcome", "welcome", "welcome"),
    # Jupyter's own rule: whoever shows its token is no page that misuses somebody's cookie.
    ("login", "foreign"): ("welcome", "welcome", "welcome"),
    ("login", "null"): ("handshake 403", "handshake 403", "handshake 403"),
    ("cookie", "none"): ("welcome", "welcome", "welcome"),
    ("cookie", "same"): ("welcome", "welcome", "welcome"),
    ("cookie", "foreign"): ("handshake 403", "handshake 403", "handshake 403"),
    ("cookie", "null"): ("handshake 403", "handshake 403", "handshake 403"),
    ("kernel", "none"): ("welcome", "welcome", "welcome"),
    ("wrong kernel", "none"): ("handshake 403", "welcome", "room_unavailable"),
}


@pytest.mark.parametrize(("who", "origin"), SOCKETS)
def test_every_websocket_before_and_after_people_are_let_in(
    server: JupyterServer, rooms: dict[str, dict[str, str]], who: str, origin: str
) -> None:
    headers = headers_of(server, origin, login=who == "login")
    if who == "cookie":
        _, answered, _ = server.ask(f"wslive/?token={server.token}")
        headers["Cookie"] = answered["Set-Cookie"].partition(";")[0]
    elif "kernel" in who:
        token = server.running["hosting_token"] if who == "kernel" else "ht_guessed"
        headers["Authorization"] = f"Bearer {token}"

    def outcomes(*codes: str) -> tuple[str, ...]:
        return tuple(server.knock({"room": rooms[code]["code"]}, headers=headers) for code in codes)

    before = outcomes("OPEN")
    server.let_in(rooms["OPEN"]["code"])
    assert before + outcomes("OPEN", "SHUT") == SOCKETS[who, origin]
    server.let_in(rooms["OPEN"]["code"], "this_computer")
    assert outcomes("OPEN") == before


def test_a_stranger_is_no_host_even_with_the_rooms_key(server: JupyterServer, rooms: dict[str, dict[str, str]]) -> None:
    hello = {"room": rooms["OPEN"]["code"], "role": "host", "token": rooms["OPEN"]["host_key"]}
    assert server.knock(hello) == "handshake 403"
    server.let_in(rooms["OPEN"]["code"])
    assert server.knock(hello) == "not_allowed"
    assert server.knock(hello, headers=headers_of(server, "none", login=True)) == "welcome"


def test_a_ticket_opens_its_room_from_anywhere_and_a_forged_one_nothing(
    server: JupyterServer, rooms: dict[str, dict[str, str]]
) -> None:
    ticket = server.ticket(rooms["SHUT"])
    for origin in ("none", "same", "foreign"):
        headers = headers_of(server, origin)
        assert server.knock({}, headers=headers, protocols=[f"wslive.ticket.{ticket}"]) == "welcome"
        forged = ticket[:-3] + ("AAA" if not ticket.endswith("AAA") else "BBB")
        assert server.knock({}, headers=headers, protocols=[f"wslive.ticket.{forged}"]) == "handshake 403"


def test_a_host_key_opens_its_rooms_log_and_no_others(server: JupyterServer, rooms: dict[str, dict[str, str]]) -> None:
    headers = {"Authorization": f"Bearer {rooms['OPEN']['host_key']}"}
    status, _, text = server.ask(filled("wslive/api/rooms/OPEN/events", rooms), headers=headers)
    assert (status, len(text.splitlines())) == (200, 2)
    assert server.ask(filled("wslive/api/rooms/SHUT/events", rooms), headers=headers)[0] == 403
    assert server.ask("wslive/api/server", headers=headers)[0] == 403


def test_pages_bring_a_strict_policy_and_the_token_is_in_none(
    server: JupyterServer, rooms: dict[str, dict[str, str]]
) -> None:
    for path in ("wslive/", filled("wslive/r/OPEN", rooms), filled("wslive/r/OPEN/screen", rooms)):
        _, headers, text = server.ask(f"{path}?token={server.token}")
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert headers["Referrer-Policy"] == "no-referrer"
        assert server.token not in text
    _, headers, _ = server.ask(filled("wslive/r/OPEN", rooms))
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_the_log_says_who_opened_which_room_and_names_no_code(
    server: JupyterServer, rooms: dict[str, dict[str, str]]
) -> None:
    room, code = rooms["OPEN"]["room"], rooms["OPEN"]["code"]
    server.ask(f"wslive/r/{code}")
    server.let_in(code)
    server.let_in(code, "this_computer")
    log = server.log()
    assert f"people without a login are let into room {room}, at the address at which Jupyter is reached" in log
    assert f"room {room} takes in nobody new without a login" in log
    assert "403 GET" in log
    assert code not in log
    for secret in (server.running["hosting_token"], rooms["OPEN"]["host_key"]):
        assert secret not in log


def test_the_files_with_secrets_are_their_owners_alone(server: JupyterServer) -> None:
    store = Path(server.running["store"])
    runtime = Path(server.env["JUPYTER_RUNTIME_DIR"]) / "wslive"
    for file in [*runtime.iterdir(), store, store.with_name(store.name + ".key")]:
        assert file.stat().st_mode & 0o077 == 0, file
