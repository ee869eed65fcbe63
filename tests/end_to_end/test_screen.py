"""The projector in a real browser, against a real server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.browser import Pages, wait_for_chart, wait_until
from tests.end_to_end.hall import Hall
from wslive.activities.poll import chart

PROJECTOR = (1920, 1080)
OPTIONS = ["quick", "merge", "heap"]


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """A room on a server."""
    hall = Hall(tmp_path, away_after_s=2.0)
    yield hall
    hall.close()


def show(new_page: Pages, hall: Hall, **options: Any) -> Page:
    """Somebody switches the projector on."""
    page = new_page(viewport=PROJECTOR, **options)
    page.goto(f"{hall.link}/screen")
    expect(page.get_by_text("Connected")).to_be_visible()
    return page


def font_size_px(page: Page, selector: str) -> float:
    return float(page.locator(selector).evaluate("e => parseFloat(getComputedStyle(e).fontSize)"))


def test_before_the_first_question_it_shows_nothing_but_the_way_in(hall: Hall, new_page: Pages) -> None:
    page = show(new_page, hall)
    expect(page.get_by_text(hall.code, exact=True)).to_be_visible()
    expect(page.get_by_text(hall.url.removeprefix("http://"))).to_be_visible()
    expect(page.get_by_text("0 here")).to_be_visible()
    assert font_size_px(page, ".wslive-giant") > 150


def test_where_only_this_computer_can_join_it_says_so_and_shows_no_qr_code(hall: Hall, new_page: Pages) -> None:
    page = show(new_page, hall)
    expect(page.get_by_text("Only this computer can join so far.")).to_be_visible()
    expect(page.get_by_role("img", name="QR code")).to_be_hidden()


def test_once_others_can_come_it_shows_their_address_and_a_qr_code(hall: Hall, new_page: Pages) -> None:
    page = show(new_page, hall)
    expect(page.get_by_text("Only this computer can join so far.")).to_be_visible()
    hall.audience("https://live.example.org")
    expect(page.get_by_text("live.example.org", exact=True)).to_be_visible()
    qr = page.get_by_role("img", name="QR code")
    expect(qr).to_be_visible()
    expect(qr).to_have_js_property("complete", True)
    assert qr.evaluate("e => e.naturalWidth > 0")
    waiting = qr.bounding_box()
    hall.poll("Which sort is stable?", OPTIONS)
    wait_for_chart(page, [0, 0, 0])
    beside = qr.bounding_box()
    assert waiting is not None
    assert beside is not None
    assert waiting["width"] > beside["width"]
    expect(page.get_by_text("Only this computer can join so far.")).to_be_hidden()


def test_the_chart_follows_the_votes(hall: Hall, new_page: Pages) -> None:
    people = hall.join("Ada", "Kim", "Robin", "Sam")
    page = show(new_page, hall)
    poll = hall.poll("Which sort is stable?", OPTIONS)
    expect(page.get_by_role("heading", name="Which sort is stable?")).to_be_visible()
    wait_for_chart(page, [0, 0, 0])
    for person, choice in zip(people[:3], ["o2", "o2", "o1"], strict=True):
        person.vote(poll, choice)
    wait_for_chart(page, [1, 2, 0])
    expect(page.get_by_text("3 of 4 answered")).to_be_visible()
    expect(page.get_by_text("4 here")).to_be_visible()
    hall.run(people[3].connection.close())
    expect(page.get_by_text("3 here")).to_be_visible()
    expect(page.get_by_text("3 of 4 answered")).to_be_visible()
    expect(page.get_by_role("img", name="Result: merge: 2, 67 %; quick: 1, 33 %; heap: 0, 0 %.")).to_be_visible()


def test_a_new_round_stands_beside_the_one_before(hall: Hall, new_page: Pages) -> None:
    (ada,) = hall.join("Ada")
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = show(new_page, hall)
    ada.vote(poll, "o1")
    hall.host.command(poll, "start_round")
    ada.vote(poll, "o2", round=2)
    wait_for_chart(page, [0, 1, 0])
    wait_for_chart(page, [1, 0, 0], trace=1)


def test_what_the_room_may_not_see_yet_is_a_count(hall: Hall, new_page: Pages) -> None:
    ada, _ = hall.join("Ada", "Kim")
    poll = hall.poll("Which sort is stable?", OPTIONS, results="after_close")
    page = show(new_page, hall)
    ada.vote(poll, "o2")
    big = page.locator(".wslive-turnout-text")
    expect(big).to_have_text("1 of 2 answered")
    expect(page.locator(".js-plotly-plot")).to_have_count(0)
    hall.host.command(poll, "close")
    wait_for_chart(page, [0, 1, 0])
    expect(big).to_be_hidden()


def test_a_discarded_question_gives_way_to_the_code(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = show(new_page, hall)
    expect(page.get_by_role("heading", name="Which sort is stable?")).to_be_visible()
    hall.host.command(poll, "discard")
    expect(page.get_by_role("heading", name="Which sort is stable?")).to_have_count(0)
    expect(page.locator(".wslive-screen[data-waiting]")).to_be_visible()


def test_it_shows_neither_names_nor_chat_and_has_no_ballot(hall: Hall, new_page: Pages) -> None:
    (ada,) = hall.join("Ada the Countess")
    hall.poll("Which sort is stable?", OPTIONS)
    ada.say("a line for the room")
    page = show(new_page, hall)
    wait_for_chart(page, [0, 0, 0])
    shown = page.evaluate("() => document.documentElement.outerHTML")
    assert "Countess" not in shown
    assert "a line for the room" not in shown
    expect(page.get_by_role("button", name="merge")).to_have_count(0)
    assert hall.host.view["people"]["count"] == 1


def test_it_can_be_read_from_the_back_row(hall: Hall, new_page: Pages) -> None:
    hall.poll("Which sort is stable?", OPTIONS)
    page = show(new_page, hall)
    wait_for_chart(page, [0, 0, 0])
    assert font_size_px(page, ".wslive-question") >= 54  # a twentieth of the height: the rule for slides
    assert font_size_px(page, ".wslive-giant") >= 80
    assert page.evaluate("() => parseFloat(getComputedStyle(document.querySelector('.xtick text')).fontSize)") >= 27


@pytest.mark.parametrize(("options", "rounds", "least_px"), [(12, 2, 20), (50, 1, 12)])
def test_many_options_are_named_in_full_beside_bars_whose_counts_can_be_read(
    hall: Hall, new_page: Pages, options: int, rounds: int, least_px: float
) -> None:
    texts = [f"option number {i}" for i in range(1, options + 1)]
    poll = hall.poll("Which?", texts)
    (ada,) = hall.join("Ada")
    ada.vote(poll, "o1")
    if rounds == 2:
        hall.host.command(poll, "start_round")
        ada.vote(poll, "o1", round=2)
    page = show(new_page, hall)
    wait_for_chart(page, [1, *[0] * (options - 1)], axis="x")
    assert page.locator(".ytick text").all_text_contents() == texts
    sizes = page.locator(".bartext").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert len(sizes) == options
    assert min(sizes) >= least_px
    assert page.locator(".wslive-chart").evaluate("e => e.scrollWidth <= e.clientWidth")


@pytest.mark.parametrize("preferred", ["light", "dark"])
def test_it_is_light_or_dark_as_preferred_and_as_chosen(hall: Hall, new_page: Pages, preferred: Any) -> None:
    hall.poll("Which sort is stable?", OPTIONS)
    page = show(new_page, hall, color_scheme=preferred)
    wait_for_chart(page, [0, 0, 0])

    def brightness(selector: str, name: str) -> float:
        color = page.locator(selector).first.evaluate("(e, name) => getComputedStyle(e)[name]", name)
        return sum(map(float, re.findall(r"[\d.]+", color)[:3])) / 765

    dark = preferred == "dark"
    for chosen in (None, "Theme: light", "Theme: dark"):
        if chosen is not None:
            page.get_by_role("button", name="Theme").click()
            expect(page.get_by_role("button", name=chosen)).to_be_visible()
            dark = chosen == "Theme: dark"
        assert (brightness("html", "backgroundColor") < 0.2) is dark
        assert (brightness(".wslive-question", "color") > 0.8) is dark
        # The chart is drawn again with the next frame.
        wait_until(page, lambda is_dark=dark: (brightness(".xtick text", "fill") > 0.8) is is_dark)  # type: ignore[misc]
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


def test_the_end_of_the_room_is_told(hall: Hall, new_page: Pages) -> None:
    page = show(new_page, hall)
    hall.host.command(0, "end_room")
    expect(page.get_by_role("status").filter(has_text="The host has ended this room.")).to_be_visible()
    expect(page.get_by_text("Join at")).to_be_hidden()
    expect(page.get_by_text(hall.code, exact=True)).to_be_hidden()


def test_a_code_of_the_widest_letters_fits(hall: Hall, new_page: Pages) -> None:
    page = show(new_page, hall)
    for _ in range(2):
        overhang = page.locator(".wslive-giant").evaluate(
            """(code) => {
                code.textContent = "WWMWMW";
                const text = document.createRange();
                text.selectNodeContents(code);
                const [letters, box] = [text, code.closest(".wslive-join")].map((e) => e.getBoundingClientRect());
                return Math.max(box.left - letters.left, letters.right - box.right);
            }"""
        )
        assert overhang < 0
        hall.poll("Which sort is stable?", OPTIONS)
        expect(page.get_by_role("heading", name="Which sort is stable?")).to_be_visible()


def test_where_there_is_no_room_it_asks_nobody_to_join(hall: Hall, new_page: Pages) -> None:
    page = new_page(viewport=PROJECTOR)
    page.goto(f"{hall.url}/r/ZZZZZZ/screen")
    expect(page.get_by_text("ZZZZZZ: This room cannot be joined")).to_be_visible()
    expect(page.get_by_text("Join at")).to_be_hidden()


# ── one look, filled twice ────────────────────────────────────────────────────────────────────────────────────────

FILLED = """async ([view, size]) => {
    const { fill } = await import("/static/activities/poll/chart.js");
    const lib = await import("/static/lib.js");
    const template = await (await fetch("/static/activities/poll/chart.json")).json();
    return fill(view, template, size, lib);
}"""


@pytest.mark.parametrize(
    "texts",
    [
        OPTIONS,
        ["<b>bold</b> & co", "costs $5", "2024-01-01", "$O(n \\log n)$ in the worst case"],
        [f"a rather long option that will not fit below its bar, number {i}" for i in range(4)],
        [f"a rather long option number {i}" for i in range(24)],
        ["Donaudampfschifffahrtsgesellschaftskapitän", "👩‍🔬 says 𝒪(2ⁿ)"],
    ],
)
def test_browser_and_python_fill_the_chart_alike(hall: Hall, new_page: Pages, texts: list[str]) -> None:
    people = hall.join("Ada", "Kim", "Robin")
    poll = hall.poll("Which?", texts, max_choices=2)
    page = show(new_page, hall)

    def check() -> None:
        view = hall.host.view["activities"][str(poll)]
        for width_px, font_px in ((1200, 33), (640, 13), (320, 13)):
            size = {"width_px": width_px, "font_px": font_px}
            assert page.evaluate(FILLED, [view, size]) == chart.fill(view, **size)

    check()
    people[0].vote(poll, "o1", "o2")
    people[1].vote(poll, "o2")
    hall.host.wait_for(lambda view: view["activities"][str(poll)]["tally"]["answered"] == 2)
    check()
    hall.host.command(poll, "start_round")
    people[2].vote(poll, "o1", round=2)
    hall.host.wait_for(lambda view: view["activities"][str(poll)]["tally"]["counts"]["o1"] == 1)
    check()


def test_a_secret_question_says_so_to_the_hall(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Who is to speak for us?", ["Ada", "Bob"], secret=True)
    page = show(new_page, hall)
    expect(page.get_by_text("The result shows only then.")).to_be_visible()
    (ada,) = hall.join("Ada")
    ada.vote(poll, "o2")
    expect(page.get_by_text("1 of 1 answered").first).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(0)
    hall.host.command(poll, "close")
    expect(page.get_by_text("Secret: nobody can see who answered what, not even the host.")).to_be_visible()
    wait_for_chart(page, [0, 1])
