"""The server is killed while people vote and talk. Everybody comes back; every ack is in the log, once."""

import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.client.rooms import Soon
from tests.end_to_end.servers import ServeProcess
from tests.torture.figures import Figures, Form, Part
from wslive.audit.store import verify
from wslive.client.connection import Connection
from wslive.core.roles import Role
from wslive.core.view import View
from wslive.crowd import read_ledger
from wslive.crowd.audit import compare
from wslive.wire.messages import Presence

CROWD = Path(__file__).with_name("crowd_process.py")
SORTS = {"kind": "poll", "body": {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}}

HANG_S = 600.0
"""A guard against a hang, no assertion: how long it takes to come back is a figure."""


class Killer:
    """One server after the other, at the same port and store, and the host who watches."""

    def __init__(self, root: Path, size: int) -> None:
        self.root = root
        self.size = size
        self.all_here = asyncio.Event()
        self.starts = 0
        self.slowest_start_s = 0.0

    def note(self, presence: Presence) -> None:
        if presence.online == self.size:
            self.all_here.set()
        else:
            self.all_here.clear()

    async def start(self, port: int = 0) -> None:
        began_s = time.monotonic()
        self.server = await ServeProcess(self.root, "--port", str(port)).start()
        self.slowest_start_s = max(self.slowest_start_s, time.monotonic() - began_s)
        self.starts += 1

    async def kill(self) -> None:
        """End it in the middle of whatever it does; it may not have complained until then."""
        _, _, err = await self.server.end(signal.SIGKILL)
        assert err == ""
        self.all_here.clear()


@pytest.mark.parts(10)
async def test_after_kill_9_everybody_is_back_and_every_ack_is_in_the_log_once(
    tmp_path: Path, form: Form, figures: Figures, part: Part
):
    kills, size, acked_between = form.choose((3, 20, 30), (len(part.share(100)), 40, 1000), (10, 40, 1000))
    chance = random.Random(f"{form.seed}/{part}")
    ledger, store = tmp_path / "acks.jsonl", tmp_path / "wslive.db"
    killer = Killer(tmp_path, size)
    await killer.start()
    crowd: asyncio.subprocess.Process | None = None
    back_s: list[float] = []
    try:
        port, room = killer.server.port, await killer.server.open_room()
        host = Connection(
            killer.server.url,
            room["code"],
            role=Role.HOST,
            token=room["host_key"],
            ledger=True,
            on_presence=killer.note,
            rng=Soon(),
        )
        await host.open()
        poll = await host.command(0, "open_activity", SORTS)
        crowd = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CROWD), killer.server.url, room["code"], str(size), str(ledger)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(HANG_S):
            await killer.all_here.wait()
        acked_at_kill, hasty = [0], 0
        for number in range(kills):
            # In the middle: votes and lines are on their way, some stored, some acknowledged, some neither.
            await more(host, acked_between + size)
            await asyncio.sleep(chance.uniform(0, 0.2))
            await killer.kill()
            acked_at_kill.append(len(read_ledger(ledger)))
            await killer.start(port)
            if number % 5 == 1:
                # Once more while everybody is on the way back.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(killer.all_here.wait(), chance.uniform(0.1, 1.5))
                await killer.kill()
                await killer.start(port)
                hasty += 1
            listening_s = time.monotonic()
            async with asyncio.timeout(HANG_S):
                await killer.all_here.wait()
            back_s.append(time.monotonic() - listening_s)
        await more(host, acked_between)

        out, _ = await asyncio.wait_for(crowd.communicate(b""), HANG_S)
        stats = json.loads(out)
        entries = read_ledger(ledger)
        assert (stats["joined"], stats["came_back"], stats["unsettled"]) == (size, 0, 0)
        assert sum(stats["acked"].values()) == len(entries) > 100
        between = [after - before for before, after in pairwise(acked_at_kill)]
        assert min(between) >= acked_between

        found = compare(entries, store, room["room"])
        assert found.problems == ()
        await host.changed(lambda view: host.replica.offset >= entries[-1].offset, timeout_s=HANG_S)
        assert found.ballots == len(ballots(host.replica.view, poll))
        assert found.lines == stats["acked"]["say"]

        report = verify(store)
        assert report.is_sound, (report.problems, report.rooms[0].problems)
        (_, answered, counts), *_ = report.rooms[0].recount.tallies(poll)
        chosen = Counter(option for ballot in ballots(host.replica.view, poll).values() for option in ballot["options"])
        assert (answered, counts) == (found.ballots, dict(chosen))
        assert host.replica.view["activities"][str(poll)]["tally"]["answered"] == answered
        await host.close()
        figures(
            row=1,
            attack="kill -9 of the server while people vote and talk",
            holds="Every acked command is in the log exactly once at its offset; the tally equals an independent "
            "recount; everybody comes back by themselves.",
            adds=("kills", "of_them_while_people_came_back", "acked", "acked_votes", "acked_lines"),
            people=size,
            kills=kills + hasty,
            of_them_while_people_came_back=hasty,
            acked=len(entries),
            acked_votes=stats["acked"]["cast_vote"],
            acked_lines=stats["acked"]["say"],
            least_acked_between_kills=min(between),
            acked_but_not_in_the_log=0,
            counted_twice=0,
            all_back_after_listening_median_s=round(sorted(back_s)[len(back_s) // 2], 2),
            all_back_after_listening_max_s=round(max(back_s), 2),
            slowest_start_s=round(killer.slowest_start_s, 2),
        )
    finally:
        if crowd is not None and crowd.returncode is None:
            crowd.kill()
            await crowd.wait()
        await killer.server.__aexit__()


async def more(host: Connection, events: int) -> None:
    """Wait until so many more events have reached the host."""
    before = host.replica.offset
    await host.changed(lambda view: host.replica.offset >= before + events, timeout_s=HANG_S)


def ballots(view: View, poll: int) -> View:
    """The ballots of the present round."""
    found: View = view["activities"][str(poll)]["ballots"]
    return found
