"""Run benchmarks: all of them, or those that are named; `make bench` does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from benchmarks import connections, fanout, growth, kernel, machine, opening, page, startup, votes
from benchmarks.report import Row, Setup, as_json, table
from benchmarks.server import UNHURRIED
from wslive.cli import tuning

BENCHMARKS: dict[str, Callable[[Setup], list[Row]]] = {
    "votes": votes.sustained,
    "single": fanout.single,
    "ack": votes.latency,
    "connections": connections.joined,
    "growth": growth.growth,
    "waiting": fanout.waiting,
    "million": fanout.million,
    "latency": fanout.latency,
    "opening": opening.opened,
    "kernel": kernel.deltas,
    "page": page.poured,
    "import": startup.imported,
    "serve": startup.served,
}


@click.command(epilog="Benchmarks: " + ", ".join(BENCHMARKS) + ". Without a name, all of them.")
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)), metavar="[NAME]...")
@click.option("--repeats", default=5, show_default=True, help="Runs of each server, interleaved.")
@click.option("--seconds", default=3.0, show_default=True, help="For how long a load is kept up in each run.")
@click.option("--tries", default=4, show_default=True, help="How often a run is repeated at most that is disturbed.")
@click.option(
    "--json",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=machine.BUILD / "figures",
    help="Where to write a file for each benchmark; build/bench/figures without it.",
)
def main(names: tuple[str, ...], repeats: int, seconds: float, tries: int, folder: Path) -> None:
    """Measure a real server on this machine, beside its peers; exits with 1 if something came out wrong.

    The server has one core, the load another. Each server is measured anew in each run, and medians are compared.
    """
    tuning.allow_many_sockets()
    server_core, load_core = machine.two_cores()
    machine.pin(load_core)
    console = Console()
    setup = Setup(console, repeats, seconds, server_core, load_core, tries)
    settings = {"vote_rate": UNHURRIED.per_s, "line_rate": UNHURRIED.per_s, "handshake_rate": UNHURRIED.per_s}
    rows = []
    folder.mkdir(parents=True, exist_ok=True)
    with machine.ahead_of_others() as is_ahead:
        console.print(
            f"Server on core {server_core}, load on core {load_core}"
            f"{', both ahead of what else runs here' if is_ahead else ''}. SQLite syncs each commit. "
            f"Votes and lines of one token, and handshakes: {UNHURRIED.per_s:g}/s, raised for the benchmarks. A run in "
            f"which server or load waited for others for more than {machine.MAX_WAIT_SHARE:.0%} of the time is void; "
            f"there are up to {tries} tries.",
            highlight=False,
        )
        for name in names or BENCHMARKS:
            console.print(f"[bold]{name}[/]")
            found = BENCHMARKS[name](setup)
            (folder / f"{name}.json").write_bytes(as_json(found, setup, {**settings, "ahead_of_others": is_ahead}))
            rows += found
    console.print(table(rows))
    if any(row.problems for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
