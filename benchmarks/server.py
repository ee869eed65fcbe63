"""The server under test: what `wslive serve` runs, with the rates of one token and of handshakes raised.

Everything else is as in production: SQLite that syncs each commit (FULL), tokens, access checks, log, outboxes.
It prints one line of JSON, with its address and its hosting token, and serves until its input is closed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.metadata import version
from pathlib import Path

import click
import msgspec

from benchmarks.servers import Started
from wslive.cli import tuning
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import Rate, ServerSettings

UNHURRIED = Rate(per_s=1e6, burst=1e6)
"""A thousand people stand for many more, so each of them may vote and speak as often as the load asks for."""


@click.command()
@click.option("--store", type=click.Path(path_type=Path), required=True, help="The SQLite file; made if missing.")
@click.option("--tick-ms", type=float, help="The least time between two deltas; the default without it.")
def main(store: Path, tick_ms: float | None) -> None:
    """Serve until standard input is closed."""
    tuning.run(_serve(store, tick_ms))


async def _serve(store: Path, tick_ms: float | None) -> None:
    settings = ServerSettings(
        port=0,
        vote_rate=UNHURRIED,
        line_rate=UNHURRIED,
        handshake_rate=UNHURRIED,
        receive_rate=Rate(per_s=1e9, burst=1e9),
        max_participants=10_000,
        tick_interval_s=ServerSettings.tick_interval_s if tick_ms is None else tick_ms / 1e3,
    )
    server = Server(settings, await SqliteLog.open(store))
    await server.start()
    tuning.allow_many_sockets()
    tuning.settle()
    started = Started(server.url, os.getpid(), hosting_token=server.hosting_token, version=version("wslive"))
    print(msgspec.json.encode(started).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    main()
