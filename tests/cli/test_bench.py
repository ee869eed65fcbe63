"""`wslive bench` in a process of its own, against real servers; and what it says of figures."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from wslive.cli.bench import figures, is_hopeless, is_smooth, percentile, verdict
from wslive.crowd.load_test import Step
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

HANG_S = 60.0


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server of one's own."""
    server = Server(ServerSettings(port=0), MemoryLog())
    await server.start()
    yield server
    await server.stop()


async def start(server: Server | str, *arguments: str, token: str = "") -> Process:
    url = server if isinstance(server, str) else server.url
    token = token or ("" if isinstance(server, str) else server.hosting_token)
    command = [sys.executable, "-W", "error", "-m", "wslive", "bench", url, *arguments]
    env = {**os.environ, "WSLIVE_HOST_TOKEN": token, "COLUMNS": "300"}
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=env)


async def finished(process: Process) -> tuple[int, str, str]:
    """The exit code, stdout and stderr."""
    async with asyncio.timeout(HANG_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def first_line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(HANG_S):
        return (await process.stdout.readline()).decode()


async def test_people_come_in_steps_and_the_room_is_gone_afterwards(server: Server):
    code, out, err = await finished(await start(server, "-n", "3", "-n", "8", "--seconds", "1"))
    assert (code, err) == (0, "")
    assert "3 of 3 people" in out
    assert "8 of 8 people" in out
    assert "Your server and what is in front of it carry 8 people" in out
    assert "no network was between them" in out
    assert await server.context.node.log.rooms() == []


async def test_the_figures_as_json_have_standard_output_for_themselves(server: Server):
    code, out, err = await finished(await start(server, "-n", "5", "--seconds", "1", "--json"))
    assert code == 0
    found = json.loads(out)
    assert found["server"] == server.url
    (step,) = found["steps"]
    assert step["people"] == step["here"] == 5
    assert step["votes"] == step["acked"] == 1
    assert step["is_smooth"] is True
    assert 0 < step["ack_p50_ms"] <= step["ack_p99_ms"]
    assert "carry 5 people" in err


async def test_where_the_server_is_full_it_says_whose_limit_that_is():
    server = Server(ServerSettings(port=0, max_connections=6), MemoryLog())
    await server.start()
    code, out, _ = await finished(await start(server, "-n", "10", "-n", "500", "--seconds", "1"))
    assert code == 1
    # The host's own connection is the sixth.
    assert "5 of 10 people" in out
    assert "At 10 people 5 did not get in: answered with HTTP 503: This server has as many connections" in out
    assert "max_connections" in out
    assert "500" not in out.split("Ctrl-C", 1)[1]  # more people would only have done harm
    assert await server.context.node.log.rooms() == []
    await server.stop()


async def test_without_the_right_to_host_it_is_told_how_to_get_it(server: Server):
    code, out, err = await finished(await start(server, token="another"))
    assert (code, out) == (2, "")
    assert "Set WSLIVE_HOST_TOKEN to the hosting token" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "ftp://example.org", "nonsense:"])
async def test_an_address_that_leads_nowhere_is_a_sentence(address: str):
    code, out, err = await finished(await start(address))
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert "Traceback" not in err


async def test_ctrl_c_deletes_the_room(server: Server):
    process = await start(server, "-n", "4", "--seconds", "60")
    assert "is for this test alone" in await first_line(process)
    process.send_signal(signal.SIGINT)
    code, out, err = await finished(process)
    assert (code, err) == (130, "")
    assert out == "Ended early. The room is deleted.\n"
    assert await server.context.node.log.rooms() == []


async def test_a_server_that_goes_mid_way_is_told():
    server = Server(ServerSettings(port=0), MemoryLog())
    await server.start()
    process = await start(server, "-n", "4", "-n", "8", "--seconds", "3")
    await first_line(process)
    async with asyncio.timeout(HANG_S):
        while server.connections < 5:  # noqa: ASYNC110 - another process connects, no event tells
            await asyncio.sleep(0.01)
    await server.stop()
    code, out, err = await finished(process)
    assert (code, err) == (1, "")
    # Somebody may have been at the door yet: "did not get in" instead of "were thrown out".
    assert "closed by the server (4000): The server is going down" in out
    assert "0 of 4 people" in out
    assert "of 8 people" not in out
    assert "could not be deleted" in out


# ── what is said ──────────────────────────────────────────────────────────────────────────────────────────────────────

SMOOTH = Step(people=100, here=100, tried=100, votes=200, acked=200, ack_ms=[4.0] * 200, delivery_ms=[40.0] * 200)


@pytest.mark.parametrize(
    ("values", "p50", "p99"), [([], None, None), ([7], 7, 7), ([2, 1], 1, 2), (range(1, 101), 50, 99)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: Any, p50: Any, p99: Any):
    found = figures(replace(SMOOTH, join_ms=list(values)))
    assert (found["join_p50_ms"], found["join_p99_ms"]) == (p50, p99)


@pytest.mark.parametrize(
    ("count", "percent", "place"), [(4, 0, 1), (4, 50, 2), (4, 51, 3), (4, 100, 4), (60, 99, 60), (100, 99, 99)]
)
def test_a_percentile_is_one_of_the_values_in_any_order(count: int, percent: int, place: int):
    assert percentile(range(count, 0, -1), percent) == place
    assert math.isnan(percentile([], percent))


def test_a_smooth_step_is_told_by_its_slowest_hundredth():
    step = replace(SMOOTH, ack_ms=[4.0] * 197 + [90.0] * 3)
    assert is_smooth(step)
    assert figures(step)["ack_p99_ms"] == 90.0
    assert verdict([step], is_local=False) == [
        "Your server and what is in front of it carry 100 people: votes are counted within 90 ms, and everybody's "
        "chart shows them within 40 ms (p99)."
    ]


@pytest.mark.parametrize(
    ("changed", "said", "hopeless"),
    [
        ({"here": 99, "failed": Counter({"no answer within 10 s": 1})}, "1 did not get in: no answer", False),
        ({"here": 80, "failed": Counter({"answered with HTTP 503 by nginx": 20})}, "worker_connections", True),
        ({"here": 99, "lost": Counter({"the connection was cut": 1})}, "1 were thrown out", False),
        ({"acked": 199}, "1 of 200 votes were not acknowledged", False),
        ({"acked": 150, "refused": Counter({"Too fast.": 50})}, "50 votes were refused: Too fast.", True),
        ({"behind": 3}, "3 did not see the last votes", False),
        ({"delivery_ms": [800.0]}, "showing it to everybody took 800 ms", False),
        ({"ack_ms": [4000.0]}, "counting a vote took 4,000 ms", True),
    ],
)
def test_what_is_not_smooth_is_told_with_its_reason(changed: dict[str, object], said: str, hopeless: bool):
    step = replace(SMOOTH, **changed)  # type: ignore[arg-type]
    assert not is_smooth(step)
    assert is_hopeless(step) == hopeless
    sentences = verdict([SMOOTH, step], is_local=False)
    assert sentences[0].startswith("Your server and what is in front of it carry 100 people")
    assert said in "\n".join(sentences[1:])


def test_a_busy_test_says_that_it_may_be_the_limit_itself():
    assert "Run the test on another computer" in verdict([replace(SMOOTH, busy_share=0.95)], is_local=False)[1]
