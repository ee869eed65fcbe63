"""docs/from_socketio.md against the command and the official client: what the page shows runs as it says."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.end_to_end.servers import ServeProcess
from tests.end_to_end.socketio_hall import CLIENT_FILE, ROOT, TIMEOUT_S, Client
from tests.pages import fences, section
from wslive.server.settings import ServerSettings
from wslive.socketio.handler import MAX_PAYLOAD_BYTES
from wslive.socketio.identity import COOKIE, MIN_SECRET_CHARS
from wslive.socketio.programs import POSITION

PAGE = (ROOT / "docs" / "from_socketio.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8765"
"""The server's address on the page."""


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts `wslive serve --socketio` with more arguments, at any free port."""
    runs: list[ServeProcess] = []

    async def start(*arguments: str) -> ServeProcess:
        run = ServeProcess(tmp_path, "--port", "0", "--store", "rooms.db", "--socketio", *arguments)
        runs.append(run)
        return await run.start()

    yield start
    for run in runs:
        await run.__aexit__()


async def away(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call something that waits, while the server's output is read."""
    return await asyncio.to_thread(call, *arguments, **options)


async def test_the_program_on_the_page_hosts_all_three(serve: Callable[..., Any]) -> None:
    server = await serve()
    [program] = fences(section(PAGE, "All three in twenty lines of Python"), "python")
    lines = [line for line in program.splitlines() if line.strip()]
    assert len(lines) <= 20
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-u", "-c", program.replace(ADDRESS, server.url)),
        env=server.env,
        cwd=server.root,
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdout is not None
    said: list[str] = []

    async def until(wanted: str) -> None:
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            while not any(wanted in line for line in said):
                said.append((await process.stdout.readline()).decode().rstrip("\n"))

    await until('io("')
    address = next(line for line in said if line.startswith('io("')).removeprefix('io("').removesuffix('")')
    ann = await away(Client, "named_chat.js", address, "Ann")
    ben = await away(Client, "live_vote.js", address)
    try:
        await until("of ['Ann']")
        await away(ben.wait_for, lambda entry: entry[0] == "shown")  # what is said before is not for him
        assert (await away(ann.ask, "send-message", "Hello"))["ok"] is True
        await until("said: ['Ann: Hello']")
        await away(ben.wait_told, "get-message", {"message": "Hello", "name": "Ann"})
        assert (await away(ben.ask, "vote", 3))["ok"] is True
        await until("votes: {'JavaScript': 0, 'C#': 0, 'PHP': 0, 'Python': 1, 'Go': 0}")
        await until("here: 2 of ['Ann', 'Guest 2']")
        levels = "import sys, wslive; print([p.level for p in wslive.host(sys.argv[1], server=sys.argv[2]).people])"
        arguments = (sys.executable, "-c", levels, "Programming languages", server.url)
        asking = await asyncio.create_subprocess_exec(*arguments, env=server.env, cwd=server.root, stdout=PIPE)
        assert (await asking.communicate())[0].endswith(b"[0, 0]\n")
    finally:
        await away(ann.close)
        await away(ben.close)
    async with asyncio.timeout(TIMEOUT_S):
        await process.communicate(b"\n")
    assert process.returncode == 0


async def test_a_room_named_on_the_command_line_is_taken_up_again(serve: Callable[..., Any]) -> None:
    question = ["--socketio-room", "Which language?", "--socketio-option", "JavaScript", "--socketio-option", "Python"]
    server = await serve(*question)
    assert f"Socket.IO clients come in with io('{server.url}'), to the room 'Which language?'." in server.greeting
    ann = await away(Client, "live_vote.js", server.url, auth={"token": "a secret that only Ann knows"})
    assert (await away(ann.ask, "vote", 1))["ok"] is True
    server.process.kill()  # without a word: what was acknowledged is there all the same
    await server.process.wait()
    await away(ann.close)

    again = await serve(*question)
    ben = await away(Client, "live_vote.js", again.url)
    shown = await away(ben.wait_for, lambda entry: entry[0] == "shown")
    assert shown[1:3] == [["JavaScript", "Python"], [0, 1]]
    await away(ben.close)
    ann = await away(Client, "live_vote.js", again.url, auth={"token": "a secret that only Ann knows"})
    assert (await away(ann.ask, "vote", 0))["ok"] is True
    await away(ann.wait_for, lambda entry: entry[0] == "shown" and entry[2] == [1, 0])
    await away(ann.close)


async def test_the_clients_script_is_served_where_a_file_is_named(serve: Callable[..., Any]) -> None:
    from urllib.request import urlopen

    server = await serve("--socketio-client", str(CLIENT_FILE))

    def script() -> str:
        with urlopen(f"{server.url}/socket.io/socket.io.js") as answer:
            return str(answer.read().decode())

    assert await away(script) == CLIENT_FILE.read_text("utf-8")


async def test_the_raw_websocket_on_the_page_is_answered(serve: Callable[..., Any], tmp_path: Path) -> None:
    server = await serve()
    client = fences(section(PAGE, "Raw WebSocket"), "js")[1].replace(ADDRESS.removeprefix("http"), server.url[4:])
    program = f'const WebSocket = require("ws");\n{client}\nsetTimeout(() => process.exit(), 60000).unref();'
    process = await asyncio.create_subprocess_exec(
        *("node", "-e", program), env={**os.environ, "NODE_PATH": str(ROOT / "node_modules")}, stdout=PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(TIMEOUT_S):
        assert await process.stdout.readline() == b"Roger that! Hello\n"
    process.terminate()
    await process.wait()


def test_the_page_names_what_the_code_has() -> None:
    assert f"The cookie `{COOKIE}`" in PAGE
    assert f"{MIN_SECRET_CHARS} characters or more" in PAGE.replace("\n   ", " ")
    assert f"an event `{POSITION}`" in PAGE
    assert f"{MAX_PAYLOAD_BYTES // 1024} KiB" in PAGE
    settings = ServerSettings()
    assert f"at\nmost every {settings.tick_interval_s * 1000:.0f} milliseconds" in PAGE
    assert f"{settings.away_after_s:.0f} seconds after the last connection" in PAGE
    assert f"within {settings.hello_timeout_s:.0f} seconds" in PAGE.replace("\n", " ")
