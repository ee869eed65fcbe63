"""The server under test: what `wslive serve` runs, with the rates of one token raised, until its input is closed.

Everything else is as in production: SQLite that syncs each commit (FULL), tokens, access checks, log, outboxes.
It prints one line of JSON, with its address and its hosting token.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click
import msgspec

from benchmarks.machine import pin
from wslive.cli import tuning
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import Rate, ServerSettings

UNHURRIED = Rate(per_s=1e6, burst=1e6)
"""A thousand people stand for many more, so each of them may vote as often as the load asks for."""


class Started(msgspec.Struct, frozen=True):
    """The server's one line."""

    url: str
    hosting_token: str
    pid: int


@click.command()
@click.option("--store", type=click.Path(path_type=Path), required=True, help="The SQLite file; made if missing.")
@click.option("--core", type=int, help="Run on this processor core alone.")
def main(store: Path, core: int | None) -> None:
    """Serve until standard input is closed."""
    pin(core)
    tuning.run(_serve(store))


async def _serve(store: Path) -> None:
    settings = ServerSettings(port=0, vote_rate=UNHURRIED, max_participants=10_000)
    server = Server(settings, await SqliteLog.open(store))
    await server.start()
    tuning.allow_many_sockets()
    tuning.settle()
    print(msgspec.json.encode(Started(server.url, server.hosting_token, os.getpid())).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    main()
