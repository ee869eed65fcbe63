"""The seam for identities, with a provider that knows people by a list: pages, calls, tickets, WebSockets, hosts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from tornado.web import RequestHandler
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server.hall import UNHURRIED, Hall, counts, open_poll
from wslive.core.errors import HostingNotAllowed, LoginNeeded, NotAllowed, TemporarilyUnavailable
from wslive.core.roles import Level, Role
from wslive.eventlog.memory import MemoryLog
from wslive.server.access.identity import Person, shown
from wslive.server.access.tokens import Signer
from wslive.server.app import Server
from wslive.server.settings import ServerSettings
from wslive.wire.close_codes import CloseCode
from wslive.wire.messages import Hello

BASE = "/services/wslive"


class Book:
    """A provider: a browser's cookie or a program's token is somebody in a book.

    Attributes:
        people: Who a token is.
        is_away: Whether it does not answer.
    """

    name = "book"
    level = Level.HUB

    def __init__(self) -> None:
        self.people = {"t-lena": "lena", "t-ada": "ada", "c-ada": "ada", "t-bob": "bob", "t-mallory": "mallory"}
        self.names: dict[str, str] = {}
        self.is_away = False
        self.asked: list[str] = []

    async def of_request(self, handler: RequestHandler) -> Person:
        cookie = handler.get_cookie("login")
        return await self.of_proof(cookie or shown(handler.request.headers.get("Authorization", "")))

    async def of_proof(self, proof: str) -> Person:
        self.asked.append(proof)
        if self.is_away:
            raise TemporarilyUnavailable("The book is being bound.", retry_after_s=1.0)
        name = self.people.get(proof)
        if name is None:
            raise LoginNeeded
        if name == "mallory":
            raise NotAllowed("Not Mallory.")
        return Person(name, self.names.get(name, name), proof)

    async def check_host(self, person: Person) -> None:
        if person.id != "lena":
            raise HostingNotAllowed(f"Not {person.id}.")

    def login_url(self, path: str) -> str:
        return f"{BASE}/login?next={path}"

    def routes(self) -> list[Any]:
        return []

    def application_settings(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def hall(book: Book) -> AsyncIterator[Hall]:
    """A room that Lena opened, on a server that asks again twenty times a second."""

    def provider(_: Signer) -> Book:
        return book

    settings = ServerSettings(
        port=0,
        base_path=BASE,
        any_host=True,
        vouch_interval_s=0.05,
        sweep_interval_s=0.05,
        may_open_network=False,
        read_rate=UNHURRIED,
    )
    server = Server(settings, MemoryLog(), identity=provider)
    await server.start()
    hall = Hall(server)
    response = await hall.http("/api/rooms", method="POST", body='{"title": "Sorting 101"}', bearer="t-lena")
    assert response.code == 201, response.body
    made = json.loads(response.body)
    hall.code, hall.host_key, hall.room = made["code"], made["host_key"], made["room"]
    yield hall
    await hall.close()


def bearer(token: str) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


async def ticket(hall: Hall, cookie: str = "c-ada", role: str = "participant", **headers: str) -> tuple[int, Any]:
    url = f"/r/{hall.code}/ticket?role={role}"
    response = await hall.http(url, method="POST", body="", headers={"Cookie": f"login={cookie}", **headers})
    return response.code, json.loads(response.body)


async def test_somebody_is_one_person_in_every_browser_and_notebook(hall: Hall) -> None:
    host = await hall.come(connect=bearer("t-lena"), role="host", token=hall.host_key)
    poll = await open_poll(host)
    notebook = await hall.come(connect=bearer("t-ada"), name="Somebody else")
    await notebook.vote(poll, "o1")
    _, first = await ticket(hall)
    _, second = await ticket(hall)
    assert first["actor"] == second["actor"] == notebook.welcome["actor"]
    page = await hall.come(connect={"ticket": first["ticket"]})
    tab = await hall.come(connect={"ticket": second["ticket"]})
    await page.vote(poll, "o2")
    offset = await tab.vote(poll, "o3")
    view = await host.at(offset)
    assert counts(view, poll) == {"o1": 0, "o2": 0, "o3": 1}
    assert [(p["name"], p["level"]) for p in view["people"]["names"].values()] == [("ada", 3)]
    assert notebook.welcome.get("token") is None  # a login is all there is to keep


async def test_two_tabs_that_come_at_once_make_one_person(hall: Hall) -> None:
    answers = await asyncio.gather(*(ticket(hall) for _ in range(8)))
    assert {status for status, _ in answers} == {200}
    host = await hall.come(connect=bearer("t-lena"), role="host", token=hall.host_key)
    assert host.view["people"]["count"] == 1


async def test_the_name_of_a_login_stays_unless_the_host_changes_it(hall: Hall) -> None:
    ada = await hall.come(connect=bearer("t-ada"))
    answer = await ada.command(0, "rename", {"name": "Lena"})
    assert answer["code"] == "not_allowed"
    assert "your login" in answer["message"].lower()
    host = await hall.come(connect=bearer("t-lena"), role="host", token=hall.host_key)
    offset = await host.done(0, "rename", {"person": ada.welcome["actor"], "name": "Ada L."})
    assert (await ada.at(offset))["me"]["name"] == "Ada L."


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, 401),
        ({"additional_headers": {"Cookie": "login=c-ada"}}, 401),
        (bearer("t-unknown"), 401),
        (bearer("t-mallory"), 403),
    ],
)
async def test_a_websocket_opens_for_a_header_or_a_ticket_and_for_no_cookie(
    hall: Hall, options: dict[str, Any], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await hall.connect(**options)
    assert refused.value.response.status_code == status


async def test_nobody_comes_in_without_a_login_whatever_way_leads_there(hall: Hall) -> None:
    door = hall.server.context.door
    for hello in (Hello(hall.code), Hello(hall.code, Role.VIEWER), Hello(hall.code, Role.HOST, token=hall.host_key)):
        with pytest.raises(LoginNeeded):
            await door.admit(hello, None)


async def test_a_page_is_for_those_who_have_logged_in(hall: Hall) -> None:
    page = await hall.http(f"/r/{hall.code}")
    assert page.code == 302
    assert page.headers["Location"] == f"{BASE}/login?next={BASE}/r/{hall.code}"
    page = await hall.http(f"/r/{hall.code}", headers={"Cookie": "login=t-mallory"})
    assert (page.code, page.body) == (403, b"Not Mallory.")
    page = await hall.http(f"/r/{hall.code}", headers={"Cookie": "login=c-ada"})
    assert page.code == 200
    assert b"<html data-login" in page.body


@pytest.mark.parametrize(
    "path", ["/r/CODE", "/health", "/static/page.js", "/r/CODE/about", "/ws", "/nowhere", "/api/server"]
)
async def test_no_page_of_others_reads_ours_in_a_frame(hall: Hall, path: str) -> None:
    answer = await hall.http(path.replace("CODE", hall.code), headers={"Cookie": "login=c-ada"})
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_what_is_told_of_a_room_names_who_asks(hall: Hall) -> None:
    about = await hall.http(f"/r/{hall.code}/about", headers={"Cookie": "login=c-ada"})
    assert json.loads(about.body)["name"] == "ada"
    assert (await hall.http(f"/r/{hall.code}/about")).code == 401


async def test_a_ticket_is_for_pages_of_this_server_alone(hall: Hall) -> None:
    assert (await ticket(hall, Origin="https://elsewhere.example"))[0] == 403
    assert (await ticket(hall, Origin="null"))[0] == 403
    # The proxy speaks https to the browser, and http to us.
    assert (await ticket(hall, Host="hub.example.org", Origin="https://hub.example.org"))[0] == 200
    assert (await ticket(hall, cookie="unknown"))[0] == 401


async def test_a_ticket_to_look_on_makes_no_person(hall: Hall) -> None:
    _, found = await ticket(hall, role="viewer")
    screen = await hall.come(connect={"ticket": found["ticket"]})
    assert screen.welcome["role"] == "viewer"
    assert screen.view["people"]["count"] == 0


async def test_a_locked_room_is_locked_for_those_who_look_on_too_but_for_hosts(hall: Hall, book: Book) -> None:
    host = await hall.come(connect=bearer("t-lena"), role="host", token=hall.host_key)
    await hall.come(connect=bearer("t-ada"))
    await host.done(0, "lock", {"locked": True})
    book.people["c-bob"], book.people["c-lena"] = "bob", "lena"
    status, answer = await ticket(hall, cookie="c-bob", role="viewer")
    assert (status, answer["code"]) == (404, "room_unavailable")
    notebook = await hall.connect(**bearer("t-bob"))
    assert (await notebook.hello(room=hall.code, role="viewer"))["code"] == "room_unavailable"
    for cookie in ("c-ada", "c-lena"):  # somebody who is in the room; a projector that comes back
        _, found = await ticket(hall, cookie=cookie, role="viewer")
        assert (await hall.come(connect={"ticket": found["ticket"]})).welcome["role"] == "viewer"


async def test_whoever_was_sent_out_does_not_look_on_either(hall: Hall) -> None:
    host = await hall.come(connect=bearer("t-lena"), role="host", token=hall.host_key)
    ada = await hall.come(connect=bearer("t-ada"))
    _, found = await ticket(hall, role="viewer")
    before = await hall.connect(ticket=found["ticket"])
    await before.hello(room=hall.code, role="viewer")
    await host.done(0, "remove_person", {"person": ada.welcome["actor"]})
    assert (await before.closed())[0] == CloseCode.REMOVED
    _, found = await ticket(hall, role="viewer")
    page = await hall.connect(ticket=found["ticket"])
    assert (await page.hello(room=hall.code, role="viewer"))["code"] == "removed"


async def test_without_a_provider_there_is_no_ticket_for_a_login(open_hall: Any) -> None:
    plain = await open_hall()
    status, answer = await ticket(plain)
    assert (status, answer["code"]) == (400, "bad_command")


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ("t-ada", 403, "hosting_not_allowed"),
        ("t-mallory", 403, "not_allowed"),
        ("t-unknown", 401, "login_needed"),
        (None, 401, "login_needed"),
    ],
)
async def test_only_who_may_host_opens_rooms(hall: Hall, token: str | None, status: int, code: str) -> None:
    for path, body in (("/api/rooms", '{"title": "Mine"}'), ("/api/audience", '{"audience": "network"}')):
        response = await hall.http(path, method="POST", body=body, bearer=token)
        assert (response.code, json.loads(response.body)["code"]) == (status, code)
    # Nor does a cookie, which other pages could make a browser send.
    response = await hall.http("/api/rooms", method="POST", body="{}", headers={"Cookie": "login=t-lena"})
    assert response.code == 401


async def test_the_hosting_token_counts_nothing_where_somebody_vouches(hall: Hall) -> None:
    response = await hall.http("/api/rooms", method="POST", body="{}", bearer=hall.server.hosting_token)
    assert response.code == 401


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/events"), ("GET", "/invitations"), ("DELETE", "/people/p_x"), ("DELETE", "")]
)
async def test_a_host_key_is_worth_nothing_without_a_login(hall: Hall, book: Book, method: str, path: str) -> None:
    async def code(**headers: str) -> str:
        url = f"/api/rooms/{hall.code}{path}"
        answer = await hall.http(url, method=method, bearer=hall.host_key, headers=headers)
        return "" if answer.code == 200 else str(json.loads(answer.body)["code"])

    assert await code() == "login_needed"
    assert await code(Cookie="login=t-lena") == "login_needed"
    assert await code(**{"Wslive-Pass": "t-mallory"}) == "not_allowed"
    assert await code(**{"Wslive-Pass": "t-lena"}) in ("", "unknown_person")
    del book.people["t-lena"]
    assert await code(**{"Wslive-Pass": "t-lena"}) == "login_needed"


async def test_people_come_by_the_hubs_address_alone(hall: Hall) -> None:
    body = json.dumps({"audience": "network", "room": hall.code})
    answer = await hall.http("/api/audience", method="POST", body=body, bearer="t-lena")
    assert json.loads(answer.body) == {"links": [], "here": True}
    body = json.dumps({"audience": "https://elsewhere.example", "room": hall.code})
    assert (await hall.http("/api/audience", method="POST", body=body, bearer="t-lena")).code == 400
    origin = "origin=https%3A%2F%2Fhub.example.org"
    link = await hall.http(f"/r/{hall.code}/link?{origin}")
    assert json.loads(link.body)["link"] == f"https://hub.example.org{BASE}/r/{hall.code}"


@pytest.mark.parametrize("origin", ["http://[", "javascript:alert(1)", "nothing", "https://" + 3000 * "a"])
async def test_an_origin_that_is_none_makes_no_link(hall: Hall, origin: str) -> None:
    link = await hall.http(f"/r/{hall.code}/link?origin={quote(origin, safe='')}")
    assert link.code == 200
    assert json.loads(link.body) | {"address": ""} == {
        "link": f"{hall.server.url}/r/{hall.code}",
        "reachable": False,
        "address": "",
    }
    assert (await hall.http(f"/r/{hall.code}/qr.svg?origin={quote(origin, safe='')}")).code == 404


async def test_a_login_that_ends_ends_every_connection_of_that_person(hall: Hall, book: Book) -> None:
    _, found = await ticket(hall)
    page = await hall.come(connect={"ticket": found["ticket"]})
    notebook = await hall.come(connect=bearer("t-bob"))
    del book.people["c-ada"]
    assert await page.closed() == (CloseCode.LOGIN_ENDED, CloseCode.LOGIN_ENDED.sentence)
    await notebook.since_now()  # it answers: it is open
    del book.people["t-bob"]
    assert (await notebook.closed())[0] == CloseCode.LOGIN_ENDED
    # A ticket of before opens nothing any more.
    again = await hall.connect(ticket=found["ticket"])
    assert (await again.closed())[0] == CloseCode.TICKET_EXPIRED


async def test_tickets_for_tickets_do_not_outlive_the_login_that_they_began_with(hall: Hall, book: Book) -> None:
    _, found = await ticket(hall)
    page = await hall.come(connect={"ticket": found["ticket"]})
    del book.people["c-ada"]
    async with asyncio.timeout(20):
        while True:  # each new connection is asked for a ticket before anybody asks about it
            try:
                await page.send({"type": "get_ticket", "ref": "next"})
                found = await page.answer("next")
                page = await hall.come(connect={"ticket": found["ticket"]})
            except ConnectionClosed:
                break
    again = await hall.connect(ticket=found["ticket"])
    assert (await again.closed())[0] == CloseCode.TICKET_EXPIRED


async def test_whoever_is_not_there_when_it_is_asked_is_asked_about_all_the_same(hall: Hall, book: Book) -> None:
    _, found = await ticket(hall)
    del book.people["c-ada"]
    book.asked.clear()
    async with asyncio.timeout(20):
        while "c-ada" not in book.asked:  # noqa: ASYNC110 (nothing tells us)
            await asyncio.sleep(0.01)
    page = await hall.connect(ticket=found["ticket"])
    assert (await page.closed())[0] == CloseCode.TICKET_EXPIRED


async def test_of_two_who_host_one_room_each_stays_on_their_own_word(hall: Hall, book: Book) -> None:
    book.people["t-hans"] = "hans"
    lena = await hall.come(connect=bearer("t-lena"), role="host", token=hall.host_key)
    hans = await hall.come(connect=bearer("t-hans"), role="host", token=hall.host_key)
    del book.people["t-hans"]
    assert (await hans.closed())[0] == CloseCode.LOGIN_ENDED
    await lena.since_now()  # it answers: it is open
    hans = await hall.come(connect=bearer("t-lena"), role="host", token=hall.host_key)
    del book.people["t-lena"]
    assert (await lena.closed())[0] == (await hans.closed())[0] == CloseCode.LOGIN_ENDED


@pytest.mark.parametrize(
    ("login", "name"),
    [
        ("firstname.lastname@students.university.example", "firstname.lastname@students.university.…"),
        ("host", "Guest 1"),
    ],
)
async def test_whoever_has_a_login_that_is_no_name_comes_in_all_the_same(
    hall: Hall, book: Book, login: str, name: str
) -> None:
    book.names["ada"] = login
    ada = await hall.come(connect=bearer("t-ada"))
    assert ada.view["me"]["name"] == name


async def test_programs_of_people_have_a_budget_for_wrong_codes_too(hall: Hall) -> None:
    door = hall.server.context.door
    bob = await hall.come(connect=bearer("t-bob"))
    for number in range(300):
        door.guesses.wrong(None, f"wrong {number}", time.monotonic())
    stranger = await hall.connect(**bearer("t-ada"))
    assert (await stranger.hello(room="AAAAAA", role="participant"))["code"] == "too_fast"
    late = await hall.connect(**bearer("t-ada"))
    assert (await late.hello(room=hall.code, role="participant"))["code"] == "too_fast"  # right or not
    again = await hall.come(connect=bearer("t-bob"))  # who is in the room is no stranger
    assert again.welcome["actor"] == bob.welcome["actor"]


async def test_a_provider_that_is_away_sends_nobody_out_and_lets_nobody_in(hall: Hall, book: Book) -> None:
    ada = await hall.come(connect=bearer("t-ada"))
    book.is_away = True
    asked = asyncio.Event()
    of_proof = book.of_proof

    async def counted(proof: str) -> Person:
        asked.set()
        return await of_proof(proof)

    book.of_proof = counted  # type: ignore[method-assign]
    await asyncio.wait_for(asked.wait(), 20)
    await ada.since_now()  # it answers: it is open
    with pytest.raises(InvalidStatus, match="503"):
        await hall.connect(**bearer("t-bob"))
    assert (await ticket(hall))[0] == 503


async def test_a_ticket_of_before_a_restart_is_changed_for_a_new_one(hall: Hall, book: Book) -> None:
    _, found = await ticket(hall)
    vouching = hall.server.context.door.vouching
    assert vouching is not None
    vouching._words.clear()  # what a restart forgets
    page = await hall.connect(ticket=found["ticket"])
    assert (await page.closed())[0] == CloseCode.TICKET_EXPIRED


def test_a_person_does_not_show_the_proof() -> None:
    assert "secret" not in repr(Person("ada", "ada", "secret"))
