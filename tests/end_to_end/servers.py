"""`wslive serve` as a process of its own, with folders of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from wslive.client.http import fetch_json

START_TIMEOUT_S = 60
MOST_LOG_BYTES = 1 << 28
"""A server whose log nobody takes stands still, and most tests take it at its end only."""


def folders(root: Path) -> dict[str, str]:
    """Where such a server leaves its traces: not where the user's own ones are found."""
    return {"JUPYTER_RUNTIME_DIR": str(root / "runtime"), "JUPYTER_DATA_DIR": str(root / "data")}


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables in this process."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class ServeProcess:
    """One run of `python -m wslive serve …`."""

    TOKEN = "ht_of_the_tests"
    running: ClassVar[set[ServeProcess]] = set()
    """Those whose end nobody has waited for."""

    def __init__(self, root: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        """Prepare a run; `root` keeps what the server leaves."""
        self.root = root
        self.arguments = arguments
        self.env = {**os.environ, **folders(root), "WSLIVE_HOST_TOKEN": self.TOKEN, **(env or {})}
        self.greeting: list[str] = []
        self.url = ""

    async def start(self) -> ServeProcess:
        """Start it, and return when it listens."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wslive", "serve", *self.arguments),
            env=self.env,
            cwd=self.root,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=MOST_LOG_BYTES,
        )
        self.running.add(self)
        assert self.process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            while not self.greeting or not self.greeting[-1].startswith(("Ctrl-C", "Own server")):
                line = await self.process.stdout.readline()
                assert line, (await self.output())[1]
                self.greeting.append(line.decode().rstrip("\n"))
        self.url = next(word.rstrip(",") for word in self.greeting[0].split() if word.startswith("http"))
        return self

    async def __aenter__(self) -> ServeProcess:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.output()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    async def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Send it a signal; its exit code and what it still said."""
        self.process.send_signal(number)
        out, err = await self.output()
        assert self.process.returncode is not None
        return self.process.returncode, out, err

    async def output(self) -> tuple[str, str]:
        """What it says until its end."""
        async with asyncio.timeout(START_TIMEOUT_S):
            out, err = await self.process.communicate()
        self.running.discard(self)
        return out.decode(), err.decode()

    async def open_room(self, title: str = "Sorting 101") -> dict[str, Any]:
        """Create a room."""
        made: dict[str, Any] = await fetch_json(
            self.url, "/api/rooms", method="POST", body={"title": title}, bearer=self.TOKEN
        )
        return made


async def fails(root: Path, *arguments: str) -> str:
    """Run a server that cannot start; what it says about that, in one line."""
    run = ServeProcess(root, *arguments)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wslive", "serve", *arguments),
        env=run.env,
        cwd=root,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(START_TIMEOUT_S):
        out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert err.count(b"\n") == 1
    return err.decode().strip()
