"""A server for the attacks, as a process: `python served.py STORE [--limits]`, with a Socket.IO gateway.

With the usual limits of rate, most of what is sent would be refused before it is looked at. The first line tells where
it is; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import fields
from pathlib import Path

from tests.server.hall import UNHURRIED
from wslive.cli import tuning
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings
from wslive.socketio.gateway import Gateway

TOKEN = "ht_of_the_attacks"


async def main(store: Path, has_limits: bool) -> None:
    """Serve until the other end of stdin is closed."""
    rates = [rate.name for rate in fields(ServerSettings) if rate.name.endswith("_rate")]
    settings = ServerSettings(port=0, hosting_token=TOKEN, **({} if has_limits else dict.fromkeys(rates, UNHURRIED)))
    server = Server(settings, await SqliteLog.open(store), [Gateway()])
    await server.start()
    tuning.allow_many_sockets()
    tuning.settle()
    print(json.dumps({"port": server.port}), flush=True)  # noqa: T201
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    tuning.run(main(Path(sys.argv[1]), has_limits="--limits" in sys.argv))
