"""Growth: what one more vote costs the server with more and more people watching.

A tick costs a send for each who watches, and there are as many ticks with 1,000 votes a second as with 5,000: so the
difference in CPU time between the two is that of 4,000 votes. Both are measured in the same hall, in turns of less than
a second: a machine that is half as fast again in one of the two would make the difference anything. The same ten people
vote each time. How many frames went out is told with it: where there were fewer of them with 5,000 votes, because the
server had less time for ticks, a vote looks cheaper than it is.
"""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import servers
from benchmarks.people import Hall
from benchmarks.report import Row, Run, Setup, repeat, spread
from benchmarks.votes import Votes, audit, cast, opened_poll

WATCHERS = (10, 100, 1000, 5000)
MOST = 1.5
"""How many times as much a vote may cost with more people watching."""

_VOTERS = 10
_SLOW_PER_S, _FAST_PER_S = 1000.0, 5000.0
_TURNS = 4
"""How often each of the two is measured; all together for the seconds of a run."""


def growth(setup: Setup) -> list[Row]:
    """What a vote costs, by how many watch."""
    repeated = repeat(setup, {f"{people:,}": partial(measure, setup, people) for people in WATCHERS})
    costs_us = {people: repeated.figures(f"{people:,}", "us/vote more") for people in WATCHERS}
    fewest = statistics.median(costs_us[WATCHERS[0]])
    most = max(WATCHERS[1:], key=lambda people: statistics.median(costs_us[people]))
    row = Row(
        "growth",
        "CPU µs of one more vote with 100, 1,000 or 5,000 watching (the dearest of them), over that with 10",
        [cost_us / fewest for cost_us in costs_us[most]],
        must=f"≤ {MOST}",
        is_reached=statistics.median(costs_us[most]) <= MOST * fewest,
        void=repeated.void,
        load_share=max(run.load_share for runs in repeated.runs.values() for run in runs),
        note="µs a vote: " + "; ".join(f"{people:,}: {spread(costs_us[people])}" for people in WATCHERS),
        problems=[problem for runs in repeated.runs.values() for run in runs for problem in run.problems],
        runs=repeated.runs,
    )
    return [row]


def measure(setup: Setup, people: int) -> Run:
    """One run: so many people watch, and ten of them vote, slowly and fast in turns."""
    turn = msgspec.structs.replace(setup, seconds=setup.seconds / _TURNS)
    slow: list[Votes] = []
    fast: list[Votes] = []
    with tempfile.TemporaryDirectory(prefix="wslive-bench-") as folder:
        store = Path(folder) / "votes.db"
        with servers.wslive(setup.server_core, store=store) as server:
            hall = Hall(server, people)
            poll = opened_poll(hall)
            for _ in range(_TURNS):
                slow.append(cast(turn, server, hall, poll, _VOTERS, _SLOW_PER_S))
                fast.append(cast(turn, server, hall, poll, _VOTERS, _FAST_PER_S))
            hall.close()
        acks = [ack for votes in (*slow, *fast) for ack in votes.acks]
        problems = audit(store, hall.room, poll, acks, fast[-1].shown_last)
    slow_us, fast_us = _mean(slow, "server us/s"), _mean(fast, "server us/s")
    runs = [votes.run for votes in (*slow, *fast)]
    return Run(
        {
            "us/vote more": (fast_us - slow_us) / (_FAST_PER_S - _SLOW_PER_S),
            "server us/s, slow": slow_us,
            "server us/s, fast": fast_us,
            "frames, slow": _mean(slow, "frames"),
            "frames, fast": _mean(fast, "frames"),
            "ack p99 ms, fast": _mean(fast, "ack p99 ms"),
        },
        statistics.fmean(votes.run.server_share for votes in fast),
        statistics.fmean(run.waited_share for run in runs),
        max(run.load_share for run in runs),
        [problem for run in runs for problem in run.problems] + problems,
    )


def _mean(turns: list[Votes], figure: str) -> float:
    return statistics.fmean(votes.run.figures[figure] for votes in turns)
