"""A server with a full hall is started again: everybody is back soon, not all at once, and nothing is lost."""

import asyncio
import bisect
import random
import re
import signal
import time
from pathlib import Path

import pytest

from tests.client.rooms import Soon
from tests.end_to_end.servers import ServeProcess
from tests.torture.figures import Figures, Form
from wslive.audit.store import verify
from wslive.cli import tuning
from wslive.client.connection import Connection, Status
from wslive.core.roles import Role
from wslive.server.settings import ServerSettings

SORTS = {"kind": "poll", "body": {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}}


class Guest:
    """Somebody who votes now and then, and remembers when they were let in."""

    def __init__(self, url: str, code: str, number: int, rng: random.Random) -> None:
        self.lived_s: list[float] = []
        self._is_back = asyncio.Event()
        self.connection = Connection(url, code, name=f"Guest {number}", rng=rng, on_status=self.note)

    def note(self, status: Status) -> None:
        if status is Status.LIVE:
            self.lived_s.append(time.monotonic())
            self._is_back.set()

    async def is_back(self, since_s: float) -> None:
        """Wait for it without asking for anything: whoever asks hurries."""
        while self.lived_s[-1] < since_s:
            self._is_back.clear()
            await self._is_back.wait()

    async def vote(self, poll: int, option: str) -> int:
        return await self.connection.command(poll, "cast_vote", {"round": 1, "options": [option]}, timeout_s=120)


WATCH = """\
import os
from wslive.server.access.turns import Turns
_take, _file = Turns.take, os.open(os.environ["TURNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def take(self, now_s):
    wait_s = _take(self, now_s)
    os.write(_file, b"%f %d\\n" % (now_s, wait_s))
    return wait_s
Turns.take = take
"""
"""In the server's process: when each handshake came, and how long it was told to wait. People see it later."""


def most_within_a_second(times_s: list[float]) -> int:
    """How many of them lie within one second, at most; they are in order."""
    return max(bisect.bisect_right(times_s, at_s + 1) - number for number, at_s in enumerate(times_s))


def told(complaints: str) -> int:
    """How many were told to come back later, from what the server has said; it may have said nothing else."""
    found = re.findall(r" WARNING wslive\.server: (\d+) connections were told to come back later$", complaints, re.M)
    assert len(found) == len(complaints.splitlines()), complaints
    return sum(map(int, found))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["asked", "killed"])
async def test_a_full_hall_is_back_after_a_restart(
    tmp_path: Path, form: Form, figures: Figures, number: signal.Signals
):
    tuning.allow_many_sockets()
    size, restarts = form.choose((60, 1), (1000, 3))
    chance = random.Random(form.seed)
    turns = tmp_path / "turns"
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    env = {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "TURNS": str(turns)}
    server = await ServeProcess(tmp_path, "--port", "0", env=env).start()
    back_s: list[float] = []
    gone_s: list[float] = []
    told_to_wait = 0
    try:
        port, room = server.port, await server.open_room()
        host = Connection(server.url, room["code"], role=Role.HOST, token=room["host_key"], rng=Soon())
        await host.open()
        poll = await host.command(0, "open_activity", SORTS)
        guests = [Guest(server.url, room["code"], n, random.Random(f"{form.seed}/{n}")) for n in range(size)]
        # As fast as they can: who is told to come back does so by itself.
        await asyncio.gather(*(guest.connection.open(120) for guest in guests))
        chosen = {guest.connection.actor: chance.choice(("o1", "o2", "o3")) for guest in guests}
        acks = await asyncio.gather(*(guest.vote(poll, chosen[guest.connection.actor]) for guest in guests))
        for _ in range(restarts):
            chosen = {actor: chance.choice(("o1", "o2", "o3")) for actor in chosen}
            votes = [asyncio.create_task(guest.vote(poll, chosen[guest.connection.actor])) for guest in guests]
            await asyncio.wait([chance.choice(votes)])  # some are through, some are not
            down_s = time.monotonic()
            _, _, err = await server.end(number)
            told_to_wait += told(err)
            server = await ServeProcess(tmp_path, "--port", str(port), env=env).start()
            up_s = time.monotonic()
            acks += await asyncio.gather(*votes)
            await asyncio.gather(*(guest.is_back(down_s) for guest in guests))
            lived_s = sorted(guest.lived_s[-1] for guest in guests)
            back_s.append(lived_s[-1] - up_s)
            gone_s.append(lived_s[-1] - down_s)

        await host.changed(lambda _: host.replica.offset >= max(acks), 120)
        counts = host.replica.view["activities"][str(poll)]["tally"]["counts"]
        assert counts == {option: [*chosen.values()].count(option) for option in ("o1", "o2", "o3")}
        await asyncio.gather(host.close(), *(guest.connection.close() for guest in guests))
        _, _, err = await server.end()
        told_to_wait += told(err)
        report = verify(tmp_path / "wslive.db")
        assert report.is_sound, (report.problems, report.rooms[0].problems)
        assert len(set(acks)) == len(acks) == size * (restarts + 1)
        assert report.rooms[0].recount.polls[poll].votes == len(acks)
        assert [*report.rooms[0].recount.tallies(poll)] == [(1, size, {k: n for k, n in counts.items() if n})]
        rate = ServerSettings().handshake_rate
        asked = [(float(at_s), int(wait_s)) for at_s, wait_s in map(str.split, turns.read_text().splitlines())]
        most_let_in = most_within_a_second([at_s for at_s, wait_s in asked if not wait_s])
        assert most_let_in <= rate.burst + rate.per_s
        figures(
            row=13,
            attack=f"restart under a full hall, by {number.name}",
            holds="Everybody is back within 15 s of the server's start; handshakes are capped and spread; nothing is "
            "lost.",
            people=size,
            restarts=restarts,
            all_back_after_start_max_s=round(max(back_s), 1),
            all_back_after_end_max_s=round(max(gone_s), 1),
            handshakes_taken_per_s_and_at_once=f"{rate.per_s:g} and {rate.burst:g}",
            most_asked_within_a_second=most_within_a_second([at_s for at_s, _ in asked]),
            most_let_in_within_a_second=most_let_in,
            handshakes_told_to_come_back=told_to_wait,
            acked_votes=len(acks),
            votes_in_the_log=report.rooms[0].recount.polls[poll].votes,
        )
    finally:
        await server.__aexit__()
