"""`wslive ping` in a process of its own, against a real server."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

import pytest

from wslive.cli.ping import Tally
from wslive.client.http import fetch_json
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

HANG_S = 30.0


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server to ping."""
    server = Server(ServerSettings(port=0), MemoryLog())
    await server.start()
    yield server
    await server.stop()


async def start(*arguments: str) -> Process:
    command = [sys.executable, "-W", "error", "-m", "wslive", "ping", *arguments]
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)


async def ping(*arguments: str) -> tuple[int, list[str], str]:
    """The exit code, and what stdout and stderr say."""
    process = await start(*arguments)
    async with asyncio.timeout(HANG_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode().splitlines(), err.decode()


async def test_each_answer_has_a_line_and_the_summary_counts_them(server: Server):
    code, lines, err = await ping(server.url, "--count", "3", "--interval", "0")
    assert (code, err) == (0, "")
    address = f"ws{server.url[4:]}/echo"
    assert lines[0] == f"PING {address}"
    times = [float(re.fullmatch(rf"answer {n}: time=(\d+\.\d\d\d) ms", lines[n])[1]) for n in (1, 2, 3)]  # type: ignore[index]
    assert lines[4:6] == ["", f"--- {address} ping statistics ---"]
    assert re.fullmatch(r"3 sent, 3 answered, 0% lost, time \d+ ms", lines[6])
    found = re.fullmatch(r"round trip min/avg/max/mdev = ([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+) ms", lines[7])
    assert found is not None
    least, mean, most, _ = map(float, found.groups())
    assert (least, most) == (min(times), max(times))
    assert mean == pytest.approx(sum(times) / 3, abs=0.001)


async def test_of_a_join_link_the_room_is_looked_at_and_the_server_is_measured(server: Server):
    wish = {"method": "POST", "body": {"title": "Sorting 101"}, "bearer": server.hosting_token}
    room = (await fetch_json(server.url, "/api/rooms", **wish))["code"]
    code, lines, err = await ping(f"{server.url}/r/{room}", "--count", "1")
    assert (code, err) == (0, "")
    assert lines[0] == f"PING ws{server.url[4:]}/echo"
    assert lines[1] == f"The room {room} is there: 'Sorting 101'. What follows measures its server."
    assert lines[2].startswith("answer 1: time=")
    code, lines, err = await ping(f"{server.url}/r/AAAAAA/screen", "--count", "1")
    assert (code, err) == (0, "")
    assert lines[1].startswith("The room AAAAAA cannot be joined: ")
    assert lines[1].endswith(" What follows measures its server.")


async def test_ctrl_c_ends_it_with_the_summary(server: Server):
    process = await start(server.url, "--interval", "0.01")
    assert process.stdout is not None
    async with asyncio.timeout(HANG_S):
        for _ in range(4):
            await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"0% lost" in out


async def test_where_nobody_listens_the_exit_code_is_2(unused_tcp_port: int):
    code, lines, err = await ping(f"http://127.0.0.1:{unused_tcp_port}")
    assert (code, lines) == (2, [])
    assert err.startswith("Error: No wslive server answers")
    assert "Traceback" not in err


async def test_a_server_that_ends_is_told_with_what_came_before():
    server = Server(ServerSettings(port=0), MemoryLog())
    await server.start()
    process = await start(server.url, "--interval", "0.01")
    assert process.stdout is not None
    async with asyncio.timeout(HANG_S):
        for _ in range(3):
            await process.stdout.readline()
        await server.stop()
        out, err = await process.communicate()
    assert process.returncode == 0  # something was answered
    assert b"ping statistics" in out
    assert err.decode() == (
        "The server closed the connection (4000): The server is going down or restarting; come back in a moment.\n"
    )


async def test_without_any_answer_the_exit_code_is_1():
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)
        up_writer.write(await reader.readuntil(b"\r\n\r\n"))
        writer.write(await up_reader.readuntil(b"\r\n\r\n"))
        while await reader.read(65536):  # the handshake goes through, and nothing after it
            pass
        writer.close()
        up_writer.close()

    server = Server(ServerSettings(port=0), MemoryLog())
    await server.start()
    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        code, lines, _ = await ping(f"http://127.0.0.1:{port}", "-c", "2", "-i", "0", "-W", "0.3")
    await server.stop()
    assert code == 1
    assert lines[1:3] == ["answer 1: no answer within 0.3 s", "answer 2: no answer within 0.3 s"]
    assert lines[-1].startswith("2 sent, 0 answered, 100% lost")


def test_the_deviation_is_that_of_ping():
    tally = Tally("ws://127.0.0.1:8765/echo", time.monotonic(), 4, [1.0, 2.0, 3.0])
    lines = tally.lines()
    assert lines[2].startswith("4 sent, 3 answered, 25% lost")
    assert lines[3] == "round trip min/avg/max/mdev = 1.000/2.000/3.000/0.816 ms"
