"""A real server for the tests of the notebook's side, in a thread of its own, and folders of its own."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wslive.eventlog.memory import MemoryLog
from wslive.notebook import hosting
from wslive.notebook.calls import run
from wslive.notebook.live import Live
from wslive.server.app import Server
from wslive.server.settings import ServerSettings


class ServerThread:
    """A server on a port that the system chose."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.server: Server
        self._call(self._start())

    async def _start(self) -> None:
        self.server = Server(ServerSettings(port=0), MemoryLog())
        await self.server.start()

    def _call(self, coroutine) -> None:  # type: ignore[no-untyped-def]
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def stop(self) -> None:
        self._call(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the servers and keys of whoever runs it."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    for name in ("WSLIVE_SERVER", "WSLIVE_HOST_TOKEN", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a running server that this user may host on; what was opened on it is closed afterwards."""
    thread = ServerThread()
    monkeypatch.setenv("WSLIVE_SERVER", thread.server.url)
    monkeypatch.setenv("WSLIVE_HOST_TOKEN", thread.server.hosting_token)
    yield thread.server.url
    forget_all()
    thread.stop()


def forget_all() -> None:
    """What a restart of the kernel does: every connection of this process is gone."""

    async def close() -> None:
        lives = list(hosting._open.values())
        hosting._open.clear()
        for live in lives:
            await live.let_go()

    run(close())


def follow(reader: Live, writer: Live) -> None:
    """Wait until one sees what another has done: each has a connection of its own."""
    offset = writer.connection.replica.offset
    run(reader.connection.changed(lambda _: reader.connection.replica.offset >= offset, 20))
