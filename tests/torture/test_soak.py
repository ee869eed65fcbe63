"""A hall that is full for long, and people who come and go all the time: the server holds no more at the end."""

import asyncio
import json
import random
import secrets
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.torture.beat import Beat
from tests.torture.figures import Figures, Form
from tests.torture.soak_server import TOKEN
from wslive.cli import tuning
from wslive.client.connection import Connection
from wslive.client.http import fetch_json
from wslive.core.events import Position
from wslive.core.roles import Role
from wslive.crowd.thin import Ears, ThinPerson, open_thin
from wslive.wire import messages

SERVER = Path(__file__).with_name("soak_server.py")
SORTS = {"kind": "poll", "body": {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}}
CHURN_PER_S = 0.05
VOTES_PER_S = 4.0
LINES_PER_S = 1.0
WARM_UP_SHARE = 0.25
TIMEOUT_S = 60.0


class Heard:
    """What one connection was told."""

    def __init__(self) -> None:
        self.gaps = self.refusals = 0
        self.welcome: messages.Welcome | None = None
        self.position: Position | None = None

    def take(self, message: messages.ServerMessage) -> None:
        match message:
            case messages.Welcome():
                self.welcome, self.position = message, message.position
            case messages.Delta(from_=from_, to=to) if self.position is not None and to > self.position.offset:
                self.gaps += from_ > self.position.offset
                self.position = Position(self.position.epoch, to, message.chain)
            case messages.Refused():
                self.refusals += 1


class Door:
    """How people come in, and what each connection has heard."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ears = Ears(lambda person, message: self.heard.setdefault(person, Heard()).take(message))
        self.heard: dict[ThinPerson, Heard] = {}

    async def open(self, hello: messages.Hello) -> ThinPerson:
        return await open_thin(self._ears, self._url, hello, timeout_s=TIMEOUT_S)


class Guest:
    """A person, over one connection after the other."""

    def __init__(self, door: Door, code: str, number: int) -> None:
        self._door = door
        self._hello = messages.Hello(code, ref=secrets.token_urlsafe(18), name=f"Guest {number}")
        self.modes: list[str] = []
        self.gaps = self.refusals = 0

    async def come(self) -> None:
        self.now = await self._door.open(self._hello)
        welcome = self._door.heard[self.now].welcome
        assert welcome is not None
        if self._hello.token is None:
            self._hello = messages.Hello(self._hello.room, token=welcome.token)
        else:
            self.modes.append(welcome.mode)

    def go(self, *, politely: bool) -> None:
        heard = self._door.heard.pop(self.now)
        self.gaps += heard.gaps
        self.refusals += heard.refusals
        self._hello = msgspec.structs.replace(self._hello, position=heard.position)
        if not politely and self.now._transport is not None:
            self.now._transport.abort()
        self.now.close()


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

    async def until(self, wanted: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """Look until it is so, which the server hears of by its sockets; after a minute, what is so instead."""
        until_s = asyncio.get_running_loop().time() + TIMEOUT_S
        while not wanted(found := await self.look()) and asyncio.get_running_loop().time() < until_s:
            pass
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
        door = Door(url)
        guests = [Guest(door, room["code"], number) for number in range(size)]
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
                body = msgspec.Raw(b'{"round":1,"options":["%s"]}' % chance.choice((b"o1", b"o2", b"o3")))
                ref = f"{chance.getrandbits(96):024x}"
                chance.choice(guests).now.send(messages.Command(ref, poll, "cast_vote", body))
                await beat.next()

        groups = int(CHURN_PER_S * size)

        async def churn(group: int) -> None:
            # One of them a second: on a busy machine coming in takes its time.
            nonlocal churned
            beat = Beat(1)
            while loop.time() < until_s:
                guest = chance.choice(guests[group::groups])
                guest.go(politely=chance.random() < 0.5)
                await guest.come()
                churned += 1
                await beat.next()

        async def watch() -> None:
            beat = Beat(1 / sample_s)
            while loop.time() < until_s:
                await holding.look()
                await beat.next()

        await asyncio.gather(speak(), vote(), watch(), *(churn(group) for group in range(groups)))
        full = await holding.until(lambda found: found["connections"] == size + 1)
        assert full["connections"] == size + 1
        assert [guest.now.lost for guest in guests if guest.now.lost] == []
        for guest in guests:
            guest.go(politely=True)
        modes = [mode for guest in guests for mode in guest.modes]
        assert len(modes) == churned > 0
        assert {*modes} == {"resume"}
        assert sum(guest.gaps for guest in guests) == sum(guest.refusals for guest in guests) == 0
        slopes = {name: holding.per_minute(name) for name in ("tasks", "files", "rss_kib")}
        events = host.replica.offset
        await host.close()
        # Nothing stays that belonged to a connection.
        left = await holding.until(
            lambda found: not found["connections"] and all(found[name] <= empty[name] for name in ("files", "tasks"))
        )
        assert left["connections"] == 0
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
            churned_per_s=round(churned / lasting_s, 1),
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
