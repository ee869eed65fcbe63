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
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as NeverDrawn

from tests.end_to_end.browser import running_chromium
from tests.end_to_end.jupyter import JupyterServer
from tests.end_to_end.lab import Lab, Notebook
from wslive.client import passes
from wslive.client.background import background
from wslive.client.connection import Connection
from wslive.server.settings import ServerSettings


class JupyterLab(JupyterServer):
    """A JupyterLab with wslive in its server."""

    program = Lab.program


RATES_PER_S = (1, 30, 200)
CHARTS = 8

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
EIGHT_POLLS = """\
import ipywidgets
polls = [room.poll(f"Question {{n}}", ["a", "b", "c"], keep_open=True) for n in range({charts})]
ipywidgets.VBox([poll.widget for poll in polls])"""
EIGHT_FIGURES = """\
import ipywidgets
import plotly.graph_objects as go
ipywidgets.VBox([go.FigureWidget(go.Bar(x=["a", "b", "c"], y=[n, 1, 2])) for n in range({charts})])"""

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
DRAWN = "(count) => [...document.querySelectorAll('.js-plotly-plot')].filter((c) => c._fullData).length >= count"


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


def measure_eight(lab: Lab, browser: Browser, title: str, cells: list[str]) -> list[tuple[float, float]]:
    """Eight charts: (seconds, megabytes) for the first show and for a reload."""
    page = browser.new_context().new_page()
    received = [0]

    def count(payload: Any) -> None:
        received[0] += len(payload)

    # What came over the wire: compressed, and nothing where the browser had it already.
    ours: set[str] = set()
    wire = page.context.new_cdp_session(page)

    def begun(event: dict[str, Any]) -> None:
        # JupyterLab's own pages are no part of this.
        if "/wslive/" in event["request"]["url"]:
            ours.add(event["requestId"])

    def finished(event: dict[str, Any]) -> None:
        if event["requestId"] in ours:
            received[0] += int(event["encodedDataLength"])

    wire.send("Network.enable")
    wire.on("Network.requestWillBeSent", begun)
    wire.on("Network.loadingFinished", finished)
    page.on("websocket", lambda socket: socket.on("framereceived", count))
    lab.write_notebook(f"{title}.ipynb", cells)
    notebook = lab.open(page, f"{title}.ipynb")
    found = []
    received[0], began = 0, time.monotonic()
    notebook.run_all()
    for _ in range(2):
        try:
            page.wait_for_function(DRAWN, arg=CHARTS, timeout=90_000)
        except NeverDrawn:
            found.append((float("inf"), received[0] / 1e6))
        else:
            found.append((time.monotonic() - began, received[0] / 1e6))
        notebook.save()
        received[0], began = 0, time.monotonic()
        page.reload()
        Notebook(page).wait_ready()
    page.context.close()
    return found


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
            cells = {
                "wslive": [HOST.format(title="eight"), EIGHT_POLLS.format(charts=CHARTS)],
                "FigureWidget": [EIGHT_FIGURES.format(charts=CHARTS)],
            }
            for name, sources in cells.items():
                shows = measure_eight(lab, browser, f"eight-{name}", sources)
                for when, (took_s, megabytes) in zip(("first", "reload"), shows, strict=True):
                    print(f"{name:14} {when:8} {took_s:6.1f} s  {megabytes:7.2f} MB", flush=True)
                lab.shut_down_kernels()


if __name__ == "__main__":
    main()
