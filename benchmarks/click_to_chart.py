"""From a vote to the chart in somebody else's browser, beside a FigureWidget that is driven at the same rate.

    .venv/bin/python -m benchmarks.click_to_chart [--seconds 6]

One run, one machine, one after the other: a JupyterLab with wslive in its server, a Chromium without a screen, and
people who vote from this process. Prints milliseconds from a vote's sending until the end of the first drawing that
has it, and for eight charts at once the time and the bytes until all are drawn, at first and after a reload.

A drawing counts for what the page had been told when it was last woken, so what came during the drawing counts for
the next one. All clocks are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import tempfile
import time
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as NeverDrawn

from tests.end_to_end.browser import running_chromium
from tests.end_to_end.jupyter import JupyterServer
from tests.end_to_end.lab import Lab
from wslive.client import passes
from wslive.client.background import background
from wslive.client.connection import Connection
from wslive.server.settings import ServerSettings


class JupyterLab(JupyterServer):
    """A JupyterLab with wslive in its server."""

    program = Lab.program


RATES_PER_S = (1, 30, 200)
CHARTS = 8
PATIENCE_S = 40

HOST = "import wslive\nroom = wslive.host({title!r})\nprint(room.link)"
POLL = "poll = room.poll('Which sort is stable?', ['quick', 'merge', 'heap'])\npoll"
FIGURE = """\
import json, threading, time
import plotly.graph_objects as go
figure = go.FigureWidget(go.Bar(x=["quick", "merge", "heap"], y=[0, 0, 0]))
figure"""
DRIVE = """\
sent = []
def drive(rate, seconds):
    began = time.time()
    for n in range(1, int(rate * seconds) + 1):
        time.sleep(max(0, began + n / rate - time.time()))
        sent.append(time.time())
        figure.data[0].y = [n, 0, 0]
worker = threading.Thread(target=drive, args=({rate}, {seconds})); worker.start(); worker.join()
print(json.dumps(sent))"""
POLLS = """\
polls = [room.poll(f"Question {{n}}", ["a", "b", "c"], keep_open=True) for n in range({charts})]
ipywidgets.VBox([poll.widget for poll in polls])"""
FIGURES = """\
ipywidgets.VBox([go.FigureWidget(go.Bar(x=["a", "b", "c"], y=[n, 1, 2])) for n in range({charts})])"""
# What is there before the clock starts: the packages are loaded, and the room is open.
READY = {
    "wslive": "import ipywidgets, wslive\nroom = wslive.host('eight', new=True)",
    "FigureWidget": "import anywidget, ipywidgets\nimport plotly.graph_objects as go",
}
# What a drawing shows: for a poll, how far its connection was when the views were last told.
WATCH = """(isPoll) => {
    const chart = document.querySelector('.js-plotly-plot');
    const now = () => performance.timeOrigin + performance.now();
    window.drawn = [];
    if (!isPoll) return chart.on('plotly_afterplot', () => drawn.push([now(), Number(chart._fullData[0].y[0])]));
    const [connection] = globalThis[Symbol.for('wslive.connections.1')].values();
    let told = 0;
    connection.subscribers.add(() => (told = connection.position.offset));
    chart.on('plotly_afterplot', () => drawn.push([now(), told]));
}"""
# In each page from its beginning: when the notebook's cells were there, and when all charts were drawn. A frame later
# than what it sees: it is called before a frame is painted.
LOOK = """
window.seen = {};
const look = () => {
    const now = performance.timeOrigin + performance.now();
    if (document.querySelector('.jp-Notebook .jp-Cell')) seen.cells ??= now;
    seen.drawn = [...document.querySelectorAll('.js-plotly-plot')].filter((chart) => chart._fullData).length;
    if (seen.drawn >= %d) seen.charts = now;
    else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
SEEN = "() => ({...seen, opened: performance.timeOrigin})"


def delays_ms(sent: list[tuple[float, int]], drawn: list[tuple[float, int]]) -> list[float]:
    """For each thing sent (when in s, which) how long until the first drawing (when in ms, which) that has it."""
    shown = [which for _, which in drawn]
    # A later drawing never shows less.
    assert shown == sorted(shown)
    found = ((at_s, bisect_left(shown, which)) for at_s, which in sent)
    return [drawn[place][0] - at_s * 1000 for at_s, place in found if place < len(drawn)]


def described(delays: list[float], sent: int) -> str:
    """Median, 95th percentile, and how many were never seen."""
    if len(delays) < 2:
        return "nothing drawn"
    p95 = statistics.quantiles(delays, n=20)[-1]
    return f"p50 {statistics.median(delays):8.1f} ms   p95 {p95:8.1f} ms   never drawn {sent - len(delays)}"


async def vote(server: str, code: str, poll: int, rate: float, seconds: float) -> list[tuple[float, int]]:
    """Votes at a rate from as many people as that takes; when each was sent, and its offset."""
    people = [Connection(server, code, name=f"Voter {n} (synthetic)") for n in range(max(2, int(rate / 2)))]
    await asyncio.gather(*(person.open() for person in people))

    async def one(person: Connection, n: int) -> tuple[float, int]:
        at_s = time.time()
        return at_s, await person.command(poll, "cast_vote", {"round": 1, "options": [f"o{n % 3 + 1}"]}, timeout_s=60)

    began = time.time()
    votes = []
    for n in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + n / rate - time.time()))
        votes.append(asyncio.create_task(one(people[n % len(people)], n // len(people))))
    sent = list(await asyncio.gather(*votes))
    await asyncio.gather(*(person.close() for person in people))
    return sent


def measure_votes(lab: Lab, page: Page, title: str, rate: float, seconds: float) -> str:
    """One poll, one rate."""
    lab.write_notebook(f"{title}.ipynb", [HOST.format(title=title), POLL])
    notebook = lab.open(page, f"{title}.ipynb")
    notebook.run_all()
    server, code = notebook.text(0).split()[-1].rsplit("/r/", 1)
    notebook.wait_for_chart(1, [0, 0, 0])
    page.evaluate(WATCH, True)
    poll = int(notebook.run("print(poll.id)"))
    sent = background().run(vote(server, code, poll, rate, seconds), seconds + 120)
    return described(delays_ms(sent, settled(page)), len(sent))


def measure_figure(lab: Lab, page: Page, title: str, rate: float, seconds: float) -> str:
    """One FigureWidget, one rate."""
    lab.write_notebook(f"{title}.ipynb", [FIGURE])
    notebook = lab.open(page, f"{title}.ipynb")
    notebook.run_all()
    notebook.wait_for_chart(0, [0, 0, 0])
    page.evaluate(WATCH, False)
    times = json.loads(notebook.run(DRIVE.format(rate=rate, seconds=seconds), timeout_s=seconds + 60))
    sent = [(at_s, n) for n, at_s in enumerate(times, 1)]
    return described(delays_ms(sent, settled(page)), len(sent))


def settled(page: Page) -> list[tuple[float, int]]:
    """What was drawn, once nothing more comes."""
    before = -1
    while (now := page.evaluate("() => drawn.length")) != before:
        before = now
        page.wait_for_timeout(2_000)
    return [(at_ms, which) for at_ms, which in page.evaluate("() => drawn")]


@dataclass
class Shown:
    """All charts, shown once.

    Attributes:
        took_s: From the run of their cell, or in a reloaded page from when it had the notebook's cells, until all were
            drawn; None where they were not after PATIENCE_S.
        page_s: What a reloaded page took until it had the notebook's cells.
        drawn: How many charts were.
        megabytes: What the page received for them.
    """

    took_s: float | None
    page_s: float
    drawn: int
    megabytes: float

    def __str__(self) -> str:
        took = f"{self.took_s:6.2f} s" if self.took_s is not None else f"not within {PATIENCE_S} s ({self.drawn} drawn)"
        page = f"   after {self.page_s:.2f} s of JupyterLab's own" if self.page_s else ""
        return f"{took}  {self.megabytes:7.2f} MB{page}"


def compared(when: str, ours: list[Shown], theirs: list[Shown]) -> str:
    """How much more FigureWidgets take, by medians; what was never drawn took PATIENCE_S at least."""

    def median_s(shows: list[Shown]) -> float:
        return statistics.median(PATIENCE_S if one.took_s is None else one.took_s for one in shows)

    time_s = median_s(theirs) / median_s(ours)
    size = statistics.median(one.megabytes for one in theirs) / statistics.median(one.megabytes for one in ours)
    return f"{when}: wslive takes 1/{time_s:.1f} of a FigureWidget's time and 1/{size:.0f} of its bytes"


class Received:
    """The bytes that a page receives for what its cells show.

    All WebSocket messages, and the files below wslive/ as they come over the wire: compressed, and nothing where the
    browser has them already. JupyterLab's own files are no part of it: a FigureWidget has plotly.js in its messages.
    """

    def __init__(self, page: Page) -> None:
        self.count = 0
        self._ours: set[str] = set()
        wire = page.context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on("Network.requestWillBeSent", self._begun)
        wire.on("Network.loadingFinished", self._finished)
        page.on("websocket", lambda socket: socket.on("framereceived", self._frame))

    def _begun(self, event: dict[str, Any]) -> None:
        if "/wslive/" in event["request"]["url"]:
            self._ours.add(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self._ours:
            self.count += int(event["encodedDataLength"])

    def _frame(self, payload: str | bytes) -> None:
        self.count += len(payload)


def measure_charts(lab: Lab, browser: Browser, name: str, show: str) -> tuple[Shown, Shown]:
    """Charts in one cell: the first show, and a reload of the page."""
    page = browser.new_context().new_page()
    page.add_init_script(LOOK % CHARTS)
    received = Received(page)
    lab.write_notebook(f"eight-{name}.ipynb", [READY[name], show])  # without what was saved in it before
    notebook = lab.open(page, f"eight-{name}.ipynb")
    notebook.run_cell(0)
    received.count, began_ms = 0, time.time() * 1000
    notebook.start_cell(1)
    first = shown(page, received, began_ms)
    notebook.save()
    received.count = 0
    page.reload(wait_until="commit")
    reload = shown(page, received, None)
    page.context.close()
    return first, reload


def shown(page: Page, received: Received, began_ms: float | None) -> Shown:
    """Wait for the charts; without a beginning, from the notebook's cells on."""
    with suppress(NeverDrawn):
        page.wait_for_function("() => seen.charts", timeout=PATIENCE_S * 1000)
    seen = page.evaluate(SEEN)
    since_ms = seen["cells"] if began_ms is None else began_ms
    took_s = (seen["charts"] - since_ms) / 1000 if "charts" in seen else None
    page_s = (seen["cells"] - seen["opened"]) / 1000 if began_ms is None else 0.0
    return Shown(took_s, page_s, seen["drawn"], received.count / 1e6)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="for how long each rate is kept up; 0: eight charts only"
    )
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, running_chromium() as browser:
        with JupyterLab(Path(folder) / "user") as lab:
            passes.keep(lab.running["url"], lab.running["hosting_token"])
            limit = ServerSettings().vote_rate
            print(f"A vote until it is drawn elsewhere; {seconds:g} s each, at most {limit.per_s:g} votes/s a person")
            for rate in RATES_PER_S if seconds else ():
                for how in ("direct", "fallback", "FigureWidget"):
                    page = browser.new_context().new_page()
                    if how == "fallback":
                        page.route_web_socket(re.compile("/wslive/ws"), lambda socket: socket.close())
                    measure = measure_figure if how == "FigureWidget" else measure_votes
                    print(
                        f"{rate:4} a second  {how:12} {measure(lab, page, f'{how}-{rate}', rate, seconds)}", flush=True
                    )
                    page.context.close()
                    lab.shut_down_kernels()
            print(f"\n{CHARTS} live charts")
            shows = {"wslive": POLLS, "FigureWidget": FIGURES}
            found: dict[tuple[str, str], list[Shown]] = {}
            for name in ("wslive", "FigureWidget", "wslive", "wslive"):
                both = measure_charts(lab, browser, name, shows[name].format(charts=CHARTS))
                for when, one in zip(("first", "reload"), both, strict=True):
                    print(f"{name:14} {when:8} {one}", flush=True)
                    found.setdefault((name, when), []).append(one)
                lab.shut_down_kernels()
            for when in ("first", "reload"):
                print(compared(when, found["wslive", when], found["FigureWidget", when]))


if __name__ == "__main__":
    main()
