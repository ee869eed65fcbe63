"""Page and projector for everybody: small screens, keyboards, screen readers, light and dark, thin lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect

from tests.end_to_end.browser import Pages, accessibility_violations, wait_for_chart
from tests.end_to_end.hall import CHAT, Hall
from wslive.server.settings import Rate

FIRST_VISIT_BYTES = 50_000
UNPACKED_BYTES = 100_000
THUMB_PX = 44
LONG = "Ein_sehr_langes_Wort_ohne_jede_Stelle_an_der_man_es_trennen_könnte_" * 2


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """A room in which much has happened, with texts that are hard to fit."""
    hall = Hall(tmp_path, title="A title that is rather long for a phone, in truth", line_rate=Rate(1000, 1000))
    ada, kim, robin = hall.join("Ada", "Kim", LONG[:40])
    poll = hall.poll("Which sort is stable and runs in $O(n \\log n)$?", ["quick", "merge", LONG, "$\\frac{1}{2}$"])
    ada.vote(poll, "o2")
    kim.vote(poll, "o2")
    robin.vote(poll, "o3")
    hall.poll(
        f"And which of these? {LONG}", ["a", "b", "$\\sqrt{2}$"], max_choices=2, keep_open=True, results="after_vote"
    )
    ada.say("why not heap?")
    robin.say(LONG)
    hall.host.command(CHAT, "say", {"text": "See chapter 3."})
    yield hall
    hall.close()


def look_at(page: Page) -> None:
    """Nothing sticks out, on a phone a thumb finds every button, and axe-core finds nothing wrong."""
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    sticking_out = page.evaluate("""() => [...document.querySelectorAll("body *")]
        .filter((e) => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1)
        .filter((e) => !e.closest("svg, math, .wslive-spoken"))
        .map((e) => e.className)""")
    assert sticking_out == []
    small = page.evaluate(
        """([least]) => [...document.querySelectorAll(":is(.wslive-door, .wslive-room) :is(button, input, textarea)")]
        .map((e) => [e.className, e.getBoundingClientRect()])
        .filter(([, box]) => box.width && Math.min(box.width, box.height) < least)
        .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)""",
        [THUMB_PX],
    )
    assert small == []
    assert accessibility_violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [(320, 568), (360, 740), (1280, 800)])
def test_every_state_of_the_page_fits_and_is_accessible(
    hall: Hall, new_page: Pages, viewport: tuple[int, int], scheme: Any
) -> None:
    page = new_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page.goto(hall.url)
    page.get_by_label("Code").fill("O1")
    page.keyboard.press("Enter")
    look_at(page)
    page.goto(hall.link)
    expect(page.get_by_role("button", name="Join")).to_be_visible()
    look_at(page)
    page.get_by_role("textbox", name="Your name").fill("Grace " + LONG[:34])
    page.keyboard.press("Enter")
    expect(page.get_by_text("Connected")).to_be_visible()
    look_at(page)
    page.get_by_role("group", name="Which sort").get_by_role("button", name="merge").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    page.get_by_role("group", name="And which").get_by_role("button", name="b").click()
    page.get_by_role("button", name="You are Grace").click()
    look_at(page)
    if viewport[0] < 860:
        page.get_by_role("navigation").get_by_role("button", name="Chat").click()
    expect(page.get_by_text("See chapter 3.")).to_be_visible()
    look_at(page)
    hall.host.command(CHAT, "set_chat", {"mode": "on", "paused": True})
    expect(page.get_by_text("The host has paused the chat")).to_be_visible()
    hall.stop()
    expect(page.get_by_text("Connection lost at")).to_be_visible()
    look_at(page)
    hall.start()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_of_the_projector_fits_and_is_accessible(hall: Hall, new_page: Pages, scheme: Any) -> None:
    page = new_page(viewport=(1920, 1080), color_scheme=scheme)
    page.goto(f"{hall.link}/screen")
    expect(page.locator(".wslive-turnout-text")).to_have_text("0 of 3 answered")
    look_at(page)
    hall.host.command(0, "set_stage", {"activity": min(map(int, polls(hall)))})
    wait_for_chart(page, [0, 2, 1, 0], axis="x")  # its labels are long, so the bars lie
    look_at(page)
    assert page.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
    for poll in polls(hall):
        hall.host.command(int(poll), "discard")
    expect(page.locator(".wslive-screen[data-waiting]")).to_be_visible()
    look_at(page)


def polls(hall: Hall) -> list[str]:
    return [id for id, activity in hall.host.view["activities"].items() if activity["kind"] == "poll"]


def test_a_first_visit_on_a_phone_costs_fifty_kilobytes_and_a_hundred_unpacked_at_most(
    hall: Hall, new_page: Pages
) -> None:
    page = new_page(viewport=(360, 740))
    seen: list[Response] = []
    page.on("response", lambda response: seen.append(response))
    page.goto(hall.link)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    page.get_by_role("group", name="Which sort").get_by_role("button", name="merge").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    # As they come over the wire, headers and all.
    sizes = {
        response.url.removeprefix(hall.url): sum(
            response.request.sizes()[part] for part in ("responseHeadersSize", "responseBodySize")
        )
        for response in seen
    }
    assert "/static/client.js" in sizes
    assert not any("plotly" in url for url in sizes)
    assert sum(sizes.values()) <= FIRST_VISIT_BYTES, sizes
    unpacked = {response.url.removeprefix(hall.url): len(response.body()) for response in seen}
    assert sum(unpacked.values()) <= UNPACKED_BYTES, unpacked


def test_the_keyboard_alone_is_enough_and_focus_stays_where_it_was(hall: Hall, new_page: Pages) -> None:
    page = new_page(viewport=(360, 740))
    page.goto(hall.link)
    expect(page.get_by_role("textbox", name="Your name")).to_be_focused()
    page.keyboard.type("Grace")
    page.keyboard.press("Enter")
    merge = page.get_by_role("group", name="Which sort").get_by_role("button", name="merge")
    expect(merge).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        if merge.evaluate("e => e === document.activeElement"):
            break
    expect(merge).to_be_focused()
    assert merge.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    expect(merge).to_be_focused()
    (kim,) = hall.join("Late")
    kim.vote(int(polls(hall)[0]), "o1")  # the result is drawn again
    expect(page.get_by_text("5 of 5 answered")).to_be_visible()
    expect(merge).to_be_focused()


def test_what_happens_is_said_to_those_who_listen(hall: Hall, new_page: Pages) -> None:
    page = new_page(viewport=(360, 740))
    page.goto(hall.link)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
    page.get_by_role("group", name="Which sort").get_by_role("button", name="merge").click()
    expect(page.get_by_role("status").filter(has_text="Counted")).to_be_visible()
    spoken = page.locator(".wslive-spoken")
    hall.host.command(int(polls(hall)[0]), "close")
    expect(spoken).to_have_text("The poll is closed.")
    hall.poll("How fast is $O(n^2)$?", ["fast", "slow"])
    expect(spoken).to_have_text("New question: How fast is O(n²)?")


def test_what_people_write_runs_the_way_of_its_letters(hall: Hall, new_page: Pages) -> None:
    hall.poll("ما هو الفرز المستقر؟", ["merge", "الدمج (merge)"])
    page = new_page(viewport=(360, 740))
    page.goto(hall.link)
    page.get_by_role("button", name="Join").click()
    for text, side in (("merge", "left"), ("الدمج (merge)", "right"), ("ما هو الفرز المستقر؟", "right")):
        line = page.locator(".wslive-option-text, .wslive-question").get_by_text(text, exact=True).first
        expect(line).to_be_visible()
        away = line.evaluate(
            """(element, side) => {
                const range = document.createRange();
                range.selectNodeContents(element);
                return Math.abs(range.getBoundingClientRect()[side] - element.getBoundingClientRect()[side]);
            }""",
            side,
        )
        assert away < 2, text


def test_motion_is_left_out_for_those_who_want_none(hall: Hall, new_page: Pages) -> None:
    page = new_page(viewport=(360, 740), reduced_motion="reduce")
    page.goto(hall.link)
    page.get_by_role("button", name="Join").click()
    bar = page.locator(".wslive-bar").first
    expect(bar).to_be_attached()
    assert bar.evaluate("e => getComputedStyle(e).transitionDuration") == "0s"


def test_the_pages_keep_to_their_policy(hall: Hall, new_page: Pages) -> None:
    for path in ("", "/screen"):
        page = new_page(viewport=(1280, 800))
        page.add_init_script("""
            window.broken = [];
            document.addEventListener("securitypolicyviolation", (e) => {
                window.broken.push([e.violatedDirective, e.sourceFile]);
            });
        """)
        page.goto(hall.link + path)
        if path:
            expect(page.locator(".wslive-turnout-text")).to_be_visible()
            hall.host.command(0, "set_stage", {"activity": min(map(int, polls(hall)))})
            wait_for_chart(page, [0, 2, 1, 0], axis="x")
        else:
            page.get_by_role("button", name="Join").click()
            expect(page.get_by_text("Connected")).to_be_visible()
        # plotly.js brings a style sheet for maps, which the policy keeps out; bars need none of it.
        broken = page.evaluate("() => window.broken")
        assert [b for b in broken if not b[1].endswith("/static/plotly.min.js")] == []
        assert len(broken) <= 1
