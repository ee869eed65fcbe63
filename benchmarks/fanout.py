"""Fan-out: chat lines to a thousand people, beside servers that do nothing but pass bytes on.

wslive checks each line, syncs it to disk, acks it and puts it into everybody's view; ws and uWebSockets hand on what
came. Their lines have as many bytes on the wire as wslive's. A delivery is one line that came to one person; every
line has to come to everybody exactly once, or the run is worth nothing. Deliveries are told by second of CPU time of
the server, so a server that rests between lines is not punished for it.

Lines are sent by fifty people in turn: at a rate, where latency counts from when a line was due; or so many at a time,
the next one when one has come to everybody.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable

import numpy as np

from benchmarks import servers
from benchmarks.load import Load, Sent
from benchmarks.people import Hall, command, join_peer, new_ref
from benchmarks.report import Meter, Row, Run, Setup, repeat, spread
from wslive.cli.bench import percentile

PEOPLE = 1000
SPEAKERS = 50
_NUMBERED = re.compile(rb"line-(\d{7})")
_MARKER = "line-"


class Lines:
    """Measures lines from server to server; what the peers send is as long as what wslive sent last."""

    def __init__(self, setup: Setup, people: int = PEOPLE) -> None:
        """To so many people."""
        self._setup = setup
        self._people = people
        self.bytes_a_line = 300.0

    def wslive(self, *, rate_per_s: float = 0.0, window: int = 0, count: int = 0) -> Run:
        """One run of wslive."""
        with servers.wslive(self._setup.server_core) as server:
            hall = Hall(server, self._people, _MARKER)
            chat = hall.chat()
            hall.settle()

            def line(number: int) -> bytes:
                return command(new_ref(), chat, "say", {"text": f"line-{number:07d} why not heap?"})

            run = self._measure(hall.load, server.pid, line, rate_per_s, window, count)
            hall.close()
        self.bytes_a_line = run.figures["bytes/line"]
        return run

    def peer(self, name: str, *, rate_per_s: float = 0.0, window: int = 0, count: int = 0) -> Run:
        """One run of a peer."""
        with servers.peer(name, self._setup.server_core) as server:
            load = join_peer(server, self._people + 1, _MARKER)  # wslive's host is one more
            load.until_quiet()
            load.restart()

            def line(number: int) -> bytes:
                text = json.dumps({"type": "line", "text": f"line-{number:07d} "})
                return text.replace(' "}', " " + "x" * (round(self.bytes_a_line) - len(text)) + '"}').encode()

            run = self._measure(load, server.pid, line, rate_per_s, window, count)
            load.close()
        return run

    def _measure(
        self, load: Load, pid: int, line: Callable[[int], bytes], rate_per_s: float, window: int, count: int
    ) -> Run:
        count = count or round(rate_per_s * self._setup.seconds)
        sent = Sent(1 + np.arange(count) % SPEAKERS, [line(number) for number in range(count)], rate_per_s)
        problems = []
        with Meter(self._setup, pid, load) as meter:
            count = load.run(sent, window=window, max_s=self._setup.seconds if window else 60.0)
            try:
                load.until(lambda: load.completed >= count, "every line comes to everybody", hang_s=15.0)
            except TimeoutError as error:
                problems.append(str(error))
        records, payloads = load.records, load.payloads
        numbers = [[int(number) for number in _NUMBERED.findall(payload)] for payload in payloads]
        has_lines = np.array([len(found) for found in numbers])[records["payload"]] > 0
        records = records[has_lines]
        connections = len(load.sockets)
        deliveries = np.zeros(connections * count, "u1")
        latencies_ms = []
        line_bytes = 0
        at_ns = sent.at_ns
        for payload in np.unique(records["payload"]).tolist():
            same = records[records["payload"] == payload]
            line_bytes += len(payloads[payload]) * len(same)
            for number in numbers[payload]:
                deliveries[same["connection"].astype("i8") * count + number] += 1
                latencies_ms.append((same["at_ns"] - at_ns[number]) / 1e6)
        if not (deliveries == 1).all():
            problems.append(f"{(deliveries != 1).sum()} of {len(deliveries)} deliveries did not come once")
        latency_ms = np.concatenate(latencies_ms) if latencies_ms else np.zeros(0)
        server_s = meter.server.run_s
        return meter.run(
            {
                "deliveries/CPU s": len(latency_ms) / server_s,
                "lines/s": count / meter.server.took_s,
                "latency p50 ms": percentile(latency_ms.tolist(), 50),
                "latency p99 ms": percentile(latency_ms.tolist(), 99),
                "late p99 ms": 0.0 if window else percentile(sent.late_ms.tolist(), 99),
                "bytes/line": line_bytes / max(1, len(latency_ms)),
                "frames": len(records),
            },
            problems,
        )


def single(setup: Setup) -> list[Row]:
    """One line at a time, at a rate at which every line leaves at once in a frame of its own."""
    lines = Lines(setup)
    rate_per_s = 16.0  # fewer than ticks a second, so that no line waits for one
    repeated = repeat(
        setup,
        {
            "wslive": lambda: lines.wslive(rate_per_s=rate_per_s),
            "ws": lambda: lines.peer("ws", rate_per_s=rate_per_s),
            "ws, line after line": lambda: lines.peer("ws", window=1, count=4000),
        },
    )
    row = repeated.row(
        "single",
        f"fan-out of single lines ({rate_per_s:g} a second) to {PEOPLE:,} people, deliveries per server CPU second",
        "deliveries/CPU s",
        "ws",
        must="≥ 1.0× ws",
        aim="≥ 1.2×",
        note="ws sending line after line without a rest: "
        + spread(repeated.figures("ws, line after line", "deliveries/CPU s")),
    )
    row.is_reached = bool(row.ratio and row.ratio >= 1.0)
    return [row]


def waiting(setup: Setup) -> list[Row]:
    """With sixteen lines on their way at any time."""
    lines = Lines(setup)
    measured = {
        "wslive": lambda: lines.wslive(window=16, count=20_000),
        "ws": lambda: lines.peer("ws", window=16, count=4000),
    }
    if servers.has_peer("uws"):
        measured["uws"] = lambda: lines.peer("uws", window=16, count=20_000)
    repeated = repeat(setup, measured)
    row = repeated.row(
        "waiting",
        f"fan-out with 16 lines waiting, {PEOPLE:,} people, deliveries per server CPU second",
        "deliveries/CPU s",
        "ws",
        aim="≥ 5× ws; ≥ uWebSockets",
    )
    row.is_reached = bool(row.ratio and row.ratio >= 5)
    if "uws" in repeated.runs:
        theirs = repeated.median("uws", "deliveries/CPU s")
        row.is_reached = row.is_reached and statistics.median(row.ours) >= theirs
        row.note = f"uWebSockets: {spread(repeated.figures('uws', 'deliveries/CPU s'))}"
    else:
        row.note = "uWebSockets has no binary for this system"
    return [row]


def million(setup: Setup) -> list[Row]:
    """A thousand lines a second to a thousand people."""
    lines = Lines(setup)
    repeated = repeat(setup, {"wslive": lambda: lines.wslive(rate_per_s=1000.0)})
    shares = [100 * run.server_share for run in repeated.runs["wslive"]]
    row = repeated.row(
        "million",
        f"1,000 lines a second to {PEOPLE:,} people: delivery p99, ms",
        "latency p99 ms",
        aim="≤ 60 % of a core (30 %), p99 ≤ 60 ms",
        note=f"server {spread(shares)} % of a core; p50 {spread(repeated.figures('wslive', 'latency p50 ms'))} ms",
    )
    row.is_reached = statistics.median(row.ours) <= 60 and statistics.median(shares) <= 60
    return [row]


def latency(setup: Setup) -> list[Row]:
    """The time to the people at half of what ws can do."""
    lines = Lines(setup)
    capacity = lines.peer("ws", window=1, count=4000).figures["lines/s"]
    rate_per_s = round(capacity / 2)
    slow_per_s = 10.0
    repeated = repeat(
        setup,
        {
            "wslive": lambda: lines.wslive(rate_per_s=rate_per_s),
            "ws": lambda: lines.peer("ws", rate_per_s=rate_per_s),
            "wslive, slow": lambda: lines.wslive(rate_per_s=slow_per_s),
            "ws, slow": lambda: lines.peer("ws", rate_per_s=slow_per_s),
        },
    )
    shares = {
        name: f"{100 * statistics.median(run.server_share for run in repeated.runs[name]):.0f}"
        for name in repeated.runs
    }
    row = repeated.row(
        "latency",
        f"delivery p99 at half of ws's load ({rate_per_s:g} lines/s), {PEOPLE:,} people, ms",
        "latency p99 ms",
        "ws",
        aim="≤ 1.5× (1.0×) ws",
        note=f"{shares['wslive']} % of a core (ws {shares['ws']} %); at {slow_per_s:g} lines/s p99 "
        f"{spread(repeated.figures('wslive, slow', 'latency p99 ms'))} ms "
        f"(ws {spread(repeated.figures('ws, slow', 'latency p99 ms'))} ms)",
    )
    row.is_reached = bool(row.ratio and row.ratio <= 1.5)
    return [row]
