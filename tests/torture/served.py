"""A server for the attacks, as a process: `python served.py STORE`, with a Socket.IO gateway and no limits of rate.

With limits, most of what is sent would be refused before it is looked at. Its first line tells where it is; it ends
with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from tests.server.hall import UNHURRIED
from wslive.cli import tuning
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings
from wslive.socketio.gateway import Gateway

TOKEN = "ht_of_the_attacks"


async def main(store: Path) -> None:
    """Serve until the other end of stdin is closed."""
    settings = ServerSettings(
        port=0,
        hosting_token=TOKEN,
        vote_rate=UNHURRIED,
        line_rate=UNHURRIED,
        name_rate=UNHURRIED,
        read_rate=UNHURRIED,
        host_rate=UNHURRIED,
    )
    server = Server(settings, await SqliteLog.open(store), [Gateway()])
    await server.start()
    tuning.allow_many_sockets()
    tuning.settle()
    print(json.dumps({"port": server.port}), flush=True)  # noqa: T201
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    tuning.run(main(Path(sys.argv[1])))
