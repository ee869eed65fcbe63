"""One person in one browser: reloads, tabs and a cleared storage."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.browser import Pages
from tests.end_to_end.hall import Hall
from tests.torture.figures import Figures, Form


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Hall]:
    hall = Hall(tmp_path)
    yield hall
    hall.close()


def enter(page: Page, room: Hall) -> None:
    page.goto(room.link)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Connected")).to_be_visible()


def test_reloads_and_tabs_are_one_person_and_a_private_window_is_another(
    room: Hall, new_page: Pages, form: Form, figures: Figures
) -> None:
    tabs, reloads = form.choose((3, 2), (20, 10))
    page = new_page(viewport=(390, 800))
    enter(page, room)
    poll = room.poll("Which sort is stable?", ["quick", "merge", "heap"])
    page.get_by_role("button", name="merge").click()
    room.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0})
    for i in range(reloads):
        page.reload()
        page.get_by_role("button", name=("heap", "merge")[i % 2]).click()
        room.host.wait_for_tally(poll, {"o1": 0, "o2": i % 2, "o3": 1 - i % 2})
    for i in range(tabs):
        tab = page.context.new_page()
        tab.goto(room.link)
        tab.get_by_role("button", name=("quick", "merge")[i % 2]).click()
        room.host.wait_for_tally(poll, {"o1": 1 - i % 2, "o2": i % 2, "o3": 0})
    assert room.host.view["people"]["count"] == 1
    # Clearing the storage, like a private window, is what a token cannot tell from another person.
    page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    enter(page, room)
    page.get_by_role("button", name="heap").click()
    room.host.wait_for(lambda view: view["activities"][str(poll)]["tally"]["answered"] == 2)
    assert room.host.view["people"]["count"] == 2
    figures(
        row=11,
        attack="one browser: reloads, tabs, cleared storage",
        holds="Reloads and tabs are one ballot. A cleared storage is another token: another person to the host.",
        reloads=reloads,
        tabs=tabs,
        ballots=1,
        ballots_after_clearing=2,
    )


def test_an_invitation_opens_a_locked_room_in_one_browser(room: Hall, new_page: Pages) -> None:
    room.host.command(0, "lock", {"locked": True})
    stranger = new_page()
    stranger.goto(room.link)
    expect(stranger.get_by_text("This room cannot be joined.")).to_be_visible()
    link = f"{room.link}#{room.invitation(1)}"
    page = new_page(viewport=(390, 800))
    page.goto(link)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    assert page.url == room.link, "used, and out of the address"
    page.reload()
    expect(page.get_by_text("Connected")).to_be_visible()
    other = new_page()
    other.goto(link)
    other.get_by_label("Your name").fill("Eve")
    other.get_by_role("button", name="Join").click()
    expect(other.get_by_role("alert")).to_contain_text("has been used already")
    assert room.host.view["people"]["count"] == 1
