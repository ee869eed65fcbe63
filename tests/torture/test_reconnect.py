"""People lose their connections, again and again, while lines are said. Nobody is ever resumed with a hole."""

import asyncio
import json
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

import wslive
from tests.client.rooms import Soon, Wire
from tests.end_to_end.servers import ServeProcess
from tests.torture.beat import Beat
from tests.torture.figures import Figures, Form, Part
from tests.torture.witness import Witness, untold
from wslive.cli import tuning
from wslive.client.connection import Connection
from wslive.core.roles import Role

BROWSERS = Path(__file__).with_name("browsers.mjs")
WEB = Path(wslive.__file__).with_name("web")
SAID = "SELECT offset, body FROM events WHERE kind = 'line_said' ORDER BY offset"
LINES_PER_S = 20
CUTS_PER_S = 43
"""As many for each second and client as in the run against Socket.IO."""

HANG_S = 600.0
"""A guard against a hang, no assertion."""


class Stage:
    """A host who says numbered lines, at a steady rate, whatever becomes of the connection."""

    def __init__(self, server: ServeProcess, room: dict[str, Any]) -> None:
        self.host = Connection(server.url, room["code"], role=Role.HOST, token=room["host_key"], rng=Soon())
        self._said: list[asyncio.Task[int]] = []
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.host.open()
        self._task = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        beat = Beat(LINES_PER_S)
        while True:
            text = f"line {len(self._said)}"
            self._said.append(asyncio.create_task(self.host.command(2, "say", {"text": text}, timeout_s=HANG_S)))
            await beat.next()

    async def end(self) -> list[int]:
        """Say no more; the offsets of all that was said, in the order said."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        return list(await asyncio.gather(*self._said))


@asynccontextmanager
async def browsers(code: str, wires: list[Wire]) -> AsyncIterator[asyncio.subprocess.Process]:
    """People with client.js, in a process of Node; they are in."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(BROWSERS), str(WEB), code, *(wire.url for wire in wires)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 28,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"in\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parts(10)
@pytest.mark.parametrize("killing", [False, True], ids=["cuts", "cuts_and_kills"])
async def test_nobody_is_ever_resumed_with_a_hole(
    tmp_path: Path, form: Form, figures: Figures, killing: bool, part: Part
):
    tuning.allow_many_sockets()
    size, browser_count, cuts, cuts_a_kill = form.choose(
        (8, 2, 60, 30), (100, 20, len(part.share(10_800)), 300), (100, 20, 1500, 300)
    )
    chance = random.Random(f"{form.seed}/{part}")
    server = await ServeProcess(tmp_path, "--port", "0").start()
    port, room = server.port, await server.open_room()
    kills = 0
    async with AsyncExitStack() as stack:
        stack.push_async_callback(lambda: server.__aexit__())  # whichever it is then
        wires = [await stack.enter_async_context(Wire(port)) for _ in range(size + browser_count)]
        connections = []
        for number, wire in enumerate(wires[:size]):
            rng = random.Random(f"{form.seed}/{number}")
            connection = Connection(wire.url, room["code"], name=f"Guest {number}", rng=rng)
            connection.replica = Witness()
            connections.append(connection)
            stack.push_async_callback(connection.close)
        await asyncio.gather(*(connection.open(60) for connection in connections))
        node = await stack.enter_async_context(browsers(room["code"], wires[size:]))
        stage = Stage(server, room)
        stack.push_async_callback(stage.host.close)
        await stage.open()

        beat = Beat(CUTS_PER_S)
        for cut in range(1, cuts + 1):
            await beat.next()
            wire = chance.choice([wire for wire in wires if wire.is_used] or wires)
            wire.cut()
            if chance.random() < 0.01 and not wire.is_torn:
                # Out of reach for a while: up to a thousand changes and more are missed.
                wire.is_torn = True
                away_s = chance.uniform(1, form.choose(2, 60))
                asyncio.get_running_loop().call_later(away_s, setattr, wire, "is_torn", False)
            if killing and cut % cuts_a_kill == 0:
                _, _, err = await server.end(signal.SIGKILL)
                assert "Traceback" not in err
                server = await ServeProcess(tmp_path, "--port", str(port)).start()
                kills += 1
        for wire in wires:
            wire.is_torn = False
        acked = await stage.end()
        async with asyncio.timeout(HANG_S):
            await asyncio.gather(
                *(c.changed(lambda _, c=c: c.replica.offset >= max(acked)) for c in connections)  # type: ignore[misc]
            )
            assert node.stdin is not None
            assert node.stdout is not None
            node.stdin.write(b"%d\n" % max(acked))
            in_browsers = json.loads(await node.stdout.readline())

        with closing(sqlite3.connect(tmp_path / "wslive.db")) as db:
            said = [(offset, json.loads(body)["text"]) for offset, body in db.execute(SAID)]
        # Each was said once, and its ack named its place.
        assert said == sorted((offset, f"line {number}") for number, offset in enumerate(acked))
        offsets = [offset for offset, _ in said]
        returns: Counter[tuple[str, bool]] = Counter()
        problems = []
        for who, witness in enumerate(connections):
            replica = witness.replica
            assert isinstance(replica, Witness)
            problems += [f"guest {who}: {problem}" for problem in untold(replica.spells, offsets, replica.offset)]
            returns.update((mode, missed < 1000) for mode, missed in replica.returns)
            shown = [line["text"] for line in replica.view["activities"]["2"]["lines"].values()]
            assert shown == [text for _, text in said][-len(shown) :]
        of_browsers = 0
        for who, seen in enumerate(in_browsers):
            problems += [f"browser {who}: {problem}" for problem in untold(seen["spells"], offsets, seen["offset"])]
            returns.update((mode, missed < 1000) for mode, missed in seen["returns"])
            of_browsers += len(seen["returns"])
        assert problems == []
        resumed, soon = returns["resume", True], sum(n for (_, is_soon), n in returns.items() if is_soon)
        assert resumed >= 0.99 * soon > 0
        figures(
            row=2,
            attack="forced reconnects" + (" and kill -9 of the server" if killing else ""),
            holds="Whoever is told “resume” has every line, in order, once; at least 99 % of the reconnects that "
            "missed fewer than 1,000 changes are resumed.",
            adds=(
                *("lines", "reconnects", "of_them_with_client_js_reconnects", "kills", "missed_below_1000_and_resumed"),
                *("missed_below_1000_and_not_resumed", "missed_more_and_told_so", "lines_due"),
            ),
            people=len(wires),
            of_them_with_client_js=browser_count,
            lines=len(said),
            lines_per_s=LINES_PER_S,
            reconnects=returns.total(),
            of_them_with_client_js_reconnects=of_browsers,
            kills=kills,
            missed_below_1000_and_resumed=resumed,
            missed_below_1000_and_not_resumed=soon - resumed,
            missed_more_and_told_so=returns.total() - soon,
            lines_due=sum(sum(len(seen) for _, seen in c.replica.spells) for c in connections),
            silently_missed=0,
            out_of_order=0,
        )
