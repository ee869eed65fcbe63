"""Processes of the demo's own: started in sessions of their own, so Ctrl-C reaches only the demo, which ends them."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from wslive.core.errors import ClientError
from wslive.server import discovery

ResultT = TypeVar("ResultT")

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 15.0
LOOK_INTERVAL_S = 0.05
LOG_TAIL_LINES = 8


class NotStarted(ClientError):
    """A process ended, or did not answer; the message has the end of what it printed."""


class HasEnded(ClientError):
    """A process that the rest needs has ended by itself; the message has the end of what it printed."""


class Child:
    """One process. Its output goes to a file."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        """Made by `start`."""
        self.name = name
        self.pid = process.pid
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, name: str, arguments: list[str], *, log: Path, env: Mapping[str, str], folder: Path) -> Self:
        """Run Python with these arguments."""
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=env,
                cwd=folder,
                start_new_session=True,
            )
        return cls(name, process, log)

    async def ready(self, look: Callable[[], ResultT | None]) -> ResultT:
        """Wait until `look` finds what the process leaves when it is ready.

        Raises:
            NotStarted: It ended before, or took too long.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while (found := look()) is None:
                    if self._process.returncode is not None:
                        raise NotStarted(self._told(f"{self.name} ended with exit code {self._process.returncode}"))
                    await asyncio.sleep(LOOK_INTERVAL_S)
        except TimeoutError:
            raise NotStarted(self._told(f"{self.name} was not ready after {START_TIMEOUT_S:g} s")) from None
        return found

    async def ended(self) -> HasEnded:
        """Wait until the process ends; what to say where nobody has asked it to."""
        code = await self._process.wait()
        return HasEnded(self._told(f"{self.name} has ended by itself, with exit code {code}"))

    async def end(self) -> None:
        """Ask the process to end, and make it."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(END_TIMEOUT_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    def _told(self, what: str) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"{what}. The end of its output:", *(f"    {line}" for line in lines)])


async def start_server(folder: Path, port: int, store: Path, env: Mapping[str, str]) -> tuple[Child, discovery.Running]:
    """Start `wslive serve` and wait until it listens.

    Raises:
        NotStarted: It did not.
    """
    arguments = ["-m", "wslive", "serve", "--port", str(port), "--store", str(store)]
    child = await Child.start("The server", arguments, log=folder / "server.log", env=env, folder=folder)
    try:
        running = await child.ready(lambda: next((r for r in discovery.found() if r.pid == child.pid), None))
    except BaseException:
        await child.end()
        raise
    return child, running


async def start_lab(folder: Path, notebooks: Path, env: Mapping[str, str]) -> tuple[Child, str]:
    """Start a JupyterLab over a folder of notebooks, and return it with the address of the first one.

    Raises:
        NotStarted: It did not start.
    """
    token = secrets.token_hex(24)
    arguments = [
        *("-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"),
        # Root may not run Jupyter otherwise; containers do, and this one is for this computer and this minute alone.
        *("--allow-root", f"--ServerApp.root_dir={notebooks}"),
        # Nothing of the demo leaves this computer; Jupyter's list of extensions would ask a registry.
        "--LabApp.extension_manager=readonly",
    ]
    # In the environment, not in an argument: every user of a computer can list the arguments of its processes.
    child_env = {**env, "JUPYTER_TOKEN": token}
    child = await Child.start("JupyterLab", arguments, log=folder / "jupyterlab.log", env=child_env, folder=notebooks)
    info = Path(env["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{child.pid}.json"
    try:
        url = await child.ready(lambda: _url(info))
    except BaseException:
        await child.end()
        raise
    return child, f"{url}lab/tree/01_host.ipynb?token={token}"


def lab_folders(root: Path) -> dict[str, str]:
    """An environment in which a JupyterLab reads and writes nothing of the user's own Jupyter."""
    folders = {
        "JUPYTER_CONFIG_DIR": root / "config",
        "JUPYTER_DATA_DIR": root / "data",
        "JUPYTER_RUNTIME_DIR": root / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": root / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": root / "workspaces",
        "IPYTHONDIR": root / "ipython",
    }
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Otherwise the first thing on the screen is the question whether to fetch Jupyter's news.
    page = folders["JUPYTER_CONFIG_DIR"] / "labconfig" / "page_config.json"
    page.parent.mkdir(exist_ok=True)
    page.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))
    return {name: str(folder) for name, folder in folders.items()}


def _url(info: Path) -> str | None:
    # Written by Jupyter Server as soon as it has its port; half a file is none.
    try:
        url: str = json.loads(info.read_text())["url"]
    except (OSError, ValueError):
        return None
    return url


def can_open_browser() -> bool:
    """Whether there is a screen; without one a browser would be a text browser in this very terminal."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
