"""Votes: how many a second a server takes from a hall of people who all watch, and what each of them costs it.

The real server runs in a process of its own on one core (see `server`), the people of the load in this one on another.
They vote open loop: each vote is due at a time that does not depend on the server, and everything is counted from
then. A rate is sustained when every vote was acked (so it is on disk), and no view was ever older than 250 ms.
Afterwards the log itself is asked, by SQL: every ack must be in it at its offset, nothing else may be, and the tally
that it leaves must be the one that every view shows.

    python -m benchmarks.votes --rate 5000 --repeats 1
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.people import Crowd, Person, join, new_ref
from benchmarks.server import UNHURRIED, Started
from wslive.cli import tuning

OPTIONS = ("o1", "o2", "o3", "o4", "o5")
MAX_STALE_MS = 250.0
MAX_WAIT_SHARE = 0.03
"""A run in which server or load waited for a core for a larger share of the time is void."""

_DRAIN_S = 20.0


class Run(msgspec.Struct):
    """One run at one rate. Times are from when a vote was due.

    Attributes:
        rate_per_s: How many votes were due a second.
        acked_per_s: Votes over the time from the first one due to the last one's ack.
        late_p99_ms: How much later than due the load sent.
        stale_p99_ms, stale_max_ms: Over all frames to all people: the age of the oldest vote that the frame brought.
        server_us_per_vote: CPU time of the server's process, frames to all people included.
        server_share, load_share: CPU time over time.
        server_wait_share, load_wait_share: Time ready but not running, over time; None where the system does not tell.
        problems: What the log says otherwise than the acks; empty, or the figures are worth nothing.
    """

    people: int
    rate_per_s: float
    votes: int
    acked_per_s: float
    ack_p50_ms: float
    ack_p99_ms: float
    late_p99_ms: float
    stale_p99_ms: float
    stale_max_ms: float
    drain_ms: float
    frames: int
    server_us_per_vote: float
    server_share: float
    server_wait_share: float | None
    load_share: float
    load_wait_share: float | None
    problems: list[str]

    @property
    def is_sustained(self) -> bool:
        """Whether every vote was acked and no view was ever too old."""
        return not self.problems and self.stale_max_ms <= MAX_STALE_MS

    @property
    def is_void(self) -> bool:
        """Whether others kept server or load from running."""
        return max(self.server_wait_share or 0, self.load_wait_share or 0) > MAX_WAIT_SHARE


@click.command()
@click.option("--people", default=1000, show_default=True, help="How many are connected, watch and vote.")
@click.option("--rate", "rates", type=float, multiple=True, default=(1000, 5000, 10_000, 20_000), show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="For how long votes are due, in each run.")
@click.option("--repeats", default=5, show_default=True, help="Runs of each rate, each with a new server and store.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all runs there.")
def main(people: int, rates: tuple[float, ...], seconds: float, repeats: int, json_path: Path | None) -> None:
    """Measure votes; exits with 1 if a log says otherwise than the acks."""
    tuning.allow_many_sockets()
    server_core, load_core = machine.two_cores()
    machine.pin(load_core)
    console = Console()
    console.print(
        f"{people} people; server on core {server_core}, load on core {load_core}; SQLite, FULL; "
        f"votes of one token: {UNHURRIED.per_s:g}/s (raised for the benchmark)"
    )
    runs = []
    for _ in range(repeats):  # interleaved, so that a busy minute of the machine is not one rate's alone
        for rate in rates:
            runs.append(measure(people, rate, seconds, server_core))
            console.print(_sentence(runs[-1]))
    console.print(_table(runs))
    if json_path is not None:
        report = {"benchmark": "votes", "machine": machine.described(), "settings": {"vote_rate": UNHURRIED.per_s}}
        json_path.write_text(json.dumps({**report, "runs": msgspec.to_builtins(runs)}, indent=1))
    if any(run.problems for run in runs):
        sys.exit(1)


def measure(people: int, rate_per_s: float, seconds: float, server_core: int | None = None) -> Run:
    """One run: a server, a room, a poll, people who join, their votes, and the log's word on them."""
    with tempfile.TemporaryDirectory(prefix="wslive-bench-") as folder:
        store = Path(folder) / "votes.db"
        with serving(store, server_core) as server:
            room, code, host_key = _create_room(server)
            crowd, host, voters = join(server.url, code, host_key, people)
            body = {"question": "Which?", "options": ["quick", "merge", "heap", "bubble", "radix"], "results": "live"}
            poll = crowd.ask(host, 0, "open_activity", {"kind": "poll", "body": body})
            crowd.ask(voters[-1], poll, "cast_vote", {"round": 1, "options": ["o1"]})
            _settle(crowd)
            crowd.acks.clear()
            crowd.deltas.clear()
            gc.collect()
            gc.disable()  # what the load keeps has no cycles
            try:
                run = _load(crowd, voters, poll, rate_per_s, seconds, server.pid)
            finally:
                gc.enable()
            views = [_counts(person.last) for person in crowd.people.values()]
            acks = [(ref, offset) for _, ref, offset in crowd.acks]
            crowd.close()
        run.problems += audit(store, room, poll, acks, views)
        return run


@contextmanager
def serving(store: Path, core: int | None) -> Iterator[Started]:
    """A server of its own process, ended afterwards."""
    command = [sys.executable, "-m", "benchmarks.server", "--store", str(store)]
    command += [] if core is None else ["--core", str(core)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parent.parent
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise click.ClickException("The server did not start; it said why above.")
        yield msgspec.json.decode(line, type=Started)
    finally:
        process.communicate(timeout=60)


def _create_room(server: Started) -> tuple[str, str, str]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    with closing(connection):
        headers = {"Authorization": f"Bearer {server.hosting_token}", "Content-Type": "application/json"}
        connection.request("POST", "/api/rooms", json.dumps({"title": "Benchmark"}), headers)
        answer = json.loads(connection.getresponse().read())
    return answer["room"], answer["code"], answer["host_key"]


def _settle(crowd: Crowd) -> None:
    """Until everybody stands at the same offset, and nothing has come for a while."""
    until_s = time.perf_counter() + _DRAIN_S
    quiet_since_s, deltas = time.perf_counter(), len(crowd.deltas)
    while time.perf_counter() - quiet_since_s < 0.5 or len({p.offset for p in crowd.people.values()}) > 1:
        crowd.listen(0.1)
        if len(crowd.deltas) != deltas:
            quiet_since_s, deltas = time.perf_counter(), len(crowd.deltas)
        if quiet_since_s > until_s:
            raise TimeoutError("the people did not come to the same view")


def _load(crowd: Crowd, voters: Sequence[Person], poll: int, rate_per_s: float, seconds: float, pid: int) -> Run:
    """Let them vote, and wait until every queue is empty."""
    votes = round(rate_per_s * seconds)
    due_s: dict[str, float] = {}
    late_s = []
    refused_before = len(crowd.refused)
    server_before, load_before = machine.usage(pid), machine.usage(os.getpid())
    start_s = time.perf_counter()
    sent = 0
    while sent < votes:
        now_s = time.perf_counter()
        while sent < votes and start_s + sent / rate_per_s <= now_s:
            ref = new_ref()
            due_s[ref] = start_s + sent / rate_per_s
            voters[sent % len(voters)].send(
                b'{"type":"command","ref":"%s","activity":%d,"kind":"cast_vote","body":{"round":1,"options":["%s"]}}'
                % (ref.encode(), poll, OPTIONS[(sent * 7 // len(voters) + sent) % len(OPTIONS)].encode())
            )
            late_s.append(time.perf_counter() - due_s[ref])
            sent += 1
            if sent % 32 == 0:
                break  # what has come is looked at in time, also where the load has fallen behind
        crowd.listen(start_s + sent / rate_per_s - time.perf_counter())
    end_s = time.perf_counter()
    while len(crowd.acks) + len(crowd.refused) - refused_before < votes and time.perf_counter() < end_s + _DRAIN_S:
        crowd.listen(0.01)
    last = max((offset for _, _, offset in crowd.acks), default=0)
    while any(p.offset < last for p in crowd.people.values()) and time.perf_counter() < end_s + _DRAIN_S:
        crowd.listen(0.01)
    took_s = time.perf_counter() - start_s
    server, load = machine.usage(pid), machine.usage(os.getpid())
    server_s = server.run_s - server_before.run_s

    acks_ms = sorted(1e3 * (at_s - due_s[ref]) for at_s, ref, _ in crowd.acks)
    stale_ms = _staleness_ms(crowd, {offset: due_s[ref] for _, ref, offset in crowd.acks})
    return Run(
        people=len(voters),
        rate_per_s=rate_per_s,
        votes=votes,
        acked_per_s=len(acks_ms) / (max((at_s for at_s, *_ in crowd.acks), default=end_s) - start_s),
        ack_p50_ms=_percentile(acks_ms, 50),
        ack_p99_ms=_percentile(acks_ms, 99),
        late_p99_ms=1e3 * _percentile(sorted(late_s), 99),
        stale_p99_ms=_percentile(stale_ms, 99),
        stale_max_ms=_percentile(stale_ms, 100),
        drain_ms=1e3 * (start_s + took_s - end_s),
        frames=len(crowd.deltas),
        server_us_per_vote=1e6 * server_s / votes,
        server_share=server_s / took_s,
        server_wait_share=_share(server_before.wait_s, server.wait_s, took_s),
        load_share=(load.run_s - load_before.run_s) / took_s,
        load_wait_share=_share(load_before.wait_s, load.wait_s, took_s),
        problems=[str(refused) for refused in crowd.refused[refused_before:][:3]],
    )


def _staleness_ms(crowd: Crowd, due_s: dict[int, float]) -> list[float]:
    """For each frame to each person the age of the oldest vote that it brought, ascending."""
    offsets = sorted(due_s)
    stale_ms = []
    for at_s, from_, to in crowd.deltas:
        place = bisect_right(offsets, from_)
        if place < len(offsets) and offsets[place] <= to:
            stale_ms.append(1e3 * (at_s - due_s[offsets[place]]))
    return sorted(stale_ms)


def audit(
    store: Path, room: str, poll: int, acks: Sequence[tuple[str, int]], views: Sequence[dict[str, int]]
) -> list[str]:
    """What the log says otherwise than the acks and the views.

    Args:
        store: The file of a server that has ended.
        room: The room's id.
        poll: The poll's id.
        acks: The ref and the offset of each.
        views: The counts that each person saw last.
    """
    with closing(sqlite3.connect(store)) as db:
        rows = db.execute(
            "SELECT ref, offset, actor, json_extract(body, '$.options[0]') FROM events "
            "WHERE room = ? AND activity = ? AND kind = 'vote_cast' ORDER BY offset",
            (room, poll),
        ).fetchall()
    problems = []
    logged = {ref: offset for ref, offset, _, _ in rows[1:]}  # the first one was cast before the clock started
    if logged != dict(acks) or len(acks) != len(logged):
        problems.append(f"{len(acks)} acks, but the log holds {len(logged)} votes, or at other offsets")
    ballots = {actor: option for _, _, actor, option in rows}
    tally = dict.fromkeys(OPTIONS, 0) | Counter(ballots.values())
    others = sum(view != tally for view in views)
    if others:
        problems.append(f"{others} of {len(views)} views do not show the log's tally {tally}")
    return problems


def _counts(delta: bytes) -> dict[str, int]:
    """The counts that a delta brings."""
    for op in json.loads(delta)["ops"]:
        if op["op"] == "set" and op["path"][-1] == "tally":
            counts: dict[str, int] = op["value"]["counts"]
            return counts
    return {}


def _percentile(ascending: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed; NaN of nothing."""
    if not ascending:
        return float("nan")
    return ascending[min(len(ascending) - 1, int(len(ascending) * percent / 100))]


def _share(before_s: float | None, after_s: float | None, took_s: float) -> float | None:
    return None if before_s is None or after_s is None else (after_s - before_s) / took_s


def _sentence(run: Run) -> str:
    verdict = "sustained" if run.is_sustained else "NOT sustained"
    void = ", void: others took the processor" if run.is_void else ""
    problems = "".join(f"\n  ! {problem}" for problem in run.problems)
    return (
        f"{run.rate_per_s:g}/s: {verdict}{void}; {run.server_us_per_vote:.1f} µs of the server a vote; "
        f"load ran {run.load_share:.0%}, waited {run.load_wait_share or 0:.0%}{problems}"
    )


def _table(runs: Sequence[Run]) -> Table:
    """Medians of each rate, with the spread of what matters most."""
    table = Table("votes/s", "acked/s", "ack p50 ms", "p99", "stale p99 ms", "max", "µs/vote", "server", "ok", "void")
    for rate in sorted({run.rate_per_s for run in runs}):
        same = [run for run in runs if run.rate_per_s == rate]
        costs = [run.server_us_per_vote for run in same]
        table.add_row(
            f"{rate:g}",
            f"{statistics.median(run.acked_per_s for run in same):.0f}",
            f"{statistics.median(run.ack_p50_ms for run in same):.1f}",
            f"{statistics.median(run.ack_p99_ms for run in same):.1f}",
            f"{statistics.median(run.stale_p99_ms for run in same):.0f}",
            f"{max(run.stale_max_ms for run in same):.0f}",
            f"{statistics.median(costs):.1f} ({min(costs):.1f}-{max(costs):.1f})",
            f"{statistics.median(run.server_share for run in same):.0%}",
            f"{sum(run.is_sustained for run in same)}/{len(same)}",
            f"{sum(run.is_void for run in same)}",
        )
    return table


if __name__ == "__main__":
    main()
