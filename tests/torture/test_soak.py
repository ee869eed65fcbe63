"""A hall that is full for long, and people who come and go all the time: the server holds no more at the end."""

import asyncio
import json
import random
import secrets
import statistics
import sys
from pathlib import Path
from typing import Any

from tests.torture.beat import Beat
from tests.torture.figures import Figures, Form
from tests.torture.plain import Plain
from tests.torture.soak_server import TOKEN
from wslive.cli import tuning
from wslive.client.connection import Connection
from wslive.client.http import fetch_json
from wslive.core.roles import Role

SERVER = Path(__file__).with_name("soak_server.py")
SORTS = {"kind": "poll", "body": {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}}
CHURN_PER_S = 0.05
CHURNING = 10
"""How many are on their way at once, at most."""
VOTES_PER_S = 4.0
LINES_PER_S = 1.0
WARM_UP_SHARE = 0.25


class Guest:
    """A person, over one connection after the other."""

    def __init__(self, url: str, code: str, number: int) -> None:
        self._url, self._code, self._name = url, code, f"Guest {number}"
        self.modes: list[str] = []
        self.gaps = self.acks = self.refusals = 0
        self._token: str | None = None

    async def come(self) -> None:
        if self._token is None:
            self.now = await Plain.join(self._url, room=self._code, name=self._name, ref=secrets.token_urlsafe(18))
            assert self.now.welcome is not None
            self._token = self.now.welcome.token
            return
        at = self.now.position
        position = {"epoch": at.epoch, "offset": at.offset, "chain": at.chain}
        self.now = await Plain.join(self._url, room=self._code, token=self._token, position=position)
        assert self.now.welcome is not None
        self.modes.append(self.now.welcome.mode)

    def go(self, *, politely: bool) -> None:
        self.gaps += self.now.gaps
        self.acks += self.now.acks
        self.refusals += self.now.refusals
        self.now.leave(politely=politely)


class Holding:
    """The server's process, and what it told of itself, each with its time in seconds."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.samples: list[tuple[float, dict[str, float]]] = []

    async def tell(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return told

    async def look(self) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        found = await self.tell()
        self.samples.append((asyncio.get_running_loop().time(), found))
        return found

    def per_minute(self, name: str) -> float:
        """The slope after the warm-up, by linear regression."""
        kept = self.samples[int(len(self.samples) * WARM_UP_SHARE) :]
        fit = statistics.linear_regression([at_s / 60 for at_s, _ in kept], [found[name] for _, found in kept])
        return round(fit.slope, 3)


async def test_people_come_and_go_and_the_server_holds_no_more(tmp_path: Path, form: Form, figures: Figures):
    tuning.allow_many_sockets()
    size, lasting_s, sample_s = form.choose((60, 4.0, 0.25), (1000, 1800.0, 10.0), (1000, 180.0, 2.0))
    chance = random.Random(form.seed)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SERVER), str(tmp_path / "wslive.db")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    holding = Holding(process)
    try:
        url = (await holding.tell())["url"]
        room = await fetch_json(url, "/api/rooms", method="POST", body={"title": "Soak"}, bearer=TOKEN)
        host = Connection(url, room["code"], role=Role.HOST, token=room["host_key"])
        await host.open()
        poll = await host.command(0, "open_activity", SORTS)
        empty = await holding.look()
        holding.samples.clear()
        guests = [Guest(url, room["code"], number) for number in range(size)]
        beat = Beat(100)
        for guest in guests:
            await guest.come()
            await beat.next()

        loop = asyncio.get_running_loop()
        until_s = loop.time() + lasting_s
        said, churned = 0, 0

        async def speak() -> None:
            nonlocal said
            beat = Beat(LINES_PER_S)
            while loop.time() < until_s:
                await host.command(2, "say", {"text": f"line {said}"}, timeout_s=600)
                said += 1
                await beat.next()

        async def vote() -> None:
            beat = Beat(VOTES_PER_S)
            while loop.time() < until_s:
                body = {"round": 1, "options": [chance.choice(("o1", "o2", "o3"))]}
                command = {"type": "command", "ref": f"{chance.getrandbits(96):024x}", "activity": poll}
                chance.choice(guests).now.send({**command, "kind": "cast_vote", "body": body})
                await beat.next()

        async def churn(group: int) -> None:
            nonlocal churned
            beat = Beat(CHURN_PER_S * size / CHURNING)
            while loop.time() < until_s:
                guest = chance.choice(guests[group::CHURNING])
                guest.go(politely=chance.random() < 0.5)
                await guest.come()
                churned += 1
                await beat.next()

        async def watch() -> None:
            beat = Beat(1 / sample_s)
            while loop.time() < until_s:
                await holding.look()
                await beat.next()

        await asyncio.gather(speak(), vote(), watch(), *(churn(group) for group in range(CHURNING)))
        full = await holding.look()
        assert full["connections"] == size + 1
        assert not any(guest.now.is_lost for guest in guests)
        for guest in guests:
            guest.go(politely=True)
        modes = [mode for guest in guests for mode in guest.modes]
        assert len(modes) == churned > 0
        assert {*modes} == {"resume"}
        assert sum(guest.gaps for guest in guests) == sum(guest.refusals for guest in guests) == 0
        slopes = {name: holding.per_minute(name) for name in ("tasks", "files", "rss_kib")}
        events = host.replica.offset
        await host.close()
        while (left := await holding.look())["connections"]:  # the server hears of it by its sockets
            pass
        # Nothing stays that belonged to a connection.
        assert left["files"] <= empty["files"]
        assert left["tasks"] <= empty["tasks"]
        assert process.stdin is not None
        process.stdin.close()
        assert process.stderr is not None
        assert await process.stderr.read() == b""
        assert await process.wait() == 0
        figures(
            row=14,
            attack="people come and go for long",
            holds="Memory, descriptors and tasks stay flat; when all have gone, nothing of them stays.",
            people=size,
            lasting_s=int(lasting_s),
            churned=churned,
            resumed=modes.count("resume"),
            events_in_the_room=events,
            tasks_slope_per_min=slopes["tasks"],
            descriptors_slope_per_min=slopes["files"],
            memory_slope_kib_per_min=slopes["rss_kib"],
            memory_full_mib=round(full["rss_kib"] / 1024, 1),
            tasks_empty_full_and_empty_again=f"{empty['tasks']}/{full['tasks']}/{left['tasks']}",
            descriptors_empty_full_and_empty_again=f"{empty['files']}/{full['files']}/{left['files']}",
            server_cpu_share=round((full["cpu_s"] - empty["cpu_s"]) / lasting_s, 3),
        )
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
