"""Runs and rows: repeat what was disturbed, take medians, compare with the peer of the same run, print and write.

A run is one measurement of one server. A row is what the runs of one benchmark come to: a figure of wslive's, the
peer's, and whether what the row must reach is reached.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.load import Load
from benchmarks.machine import MAX_WAIT_SHARE, Cost, cost, described, usage


class Setup(msgspec.Struct, frozen=True):
    """How to measure.

    Attributes:
        repeats: Runs of each server, interleaved.
        seconds: For how long a load is kept up in each run.
        tries: How often a run is measured at most until others leave it alone.
        server_core, load_core: Where they run; None where there are no two cores.
    """

    console: Console
    repeats: int
    seconds: float
    server_core: int | None
    load_core: int | None
    tries: int = 4


class Run(msgspec.Struct):
    """One measurement of one server.

    Attributes:
        figures: What was measured; the unit is in each name.
        server_share: CPU time of the server over time.
        waited_share: For which share of the time server or load waited for others, at most.
        load_share: For which share of the time the load was busy; above 0.95 it may be what was measured.
        problems: Why the figures are worth nothing; empty in a good run.
    """

    figures: dict[str, float]
    server_share: float = 0.0
    waited_share: float = 0.0
    load_share: float = 0.0
    problems: list[str] = []

    @property
    def is_void(self) -> bool:
        """Whether others kept server or load from running."""
        return self.waited_share > MAX_WAIT_SHARE


class Meter:
    """Reads what server and load use while a `with` block runs.

    Attributes:
        server, load: What they used.
    """

    def __init__(self, setup: Setup, pid: int, load: Load | None = None) -> None:
        """Of the server `pid` and the load, which is this process."""
        self._which = ((pid, setup.server_core), (os.getpid(), setup.load_core))
        self._load = load
        self.server: Cost
        self.load: Cost
        self.load_share = 0.0

    def __enter__(self) -> Meter:
        self._idle_s = self._load.idle_s if self._load else 0.0
        self._before = [usage(pid, core) for pid, core in self._which]
        return self

    def __exit__(self, *_: object) -> None:
        after = [usage(pid, core) for pid, core in self._which]
        self.server, self.load = (cost(b, a) for b, a in zip(self._before, after, strict=True))
        if self._load:
            self.load_share = 1 - (self._load.idle_s - self._idle_s) / self.load.took_s

    def run(self, figures: dict[str, float], problems: Sequence[str] = ()) -> Run:
        """The run with its costs."""
        waited_share = max(self.server.waited_share, self.load.waited_share)
        return Run(figures, self.server.share, waited_share, self.load_share, list(problems))


class Row(msgspec.Struct):
    """What the runs of one benchmark come to.

    Attributes:
        name: The benchmark's.
        what: What is measured, with its unit.
        ours, theirs: One figure a run.
        peer: Who `theirs` are; empty where nobody is compared.
        must, aim: What has to be reached, in words.
        is_reached: Whether `must` is (or `aim`, where there is no must); None where the row only informs.
        void: How many runs were thrown away.
        load_share: The busiest load's.
        note: What else there is to know.
        runs: All runs by server.
    """

    name: str
    what: str
    ours: list[float]
    theirs: list[float] = []
    peer: str = ""
    must: str = ""
    aim: str = ""
    is_reached: bool | None = None
    void: int = 0
    load_share: float = 0.0
    note: str = ""
    problems: list[str] = []
    runs: dict[str, list[Run]] = {}

    @property
    def ratio(self) -> float | None:
        """Ours over theirs, of the medians; None where they reached nothing."""
        theirs = statistics.median(self.theirs) if self.theirs else 0.0
        return statistics.median(self.ours) / theirs if self.ours and theirs else None


class Repeated(msgspec.Struct):
    """All runs of a benchmark.

    Attributes:
        runs: By server (or whatever is compared), those that count.
        void: How many were thrown away.
    """

    runs: dict[str, list[Run]]
    void: int

    def figures(self, server: str, name: str) -> list[float]:
        """One figure of all runs of one server."""
        return [run.figures[name] for run in self.runs.get(server, [])]

    def median(self, server: str, name: str) -> float:
        """Its median."""
        return statistics.median(self.figures(server, name))

    def row(self, name: str, what: str, figure: str, peer: str = "", **rest: Any) -> Row:
        """A row of one figure, of wslive and a peer."""
        runs = [run for runs in self.runs.values() for run in runs]
        return Row(
            name,
            what,
            self.figures("wslive", figure),
            self.figures(peer, figure) if peer else [],
            peer,
            void=self.void,
            load_share=max(run.load_share for run in runs),
            problems=[problem for run in runs for problem in run.problems],
            runs=self.runs,
            **rest,
        )


def undisturbed(setup: Setup, name: str, measure: Callable[[], Run]) -> tuple[Run, int]:
    """A run that others left alone, and how many were thrown away for it.

    Where there is none within `setup.tries`, the least disturbed one is taken; it says so itself.
    """
    runs = []
    for _ in range(setup.tries):
        run = measure()
        runs.append(run)
        told = ", ".join(f"{figure} {shown(value)}" for figure, value in run.figures.items())
        void = f" [yellow]void: waited {run.waited_share:.0%}[/]" if run.is_void else ""
        problems = "".join(f"\n    [red]{problem}[/]" for problem in run.problems[:3])
        setup.console.print(
            f"  {name}: {told}; server {run.server_share:.0%}, load {run.load_share:.0%}{void}{problems}",
            highlight=False,
            soft_wrap=True,
        )
        if not run.is_void:
            return run, len(runs) - 1
    return min(runs, key=lambda run: run.waited_share), setup.tries


def repeat(setup: Setup, servers: Mapping[str, Callable[[], Run]]) -> Repeated:
    """Measure each server `setup.repeats` times, interleaved: a busy minute is not one server's alone."""
    repeated = Repeated({name: [] for name in servers}, 0)
    for _ in range(setup.repeats):
        for name, measure in servers.items():
            run, void = undisturbed(setup, name, measure)
            repeated.runs[name].append(run)
            repeated.void += void
    return repeated


def shown(value: float) -> str:
    """A figure with three digits that count, as people write it."""
    if value != value:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def spread(values: Sequence[float]) -> str:
    """Median, least and most."""
    if not values:
        return ""
    if len(values) == 1:
        return shown(values[0])
    return f"{shown(statistics.median(values))} ({shown(min(values))}-{shown(max(values))})"


def table(rows: Sequence[Row]) -> Table:
    """The rows for a terminal."""
    table = Table("benchmark", "wslive", "peer", "ratio", "must", "aim", "reached", show_lines=True)
    for row in rows:
        ratio = "" if row.ratio is None else f"{shown(row.ratio)}×"
        notes = [row.note] if row.note else []
        if row.load_share > 0.95:
            notes.append(f"load {row.load_share:.0%} busy: it may be what was measured")
        disturbed = sum(run.is_void for runs in row.runs.values() for run in runs)
        if row.void:
            taken = f"; [yellow]{disturbed} of them had to be taken[/]" if disturbed else " and repeated"
            notes.append(f"{row.void} runs were void{taken}")
        notes += [f"[red]{problem}[/]" for problem in row.problems[:3]]
        table.add_row(
            "\n".join([f"[bold]{row.name}[/]: {row.what}", *(f"[dim]{note}[/]" for note in notes)]),
            spread(row.ours),
            f"{spread(row.theirs)}\n[dim]{row.peer}[/]" if row.peer else "",
            ratio,
            row.must,
            row.aim,
            {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[row.is_reached and not row.problems],
        )
    return table


def as_json(rows: Sequence[Row], setup: Setup, settings: dict[str, Any]) -> bytes:
    """The rows with machine and versions, for a file."""
    report = {
        "machine": described(),
        "settings": {"repeats": setup.repeats, "seconds": setup.seconds, **settings},
        "rows": msgspec.to_builtins(rows),
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=1)
