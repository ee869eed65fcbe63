"""The views as a notebook cell shows them, put into a bare page as a widget does it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.end_to_end.browser import Pages, accessibility_violations, chart_values, wait_for_chart
from tests.end_to_end.hall import CHAT, Hall
from wslive.server.http.cells import cells, styles
from wslive.server.settings import Rate

OPTIONS = ["quick", "merge", "heap"]
NOTEBOOK = Path(__file__).parents[2] / "wslive" / "notebook"

CELL = """async ([files, plotly, options, kind, id, theme, css]) => {
    const load = (name) => import(`${files}${name}`);
    const [wire, client, lib, charts, view, chart, controls] = await Promise.all(
        [
            ...["wire.js", "client.js", "lib.js", "charts.js", `activities/${kind}/view.js`],
            ...["activities/poll/chart.js", "activities/poll/controls.js"],
        ].map(load),
    );
    const style = document.createElement("style");
    style.textContent = css;
    document.head.replaceChildren(style);
    document.title = "cell";
    document.documentElement.lang = "en";
    document.body.dataset.jpThemeLight = String(theme === "light");
    const isDark = theme === "dark";
    const dark = { "--jp-layout-color1": "#111", "--jp-ui-font-color0": "#fff", "--jp-border-color2": "#424242" };
    for (const [name, value] of isDark ? Object.entries(dark) : []) document.body.style.setProperty(name, value);
    Object.assign(document.body.style, { background: isDark ? "#111" : "#fff", color: isDark ? "#fff" : "#000" });
    const add = (parent, name, words = "") => {
        return parent.appendChild(Object.assign(document.createElement(name), { textContent: words }));
    };
    document.body.replaceChildren();
    const notebook = add(document.body, "main");
    add(notebook, "h1", "A notebook");
    add(notebook, "h2", "A section of it");
    const cell = add(notebook, "div");
    cell.className = "wslive-cell";
    const live = (window.live ??= client.connect({ wire, urls: [location.origin], ...options }));
    await new Promise((resolve) => {
        const check = () => live.view && resolve();
        live.subscribe(check);
        check();
    });
    const made = lib.makeLib({
        plotly: charts.once(() => charts.bySource([async () => (await fetch(plotly)).text()])),
        template: async () => (await fetch(`${files}activities/poll/chart.json`)).json(),
        charts: { poll: chart.makeChart },
        controls: { poll: controls.makeControls },
    });
    const model = lib.activityModel(live, { activity: id, place: "cell" });
    window.end = view.default.render({ model, el: cell, lib: made });
}"""

# A widget as ipywidgets and anywidget start it, with a kernel about which a test says what JupyterLab would.
WIDGET = """async ([source, about, ticket]) => {
    const key = `wslive.ticket ${[...about.urls, about.room, about.actor].join(" ")}`;
    sessionStorage.setItem(key, JSON.stringify({ ticket, until: Date.now() + 60_000 })); // as after a reload
    const listening = { "msg:custom": new Set(), comm_live_update: new Set() };
    const slots = { status: new Set(), disposed: new Set() };
    let isGone = false;
    const signal = (of) => ({ connect: (slot) => of.add(slot), disconnect: (slot) => of.delete(slot) });
    const kernel = { statusChanged: signal(slots.status), disposed: signal(slots.disposed) };
    const model = {
        get: (name) => about[name],
        on: (name, heard) => listening[name].add(heard),
        off: (name, heard) => listening[name].delete(heard),
        send: ({ type }) => {
            (window.sent ??= []).push(type);
            if (!isGone) return;
            window.threw = true;
            throw new Error("Kernel is dead");
        },
        widget_manager: { kernel },
    };
    window.tell = (what) => {
        isGone = what !== "busy";
        if (what === "comm_live_update") for (const heard of listening[what]) heard();
        else for (const slot of slots[what === "disposed" ? what : "status"]) slot(null, what);
    };
    const all = [...Object.values(listening), ...Object.values(slots)];
    window.listening = () => all.reduce((count, of) => count + of.size, 0);
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const widget = (await import(url)).default;
    const [notebook, cell] = [document.createElement("main"), document.createElement("div")];
    notebook.className = "jp-Notebook";
    notebook.append(cell);
    document.body.replaceChildren(notebook);
    window.end = widget.initialize({ model });
    widget.render({ model, el: cell });
}"""

Show = Callable[..., Page]


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """A room on a server."""
    hall = Hall(tmp_path, line_rate=Rate(1000, 1000))
    yield hall
    hall.close()


@pytest.fixture
def show(hall: Hall, new_page: Pages) -> Show:
    """Opens a page with one activity in a cell, for the host or for a new participant."""

    def show(kind: str, id: int, role: str = "host", theme: Any = "light", plotly: str = "plotly.min.js") -> Page:
        # A notebook's page has no policy like ours.
        page = new_page(viewport=(900, 700), color_scheme=theme, bypass_csp=True)
        page.goto(f"{hall.url}/health")  # of the server's origin, with nothing of ours on it
        options = {"room": hall.code, "role": role, "token": hall.host_key if role == "host" else "", "name": "Ada"}
        files = f"{hall.url}/static/"
        page.evaluate(CELL, [files, files + plotly, options, kind, id, theme, styles()])
        return page

    return show


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def status_of(hall: Hall, poll: int) -> dict[str, Any]:
    status: dict[str, Any] = hall.host.view["activities"][str(poll)]["status"]
    return status


def test_the_hosts_chart_follows_the_votes(hall: Hall, show: Show) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = show("poll", poll)
    wait_for_chart(page, [0, 0, 0])
    ada, kim = hall.join("Ada", "Kim")
    ada.vote(poll, "o2")
    kim.vote(poll, "o3")
    wait_for_chart(page, [0, 1, 1])
    expect(page.get_by_text("2 of 2 answered · L1: one ballot a token")).to_be_visible()
    hall.connect(name="Robin", invitation=hall.invitation(1))
    expect(page.get_by_text("2 of 3 answered · L1: one ballot a token")).to_be_visible()
    expect(page.locator(".wslive-option")).to_have_count(0)


def test_the_hosts_buttons_close_reopen_and_ask_again(hall: Hall, show: Show) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = show("poll", poll)
    button(page, "Close poll").click()
    button(page, "Reopen").click()
    button(page, "Close poll").click()
    expect(page.locator(".wslive-eyebrow")).to_have_text("Closed")
    button(page, "New round").click()
    expect(page.locator(".wslive-eyebrow")).to_have_text("Open · Round 2")
    kinds = [e["kind"] for e in hall.events() if e["activity"] == poll]
    assert kinds == ["voting_ended", "voting_resumed", "voting_ended", "round_started"]


def test_the_host_can_put_a_question_back_in_front_of_the_room(hall: Hall, show: Show) -> None:
    first = hall.poll("First?", OPTIONS)
    page = show("poll", first)
    expect(button(page, "Show")).to_be_hidden()
    hall.poll("Second?", OPTIONS, keep_open=True)
    button(page, "Show").click()
    hall.host.wait_for(lambda view: view["room"]["stage"] == first)


def test_throwing_a_poll_away_is_asked_twice_and_leaves_a_card(hall: Hall, show: Show) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    ada, kim = hall.join("Ada", "Kim")
    ada.vote(poll, "o2")
    kim.vote(poll, "o3")
    page = show("poll", poll)
    wait_for_chart(page, [0, 1, 1])
    discard = button(page, "Discard poll and answers")
    expect(discard).to_be_hidden()
    button(page, "More").click()
    discard.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Really? 2 answers will be gone.")).to_be_visible()
    expect(button(page, "Keep the poll")).to_be_focused()
    page.keyboard.press("Escape")
    expect(discard).to_be_focused()
    page.keyboard.press("Enter")
    assert accessibility_violations(page) == []
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    hall.host.wait_for(lambda view: view["activities"][str(poll)]["status"]["discarded"])
    expect(page.locator(".wslive-eyebrow")).to_have_text("Discarded")
    expect(page.get_by_text("The host has discarded this poll and its answers.")).to_be_visible()
    expect(page.get_by_role("heading", name="Which sort is stable?")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.locator(".wslive-chart")).to_be_hidden()


@pytest.mark.parametrize("results", ["after_vote", "after_close", "host_only"])
def test_what_the_room_may_not_see_is_not_on_the_beamer_either(hall: Hall, show: Show, results: str) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS, results=results)
    (ada,) = hall.join("Ada")
    ada.vote(poll, "o2")
    page = show("poll", poll)
    expect(page.get_by_text("1 of 1 answered")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(0)
    assert "Result" not in page.content()
    button(page, "Peek").click()
    wait_for_chart(page, [0, 1, 0])
    button(page, "Stop peeking").click()
    expect(page.locator(".wslive-chart")).to_be_hidden()
    button(page, "Close poll").click()
    if results == "host_only":
        expect(button(page, "Reopen")).to_be_visible()
        expect(page.locator(".wslive-chart")).to_be_hidden()
    else:
        expect(page.locator(".wslive-chart")).to_be_visible()


def test_a_participant_votes_by_a_button_and_sees_the_chart_when_it_is_due(hall: Hall, show: Show) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS, results="after_vote")
    page = show("poll", poll, role="participant")
    expect(page.get_by_text("The result shows once you have answered.")).to_be_visible()
    button(page, "merge").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    wait_for_chart(page, [0, 1, 0])
    expect(button(page, "Close poll")).to_be_hidden()
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0})


def test_where_plotly_cannot_be_loaded_bars_are_drawn_without_it(hall: Hall, show: Show) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = show("poll", poll, plotly="missing.js")
    (ada,) = hall.join("Ada")
    ada.vote(poll, "o2")
    expect(page.locator(".wslive-option", has_text="merge")).to_contain_text("100 %")
    assert chart_values(page) is None


def test_a_cell_that_is_cleared_leaves_nothing_behind(hall: Hall, show: Show) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = show("poll", poll)
    wait_for_chart(page, [0, 0, 0])
    page.evaluate("() => end()")
    expect(page.locator(".wslive-cell")).to_be_empty()
    (ada,) = hall.join("Ada")
    ada.vote(poll, "o2")
    page.evaluate(
        """(poll) => new Promise((resolve) => {
        const check = () => live.view.activities[poll].tally.answered === 1 && resolve();
        live.subscribe(check);
        check();
    })""",
        poll,
    )  # the connection went on, and nothing broke (pages with errors fail their test)


def test_the_hosts_chat_is_folded_behind_a_counter(hall: Hall, show: Show) -> None:
    ada, kim = hall.join("Ada", "Kim")
    ada.say("why not heap?")
    page = show("chat", CHAT)
    expect(button(page, "Chat: 1 line")).to_be_visible()
    assert "why not heap?" not in page.content()
    kim.say("it swaps far apart")
    button(page, "Chat: 2 lines, 1 new").click()
    expect(page.locator(".wslive-line-text")).to_have_text(["why not heap?", "it swaps far apart"])
    button(page, "Chat: 2 lines").click()
    expect(page.locator(".wslive-line-text").first).to_be_hidden()


def test_the_host_hides_lines_mutes_people_and_pauses_the_chat(hall: Hall, show: Show) -> None:
    ada, kim = hall.join("Ada", "Kim")
    ada.say("one")
    kim.say("two")
    page = show("chat", CHAT)
    button(page, "Chat: 2 lines").click()
    page.locator(".wslive-line", has_text="one").get_by_role("button", name="Hide this line").click()
    ada.wait_for(lambda view: [line["text"] for line in view["activities"]["2"]["lines"].values()] == ["two"])
    button(page, "Mute Kim").click()
    ada.wait_for(lambda view: not view["activities"]["2"]["lines"])
    expect(button(page, "Unmute Kim")).to_be_visible()
    button(page, "Pause chat").click()
    ada.wait_for(lambda view: view["activities"]["2"]["settings"]["paused"])
    page.get_by_label("Who reads the chat").select_option("Only the host reads")
    ada.wait_for(lambda view: view["activities"]["2"]["settings"] == {"mode": "to_host", "paused": True})
    button(page, "Let people write").click()
    ada.wait_for(lambda view: not view["activities"]["2"]["settings"]["paused"])
    ada.say("for the host")
    expect(page.locator(".wslive-line", has_text="for the host")).to_contain_text("only to you")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("role", ["host", "participant"])
def test_cells_are_accessible_in_light_and_dark_notebooks(hall: Hall, show: Show, role: str, theme: str) -> None:
    poll = hall.poll("Which sort runs in $O(n)$?", OPTIONS, max_choices=2)
    (kim,) = hall.join("Kim")
    kim.vote(poll, "o1")
    kim.say("hello")
    page = show("poll", poll, role=role, theme=theme)
    wait_for_chart(page, [1, 0, 0])
    assert accessibility_violations(page) == []
    page = show("chat", CHAT, role=role, theme=theme)
    if role == "host":
        button(page, "Chat: 1 line").click()
    expect(page.get_by_text("hello")).to_be_visible()
    assert accessibility_violations(page) == []


def test_a_secret_poll_has_nothing_to_peek_at_and_goes_on_in_a_new_round(hall: Hall, show: Show) -> None:
    poll = hall.poll("Who is to speak for us?", ["Ada", "Bob"], secret=True)
    (ada,) = hall.join("Ada")
    ada.vote(poll, "o2")
    page = show("poll", poll)
    expect(page.get_by_text("nobody can see who answered what, not even you")).to_be_visible()
    expect(page.get_by_text("1 of 1 answered")).to_be_visible()
    expect(button(page, "Peek")).to_be_hidden()
    assert accessibility_violations(page) == []
    button(page, "Close poll").click()
    wait_for_chart(page, [0, 1])
    expect(button(page, "Reopen")).to_be_hidden()
    button(page, "New round").click()
    expect(page.get_by_text("0 of 1 answered")).to_be_visible()
    expect(page.locator(".wslive-chart")).to_be_hidden()


def start_widget(hall: Hall, page: Page, poll: int) -> None:
    """Start the widget of a poll in a page of the server's origin."""
    about = {
        "uid": "u1",
        "urls": [hall.url],
        "room": hall.code,
        "actor": hall.host.actor,
        "role": "host",
        "part": "poll",
        "activity": str(poll),
        "invite": {},
        "cells": cells().name,
    }
    ticket, _ = hall.run(hall.host.connection.ticket())
    page.goto(f"{hall.url}/health")
    page.evaluate(WIDGET, [(NOTEBOOK / "widget.js").read_text("utf-8"), about, ticket])


GONE = ["comm_live_update", "restarting", "autorestarting", "dead", "disposed"]
"""How a page hears that a kernel was restarted, here or elsewhere, or has died, or was shut down."""


@pytest.mark.parametrize("what", GONE)
def test_a_kernel_that_goes_while_its_view_is_shown_is_told(hall: Hall, new_page: Pages, what: str) -> None:
    page = new_page(bypass_csp=True)
    start_widget(hall, page, hall.poll("Which sort is stable?", OPTIONS))
    wait_for_chart(page, [0, 0, 0])
    page.evaluate("() => tell('busy')")
    expect(page.locator(".wslive-badge")).to_be_hidden()
    page.evaluate("(what) => tell(what)", what)
    expect(page.locator(".wslive-badge")).to_have_text(
        "Kernel gone, chart live. Run the cell again for the Python side."
    )
    page.evaluate("() => end()")
    page.wait_for_function("() => listening() === 0")


@pytest.mark.parametrize("what", ["comm_live_update", "dead"])
def test_a_kernel_that_goes_before_its_view_can_be_drawn_is_told_too(hall: Hall, new_page: Pages, what: str) -> None:
    page = new_page(bypass_csp=True)
    held: list[Route] = []
    page.route("**/static/cells-*", lambda route: held.append(route))
    poll = hall.poll("Which sort is stable?", OPTIONS)
    with page.expect_request("**/static/cells-*"):
        start_widget(hall, page, poll)
    page.evaluate("(what) => tell(what)", what)
    held[0].continue_()
    wait_for_chart(page, [0, 0, 0])
    expect(page.locator(".wslive-badge")).to_contain_text("Kernel gone, chart live.")


@pytest.mark.parametrize(("file", "wanted"), [("cells-*", "cells"), ("plotly.min.js", "plotly")])
def test_a_server_that_sends_other_code_runs_none_of_it(hall: Hall, new_page: Pages, file: str, wanted: str) -> None:
    """Whoever runs the server of a room that a notebook joins is not to get into the notebook's page."""
    page = new_page(bypass_csp=True)
    theirs = "window.theyRan = true; export const load = () => (window.theyRan = true);"
    page.route(f"**/static/{file}", lambda route: route.fulfill(content_type="text/javascript", body=theirs))
    start_widget(hall, page, hall.poll("Which sort is stable?", OPTIONS))
    page.wait_for_function("(wanted) => window.sent?.includes(wanted)", arg=wanted)  # now the kernel is asked
    assert page.evaluate("() => window.theyRan") is None


def test_where_neither_server_nor_kernel_hears_a_page_nothing_breaks(hall: Hall, new_page: Pages) -> None:
    page = new_page(bypass_csp=True)
    page.route_web_socket("**/ws", lambda socket: socket.close())
    held: list[Route] = []
    page.route("**/static/cells-*", lambda route: held.append(route))
    poll = hall.poll("Which sort is stable?", OPTIONS)
    with page.expect_request("**/static/cells-*"):
        start_widget(hall, page, poll)
    page.evaluate("() => tell('nothing of its being dead')")
    held[0].continue_()
    page.wait_for_function("() => window.threw")
    expect(page.locator(".wslive-cell")).to_have_count(0)  # a page with exceptions that nobody caught fails its test
