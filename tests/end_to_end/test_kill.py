"""The server is killed while people vote and talk. Everybody comes back; every ack is in the log, once."""

import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.client.rooms import Soon
from tests.end_to_end.servers import ServeProcess
from wslive.client.connection import Connection
from wslive.core.roles import Role
from wslive.core.view import View
from wslive.crowd import read_ledger
from wslive.crowd.audit import compare
from wslive.wire.messages import Presence

SIZE = 20
CROWD = Path(__file__).with_name("crowd_process.py")
SORTS = {"kind": "poll", "body": {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}}


async def test_after_kill_9_everybody_is_back_and_every_ack_is_in_the_log_once(tmp_path: Path):
    ledger, store = tmp_path / "acks.jsonl", tmp_path / "wslive.db"
    all_here = asyncio.Event()

    def note(presence: Presence) -> None:
        if presence.online == SIZE:
            all_here.set()
        else:
            all_here.clear()

    server = await ServeProcess(tmp_path, "--port", "0").start()
    crowd: asyncio.subprocess.Process | None = None
    try:
        room = await server.open_room()
        host = Connection(
            server.url,
            room["code"],
            role=Role.HOST,
            token=room["host_key"],
            ledger=True,
            on_presence=note,
            rng=Soon(),
        )
        await host.open()
        poll = await host.command(0, "open_activity", SORTS)
        crowd = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CROWD), server.url, room["code"], str(SIZE), str(ledger)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        port = str(server.port)
        for _ in range(3):
            async with asyncio.timeout(60):
                await all_here.wait()
            # In the middle: votes and lines are on their way, some stored, some acknowledged, some neither.
            await more(host, 30)
            await server.end(signal.SIGKILL)
            all_here.clear()
            server = await ServeProcess(tmp_path, "--port", port).start()
        async with asyncio.timeout(60):
            await all_here.wait()
        await more(host, 30)

        out, _ = await asyncio.wait_for(crowd.communicate(b""), 60)
        stats = json.loads(out)
        entries = read_ledger(ledger)
        assert (stats["joined"], stats["came_back"], stats["unsettled"]) == (SIZE, 0, 0)
        assert sum(stats["acked"].values()) == len(entries) > 100

        found = compare(entries, store, room["room"])
        assert found.problems == ()
        await host.changed(lambda view: host.replica.offset >= entries[-1].offset, timeout_s=60)
        assert found.ballots == len(ballots(host.replica.view, poll))
        assert found.lines == stats["acked"]["say"]
        await host.close()
    finally:
        if crowd is not None and crowd.returncode is None:
            crowd.kill()
            await crowd.wait()
        await server.__aexit__()


async def more(host: Connection, events: int) -> None:
    """Wait until so many more events have reached the host."""
    before = host.replica.offset
    await host.changed(lambda view: host.replica.offset >= before + events, timeout_s=60)


def ballots(view: View, poll: int) -> View:
    """The ballots of the present round."""
    found: View = view["activities"][str(poll)]["ballots"]
    return found
