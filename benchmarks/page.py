"""The audience page: drawn frames a second, and memory, while chat lines and tallies pour in.

A Chromium without a screen, the size of a phone, follows a room on a real server that is told to send 200 deltas a
second instead of 20: each brings a new tally, and most of them lines. Frames are those of `requestAnimationFrame`; the
memory is the JavaScript heap after a collection, when half of the lines have come and when all have. The browser has
a core of its own, and draws by software; server and load share the other one. While the first half of the lines comes
the page shows the question, and then the chat.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from playwright.sync_api import Page

from benchmarks import machine, servers
from benchmarks.load import Sent
from benchmarks.people import Hall, command, new_ref
from benchmarks.report import Row, Run, Setup, repeat, spread
from benchmarks.votes import OPTIONS, TEXTS, Views
from tests.end_to_end.browser import running_chromium

LINES = 10_000
_LINES_PER_S = 500
_VOTES_PER_S = 500
_TICKS_PER_S = 200
_PEOPLE = 50

COUNT_FRAMES = """() => {
    window.drawnFrames = 0;
    const count = () => { window.drawnFrames += 1; requestAnimationFrame(count); };
    requestAnimationFrame(count);
}"""


def poured(setup: Setup) -> list[Row]:
    """Lines and tallies into the page."""
    repeated = repeat(setup, {"wslive": lambda: _pour(setup)})
    row = repeated.row(
        "page",
        f"the phone page with {LINES:,} chat lines and {_TICKS_PER_S} tally frames a second: drawn frames/s",
        "drawn/s",
        aim="≥ 50 frames/s, no growing heap",
        note=f"with the question shown {spread(repeated.figures('wslive', 'question drawn/s'))}, with the chat "
        f"{spread(repeated.figures('wslive', 'chat drawn/s'))}; "
        f"frames with new tallies that came: {spread(repeated.figures('wslive', 'deltas/s'))}/s; heap "
        f"{spread(repeated.figures('wslive', 'heap half MB'))} MB after half of the lines, "
        f"{spread(repeated.figures('wslive', 'heap end MB'))} MB after all",
    )
    growth_mb = repeated.median("wslive", "heap end MB") - repeated.median("wslive", "heap half MB")
    row.is_reached = statistics.median(row.ours) >= 50 and growth_mb <= 1.0
    return [row]


def _pour(setup: Setup) -> Run:
    # The browser keeps the core that it is started on.
    with running_chromium() as browser:
        machine.pin(setup.server_core)
        try:
            with servers.wslive(setup.server_core, tick_ms=1e3 / _TICKS_PER_S) as server:
                hall = Hall(server, _PEOPLE)
                hall.load.rest()
                poll, chat = hall.open_poll(TEXTS), hall.chat()
                page = browser.new_context(viewport={"width": 360, "height": 740}).new_page()
                page.goto(f"{server.url}/r/{hall.code}")
                page.get_by_label("Your name").fill("Grace")
                page.get_by_role("button", name="Join").click()
                page.get_by_role("button", name="merge").wait_for()
                hall.settle()
                page.evaluate(COUNT_FRAMES)
                drawn: list[float] = []
                came = 0.0
                heaps_mb = []
                for half, tab in enumerate(("Question", "Chat")):
                    page.get_by_role("navigation").get_by_role("button", name=tab).click()
                    drawn_per_s, deltas_per_s = _half(page, hall, poll, chat, half * LINES // 2)
                    drawn.append(drawn_per_s)
                    came += deltas_per_s / 2
                    heaps_mb.append(_heap_mb(page))
                last = f"line-{LINES - 1:07d}"
                page.get_by_text(last).first.wait_for(state="attached")
                page.context.close()
                hall.close()
        finally:
            machine.pin(setup.load_core)
    return Run(
        {
            "drawn/s": min(drawn),
            "question drawn/s": drawn[0],
            "chat drawn/s": drawn[1],
            "deltas/s": came,
            "heap half MB": heaps_mb[0],
            "heap end MB": heaps_mb[1],
        }
    )


def _half(page: Page, hall: Hall, poll: int, chat: int, first: int) -> tuple[float, float]:
    """Half of the lines, with votes between them; drawn frames and deltas a second."""
    hall.load.restart()
    payloads = []
    for number in range(first, first + LINES // 2):
        vote = {"round": 1, "options": [OPTIONS[number % 5]]}
        payloads.append(command(new_ref(), chat, "say", {"text": f"line-{number:07d} why not heap?"}))
        payloads.append(command(new_ref(), poll, "cast_vote", vote))
    sent = Sent([1 + n // 2 % _PEOPLE for n in range(len(payloads))], payloads, _LINES_PER_S + _VOTES_PER_S)
    before, began_s = page.evaluate("() => window.drawnFrames"), time.perf_counter()
    hall.load.run(sent)
    drawn, took_s = page.evaluate("() => window.drawnFrames") - before, time.perf_counter() - began_s
    views = Views(hall.load)
    hall.load.until(lambda: views.have_all(len(payloads)), "everything is acked")
    assert not views.refused, views.refused[0]
    return drawn / took_s, len({(from_, to) for _, from_, to in views.deltas}) / took_s


def _heap_mb(page: Page) -> float:
    tools: Any = page.context.new_cdp_session(page)
    tools.send("HeapProfiler.enable")
    tools.send("HeapProfiler.collectGarbage")
    used: float = tools.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    tools.detach()
    return used
