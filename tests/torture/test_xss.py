"""Texts that want to be code, everywhere that people's texts are shown: page, projector, notebook, charts, exports.

The payloads are in xss_payloads.txt. Each of them goes through names, chat lines, questions, options and room titles.
Nothing may run, nothing may be made of them but text, and nothing may be asked of another host.
"""

import asyncio
import csv
import io
import subprocess
import sys
import unicodedata
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.end_to_end.browser import Pages
from tests.end_to_end.hall import CHAT, Hall
from tests.end_to_end.lab import Lab
from tests.torture.figures import Figures, Form
from wslive.client.background import Background
from wslive.client.connection import Connection
from wslive.core.errors import NotAllowed
from wslive.core.text import MAX_NAME_CHARS, MAX_OPTION_CHARS, MAX_QUESTION_CHARS, MAX_TITLE_CHARS, clean
from wslive.server.settings import Rate

FILE = Path(__file__).with_name("xss_payloads.txt")
FIRST_POLL = 3
UNHURRIED = Rate(1e6, 1e6)
INVISIBLE = "a\u202eb\u2066c\u200bd\u200de\ufefff\u0007g\u0000h\u001bi\u00adj\u2028k\u3164l\u2800m"
"""Bidirectional, zero-width, control, blank and other characters that are not seen."""


def payloads() -> list[str]:
    """All of them."""
    lines = FILE.read_text("utf-8").splitlines()
    found = [line.removeprefix("\\#").replace("\\e", "\x1b") for line in lines if line and not line.startswith("#")]
    assert len(found) >= 100
    return found


def packed(texts: list[str], max_chars: int) -> list[str]:
    """The same in as few texts of at most so many characters; what is longer by itself is cut."""
    made = [""]
    for text in texts:
        joined = f"{made[-1]} {text}".strip()
        if len(clean(joined, max_chars=10_000, what="It")) <= max_chars:
            made[-1] = joined
        else:
            made.append(clean(text, max_chars=10_000, what="It")[:max_chars])
    return [text for text in made if text]


def names() -> list[str]:
    """Each payload as a name, as far as it fits; those that begin alike are one."""
    return list(dict.fromkeys(clean(text, max_chars=10_000, what="It")[:MAX_NAME_CHARS].strip() for text in payloads()))


# Runs before anything else in every frame; the page's policy does not forbid what the browser's driver adds.
WATCH = """() => {
    const seen = (window.__seen = []);
    let pwned = 0;
    Object.defineProperty(window, '__pwned', { get: () => pwned, set: (v) => { pwned = v; seen.push('code ran'); } });
    let isPlotlysFirst = true;  // it brings a style for maps, once, which the policy of the projector refuses
    document.addEventListener('securitypolicyviolation', (e) => {
        const isPlotly = (e.sourceFile ?? '').endsWith('/static/plotly.min.js');
        if (isPlotly && isPlotlysFirst && e.violatedDirective === 'style-src-elem') return (isPlotlysFirst = false);
        seen.push(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`);
    });
}"""

# What was made of a payload, in the document and in every shadow root of it.
MADE = """() => {
    const found = [];
    const look = (root) => {
        for (const e of root.querySelectorAll('*')) {
            const name = e.localName;
            if (name.startsWith('pwn') || e.hasAttribute('pwn')) found.push(`<${name} pwn>`);
            // JupyterLab makes links of addresses in plain text that a cell prints, as they stand there.
            if (name === 'a' && e.closest('.jp-RenderedText') && e.getAttribute('href') === e.textContent) continue;
            for (const a of e.attributes) {
                const value = a.value.toLowerCase();
                if (/^on/i.test(a.name) && value.includes('__pwned')) found.push(`${name} ${a.name}`);
                if (['href', 'src', 'action', 'data', 'srcdoc', 'xlink:href', 'srcset', 'formaction', 'style']
                        .includes(a.name) && /__pwned|evil\\.example|javascript:/.test(value)) {
                    found.push(`${name} ${a.name}=${a.value.slice(0, 80)}`);
                }
            }
            if (['script', 'style'].includes(name) && /__pwned|evil\\.example/.test(e.textContent)) {
                found.push(`<${name}> ${e.textContent.slice(0, 80)}`);
            }
            if (e.shadowRoot) look(e.shadowRoot);
        }
    };
    look(document);
    return found;
}"""

HOVER = "(i) => Plotly.Fx.hover(document.querySelector('.js-plotly-plot'), [{ curveNumber: 0, pointNumber: i }])"
SEEN = "() => { document.querySelector('.js-plotly-plot').dataset.seen = 'yes'; }"
BARS = "() => document.querySelector('.js-plotly-plot:not([data-seen])')?.calcdata?.[0]?.length ?? 0"
TEXT = "() => document.body.innerText"


class Oracle:
    """What a page was led to do."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.dialogs: list[str] = []
        self.asked: list[str] = []
        context.add_init_script(f"({WATCH})()")
        context.on("dialog", self._dialog)
        context.on("request", self._request)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if any(mark in request.url for mark in ("evil.example", "pwn", "javascript:")):
            self.asked.append(request.url)

    def check(self, page: Page, shown: Iterable[str] = ()) -> None:
        """Fail if anything of the payloads has become more than text; `shown` has to be there as text."""
        assert page.evaluate("() => window.__seen") == []
        assert page.evaluate("() => window.__pwned") == 0
        assert page.evaluate(MADE) == []
        assert self.dialogs == []
        assert self.asked == []
        text = " ".join(page.evaluate(TEXT).split())
        missing = [what for what in shown if " ".join(what.split()) not in text]
        assert missing == []
        strange = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs") or char == "\u3164"}
        assert strange <= {"\u00ad", "\u200b"}, strange  # JupyterLab's own


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    rates = dict.fromkeys(("vote_rate", "line_rate", "name_rate", "host_rate", "read_rate"), UNHURRIED)
    hall = Hall(tmp_path, title=packed(payloads(), MAX_TITLE_CHARS)[0], **rates)
    yield hall
    hall.close()


async def all_at_once(asked: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    return await asyncio.gather(*asked)


async def come(server: str, code: str) -> list[Connection]:
    """Everybody with a payload for a name."""
    people = [Connection(server, code, name=name) for name in names()]
    for start in range(0, len(people), 20):
        await all_at_once(person.open() for person in people[start : start + 20])
    return people


def vote(person: Connection, poll: int, i: int) -> Coroutine[Any, Any, int]:
    return person.command(poll, "cast_vote", {"round": 1, "options": [f"o{i % 2 + 1}"]})


def fill(hall: Hall) -> list[int]:
    """Every payload as a name, a line, in a question and in an option; returns the polls."""
    people = hall.run(come(hall.url, hall.code))
    hall.people += people
    hall.run(
        all_at_once(
            people[i % len(people)].command(CHAT, "say", {"text": text})
            for i, text in enumerate([*payloads(), INVISIBLE])
        )
    )
    hall.host.say("This is the host.")
    questions = packed(payloads(), MAX_QUESTION_CHARS)
    options = list(dict.fromkeys(packed(payloads(), MAX_OPTION_CHARS)))
    polls = []
    for i, question in enumerate(questions):
        mine = options[i :: len(questions)]
        polls.append(hall.poll(question, [*mine, "none of them", "or this"], keep_open=True))
    hall.run(all_at_once(vote(person, polls[i % len(polls)], i) for i, person in enumerate(people)))
    return polls


def texts_of(hall: Hall, poll: int) -> tuple[str, list[str]]:
    definition = hall.host.view["activities"][str(poll)]["definition"]
    return definition["question"], [option["text"] for option in definition["options"]]


def no_formula(texts: list[str]) -> list[str]:
    """Those that are shown as they were typed: formulas become MathML, and `\\$` is a dollar."""
    return [text for text in texts if "$" not in text and "\\$" not in text]


def test_on_the_page_and_the_projector(hall: Hall, new_page: Pages, form: Form, figures: Figures) -> None:
    polls = fill(hall)
    definitions = [texts_of(hall, poll) for poll in polls]
    hall.host.wait_for(lambda view: len(view["activities"][str(CHAT)]["lines"]) > len(payloads()))
    lines = [line["text"] for line in hall.host.view["activities"][str(CHAT)]["lines"].values()]

    page = new_page(viewport=(1300, 900))
    oracle = Oracle(page.context)
    page.goto(hall.link)
    expect(page.get_by_label("Your name")).to_be_visible()
    oracle.check(page, no_formula([hall.host.view["room"]["title"]]))
    page.get_by_label("Your name").fill(payloads()[0][:MAX_NAME_CHARS])
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    expect(page.locator(".wslive-line")).to_have_count(len(lines))
    question = no_formula([text for text, _ in definitions])
    oracle.check(page, [*lines, *no_formula([t for _, options in definitions for t in options])])
    assert question
    # The name in the head, and in the form that changes it.
    page.locator(".wslive-me").click()
    page.locator("input[name=rename]").fill(payloads()[1][:MAX_NAME_CHARS])
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".wslive-rename")).to_be_hidden()
    # Dragged over, clicked into: what waits for a person waits in vain.
    for line in page.locator(".wslive-line-text").all()[-10:]:
        line.click()
    oracle.check(page)
    assert "".join(INVISIBLE[::2]) not in page.evaluate(TEXT)

    screen = new_page(viewport=(1920, 1080))
    watching = Oracle(screen.context)
    screen.goto(f"{hall.link}/screen")
    hovered = 0
    for poll, (_, options) in zip(polls, definitions, strict=True):
        hall.host.command(0, "set_stage", {"activity": poll})
        wait_for_bars(screen, len(options))
        for i in range(len(options)):
            screen.evaluate(HOVER, i)
            hovered += 1
        watching.check(screen)
        screen.evaluate(SEEN)
    figures(
        row=9,
        attack="audience page and projector",
        holds="Nothing runs, nothing is made of it but text, nothing is asked of another host, no policy is violated.",
        payloads=len(payloads()),
        names=len(names()),
        lines=len(lines),
        questions=len(polls),
        bars_hovered=hovered,
        ran=0,
    )


def wait_for_bars(page: Page, count: int) -> None:
    """Until Plotly has drawn so many, in a chart that was not seen before: each poll gets its own."""
    for _ in range(1200):
        drawn = page.evaluate(BARS)
        if drawn == count:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{drawn} bars, not {count}")


def test_as_a_title_on_the_join_page(hall: Hall, new_page: Pages, form: Form, figures: Figures) -> None:
    every = list(dict.fromkeys(packed(payloads(), MAX_TITLE_CHARS)))
    alone = [clean(text, max_chars=10_000, what="It")[:MAX_TITLE_CHARS].strip() for text in payloads()]
    titles = form.choose(every[:12], [*every, *alone])
    page = new_page()
    oracle = Oracle(page.context)
    for title in titles:
        code = hall.make_room(title)
        page.goto(f"{hall.url}/r/{code}")
        expect(page.get_by_label("Your name")).to_be_visible()
        oracle.check(page, [clean(title, max_chars=500, what="It")])
    figures(
        row=9,
        attack="room titles on the join page",
        holds="A title is text, in the page and in its tab.",
        titles=len(titles),
        ran=0,
    )


def test_names_that_look_like_the_hosts(hall: Hall, new_page: Pages) -> None:
    for name in ("Host", "H\u043est", "★ host ★", "Ho\u200bst"):
        with pytest.raises(NotAllowed, match="the host's"):
            hall.join(name)
    (eve,) = hall.join("Host of hosts")
    eve.say("I am the host")
    hall.host.say("I am")
    page = new_page()
    page.goto(hall.link)
    page.get_by_role("button", name="Join").click()
    expect(page.locator(".wslive-line")).to_have_count(2)
    badge = "e => getComputedStyle(e.querySelector('.wslive-name')).borderTopWidth"
    widths = [line.evaluate(badge) for line in page.locator(".wslive-line").all()]
    assert widths == ["0px", "1px"]


CELLS = [
    """\
import pathlib, wslive
import pandas
room = wslive.host({title!r}, new=True)
print(room.link)""",
    """\
texts = pathlib.Path({texts!r}).read_text("utf-8").split(chr(10))
polls = [room.poll(q, o.split(chr(9)), keep_open=True) for q, o in zip(texts[::2], texts[1::2])]
polls[0]""",
    "polls[1]",
    "room",
    "room.people",
    "room.chat",
    "polls[0].figure()",
    "room.votes_over_time(polls[0])",
    "room.people.to_frame()",
    "room.chat.to_frame()",
    "polls[0].to_frame(names=True)",
    "me = wslive.join(room.link, name={name!r}); me",
    "print(repr(room), list(room.people)[:3], polls[0].tally(), repr(polls[0]), repr(me))",
]


@contextmanager
def crowd(link: str, poll: int) -> Iterator[None]:
    """Everybody with a payload for a name, who says it and votes."""
    background = Background()
    server, code = link.rsplit("/r/", 1)
    people = background.run(come(server, code), 60)
    try:
        lines = [(people[i % len(people)], text) for i, text in enumerate(payloads())]
        background.run(all_at_once(p.command(CHAT, "say", {"text": text}) for p, text in lines), 60)
        background.run(all_at_once(vote(person, poll, i) for i, person in enumerate(people)), 60)
        yield
    finally:
        background.run(all_at_once(person.close() for person in people), 60)
        background.stop()


def test_in_a_notebook_and_what_is_exported_from_it(
    lab: Lab, new_page: Pages, chromium: Browser, tmp_path: Path, form: Form, figures: Figures
) -> None:
    questions = packed(payloads(), MAX_QUESTION_CHARS)
    options = list(dict.fromkeys(packed(payloads(), MAX_OPTION_CHARS)))
    of_polls = [[*options[i :: len(questions)], "none of them", "or this"] for i in range(len(questions))]
    texts = lab.notebooks / "texts.txt"
    rows = [row for q, o in zip(questions, of_polls, strict=True) for row in (q, "\t".join(o))]
    texts.write_text("\n".join(rows), "utf-8")
    title, name = packed(payloads(), MAX_TITLE_CHARS)[1], payloads()[2][:MAX_NAME_CHARS]
    # The payloads come from a file: in the notebook's own input they would be the host's own doing.
    given = tmp_path / "title.txt"
    given.write_text(f"{title}\n{name}", "utf-8")
    cells = [CELLS[0].replace("{title!r}", f"pathlib.Path({str(given)!r}).read_text('utf-8').split(chr(10))[0]")]
    cells += [cell.replace("{texts!r}", repr(str(texts))) for cell in CELLS[1:]]
    cells = [c.replace("{name!r}", f"pathlib.Path({str(given)!r}).read_text('utf-8').split(chr(10))[1]") for c in cells]
    lab.write_notebook("xss.ipynb", cells[:2])
    page = new_page(viewport=(1300, 2600))
    oracle = Oracle(page.context)
    host = lab.open(page, "xss.ipynb")
    host.run_all()
    link = host.text(0).split()[-1]
    with crowd(link, FIRST_POLL):
        for cell in cells[2:]:
            host.run_cell(host.append(cell))
            oracle.check(page)
        # Names and lines wait behind counters, since the notebook is on the beamer.
        for counter in page.locator(".wslive-counter").all():
            if counter.is_visible():
                counter.click()
        oracle.check(page)
    made = host.run(
        f"import pathlib; out = pathlib.Path({str(tmp_path)!r})\n"
        "print([polls[0].to_csv(out / 'votes.csv', names=True), room.chat.to_csv(out / 'lines.csv'), "
        "room.people.to_csv(out / 'people.csv')] and 'written')"
    )
    assert "written" in made
    host.run("[poll.close() for poll in polls]; room.end()")
    host.save()
    oracle.check(page)

    cells_checked = 0
    for file in ("votes.csv", "lines.csv", "people.csv"):
        for row in csv.reader(io.StringIO((tmp_path / file).read_text("utf-8-sig"))):
            for cell in row:
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")), (file, cell)
                cells_checked += 1

    subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", str(lab.notebooks / "xss.ipynb")],
        env=lab.env,
        check=True,
        capture_output=True,
    )
    context = chromium.new_context()
    exported = Oracle(context)
    # An exported page names scripts of a CDN; what it would do with them is not asked here, and nothing leaves.
    context.route(lambda url: not url.startswith("file:"), lambda route: route.abort())
    seen = context.new_page()
    seen.goto((lab.notebooks / "xss.html").as_uri())
    exported.check(seen)
    context.close()
    figures(
        row=9,
        attack="JupyterLab, nbconvert and CSV",
        holds="Nothing runs in cells, charts, frames or the exported page; no cell of a CSV file is a formula.",
        payloads=len(payloads()),
        cells=len(cells),
        people=len(names()),
        csv_cells=cells_checked,
        ran=0,
    )


@pytest.mark.parametrize(
    "text", ["<img pwn src=x onerror=__pwned=1>", "<a href='javascript:__pwned=1'>x</a>", "<b pwn>x"]
)
def test_what_is_looked_for_would_be_found(text: str, chromium: Browser) -> None:
    context = chromium.new_context()
    oracle, page = Oracle(context), context.new_page()
    page.goto("about:blank")
    oracle.check(page)
    page.evaluate("(html) => (document.body.innerHTML = html)", text)
    page.wait_for_timeout(100)
    with pytest.raises(AssertionError):
        oracle.check(page)
    context.close()
