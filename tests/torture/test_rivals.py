"""The same done to Socket.IO's own server: cuts, kills, resends, and somebody who does not read.

With connection state recovery, in memory and with its Redis Streams adapter. `make torture` installs both; nothing here
asserts how well they do: what comes of it is a figure.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.torture.figures import Figures, Form

pytestmark = pytest.mark.long_only

PROGRAMS = Path(__file__).with_name("socketio")
PEOPLE = 100
SYSTEMS = {False: "Socket.IO 4.8.4, in memory", True: "Socket.IO 4.8.4, Redis Streams adapter 0.3.1"}
with_both = pytest.mark.parametrize("with_redis", [False, True], ids=["memory", "redis"])


class Rival:
    """Socket.IO's server, and the Redis behind it, if it has one."""

    def __init__(self, root: Path, redis: Path | None) -> None:
        self.redis = redis
        self.root = root
        self.port = 0

    async def start(self) -> None:
        arguments = [str(self.port), *([str(self.redis)] if self.redis else [])]
        self.process = await asyncio.create_subprocess_exec(
            *("node", "--expose-gc", str(PROGRAMS / "server.js"), *arguments), stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.port = int(await self.process.stdout.readline())

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def running(root: Path, *, with_redis: bool) -> AsyncIterator[Rival]:
    """A server, and for its adapter a Redis without a port."""
    redis: asyncio.subprocess.Process | None = None
    socket = root / "redis.sock"
    if with_redis:
        program = shutil.which("redis-server")
        assert program, "tools/rivals.sh installs redis-server"
        redis = await asyncio.create_subprocess_exec(
            *(program, "--port", "0", "--unixsocket", str(socket), "--dir", str(root), "--save", ""),
            stdout=asyncio.subprocess.PIPE,
        )
        assert redis.stdout is not None
        while b"ready to accept connections" not in (line := await redis.stdout.readline()):
            assert line, "Redis did not start"
    rival = Rival(root, socket if with_redis else None)
    await rival.start()
    try:
        yield rival
    finally:
        await rival.kill()
        if redis is not None:
            redis.terminate()
            await redis.communicate()


async def told(process: asyncio.subprocess.Process) -> Any:
    """The last line of a program that is about to end."""
    out, _ = await process.communicate()
    return json.loads(out.splitlines()[-1])


async def one(rival: Rival, what: str, *sizes: int) -> Any:
    """What came of what a single client did."""
    command = ("node", str(PROGRAMS / "one.js"), rival.url, what, *map(str, sizes))
    return await told(await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE))


@with_both
async def test_the_server_is_killed_after_votes(tmp_path: Path, form: Form, figures: Figures, with_redis: bool):
    kills, votes = form.choose(2, 100, 20), 1000
    acked = left = 0
    async with running(tmp_path, with_redis=with_redis) as rival:
        for _ in range(kills):
            acked += (await one(rival, "vote", votes))["acked"]
            await rival.kill()
            await rival.start()
            left += (await one(rival, "vote", 0))["before"]
    figures(
        row=1,
        attack="kill -9 of the server after votes",
        holds="—",
        system=SYSTEMS[with_redis],
        kills=kills,
        acked_votes=acked,
        acked_votes_left_after_the_kills=left,
    )


@with_both
@pytest.mark.parametrize("kills", [0, 2], ids=["cuts", "cuts_and_kills"])
async def test_connections_are_cut(tmp_path: Path, form: Form, figures: Figures, with_redis: bool, kills: int):
    cuts = form.choose(600, 10_000, 1500)
    async with running(tmp_path, with_redis=with_redis) as rival:
        clients = await asyncio.create_subprocess_exec(
            *("node", str(PROGRAMS / "clients.js"), rival.url, str(PEOPLE), str(cuts), str(cuts // (kills + 1))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 28,
        )
        assert clients.stdin is not None
        assert clients.stdout is not None
        for number in range(kills + 1):
            assert await clients.stdout.readline() == b"now\n"
            if number < kills:
                await rival.kill()
                await rival.start()
            clients.stdin.write(b"\n")
        found = await told(clients)
    acked: list[str] = found["acked"]
    place = {line: at for at, line in enumerate(acked)}
    missed = twice = recovered = returns = due = 0
    for seen in found["seen"]:
        returns += len(seen["returns"])
        recovered += sum(seen["returns"])
        for number, spell in enumerate(seen["spells"]):
            # A spell begins where somebody was told that something may be missing, or came in.
            came = [place[line] for line in spell if line in place]
            is_last = number == len(seen["spells"]) - 1
            wanted = range(came[0], len(acked) if is_last else came[-1] + 1) if came else range(0)
            twice += len(came) - len(set(came))
            due += len(wanted)
            missed += len(set(wanted) - set(came))
    figures(
        row=2,
        attack="forced reconnects" + (" and kill -9 of the server" if kills else ""),
        holds="—",
        system=SYSTEMS[with_redis],
        people=PEOPLE,
        lines_acked=len(acked),
        reconnects=returns,
        recovered=recovered,
        not_recovered_and_told_so=returns - recovered,
        kills=kills,
        lines_due=due,
        silently_missed=missed,
        came_twice=twice,
        **({"acked_votes": PEOPLE, "acked_votes_left_after_the_kills": found["voters"]} if kills else {}),
    )


@with_both
async def test_votes_are_sent_again(tmp_path: Path, form: Form, figures: Figures, with_redis: bool):
    votes = form.choose(20, 1000, 200)
    async with running(tmp_path, with_redis=with_redis) as rival:
        found = await one(rival, "resend", votes)
    figures(
        row=3,
        attack="votes sent again by the client's own retries",
        holds="—",
        system=SYSTEMS[with_redis],
        votes_cast=found["cast"],
        times_the_program_was_told_of_one=found["counted"],
    )


@with_both
async def test_somebody_does_not_read(tmp_path: Path, form: Form, figures: Figures, with_redis: bool):
    lines = form.choose(20_000, 170_000, 60_000)
    async with running(tmp_path, with_redis=with_redis) as rival:
        found = await one(rival, "deaf", lines, 1024)
    figures(
        row=5,
        attack="a client that never reads",
        holds="—",
        system=SYSTEMS[with_redis],
        lines_of_1_kib=lines,
        server_memory_grew_mib=round((found["after"] - found["before"]) / 2**20, 1),
    )
