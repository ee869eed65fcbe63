"""`wslive demo`: the first minute, as a process, with a real JupyterLab."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import psutil
from tornado.httpclient import AsyncHTTPClient
from websockets.asyncio.client import ClientConnection, connect

WITHOUT_LAB = "import sys; sys.modules['jupyterlab'] = None; from wslive.cli import main; main()"
LINK = re.compile(r"^  (Notebook|Phone page|Projector|Ledger of acks|Store)\s+(\S+)$")


class Demo:
    """One run of the demo."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.told: list[str] = []
        self.links: dict[str, str] = {}

    @classmethod
    @asynccontextmanager
    async def start(cls, *arguments: str, program: tuple[str, ...] = ("-m", "wslive")) -> AsyncIterator[Demo]:
        """Start it, and go on when it has printed its links."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *program, "demo", "--no-browser", *arguments),
            env={**os.environ, "COLUMNS": "60"},  # links are never broken, however narrow the terminal
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        demo = cls(process)
        try:
            await demo.read_until("Projector")
            yield demo
        finally:
            if process.returncode is None:
                process.terminate()
                await demo.end()

    async def read_until(self, word: str) -> str:
        """Read on to the line with a word in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            while True:
                line = (await self.process.stdout.readline()).decode()
                assert line, self.told
                self.told.append(line.rstrip("\n"))
                if found := LINK.match(self.told[-1]):
                    self.links[found[1]] = found[2]
                if word in line:
                    return line

    async def end(self) -> int:
        """Read on to its end; the exit code."""
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            rest = (await self.process.stdout.read()).decode()
            for line in rest.splitlines():
                self.told.append(line)
                if found := LINK.match(line):
                    self.links[found[1]] = found[2]
            return await self.process.wait()

    def family(self) -> list[psutil.Process]:
        """All processes that it has started and that run."""
        return psutil.Process(self.process.pid).children(recursive=True)


async def page(url: str) -> str:
    """What is at an address."""
    response = await AsyncHTTPClient(force_instance=True).fetch(url)
    return response.body.decode()


async def run_in_lab(notebook: str, code: str) -> str:
    """Run code in a kernel that JupyterLab starts for the notebook; what it printed."""
    parts = urlsplit(notebook)
    token = parse_qs(parts.query)["token"][0]
    wish = {"path": "01_host.ipynb", "name": "01_host.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    client = AsyncHTTPClient(force_instance=True)
    answer = await client.fetch(
        f"{parts.scheme}://{parts.netloc}/api/sessions?token={token}",
        method="POST",
        body=json.dumps(wish),
        headers={"Content-Type": "application/json"},
    )
    kernel = json.loads(answer.body)["kernel"]["id"]
    async with connect(f"ws://{parts.netloc}/api/kernels/{kernel}/channels?token={token}", max_size=None) as socket:
        # What is sent before the server has reached its new kernel is lost without a word.
        while not await told(socket, "kernel_info_request", {}, timeout_s=1):
            pass
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        messages = await told(socket, "execute_request", content, timeout_s=90)
    errors = [
        line for message in messages if message["msg_type"] == "error" for line in message["content"]["traceback"]
    ]
    assert errors == []
    return "".join(message["content"]["text"] for message in messages if message["msg_type"] == "stream")


async def told(
    socket: ClientConnection, kind: str, content: dict[str, Any], *, timeout_s: float
) -> list[dict[str, Any]]:
    """Ask a kernel; all that it says on that up to its reply. Nothing, if there is no reply in time."""
    asked = uuid4().hex
    header = {"msg_id": asked, "msg_type": kind, "username": "", "session": "tests", "version": "5.3"}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "buffers": []}
    await socket.send(json.dumps({**request, "channel": "shell"}))
    messages = []
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while True:
                message = json.loads(await socket.recv())
                if message["parent_header"].get("msg_id") == asked:
                    messages.append(message)
                    # Output travels on another channel than the reply; idle is the last word on it.
                    if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                        return messages
    return []


async def test_the_first_minute(tmp_path: Path):
    folder = tmp_path / "kept"
    async with Demo.start("--size", "30", "--dir", str(folder)) as demo:
        # The links come first, and they work.
        assert "<title>" in await page(demo.links["Phone page"])
        assert "<title>" in await page(demo.links["Projector"])
        assert "JupyterLab" in await page(demo.links["Notebook"])
        assert sorted(p.name for p in (folder / "notebooks").glob("*.ipynb"))[0] == "01_host.ipynb"
        family = demo.family()
        assert len(family) >= 2

        # The notebook's first two cells find this room and this question, with the crowd in it.
        cells = json.loads((folder / "notebooks" / "01_host.ipynb").read_text())["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        asked = next(i for i, source in enumerate(sources) if "room.poll(" in source)
        told = await run_in_lab(
            demo.links["Notebook"],
            "\n".join(sources[: asked + 1]) + "\nprint(room.code, len(room.polls), len(room.people) > 0)",
        )
        code = demo.links["Phone page"].rpartition("/")[2]
        assert told.splitlines()[0].startswith("Resumed: opened")
        assert told.splitlines()[-1] == f"{code} 1 True"

        # Without a terminal there is a plain line now and then.
        plain = await demo.read_until("answered:")
        assert re.search(r"^\d\d:\d\d  \d+ of 30 here · \d+ answered: quick \d+, merge \d+, heap \d+ · \d+ chat", plain)

        async with asyncio.timeout(120):
            while joined(folder / "wslive.db") < 30:  # noqa: ASYNC110 (another process: nothing tells us)
                await asyncio.sleep(0.2)
        demo.process.send_signal(signal.SIGINT)
        assert await demo.end() == 0, demo.told
        assert re.search(r"30 people, \d+ ballots from \d+ votes, \d+ chat lines\.", "\n".join(demo.told))
        assert any(line.startswith("ledger == log: ") for line in demo.told)
        assert [
            process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        ] == []
        check_ledger_against_log(Path(demo.links["Ledger of acks"]), Path(demo.links["Store"]))


def joined(store: Path) -> int:
    """How many people have come so far."""
    with closing(sqlite3.connect(store)) as db:
        return int(db.execute("SELECT count(*) FROM events WHERE kind = 'joined'").fetchone()[0])


def check_ledger_against_log(ledger: Path, store: Path) -> None:
    """Recount both, ballot by ballot, without any code of the product."""
    acked = {}
    for line in ledger.read_text().splitlines():
        ack = json.loads(line)
        assert ack["offset"] not in acked
        kind = {"cast_vote": "vote_cast", "retract_vote": "vote_retracted", "say": "line_said"}[ack["kind"]]
        acked[ack["offset"]] = (ack["actor"], ack["ref"], ack["activity"], kind, ack["body"])
    query = "SELECT offset, actor, ref, activity, kind, body FROM events WHERE kind LIKE 'vote_%' OR kind = 'line_said'"
    with closing(sqlite3.connect(store)) as db:
        logged = {offset: (*rest, json.loads(body)) for offset, *rest, body in db.execute(query)}
    assert acked == logged
    assert ballots(acked) == ballots(logged) != {}


def ballots(commands: dict[int, tuple[str, str, int, str, dict[str, Any]]]) -> dict[str, list[str] | None]:
    """The last answer of each person; None where it was taken back."""
    found: dict[str, list[str] | None] = {}
    for _, (actor, _, _, kind, body) in sorted(commands.items()):
        if kind.startswith("vote_"):
            found[actor] = body.get("options")
    return found


async def test_ctrl_c_ends_everything_and_still_says_what_happened(tmp_path: Path):
    async with Demo.start("--size", "5") as demo:
        family = demo.family()
        await demo.read_until("answered:")
        demo.process.send_signal(signal.SIGINT)
        assert await demo.end() == 0, demo.told
        assert any(" people, " in line for line in demo.told)
        assert any(line.startswith("ledger == log: ") for line in demo.told)
        assert "Store" not in demo.links  # a temporary folder is gone, so its paths are not told
        _, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []


async def test_a_server_that_dies_is_told_and_ends_the_demo():
    async with Demo.start("--size", "5", program=("-c", WITHOUT_LAB)) as demo:
        await demo.read_until("answered:")
        [server] = demo.family()
        server.kill()
        assert await demo.end() == 2, demo.told
        [told] = [line for line in demo.told if line.startswith("Error: ")]
        assert told == "Error: The server has ended by itself, with exit code -9. The end of its output:"
        assert not any("Traceback" in line for line in demo.told)


async def test_without_jupyterlab_it_says_how_to_get_it_and_goes_on():
    async with Demo.start("--seconds", "2", "--size", "3", program=("-c", WITHOUT_LAB)) as demo:
        assert (
            'JupyterLab is not installed here: `pip install "wslive[lab]"` adds the notebook to this demo.' in demo.told
        )
        assert set(demo.links) == {"Phone page", "Projector"}
        # It ends by itself when the time is over.
        assert await demo.end() == 0, demo.told
        assert any(" people, " in line for line in demo.told)
        assert any(line.startswith("ledger == log: ") for line in demo.told)


async def test_a_port_in_use_is_told_in_a_sentence(unused_tcp_port: int):
    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(nobody, "127.0.0.1", unused_tcp_port):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wslive", "demo", "--no-browser", "--port", str(unused_tcp_port)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert f"Port {unused_tcp_port} is taken by another program" in err.decode()
    assert "Traceback" not in err.decode()
