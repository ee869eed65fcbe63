"""The pages of the three programs in Chromium, served from another port, beside our own page and a notebook.

Their code is as people wrote it; only the address of the server is another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.browser import Pages, wait_for_chart
from tests.end_to_end.hall import Person
from tests.end_to_end.socketio_hall import LANGUAGES, SCRIPTS, SocketIoHall, socketio_hall
from tests.end_to_end.website import Website
from wslive.socketio.identity import COOKIE
from wslive.socketio.programs import POSITION, color

ADDRESS = "localhost:8080"
"""Where the programs think that their server is."""

RECORD = """() => {
    window.told = [];
    socket.onAny((...event) => window.told.push(event));
}"""


@pytest.fixture
def website() -> Iterator[Website]:
    """Where the programs' pages come from."""
    with Website(SCRIPTS / "pages") as website:
        yield website


@pytest.fixture(params=["as they are", "polling alone"])
def transports(request: pytest.FixtureRequest, website: Website, hall: SocketIoHall) -> None:
    """How the pages connect: as people wrote them, and by requests alone."""
    if request.param == "polling alone":
        address = urlsplit(hall.url).netloc
        website.replaced = {f'{ADDRESS}")': f'{address}", {{ transports: ["polling"] }})', ADDRESS: address}


@pytest.fixture
def hall(tmp_path: Path, website: Website) -> Iterator[SocketIoHall]:
    """A room that pages of that website may come to; who is gone for half a second has left."""
    settings = {"away_after_s": 0.5, "sweep_interval_s": 0.1, "allow_origins": (website.origin,)}
    with socketio_hall(tmp_path, **settings) as hall:
        website.replaced[ADDRESS] = urlsplit(hall.url).netloc
        yield hall


@pytest.fixture
def notebook(hall: SocketIoHall) -> Person:
    """Somebody at a notebook."""
    return hall.connect(name="Nora at a notebook")


def our_page(hall: SocketIoHall, new_page: Pages, name: str) -> Page:
    """Our own page, joined."""
    page = new_page(viewport=(360, 740))
    page.goto(hall.link)
    page.get_by_role("textbox").fill(name)
    page.get_by_role("button", name="Join").click()
    return page


def program(website: Website, new_page: Pages, name: str, person: str | None = None) -> Page:
    """A page of the programs, in a browser of its own, that has heard from the server; `person` answers its prompt."""
    page = new_page()
    page.on("dialog", lambda dialog: dialog.dismiss() if person is None else dialog.accept(person))
    page.goto(f"{website.origin}/{name}.html")
    page.evaluate(RECORD)
    page.wait_for_function("() => socket.connected")
    return page


def told(page: Page, *names: str) -> list[Any]:
    """What a page was told since it was opened, in order."""
    events: list[Any] = page.evaluate("() => window.told")
    return [event for event in events if (event[0] in names if names else event[0] != POSITION)]


@pytest.mark.usefixtures("transports")
def test_three_broadcast_chats(hall: SocketIoHall, website: Website, notebook: Person, new_page: Pages) -> None:
    ann, ben, eve = (program(website, new_page, "broadcast_chat") for _ in range(3))
    ann.get_by_role("textbox").fill("<i>Hello</i>")
    ann.get_by_role("button").click()
    short = ann.evaluate("() => socket.id.substr(0, 2)")
    expect(eve.get_by_role("listitem")).to_have_text([f"{short} said <i>Hello</i>"])
    notebook.say("From a notebook")
    shown = [f"{short} said <i>Hello</i>", f"{notebook.actor[2:4]} said From a notebook"]
    for page in (ann, ben, eve):
        expect(page.get_by_role("listitem")).to_have_text(shown)
        assert told(page, "message") == [["message", text] for text in shown]


@pytest.mark.usefixtures("transports")
def test_three_named_chats_and_our_own_page(
    hall: SocketIoHall, website: Website, notebook: Person, new_page: Pages
) -> None:
    ann = program(website, new_page, "named_chat", "Ann")
    notebook.wait_for(lambda view: "Ann" in str(view["people"]["names"]))
    ben = program(website, new_page, "named_chat", "Ben")
    expect(ann.locator("#message-container")).to_contain_text("Ben connected")
    eve = program(website, new_page, "named_chat", None)  # the prompt was cancelled
    for page in (ann, ben):
        expect(page.locator("#message-container")).to_contain_text("Guest 4 connected")
    page = our_page(hall, new_page, "Paul")
    for other in (ann, ben, eve):
        expect(other.locator("#message-container")).to_contain_text("Paul connected")

    ann.locator("#message-input").fill("Hello from Ann")
    ann.get_by_role("button").click()
    page.get_by_role("button", name="Chat, 1 new line").click()
    expect(page.locator("body")).to_contain_text("Hello from Ann")
    notebook.say("Hello from Nora")
    for other in (ann, ben, eve):
        expect(other.locator("#message-container")).to_contain_text("Nora at a notebook: Hello from Nora")
    ben.context.close()
    for other in (ann, eve):
        expect(other.locator("#message-container")).to_contain_text("Ben disconnected")

    chat = ("user-connected", "get-message", "user-disconnected")
    from_nora = ["get-message", {"message": "Hello from Nora", "name": "Nora at a notebook"}]
    assert told(ann, *chat) == [
        ["user-connected", "Ben"],
        ["user-connected", "Guest 4"],
        ["user-connected", "Paul"],
        from_nora,
        ["user-disconnected", "Ben"],
    ]
    assert told(eve, *chat) == [
        ["user-connected", "Paul"],
        ["get-message", {"message": "Hello from Ann", "name": "Ann"}],
        from_nora,
        ["user-disconnected", "Ben"],
    ]
    assert ann.locator("#message-container").inner_text().splitlines() == [
        "You joined",
        "Ben connected",
        "Guest 4 connected",
        "Paul connected",
        "You: Hello from Ann",
        "Nora at a notebook: Hello from Nora",
        "Ben disconnected",
    ]


@pytest.mark.usefixtures("transports")
def test_three_live_votes_and_our_own_page(
    hall: SocketIoHall, website: Website, notebook: Person, new_page: Pages
) -> None:
    poll = hall.ask_languages()
    ann, ben, eve = (program(website, new_page, "live_vote") for _ in range(3))
    page = our_page(hall, new_page, "Paul")
    projector = new_page(viewport=(1920, 1080))
    projector.goto(f"{hall.link}/screen")
    for voter in (ann, ben):
        voter.get_by_role("button", name="Python").click()
    page.get_by_role("button", name="Go").click()
    notebook.vote(poll, "o1")
    shown = [f"{label}: {votes}" for label, votes in zip(LANGUAGES, [1, 0, 0, 2, 1], strict=True)]
    for voter in (ann, ben, eve):
        expect(voter.locator("tr")).to_have_text(shown)
    wait_for_chart(projector, [1, 0, 0, 2, 1])
    tally = {"o1": 1, "o2": 0, "o3": 0, "o4": 2, "o5": 1}
    notebook.wait_for_tally(poll, tally)
    expected = {
        str(index): {"votes": votes, "label": LANGUAGES[index], "color": color(f"o{index + 1}")}
        for index, votes in enumerate(tally.values())
    }
    for voter in (ann, ben, eve):
        assert told(voter, "update")[-1] == ["update", expected]


@pytest.mark.parametrize("origin", ["the server's own", "another one"])
def test_a_page_that_is_loaded_again_is_the_same_person_by_its_cookie(
    hall: SocketIoHall, website: Website, new_page: Pages, origin: str
) -> None:
    poll = hall.ask_languages()
    page = new_page()

    def vote(index: int) -> None:
        if origin == "another one":
            page.goto(f"{website.origin}/live_vote.html")
        else:
            page.goto(hall.url)
            page.add_script_tag(url="/socket.io/socket.io.js")
        # To another origin a browser shows cookies only if it is asked to.
        answer = page.evaluate(
            """([url, index]) => io(url, { withCredentials: true, forceNew: true }).emitWithAck("vote", index)""",
            [hall.url, index],
        )
        assert answer["ok"] is True

    vote(0)
    vote(1)
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0, "o4": 0, "o5": 0})
    assert hall.host.view["people"]["count"] == 1
    [cookie] = [cookie for cookie in page.context.cookies(hall.url) if cookie["name"] == COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")


def test_a_page_of_another_origin_does_not_get_in(hall: SocketIoHall, new_page: Pages) -> None:
    with Website(SCRIPTS / "pages") as stranger:
        stranger.replaced[ADDRESS] = urlsplit(hall.url).netloc
        page = new_page()
        page.goto(f"{stranger.origin}/live_vote.html")
        error = page.evaluate("() => new Promise((resolve) => socket.once('connect_error', (e) => resolve(e.message)))")
        assert error == "xhr poll error"
        assert hall.host.view["people"]["count"] == 0
