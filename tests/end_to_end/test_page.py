"""The audience's page in a real browser, against a real server."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.end_to_end.browser import Pages, accessibility_violations
from tests.end_to_end.hall import CHAT, Hall
from wslive.server.settings import Rate

OPTIONS = ["quick", "merge", "heap"]
PHONE = (360, 740)


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """A room on a server; its people may talk as fast as a test does."""
    hall = Hall(tmp_path, line_rate=Rate(1000, 1000), vote_rate=Rate(1000, 1000))
    yield hall
    hall.close()


def enter(new_page: Pages, hall: Hall, name: str = "", link: str | None = None) -> Page:
    """Somebody opens the join link on a phone and joins."""
    page = new_page(viewport=PHONE)
    page.goto(link or hall.link)
    if name:
        page.get_by_role("textbox", name="Your name").fill(name)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    return page


def option(page: Page, text: str) -> Locator:
    return page.get_by_role("group").get_by_role("button", name=text)


def eyebrow(page: Page) -> Locator:
    return page.locator(".wslive-eyebrow")


def show_chat(page: Page) -> None:
    page.get_by_role("navigation").get_by_role("button", name="Chat").click()


def lines(page: Page) -> Locator:
    return page.locator(".wslive-line-text")


# ── coming in ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_start_page_takes_a_code_in_any_spelling(hall: Hall, new_page: Pages) -> None:
    page = new_page(viewport=PHONE)
    page.goto(hall.url)
    page.get_by_label("Code").fill(f" {hall.code[:3].lower()} - {hall.code[3:].lower()} ")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sorting 101")).to_be_visible()
    assert page.url == hall.link


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("K7M2O9", "A code has no 0, O, 1, I or L."),
        ("K7M2é9", "only letters A to Z"),
        ("", "Type the 6 symbols of the code."),
        ("K7M2", "2 are missing"),
        ("K7M2QXZZ", "these are 8"),
        ("ZZZZZZ", "This room cannot be joined"),
    ],
)
def test_a_wrong_code_is_explained(hall: Hall, new_page: Pages, typed: str, told: str) -> None:
    page = new_page(viewport=PHONE)
    page.goto(hall.url)
    page.get_by_label("Code").fill(typed)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(told)


def test_a_link_to_no_room_says_so_and_asks_for_the_code(hall: Hall, new_page: Pages) -> None:
    page = new_page(viewport=PHONE)
    page.goto(f"{hall.url}/r/ZZZZZZ")
    expect(page.get_by_role("alert")).to_contain_text("This room cannot be joined")
    expect(page.get_by_label("Code")).to_have_value("ZZZZZZ")


def test_who_joins_is_told_first_what_the_host_can_see_and_where_it_is_kept(hall: Hall, new_page: Pages) -> None:
    page = new_page(viewport=PHONE)
    page.goto(hall.link)
    expect(page.get_by_text("The host sees your name")).to_contain_text("kept")


def test_without_a_name_the_room_gives_one(hall: Hall, new_page: Pages) -> None:
    hall.join("Ada")
    page = enter(new_page, hall)
    expect(page.get_by_role("button", name="You are Guest 2")).to_be_visible()


def test_a_name_can_be_changed(hall: Hall, new_page: Pages) -> None:
    page = enter(new_page, hall, "Ada")
    page.get_by_role("button", name="You are Ada").click()
    page.get_by_role("textbox", name="Your name").fill("Ada L.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="You are Ada L.")).to_be_focused()
    hall.host.wait_for(lambda view: [p["name"] for p in view["people"]["names"].values()] == ["Ada L."])


def test_a_name_that_is_refused_says_why(hall: Hall, new_page: Pages) -> None:
    page = enter(new_page, hall, "Ada")
    page.get_by_role("button", name="You are Ada").click()
    page.get_by_role("textbox", name="Your name").fill("\u200b")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="The name is empty.")).to_be_visible()


# ── voting ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tap_is_counted_and_shows_in_the_result(hall: Hall, new_page: Pages) -> None:
    page = enter(new_page, hall)
    expect(page.get_by_text("No question yet.")).to_be_visible()
    poll = hall.poll("Which sort is stable?", OPTIONS)
    option(page, "merge").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0})
    expect(option(page, "merge")).to_have_attribute("aria-pressed", "true")
    expect(option(page, "merge")).to_contain_text("100 %")
    expect(page.get_by_text("1 of 1 answered")).to_be_visible()


def test_an_answer_can_be_changed_and_taken_back(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = enter(new_page, hall)
    option(page, "quick").click()
    hall.host.wait_for_tally(poll, {"o1": 1, "o2": 0, "o3": 0})
    option(page, "merge").click()
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0})
    page.get_by_role("button", name="Take my answer back").click()
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 0, "o3": 0})
    expect(option(page, "merge")).to_have_attribute("aria-pressed", "false")


def test_an_answer_that_cannot_be_changed_is_announced_as_such(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS, changeable=False)
    page = enter(new_page, hall)
    expect(page.get_by_text("an answer cannot be changed")).to_be_visible()
    option(page, "quick").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    expect(option(page, "merge")).to_have_attribute("aria-disabled", "true")
    option(page, "merge").dispatch_event("click")
    expect(page.get_by_role("button", name="Take my answer back")).to_be_hidden()
    hall.host.wait_for_tally(poll, {"o1": 1, "o2": 0, "o3": 0})


def test_several_options_are_chosen_first_and_sent_together(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which have you used?", ["Python", "R", "Julia"], max_choices=2)
    page = enter(new_page, hall)
    send = page.get_by_role("button", name="Send answer")
    expect(send).to_be_disabled()
    option(page, "Python").click()
    option(page, "Julia").click()
    option(page, "R").click()  # a third one
    expect(option(page, "R")).to_have_attribute("aria-pressed", "false")
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 0, "o3": 0})
    send.click()
    hall.host.wait_for_tally(poll, {"o1": 1, "o2": 0, "o3": 1})
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ("after_vote", "The result shows once you have answered."),
        ("after_close", "The result shows when the poll is closed."),
        ("host_only", "The host keeps the result."),
    ],
)
def test_results_show_no_earlier_than_the_host_allows(hall: Hall, new_page: Pages, results: str, told: str) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS, results=results)
    page = enter(new_page, hall)
    expect(page.get_by_text(told)).to_be_visible()
    option(page, "merge").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    if results == "after_vote":
        expect(option(page, "merge")).to_contain_text("100 %")
        return
    expect(option(page, "merge")).not_to_contain_text("%")
    hall.host.command(poll, "close")
    expect(eyebrow(page)).to_have_text("Closed")
    if results == "after_close":
        expect(option(page, "merge")).to_contain_text("100 %")
    else:
        expect(page.get_by_text(told)).to_be_visible()
        expect(option(page, "merge")).not_to_contain_text("%")


def test_the_last_closed_question_stays_with_its_result_until_another_comes(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = enter(new_page, hall)
    option(page, "merge").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    hall.host.command(poll, "close")
    expect(eyebrow(page)).to_have_text("Closed")
    expect(option(page, "merge")).to_contain_text("100 %")
    hall.poll("And which is in place?", OPTIONS)
    expect(page.get_by_role("heading", name="And which is in place?")).to_be_visible()
    expect(page.get_by_role("heading", name="Which sort is stable?")).to_have_count(0)


def test_of_several_open_questions_the_one_on_stage_comes_first(hall: Hall, new_page: Pages) -> None:
    first = hall.poll("First?", OPTIONS)
    hall.poll("Second?", OPTIONS, keep_open=True)
    page = enter(new_page, hall)
    questions = page.get_by_role("heading", level=2)
    expect(questions).to_have_text(["Second?", "First?"])
    hall.host.command(0, "set_stage", {"activity": first})
    expect(questions).to_have_text(["First?", "Second?"])


def test_one_of_several_questions_stays_with_its_result_when_it_closes(hall: Hall, new_page: Pages) -> None:
    first = hall.poll("First?", OPTIONS)
    hall.poll("Second?", OPTIONS, keep_open=True)
    page = enter(new_page, hall)
    questions = page.get_by_role("heading", level=2)
    expect(questions).to_have_text(["Second?", "First?"])
    hall.host.command(first, "close")
    expect(eyebrow(page)).to_have_text(["Open", "Closed"])
    hall.poll("Third?", OPTIONS)
    expect(questions).to_have_text(["Third?"])


def test_a_new_round_asks_again(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = enter(new_page, hall)
    option(page, "quick").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    hall.host.command(poll, "start_round")
    expect(eyebrow(page)).to_have_text("Open · Round 2")
    expect(option(page, "quick")).to_have_attribute("aria-pressed", "false")


def test_taps_are_ignored_for_a_moment_when_the_question_changes(hall: Hall, new_page: Pages) -> None:
    hall.poll("First?", ["one", "two"])
    page = enter(new_page, hall)
    expect(option(page, "one")).to_be_visible()
    # Faster than any finger: a tap in the very moment in which the next question appears.
    page.evaluate("""() => {
        new MutationObserver(() => {
            const found = [...document.querySelectorAll(".wslive-option")].find((o) => o.textContent.includes("three"));
            if (!found || window.tappedAt) return;
            window.tappedAt = performance.now();
            found.click();
        }).observe(document.body, { childList: true, subtree: true, characterData: true });
    }""")
    second = hall.poll("Second?", ["three", "four"])
    page.evaluate("""async () => {
        while (!window.tappedAt || performance.now() < window.tappedAt + 450) {
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    }""")
    option(page, "four").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    hall.host.wait_for_tally(second, {"o1": 0, "o2": 1})
    votes = [p for p in hall.events() if p["kind"] == "vote_cast"]
    assert [v["body"]["options"] for v in votes] == [["o2"]]


def test_formulas_are_drawn_as_mathml(hall: Hall, new_page: Pages) -> None:
    hall.poll("What is $n^2$ for $n=2$?", ["$\\frac{8}{2}$", "five"])
    page = enter(new_page, hall)
    expect(page.locator("h2 math")).to_have_count(2)
    expect(page.locator("h2 math msup")).to_have_count(1)
    expect(page.locator(".wslive-option math mfrac")).to_have_count(1)
    assert page.locator("math").first.evaluate("e => e.namespaceURI") == "http://www.w3.org/1998/Math/MathML"


ROOTS = ["$\\sqrt{x+1}$", "$\\sqrt[3]{x}$"]


def test_roots_are_drawn_with_their_sign(hall: Hall, new_page: Pages) -> None:
    hall.poll("Which?", ROOTS)
    page = enter(new_page, hall)
    roots = page.locator(".wslive-option :is(msqrt, mroot)")
    expect(roots).to_have_count(2)
    # The radicand starts where the sign ends.
    signs_px = roots.evaluate_all(
        "found => found.map(e => e.firstChild.getBoundingClientRect().left - e.getBoundingClientRect().left)"
    )
    assert min(signs_px) > 4


def test_where_a_browser_draws_no_roots_they_are_written(hall: Hall, new_page: Pages) -> None:
    hall.poll("Which?", [*ROOTS, "$x^2$"])
    page = new_page(viewport=PHONE)
    rootless = "\nmsqrt { display: block; }"  # so laid out, it has no sign
    page.route("**/style.css", lambda route: route.fulfill(response=(r := route.fetch()), body=r.text() + rootless))
    page.goto(hall.link)
    page.get_by_role("button", name="Join").click()
    expect(page.locator(".wslive-option-text")).to_have_text(["√(x + 1)", "³√(x)", "x2"])
    expect(page.locator(".wslive-option math")).to_have_count(1)


# ── connections that fail ─────────────────────────────────────────────────────────────────────────────────────────


def test_closing_the_tab_and_coming_back_keeps_the_person_and_the_vote(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = enter(new_page, hall, "Ada")
    option(page, "merge").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    context = page.context
    page.close()
    again = context.new_page()
    again.goto(hall.link)
    expect(again.get_by_role("button", name="You are Ada")).to_be_visible()
    expect(again.get_by_text("Counted", exact=True)).to_be_visible()
    expect(option(again, "merge")).to_have_attribute("aria-pressed", "true")
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0})
    assert hall.host.view["people"]["count"] == 1


def test_a_vote_in_one_tab_shows_in_the_other(hall: Hall, new_page: Pages) -> None:
    hall.poll("Which sort is stable?", OPTIONS)
    page = enter(new_page, hall, "Ada")
    other = page.context.new_page()
    other.goto(hall.link)
    expect(other.get_by_role("button", name="You are Ada")).to_be_visible()
    option(page, "heap").click()
    expect(option(other, "heap")).to_have_attribute("aria-pressed", "true")


def test_everything_works_where_the_browser_lets_pages_store_nothing(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = new_page(viewport=PHONE)
    page.add_init_script("""for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });
    }""")
    page.goto(hall.link)
    page.get_by_role("button", name="Join").click()
    option(page, "merge").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0})


def test_an_answer_given_without_a_connection_is_kept_and_counted_once(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    page = enter(new_page, hall, "Ada")
    expect(option(page, "merge")).to_be_visible()
    hall.stop()
    expect(page.get_by_text("Connection lost at")).to_be_visible()
    option(page, "merge").click()
    expect(page.get_by_text("Sending …")).to_be_visible()
    expect(page.get_by_text("your answer is kept and will be sent")).to_be_visible()
    hall.start()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Connected")).to_be_visible()
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0})
    assert [e["kind"] for e in hall.events()].count("vote_cast") == 1


def test_an_answer_that_was_never_confirmed_survives_a_reload_and_counts_once(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    wire = hall.wire()
    page = enter(new_page, hall, "Ada", f"{wire.url}/r/{hall.code}")
    expect(option(page, "merge")).to_be_visible()
    wire.swallows_answers = True
    option(page, "merge").click()
    hall.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0})
    expect(page.get_by_text("Sending …")).to_be_visible()
    wire.swallows_answers = False
    page.reload()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    expect(page.get_by_text("1 of 1 answered")).to_be_visible()
    assert [e["kind"] for e in hall.events()].count("vote_cast") == 1


def test_an_answer_that_comes_too_late_is_not_counted_and_says_so(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Which sort is stable?", OPTIONS)
    wire = hall.wire()
    page = enter(new_page, hall, "Ada", f"{wire.url}/r/{hall.code}")
    option(page, "quick").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    wire.swallows_answers = True  # what is said here gets through, what is answered does not
    hall.host.command(poll, "close")
    option(page, "merge").click()
    expect(page.get_by_text("Sending …")).to_be_visible()
    wire.swallows_answers = False
    hall.cut(wire)
    expect(page.locator(".wslive-vote-state")).to_have_text(
        "Not counted: the poll closed before your answer arrived. Your earlier answer counts.", timeout=60_000
    )
    expect(option(page, "quick")).to_have_attribute("aria-pressed", "true")


def test_an_answer_to_a_question_that_has_left_is_not_counted_and_says_so(hall: Hall, new_page: Pages) -> None:
    hall.poll("First?", OPTIONS)
    wire = hall.wire()
    page = enter(new_page, hall, "Ada", f"{wire.url}/r/{hall.code}")
    expect(option(page, "quick")).to_be_visible()
    wire.swallows_answers = True
    hall.poll("Second?", OPTIONS)
    option(page, "quick").click()
    expect(page.get_by_text("Sending …")).to_be_visible()
    wire.swallows_answers = False
    hall.cut(wire)
    expect(page.get_by_role("heading", name="Second?")).to_be_visible(timeout=60_000)
    told = page.get_by_text("Not counted: the question changed before your answer arrived.")
    expect(told).to_be_visible()
    assert [e["kind"] for e in hall.events()].count("vote_cast") == 0


def test_a_restarted_server_finds_everybody_again(hall: Hall, new_page: Pages) -> None:
    page = enter(new_page, hall, "Ada")
    hall.stop()
    expect(page.get_by_text("Connection lost at")).to_be_visible()
    hall.start()
    expect(page.get_by_text("Connected")).to_be_visible(timeout=60_000)
    hall.poll("Which sort is stable?", OPTIONS)
    expect(option(page, "merge")).to_be_visible()


def test_the_end_of_the_room_is_told(hall: Hall, new_page: Pages) -> None:
    hall.poll("Which sort is stable?", OPTIONS)
    page = enter(new_page, hall, "Ada")
    page.get_by_role("button", name="You are Ada").click()
    expect(page.get_by_role("button", name="Save")).to_be_visible()
    hall.host.command(0, "end_room")
    expect(page.get_by_role("status").filter(has_text="The host has ended this room.")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_hidden()
    expect(eyebrow(page)).to_have_text("Ended")
    expect(page.get_by_text("Choose one")).to_have_count(0)
    expect(option(page, "merge")).to_have_attribute("aria-disabled", "true")


def test_somebody_who_was_sent_out_is_told(hall: Hall, new_page: Pages) -> None:
    hall.poll("Which sort is stable?", OPTIONS)
    page = enter(new_page, hall, "Ada")
    option(page, "quick").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    (actor,) = hall.host.view["people"]["names"]
    hall.host.command(0, "remove_person", {"person": actor})
    told = page.get_by_role("status").filter(has_text="The host has sent you out of this room.")
    expect(told).to_be_visible()
    expect(eyebrow(page)).to_have_text("You are out")
    expect(page.get_by_role("button", name="Take my answer back")).to_be_hidden()
    show_chat(page)
    expect(page.get_by_label("Your line")).to_be_hidden()


def test_a_person_whom_the_server_does_not_know_any_more_joins_anew(hall: Hall, new_page: Pages) -> None:
    page = new_page(viewport=PHONE)
    page.goto(hall.url)
    page.evaluate("code => localStorage.setItem(`wslive.token.${code}`, 'forged.token')", hall.code)
    page.goto(hall.link)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("button", name="You are Guest 1")).to_be_visible()


# ── chat ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lines_come_with_names_and_ones_own_stand_out(hall: Hall, new_page: Pages) -> None:
    (ada,) = hall.join("Ada")
    page = enter(new_page, hall, "Grace")
    show_chat(page)
    ada.say("why not heap?")
    page.get_by_label("Your line").fill("it swaps far apart")
    page.keyboard.press("Enter")
    expect(lines(page)).to_have_text(["why not heap?", "it swaps far apart"])
    expect(page.locator(".wslive-name")).to_have_text(["Ada", "Grace"])
    expect(page.locator(".wslive-line[data-own]")).to_have_count(1)
    expect(page.get_by_label("Your line")).to_have_value("")


def test_new_lines_are_counted_while_the_question_is_shown(hall: Hall, new_page: Pages) -> None:
    (ada,) = hall.join("Ada")
    page = enter(new_page, hall, "Grace")
    ada.say("one")
    ada.say("two")
    expect(page.get_by_role("button", name="Chat, 2 new lines")).to_be_visible()
    show_chat(page)
    expect(page.get_by_role("navigation").get_by_role("button", name="Chat", exact=True)).to_be_visible()


def test_comings_and_goings_are_told_but_a_reload_is_not_a_leave(hall: Hall, new_page: Pages) -> None:
    page = enter(new_page, hall, "Grace")
    show_chat(page)
    other = enter(new_page, hall, "Ada")
    expect(page.get_by_text("Ada joined")).to_be_visible()
    other.reload()
    expect(other.get_by_text("Connected")).to_be_visible()
    hall.join("Kim")
    expect(page.get_by_text("Kim joined")).to_be_visible()  # so whatever was to be told of the reload is told by now
    expect(page.get_by_text("Ada joined")).to_have_count(1)
    expect(page.get_by_text("Ada left")).to_have_count(0)


def test_a_long_chat_shows_the_latest_lines_and_older_ones_on_demand(hall: Hall, new_page: Pages) -> None:
    (ada,) = hall.join("Ada")
    ada.say(*(f"line {i}" for i in range(320)))
    page = enter(new_page, hall, "Grace")
    show_chat(page)
    expect(lines(page)).to_have_count(200)
    expect(lines(page).last).to_have_text("line 319")
    expect(lines(page).last).to_be_in_viewport()
    older = page.get_by_role("button", name="Older lines")
    older.click()
    expect(lines(page)).to_have_count(300)
    expect(lines(page).first).to_have_text("line 20")
    older.click()
    expect(lines(page)).to_have_count(320)
    expect(lines(page).first).to_have_text("line 0")
    expect(older).to_be_hidden()


def test_however_many_lines_come_while_somebody_reads_back_none_is_missing_between(hall: Hall, new_page: Pages) -> None:
    (ada,) = hall.join("Ada")
    ada.say(*(f"line {i}" for i in range(320)))
    page = enter(new_page, hall, "Grace")
    show_chat(page)
    page.get_by_role("button", name="Older lines").click()
    expect(lines(page).first).to_have_text("line 20")
    page.locator(".wslive-scroller").evaluate("(scroller) => { scroller.scrollTop = 0; }")
    ada.say(*(f"line {i}" for i in range(320, 1520)))  # more than the page keeps
    expect(page.get_by_text("line 1519", exact=True)).to_be_attached()
    shown = lines(page).all_text_contents()
    assert shown == [f"line {i}" for i in range(1520 - len(shown), 1520)]
    page.get_by_role("button", name="Older lines").click()
    expect(page.get_by_text(f"line {1520 - len(shown) - 100}", exact=True)).to_be_attached()
    more = lines(page).all_text_contents()
    assert more == [f"line {i}" for i in range(1520 - len(more), 1520)]


def test_lines_that_came_while_nobody_could_see_them_are_there_when_somebody_looks(hall: Hall, new_page: Pages) -> None:
    (ada,) = hall.join("Ada")
    page = enter(new_page, hall, "Grace")
    show_chat(page)
    ada.say("one")
    expect(lines(page)).to_have_text(["one"])
    page.get_by_role("button", name="Question").click()
    ada.say("two")
    expect(page.get_by_role("button", name="Chat, 1 new line")).to_be_visible()
    show_chat(page)
    expect(lines(page)).to_have_text(["one", "two"])


def test_hidden_and_muted_lines_disappear(hall: Hall, new_page: Pages) -> None:
    ada, kim = hall.join("Ada", "Kim")
    line = ada.say("hide me")
    kim.say("mute me")
    ada.say("keep me")
    page = enter(new_page, hall, "Grace")
    show_chat(page)
    expect(lines(page)).to_have_count(3)
    hall.host.command(CHAT, "hide_line", {"line": line})
    hall.host.command(0, "mute", {"person": kim.actor})
    expect(lines(page)).to_have_text(["keep me"])


@pytest.mark.parametrize(
    ("mode", "paused", "told", "may_write"),
    [
        ("on", True, "The host has paused the chat for a moment.", False),
        ("off", False, "The host has switched the chat off. Earlier lines are hidden.", False),
        ("to_host", False, "Only the host reads what you write.", True),
    ],
)
def test_what_the_host_allows_in_the_chat_is_told(
    hall: Hall, new_page: Pages, mode: str, paused: bool, told: str, may_write: bool
) -> None:
    page = enter(new_page, hall, "Grace")
    show_chat(page)
    hall.host.command(CHAT, "set_chat", {"mode": mode, "paused": paused})
    expect(page.get_by_text(told)).to_be_visible()
    field = page.get_by_label("Your line")
    if not may_write:
        expect(field).to_be_disabled()
        return
    field.fill("for your eyes")
    page.keyboard.press("Enter")
    expect(page.locator(".wslive-line")).to_contain_text("only the host reads this")


def test_somebody_muted_is_told(hall: Hall, new_page: Pages) -> None:
    page = enter(new_page, hall, "Grace")
    show_chat(page)
    (actor,) = hall.host.view["people"]["names"]
    hall.host.command(0, "mute", {"person": actor})
    expect(page.get_by_text("The host has muted you")).to_be_visible()


def test_a_refused_line_goes_back_to_where_it_was_typed(hall: Hall, new_page: Pages) -> None:
    page = enter(new_page, hall, "Grace")
    show_chat(page)
    page.get_by_label("Your line").fill("\u200b\u200b")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="The line is empty.")).to_be_visible()
    expect(page.get_by_label("Your line")).to_have_value("\u200b\u200b")
    hall.host.command(CHAT, "set_chat", {"mode": "to_host", "paused": False})
    expect(page.get_by_text("Only the host reads what you write.")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="The line is empty.")).to_have_count(0)


def test_text_from_people_is_never_markup(hall: Hall, new_page: Pages) -> None:
    attack = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    hall.poll(attack, [attack, "b"])
    (ada,) = hall.join(attack[:40])
    ada.say(attack)
    page = enter(new_page, hall, "Grace")
    expect(page.get_by_role("heading", level=2)).to_have_text(attack)
    expect(option(page, attack)).to_be_visible()
    show_chat(page)
    expect(lines(page)).to_have_text([attack])
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("body script").count() == 0


# ── secret polls ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_secret_question_says_so_and_forgets_who_answered_what(hall: Hall, new_page: Pages) -> None:
    poll = hall.poll("Who is to speak for us?", ["Ada", "Bob"], secret=True)
    page = enter(new_page, hall, "Ada")
    expect(page.get_by_text("Secret: once the poll is closed, nobody can see who answered what")).to_be_visible()
    option(page, "Bob").click()
    expect(page.get_by_text("Counted", exact=True)).to_be_visible()
    expect(page.get_by_text("1 of 1 answered")).to_be_visible()
    page.reload()
    expect(option(page, "Bob")).to_have_attribute("aria-pressed", "true")
    assert accessibility_violations(page) == []
    hall.host.command(poll, "close")
    expect(page.get_by_text("Secret: nobody can see who answered what, not even the host.")).to_be_visible()
    expect(option(page, "Bob")).to_have_attribute("aria-pressed", "false")
    expect(option(page, "Bob")).to_contain_text("100 %")
    expect(page.get_by_text("Counted", exact=True)).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="Sorting 101")).to_be_visible()
    kept = page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")
    assert not re.search(r"\bBob\b", kept)  # within a word: a token has any letters


@pytest.mark.parametrize("is_restarted", [False, True], ids=["the server goes on", "the server starts again"])
def test_a_secret_answer_whose_confirmation_was_lost_is_told_what_can_be_known(
    hall: Hall, new_page: Pages, is_restarted: bool
) -> None:
    poll = hall.poll("Who is to speak for us?", ["Ada", "Bob"], secret=True)
    wire = hall.wire()
    page = enter(new_page, hall, "Ada", f"{wire.url}/r/{hall.code}")
    expect(option(page, "Bob")).to_be_visible()
    wire.swallows_answers = True
    option(page, "Bob").click()
    hall.host.wait_for(lambda view: view["activities"][str(poll)]["tally"]["answered"] == 1)
    expect(page.get_by_text("Sending …")).to_be_visible()
    hall.host.command(poll, "close")
    wire.swallows_answers = False
    if is_restarted:
        hall.stop()
        hall.start()
    hall.cut(wire)
    expect(option(page, "Bob")).to_contain_text("100 %", timeout=60_000)
    expect(page.get_by_text("Sending …")).to_have_count(0)
    expect(page.get_by_text("Not counted")).to_have_count(0)
    # A server that goes on has the confirmation still, and gives it again.
    told = page.get_by_text("If your answer arrived before that, it counts")
    expect(told).to_have_count(1 if is_restarted else 0)


def test_without_its_key_a_secret_question_takes_no_answers_and_says_why(
    hall: Hall, new_page: Pages, tmp_path: Path
) -> None:
    poll = hall.poll("Who is to speak for us?", ["Ada", "Bob"], secret=True)
    (ada,) = hall.join("Ada")
    ada.vote(poll, "o2")
    hall.stop()
    for key in (tmp_path / "secret.boxes").iterdir():
        key.unlink()
    hall.start()
    page = enter(new_page, hall, "Bob")
    expect(page.get_by_role("alert").filter(has_text="the host has to ask again")).to_be_visible()
    expect(option(page, "Bob")).to_have_attribute("aria-disabled", "true")
    hall.host.command(poll, "start_round")
    expect(option(page, "Bob")).not_to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("alert").filter(has_text="ask again")).to_have_count(0)
