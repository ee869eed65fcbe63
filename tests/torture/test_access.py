"""Whatever is not allowed is denied: every command, route, origin, name and token of the product, from its own tables.

The rows here say who may do what; what there is to do is taken from the command tables, from the routing tables and
from the types of the messages. So something new without a row fails, and so does a row of something that is no more.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, get_args

import pytest
from tornado.httpclient import HTTPResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, UNHURRIED, Hall, Person, open_poll
from tests.small_room import HOST, VIEWER, SmallRoom, person
from tests.torture.figures import Figures
from wslive.activities import activities
from wslive.core.errors import NotAllowed, Refused, Removed, RoomHasEnded
from wslive.core.roles import HOST_ACTOR, Role, Who
from wslive.core.room import COMMANDS
from wslive.core.room_messages import SERVER_COMMANDS
from wslive.eventlog.base import EventLog
from wslive.eventlog.memory import MemoryLog
from wslive.server.access.tokens import Claims, Signer
from wslive.server.app import Extension, Server
from wslive.server.settings import Rate, ServerSettings
from wslive.socketio.gateway import Gateway
from wslive.wire.close_codes import CloseCode
from wslive.wire.messages import ClientMessage
from wslive.wire.session import MAX_ERRORS

ROOM = "room"
Ids = dict[str, Any]
Body = Callable[[Ids], dict[str, Any]]

# ── who may send which command, with a body that is accepted from them ────────────────────────────────────────────

# h: the host, p: participants. Viewers may send nothing. `ids` holds what the bodies name.
RIGHTS: dict[tuple[str, str], tuple[str, Body]] = {
    (ROOM, "rename"): ("hp", lambda ids: {"name": "Another", **ids["whom"]}),
    (ROOM, "mute"): ("h", lambda ids: {"person": ids["bob"], "muted": True}),
    (ROOM, "lock"): ("h", lambda ids: {"locked": False}),
    (ROOM, "set_stage"): ("h", lambda ids: {"activity": 0}),
    (ROOM, "open_activity"): ("h", lambda ids: {"kind": "poll", "body": {"question": "Q?", "options": ["a", "b"]}}),
    (ROOM, "join"): ("", lambda ids: {"name": "Twice"}),
    (ROOM, "open_room"): ("", lambda ids: {"title": "Mine"}),
    (ROOM, "erase_person"): ("", lambda ids: {"person": ids["bob"]}),
    ("poll", "cast_vote"): ("p", lambda ids: {"round": 1, "options": ["o1"]}),
    ("poll", "retract_vote"): ("p", lambda ids: {"round": 1}),
    ("poll", "edit"): ("h", lambda ids: {"question": "Which?", "options": ["a", "b"]}),
    ("poll", "close"): ("h", lambda ids: {}),
    ("poll", "reopen"): ("h", lambda ids: {}),
    ("poll", "start_round"): ("h", lambda ids: {}),
    ("poll", "discard"): ("h", lambda ids: {}),
    ("chat", "say"): ("hp", lambda ids: {"text": "hello"}),
    ("chat", "hide_line"): ("h", lambda ids: {"line": ids["line"], "hidden": True}),
    ("chat", "set_chat"): ("h", lambda ids: {"mode": "on", "paused": False}),
    (ROOM, "remove_person"): ("h", lambda ids: {"person": ids["bob"]}),
    (ROOM, "end_room"): ("h", lambda ids: {}),
}
"""In an order in which one after the other is accepted."""

OPENED_BY_THE_ROOM = "open"
"""The command of an activity that only `open_activity` carries."""


def every_command() -> list[tuple[str, str]]:
    """All there are, from the tables."""
    of_activities = [(kind, name) for kind, rules in activities().items() for name in rules.commands]
    return [(ROOM, name) for name in COMMANDS] + [c for c in of_activities if c[1] != OPENED_BY_THE_ROOM]


def test_every_command_has_its_row():
    assert set(RIGHTS) == set(every_command())
    for (kind, name), (letters, _) in RIGHTS.items():
        spec = COMMANDS[name] if kind == ROOM else activities()[kind].commands[name]
        told = set() if kind == ROOM and name in SERVER_COMMANDS else {role.value[0] for role in spec.roles}
        assert told == set(letters), f"{kind}.{name}"


@asynccontextmanager
async def opened(log: Any = None, extensions: Sequence[Extension] = (), **settings: Any) -> AsyncIterator[Hall]:
    """A room on a server with unhurried rates."""
    of = ("vote_rate", "line_rate", "name_rate", "read_rate", "host_rate", "handshake_rate")
    rates = dict.fromkeys(of, UNHURRIED)
    kept: EventLog = log or MemoryLog()
    server = Server(ServerSettings(port=0, **{**rates, **settings}), kept, extensions)
    await server.start()
    hall = Hall(server)
    try:
        await hall.make_room()
        yield hall
    finally:
        await hall.close()


async def ids_of(hall: Hall, host: Person) -> Ids:
    """What bodies name, made for one member's turn."""
    bob = await hall.join("Bob")
    line = await bob.done(CHAT, "say", {"text": "a line"})
    poll = await open_poll(host, keep_open=True)
    return {"bob": bob.welcome["actor"], "line": line, "poll": poll, "chat": CHAT, ROOM: 0, "whom": {}}


async def head(hall: Hall) -> int:
    live = await hall.server.context.node.find(hall.code)
    return await live.task.look(lambda room: room.head.offset)


async def by_ticket(hall: Hall, first: Person) -> Person:
    """A second connection by a ticket, which asks for more than it gives."""
    await first.send({"type": "get_ticket", "ref": "t"})
    ticket = (await first.answer("t"))["ticket"]
    return await hall.come(role="host", ledger=True, token=hall.host_key, connect={"ticket": ticket})


async def come_as(role: str, hall: Hall) -> Person:
    if role.startswith("host"):
        first = await hall.host(ledger="ledger" in role)
    elif role.startswith("participant"):
        first = await hall.join("Ada")
    else:
        first = await hall.come(role="viewer")
    return await by_ticket(hall, first) if "ticket" in role else first


ROLES = (
    "host",
    "host with the ledger",
    "host by ticket",
    "participant",
    "participant by ticket",
    "viewer",
    "viewer by ticket",
)


async def test_every_command_of_every_role(figures: Figures):
    denied = accepted = 0
    for role in ROLES:
        async with opened() as hall:
            host = await hall.host()
            member = await come_as(role, hall)
            assert member.welcome["role"] == role.split()[0]
            ids = await ids_of(hall, host)
            if member.welcome["role"] == "host":
                ids["whom"] = {"person": ids["bob"]}
            for (kind, name), (letters, body) in RIGHTS.items():
                before = await head(hall)
                answer = await member.command(ids[kind], name, body(ids))
                if role[0] in letters:
                    assert answer["type"] == "ack", (role, kind, name, answer)
                    accepted += 1
                else:
                    assert answer.get("code") == "not_allowed", (role, kind, name, answer)
                    assert await head(hall) == before
                    denied += 1
    figures(
        row=10,
        attack="every command as every role, by token, key and ticket",
        holds="What no row allows is denied, and nothing is stored; a command without a row fails the test.",
        commands=len(RIGHTS),
        roles=len(ROLES),
        denied=denied,
        accepted=accepted,
    )


SLOW = Rate(per_s=0.001, burst=2)


@pytest.mark.parametrize("command", [c for c, (letters, _) in RIGHTS.items() if "p" in letters], ids=".".join)
async def test_every_command_of_participants_has_a_rate_and_says_when_to_come_back(command: tuple[str, str]):
    of = ("vote_rate", "line_rate", "name_rate")
    async with opened(**dict.fromkeys(of, SLOW)) as hall:
        host, ada = await hall.host(), await hall.join("Ada")
        ids = await ids_of(hall, host)
        answers = [await ada.command(ids[command[0]], command[1], RIGHTS[command][1](ids)) for _ in range(3)]
        assert [answer.get("code") == "too_fast" for answer in answers] == [False, False, True]
        assert answers[2]["retry_after_s"] > 0
        assert "try again in" in answers[2]["message"]


async def test_only_the_hosts_program_is_told_single_ballots():
    async with opened() as hall:
        host, ada = await hall.host(ledger=True), await hall.join("Ada")
        poll = await open_poll(host)
        voted = await ada.vote(poll, "o2")
        assert f"1/{ada.welcome['actor']}" in (await host.at(voted))["activities"][str(poll)]["ballots"]
        for role in ("host", "host by ticket", "participant", "participant by ticket", "viewer", "viewer by ticket"):
            member = await come_as(role, hall)
            assert "ballots" not in member.view["activities"][str(poll)], role


def every_message() -> dict[str, dict[str, Any]]:
    """One frame of each type that a client may send, from the types themselves."""
    fields: dict[str, dict[str, Any]] = {
        "hello": {"role": "viewer"},
        "command": {"ref": "r1", "activity": CHAT, "kind": "say", "body": {"text": "hello"}},
        "read_older": {"ref": "r2", "activity": CHAT, "before": 9},
        "get_ticket": {"ref": "r3"},
        "ping": {"n": 1},
    }
    assert set(fields) == {struct.__struct_config__.tag for struct in get_args(ClientMessage)}, "one without a row"
    return {tag: {"type": tag, **more} for tag, more in fields.items()}


def every_frame(*but: str) -> list[dict[str, Any]]:
    """Each type of message, and a command of each kind."""
    frames = [frame for tag, frame in every_message().items() if tag not in but]
    for kind, name in every_command():
        activity = CHAT if kind == "chat" else 0
        frames.append({"type": "command", "ref": "r", "activity": activity, "kind": name, "body": {}})
    return frames


async def test_before_the_hello_nothing_is_taken():
    async with opened() as hall:
        before = await head(hall)
        for frame in every_frame("hello", "ping"):
            stranger = await hall.connect()
            await stranger.send(frame)
            assert (await stranger.closed())[0] == CloseCode.PROTOCOL_ERROR, frame
        assert await head(hall) == before


@pytest.mark.parametrize("role", ["host", "participant", "viewer"])
async def test_while_joining_nothing_is_taken(role: str):
    log = FaultyLog(MemoryLog())
    async with opened(log) as hall:
        ada = await hall.join("Ada")
        hello = {"type": "hello", "ref": "", "room": hall.code, "role": role}
        if role == "host":
            hello["token"] = hall.host_key
        frames, size = every_frame("ping"), MAX_ERRORS // 2
        for start in range(0, len(frames), size):
            some = frames[start : start + size]
            with log.held("append") as reached:
                line = await ada.ask(CHAT, "say", {"text": "is being stored"})
                await reached()
                early = await hall.connect()
                await early.send(hello)
                for frame in some:
                    await early.send(frame)
                told = [(f["type"], f["ref"], f["code"]) for f in await early.since_now()]
                assert told == [("refused", "", "out_of_turn")] * len(some)
            assert (await ada.answer(line))["type"] == "ack"
            assert (await early.next("welcome", "refused"))["type"] == "welcome"
            await early.leave()


async def test_in_a_room_that_has_ended_nothing_is_taken():
    async with opened() as hall:
        host, ada, viewer = await hall.host(), await hall.join("Ada"), await hall.come(role="viewer")
        ids = await ids_of(hall, host)
        await host.done(0, "end_room")
        for member in (ada, viewer):
            assert (await member.closed())[0] == CloseCode.ROOM_ENDED
            again = await hall.connect()
            role = member.welcome["role"]
            assert (await again.hello(room=hall.code, role=role, token=member.token))["code"] == "room_has_ended"
        late = await hall.host()
        before = await head(hall)
        for (kind, name), (_, body) in RIGHTS.items():
            answer = await late.command(ids[kind], name, body(ids))
            expected = "not_allowed" if kind == ROOM and name in SERVER_COMMANDS else "room_has_ended"
            assert answer["code"] == expected, (kind, name)
        assert await head(hall) == before


@pytest.mark.parametrize("state", ["open", "removed", "never joined", "ended"])
def test_every_command_by_the_rules_alone(state: str):
    """What is on its way when its sender is sent out, or the room ends, meets the rules and nothing before them."""
    small = SmallRoom()
    ada, bob = small.join("p_ada", "Ada"), small.join("p_bob", "Bob")
    line = small.send(bob, "say", CHAT, text="a line")
    poll = small.open("poll", question="Which?", options=["a", "b"])
    ids = {"bob": "p_bob", "line": line, "poll": poll, "chat": CHAT, ROOM: 0, "whom": {}}
    match state:
        case "removed":
            small.send(HOST, "remove_person", person="p_ada")
        case "never joined":
            ada = person("p_nobody")
        case "ended":
            small.send(HOST, "end_room")
    for (kind, name), (letters, body) in RIGHTS.items():
        if kind == ROOM and name in SERVER_COMMANDS:
            continue  # of the server alone, which `test_every_command_of_every_role` looks at
        for who in (VIEWER, ada, Who(HOST_ACTOR, Role.HOST)):
            expected: type[Refused] = NotAllowed
            if state == "ended":
                expected = RoomHasEnded
            elif who is ada and state == "removed":
                expected = Removed
            elif who.role.value[0] in letters and not (who is ada and state == "never joined"):
                continue  # allowed
            assert type(small.refused(who, name, ids[kind], **body(ids))) is expected, (kind, name, who.role)


# ── every route ───────────────────────────────────────────────────────────────────────────────────────────────────

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
EVERYBODY = "everybody"
ANY = {EVERYBODY: 200}

# By the pattern in the routing table: what is asked for, and for each method who gets what; all others get 403.
ROUTES: dict[str, tuple[str, dict[str, dict[str, int]]]] = {
    "/": ("/", {"GET": ANY}),
    "/r/CODE": ("/r/{code}", {"GET": ANY}),
    "/r/CODE/screen": ("/r/{code}/screen", {"GET": ANY}),
    "/r/CODE/about": ("/r/{code}/about", {"GET": ANY}),
    "/r/CODE/ticket": ("/r/{code}/ticket", {"POST": {EVERYBODY: 400}}),  # for servers with a login
    "/r/CODE/link": ("/r/{code}/link", {"GET": ANY}),
    r"/r/CODE/qr\.svg": ("/r/{code}/qr.svg", {"GET": {EVERYBODY: 404}}),  # a loopback address
    "/static/FILE": ("/static/page.js", {"GET": ANY}),
    "/ws": ("/ws", {"GET": {EVERYBODY: 400}}),  # no upgrade
    "/echo": ("/echo", {method: {EVERYBODY: 426} for method in METHODS}),
    "/health": ("/health", {"GET": ANY}),
    "/ready": ("/ready", {"GET": ANY}),
    "/api/server": ("/api/server", {"GET": ANY}),
    "/api/rooms": ("/api/rooms", {"POST": {"the hosting token": 201}}),
    "/api/audience": ("/api/audience", {"POST": {"the hosting token": 200}}),
    "/api/rooms/CODE/events": ("/api/rooms/{code}/events", {"GET": {"the host key": 200}}),
    "/api/rooms/CODE/invitations": ("/api/rooms/{code}/invitations?count=3", {"GET": {"the host key": 200}}),
    "/api/rooms/CODE/people/PERSON": (
        "/api/rooms/{code}/people/p_nobody",
        {"DELETE": {"the host key": 400}},  # nobody of that id
    ),
    r"/socket\.io/socket\.io(?:\.min)?\.js": ("/socket.io/socket.io.js", {"GET": {EVERYBODY: 404}}),  # no copy here
    # Another version of the protocol: whoever may connect is told so, by whatever method.
    r"/socket\.io/": (
        "/socket.io/?EIO=2",
        {method: {EVERYBODY: 204 if method == "OPTIONS" else 400} for method in METHODS},
    ),
    "/api/rooms/CODE": ("/api/rooms/{code}", {"DELETE": {"the host key": 200}}),
}
"""In an order in which one after the other is there."""

HOSTS_ONLY = {pattern for pattern in ROUTES if pattern.startswith("/api/")}
PATHS = [path for path, _ in ROUTES.values()]


def patterns(server: Server, *, audience_only: bool) -> set[str]:
    """What the routing table of a server's listener has."""
    application: Any = server._serve(audience_only=audience_only).request_callback
    found = {rule.matcher.regex.pattern.removesuffix("$") for rule in application.wildcard_router.rules}
    return {
        p.replace("([A-Za-z0-9-]{1,20})", "CODE")
        .replace("([A-Za-z0-9_./-]+)", "FILE")
        .replace("([A-Za-z0-9_-]{1,80})", "PERSON")
        for p in found
    }


async def bearers(hall: Hall) -> dict[str, str | None]:
    """Everybody who may show something, and what they show."""
    ada, viewer, host = await hall.join("Ada"), await hall.come(role="viewer"), await hall.host()
    code, key = hall.code, hall.host_key
    await hall.make_room("Another")
    other_key = hall.host_key
    hall.code, hall.host_key = code, key
    await host.send({"type": "get_ticket", "ref": "t"})
    return {
        "nobody": None,
        "a participant's token": ada.token,
        "a viewer's token": viewer.token,
        "a host's ticket": (await host.answer("t"))["ticket"],
        "another room's host key": other_key,
        "a guessed key": "hk_guessed",
        "the hosting token": hall.server.hosting_token,
        "the host key": key,
    }


async def test_every_route_for_everybody(figures: Figures):
    asked = denied = 0
    async with opened(extensions=[Gateway()]) as hall:
        assert patterns(hall.server, audience_only=False) == set(ROUTES), "a route without a row, or the other way"
        assert patterns(hall.server, audience_only=True) == set(ROUTES) - HOSTS_ONLY
        people = await bearers(hall)
        body = json.dumps({"title": "Mine", "audience": "this_computer"})

        async def check(method: str, path: str, row: dict[str, int] | None, who: str) -> int:
            extra = {"body": body} if method in ("POST", "PUT", "PATCH") else {}
            answer = await hall.http(path.format(code=hall.code), method=method, bearer=people[who], **extra)
            expected = 405 if row is None else row.get(EVERYBODY, row.get(who, 403))
            assert answer.code == expected, (method, path, who, answer.body)
            return answer.code

        for path, allowed in ROUTES.values():
            for method in METHODS:
                row = allowed.get(method)
                codes = await asyncio.gather(
                    *(check(method, path, row, who) for who in people if who != "the host key")
                )
                codes.append(await check(method, path, row, "the host key"))
                asked += len(codes)
                denied += sum(code >= 400 for code in codes)
    figures(
        row=10,
        attack="every HTTP route, method and bearer",
        holds="Whoever no row names is refused; a route without a row fails the test.",
        asked=asked,
        denied=denied,
    )


async def test_the_audiences_listener_has_nothing_for_hosts():
    async with opened() as hall:
        listener = hall.server._serve(audience_only=True)
        listener.listen(0, "127.0.0.1")
        port = next(iter(listener._sockets.values())).getsockname()[1]
        try:
            url = f"http://127.0.0.1:{port}"
            for path in (path for pattern, (path, _) in ROUTES.items() if pattern in HOSTS_ONLY):
                for bearer in (hall.host_key, hall.server.hosting_token):
                    for method in ("GET", "DELETE"):
                        answer = await hall.http(path.format(code=hall.code), url=url, bearer=bearer, method=method)
                        assert answer.code == 404, path
            stranger = await hall.connect(url)
            refused = await stranger.hello(room=hall.code, role="host", token=hall.host_key)
            assert refused["code"] == "not_allowed"
        finally:
            listener.stop()
            await listener.close_all_connections()


# ── where it comes from ───────────────────────────────────────────────────────────────────────────────────────────

LAB = "https://lab.example.org"
ELSEWHERE: dict[str, Any] = {"public_url": "https://live.example.org/rooms", "allow_origins": (LAB,)}

ORIGINS: dict[str, tuple[str | None, bool]] = {
    "missing": (None, True),
    "our own": ("http://127.0.0.1:{port}", True),
    "our own in capitals": ("HTTP://127.0.0.1:{port}", True),
    "our own with another scheme": ("https://127.0.0.1:{port}", False),
    "our own with another port": ("http://127.0.0.1:1", False),
    "our own without a port": ("http://127.0.0.1", False),
    "our own with a dot at the end": ("http://127.0.0.1.:{port}", False),
    "another name of ours": ("http://localhost:{port}", False),
    "the public one": ("https://live.example.org", True),
    "the public one in capitals": ("HTTPS://LIVE.EXAMPLE.ORG:443", True),
    "the public one with another scheme": ("http://live.example.org", False),
    "the public one with another port": ("https://live.example.org:8443", False),
    "the public one with a dot at the end": ("https://live.example.org.", False),
    "the allowed one": (LAB, True),
    "below the allowed one": ("https://x.lab.example.org", False),
    "beginning like the allowed one": ("https://lab.example.org.evil.example", False),
    "ending like the allowed one": ("https://evillab.example.org", False),
    "with the allowed one as its user": ("https://lab.example.org@evil.example", False),
    "two at once": ("https://lab.example.org, https://evil.example", False),
    "foreign": ("https://evil.example", False),
    "null": ("null", False),
    "null in capitals": ("NULL", False),
    "empty": ("", False),
    "a file": ("file://", False),
    "an extension": ("chrome-extension://abcdef", False),
    "nonsense": ("http://[::1", False),
}

HOSTS: dict[str, tuple[str, bool]] = {
    "the address": ("127.0.0.1:{port}", True),
    "its name": ("localhost:{port}", True),
    "its name in capitals": ("LOCALHOST:{port}", True),
    "its name with a dot at the end": ("localhost.:{port}", True),
    "the public name": ("live.example.org", True),
    "the public name with a dot at the end": ("Live.Example.ORG.", True),
    "a name that was made to point here": ("evil.example", False),
    "the same with our port": ("evil.example:{port}", False),
    "beginning like ours": ("127.0.0.1.evil.example", False),
    "ending like the public name": ("evil-live.example.org", False),
    "below the public name": ("x.live.example.org", False),
    "the allowed origin's": ("lab.example.org", False),
    "another address": ("169.254.169.254", False),
    "every address": ("0.0.0.0:{port}", False),
    "the address as a number": ("2130706433:{port}", False),
    "with a user": ("localhost@evil.example", False),
}

FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Real-Ip": "203.0.113.7",
    "X-Forwarded-Host": "localhost",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "1",
    "X-Scheme": "https",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": 'for=203.0.113.7;host="localhost";proto=https',
    "X-Original-Url": "/api/server",
    "X-Rewrite-Url": "/api/server",
    "X-Http-Method-Override": "DELETE",
    "Sec-Fetch-Site": "same-origin",
}


async def is_opened(hall: Hall, headers: dict[str, str], *, host: str | None = None, ticket: str | None = None) -> bool:
    """Whether a handshake for a WebSocket is answered with one."""
    options: dict[str, Any] = {"additional_headers": headers}
    url = hall.server.url
    if host is not None:
        options["host"], options["port"] = "127.0.0.1", hall.server.port
        url = f"http://{host}"
    try:
        opened = await hall.connect(url, ticket=ticket, **options)
    except InvalidStatus as refused:
        if refused.response.status_code != 403:
            raise
        return False
    await opened.leave()
    return True


async def is_written(hall: Hall, headers: dict[str, str]) -> bool:
    """Whether a page's POST with the hosting token is taken."""
    bearer, body = hall.server.hosting_token, json.dumps({"title": "Mine"})
    answer = await hall.http("/api/rooms", method="POST", bearer=bearer, headers=headers, body=body)
    assert answer.code in (201, 403)
    return answer.code == 201


@pytest.mark.parametrize("forged", [False, True], ids=["plain", "forwarded"])
async def test_every_origin(forged: bool, figures: Figures):
    more = FORWARDED if forged else {}
    async with opened(**ELSEWHERE) as hall:
        for name, (origin, is_let_in) in ORIGINS.items():
            headers = {**more} if origin is None else {**more, "Origin": origin.format(port=hall.server.port)}
            assert await is_opened(hall, headers) is is_let_in, name
            assert await is_written(hall, headers) is is_let_in, name
    figures(
        row=10,
        attack="origins" + (" with forged X-Forwarded headers" if forged else ""),
        holds="Only our own, the public and the allowed origins, and programs without one, connect or write.",
        tried=2 * len(ORIGINS),
        denied=2 * sum(not is_let_in for _, is_let_in in ORIGINS.values()),
    )


@pytest.mark.parametrize("forged", [False, True], ids=["plain", "forwarded"])
async def test_every_name_in_the_host_header(forged: bool, figures: Figures):
    more = FORWARDED if forged else {}
    async with opened(extensions=[Gateway()], **ELSEWHERE) as hall:
        for name, (template, is_let_in) in HOSTS.items():
            host = template.format(port=hall.server.port)
            # As after DNS rebinding: the page's own origin is that very name.
            headers = {**more, "Host": host, "Origin": f"http://{host}"}
            for path in PATHS:
                answer = await hall.http(path.format(code=hall.code), headers=headers)
                told = b"does not answer to the name" in (answer.body or b"")
                # What is no name at all Tornado itself refuses.
                assert ((answer.code == 403 and told) or (answer.code == 400 and not answer.body)) is not is_let_in, (
                    name,
                    path,
                    answer.body,
                )
            if not is_let_in and "@" not in host:  # no client opens a WebSocket there
                assert not await is_opened(hall, {**more, "Origin": f"http://{host}"}, host=host), name
    figures(
        row=10,
        attack="names in the Host header" + (" with forged X-Forwarded headers" if forged else ""),
        holds="A name that was made to point here gets nothing, from no route.",
        tried=len(HOSTS) * len(PATHS),
        names_denied=sum(not is_let_in for _, is_let_in in HOSTS.values()),
    )


def said(answer: HTTPResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.code, answer.body or b"", sorted((k, v) for k, v in answer.headers.get_all() if k != "Date")


async def test_forwarded_headers_from_strangers_change_nothing():
    async with opened(extensions=[Gateway()], public_url="https://live.example.org") as hall:
        for path in PATHS:
            plain = await hall.http(path.format(code=hall.code))
            forged = await hall.http(path.format(code=hall.code), headers=FORWARDED)
            assert said(plain) == said(forged), path
        for i in range(3):
            await hall.join(f"P{i}", connect={"additional_headers": {"X-Forwarded-For": f"203.0.{i}.7"}})
        assert (await arrivals(hall)).networks == 1


async def arrivals(hall: Hall) -> Any:
    live = await hall.server.context.node.find(hall.code)
    return live.fanout.arrivals.now(asyncio.get_running_loop().time())


async def test_a_named_proxy_says_from_which_network_and_nothing_else():
    async with opened(trusted_proxies=("127.0.0.1",)) as hall:
        for i in range(4):
            await hall.join(
                f"P{i}", connect={"additional_headers": {"X-Forwarded-For": f"9.9.9.9, 203.0.{i // 2}.{i}"}}
            )
        found = await arrivals(hall)
        assert (found.last_minute, found.networks, found.largest) == (4, 2, 2)
        port = hall.server.port
        assert not await is_opened(hall, {**FORWARDED, "Origin": f"https://127.0.0.1:{port}"})
        assert not await is_opened(hall, {**FORWARDED, "Origin": "http://localhost"}, host="evil.example")


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_token_but_the_right_one_opens_a_room(figures: Figures):
    tried = 0
    async with opened() as hall:
        code, key, room = hall.code, hall.host_key, hall.room
        ada, bob, viewer = await hall.join("Ada"), await hall.join("Bob"), await hall.come(role="viewer")
        host = await hall.host()
        await host.done(0, "remove_person", {"person": bob.welcome["actor"]})
        await host.send({"type": "get_ticket", "ref": "t"})
        ticket = (await host.answer("t"))["ticket"]
        await hall.make_room("Another")
        eve = await hall.join("Eve")
        await hall.make_room("Deleted")
        dan, deleted_key = await hall.join("Dan"), hall.host_key
        assert (await hall.http(f"/api/rooms/{hall.code}", method="DELETE", bearer=deleted_key)).code == 200
        hall.code, hall.host_key = code, key

        ours, theirs = hall.server.context.door.signer, Signer(b"x" * 32)
        actor, removed = ada.welcome["actor"], bob.welcome["actor"]
        past, later = int(time.time()) - 1, int(time.time()) + 600
        assert ada.token is not None
        payload, mac = ada.token.split(".")
        no, wrong = "invalid_token", "wrong_host_key"
        tokens: dict[str, tuple[str | None, str, str]] = {
            "a guess": ("guess", "participant", no),
            "of another room": (eve.token, "participant", no),
            "of a removed person": (bob.token, "participant", "removed"),
            "of a deleted room": (dan.token, "participant", "room_unavailable"),
            "of another server": (theirs.sign(Claims(room, actor, Role.PARTICIPANT)), "participant", no),
            "of somebody who never joined": (ours.sign(Claims(room, "p_x", Role.PARTICIPANT)), "participant", no),
            "a ticket": (ours.sign(Claims(room, actor, Role.PARTICIPANT, later)), "participant", no),
            "an expired ticket": (ours.sign(Claims(room, actor, Role.PARTICIPANT, past)), "participant", no),
            "a viewer's, as a participant": (viewer.token, "participant", no),
            "a participant's, as a viewer": (ada.token, "viewer", no),
            "a participant's, as the host": (ada.token, "host", wrong),
            "a signed host, as the host": (ours.sign(Claims(room, HOST_ACTOR, Role.HOST)), "host", wrong),
            "a signed host, as a participant": (ours.sign(Claims(room, HOST_ACTOR, Role.HOST)), "participant", no),
            "the hosting token, as the host": (hall.server.hosting_token, "host", wrong),
            "a deleted room's key": (deleted_key, "host", wrong),
            "the host key, as a participant": (key, "participant", no),
            "the host key in capitals": (key.upper(), "host", wrong),
            "half the host key": (key[: len(key) // 2], "host", wrong),
            "no key": (None, "host", wrong),
            "without its signature": (payload, "participant", no),
            "with an empty signature": (f"{payload}.", "participant", no),
            "with two signatures": (f"{ada.token}.{mac}", "participant", no),
            "with white space": (f" {ada.token}", "participant", no),
            "in other letters": ("ключ", "participant", no),
        }
        for i, letter in enumerate(payload):
            altered = f"{payload[:i]}{'A' if letter != 'A' else 'B'}{payload[i + 1 :]}.{mac}"
            tokens[f"altered at {i}"] = (altered, "participant", no)
        for length in range(1, len(ada.token)):
            tokens[f"cut to {length}"] = (ada.token[:length], "participant", no)

        async def check(name: str, token: str | None, role: str, expected: str) -> None:
            stranger = await hall.connect()
            answer = await stranger.hello(room=code, role=role, token=token)
            assert answer.get("code") == expected, (name, answer)
            await stranger.leave()

        await asyncio.gather(*(check(name, *row) for name, row in tokens.items()))
        tried += len(tokens)
        for name, claims, outcome in [
            ("expired", Claims(room, actor, Role.PARTICIPANT, past), CloseCode.TICKET_EXPIRED),
            ("a host's, expired", Claims(room, HOST_ACTOR, Role.HOST, past), CloseCode.TICKET_EXPIRED),
            ("of nobody", Claims(room, "p_x", Role.PARTICIPANT, later), CloseCode.INVALID_TOKEN),
            ("of a removed person", Claims(room, removed, Role.PARTICIPANT, later), CloseCode.REMOVED),
            ("of no room", Claims("nowhere", actor, Role.PARTICIPANT, later), CloseCode.ROOM_UNAVAILABLE),
            ("a token", Claims(room, actor, Role.PARTICIPANT), CloseCode.TICKET_EXPIRED),
        ]:
            stranger = await hall.connect(ticket=ours.sign(claims))
            with suppress(ConnectionClosed):  # before anything was said
                await stranger.send({"type": "hello", "ref": "", "room": code, "role": "host", "token": key})
            assert (await stranger.closed())[0] == outcome, name
            tried += 1
        for offered in (ticket[:-1], f"{ticket}A", theirs.sign(Claims(room, HOST_ACTOR, Role.HOST, later)), "x"):
            assert not await is_opened(hall, {}, ticket=offered)
            tried += 1
        assert (await hall.come(token=ada.token)).welcome["actor"] == actor
    figures(
        row=10,
        attack="tokens, tickets and keys that are not the right one",
        holds="None of them opens anything.",
        tried=tried,
        admitted=0,
    )


async def test_the_holder_of_a_token_does_not_learn_which_other_codes_exist():
    async with opened() as hall:
        ada = await hall.join("Ada")
        there = (await hall.make_room("Another"))["code"]
        answers = []
        for code in (there, "AAAAAA"):
            stranger = await hall.connect()
            answers.append((await stranger.hello(room=code, token=ada.token), await stranger.closed()))
        assert answers[0] == answers[1]
        assert answers[0][0]["code"] == "invalid_token"
