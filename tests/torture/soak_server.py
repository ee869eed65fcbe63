"""A server that tells how much it holds: `soak_server.py STORE`, with the usual settings.

Its first line tells where it is. Each line on its standard input is answered with one about tasks, memory and files;
it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import psutil

from wslive.cli import tuning
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

TOKEN = "ht_of_the_soak"


async def main(store: Path) -> None:
    """Serve until the other end of stdin is closed."""
    server = Server(ServerSettings(port=0, hosting_token=TOKEN), await SqliteLog.open(store))
    await server.start()
    tuning.allow_many_sockets()
    tuning.settle()
    process = psutil.Process()
    tell({"url": server.url})
    while await asyncio.to_thread(sys.stdin.readline):
        tell(
            {
                "connections": server.connections,
                "tasks": len(asyncio.all_tasks()),
                "files": process.num_fds(),
                "rss_kib": process.memory_info().rss // 1024,
                "cpu_s": sum(process.cpu_times()[:2]),
            }
        )
    await server.stop()


def tell(what: dict[str, object]) -> None:
    """One line."""
    print(json.dumps(what), flush=True)  # noqa: T201


if __name__ == "__main__":
    tuning.run(main(Path(sys.argv[1])))
