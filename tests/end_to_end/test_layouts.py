"""What the layouts of cells work out in the browser."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import wslive
from tests.end_to_end.browser import Pages

LIGHT_INK, DARK_INK = "rgb(232, 235, 242)", "rgb(20, 22, 28)"

LAYOUTS = Path(wslive.__file__).parent / "notebook" / "layouts.js"
ON_PAGE = """async ([source, layout, ink]) => {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    return (await import(url)).onPage(layout, ink);
}"""


@pytest.fixture
def on_page(new_page: Pages) -> Any:
    """`layouts.js`'s `onPage`, in a real browser."""
    page = new_page()
    return lambda layout, ink: page.evaluate(ON_PAGE, [LAYOUTS.read_text(), layout, ink])


def test_on_a_light_page_a_figure_stays_as_it_was_made(on_page: Any) -> None:
    layout = {"title": {"text": "Who talks most"}, "yaxis": {"title": {"text": "lines"}}}
    assert on_page(layout, DARK_INK) == layout


def test_on_a_dark_page_a_figure_is_written_in_the_pages_ink(on_page: Any) -> None:
    layout = {"font": {"size": 14}, "yaxis2": {"gridcolor": "red"}, "width": 700}
    drawn = on_page(layout, LIGHT_INK)
    assert drawn["font"] == {"size": 14, "color": LIGHT_INK}
    assert drawn["paper_bgcolor"] == drawn["plot_bgcolor"] == "rgba(0, 0, 0, 0)"
    assert drawn["width"] == 700
    assert set(drawn) >= {"xaxis", "yaxis", "yaxis2"}
    assert drawn["yaxis2"]["gridcolor"] == "red"


ROOM = """async ([sources, ended, status]) => {
    const urls = sources.map((source) => URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    const [layouts, library] = await Promise.all(urls.map((url) => import(url)));
    const { activityModel, pollsToShow } = library;
    const room = { title: "Sorting 101", locked: false, ended, stage: 0 };
    const live = {
        role: "host",
        status,
        view: { room, people: { count: 0, names: {} }, activities: {} },
        presence: { online: 0 },
        subscribe: () => () => {},
        command: async () => { throw { message: "You send too much at once." }; },
    };
    const about = { part: "room", urls: ["http://127.0.0.1:1"], room: "K7M2QX", invite: { links: [], qr: "" } };
    const handed = { activityModel, pollsToShow, lib: library.makeLib(), views: {}, kernel: () => null };
    layouts.draw({ about, live, el: document.body, ...handed });
}"""


@pytest.fixture
def show_room(new_page: Pages) -> Any:
    """A host's room as a cell shows it, with a connection that refuses everything."""

    def show(*, ended: bool = False, status: str = "live") -> Page:
        page = new_page()
        sources = [LAYOUTS.read_text(), (LAYOUTS.parents[1] / "web" / "lib.js").read_text()]
        page.evaluate(ROOM, [sources, ended, status])
        return page

    return show


@pytest.mark.parametrize(("status", "told"), [("live", 1), ("ended", 0)])
def test_a_room_that_has_ended_asks_nobody_to_join_and_says_so_once(show_room: Any, status: str, told: int) -> None:
    page = show_room(ended=True, status=status)  # where the connection has ended too, the badge above it says why
    expect(page.get_by_role("heading", name="Sorting 101")).to_be_visible()
    expect(page.get_by_text("This room has ended.").filter(visible=True)).to_have_count(told)
    for words in ("Join at", "K7M2QX", "Let phones in"):
        expect(page.get_by_text(words).first).to_be_hidden()


def test_a_lock_that_is_refused_says_why(show_room: Any) -> None:
    page = show_room()
    page.get_by_role("button", name="Lock").click()
    expect(page.get_by_role("alert").first).to_have_text("You send too much at once.")
