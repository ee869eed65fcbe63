"""`wslive demo`: the first minute. A server, a JupyterLab and a synthetic audience, on this computer alone."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
import webbrowser
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from wslive.cli.children import Child, NotStarted, can_open_browser, lab_folders, start_lab, start_server
from wslive.cli.demo_view import Screen
from wslive.cli.signals import asked_to_end
from wslive.client.connection import Connection
from wslive.client.http import fetch_json
from wslive.core.errors import NotConnected, StoreUnwritable
from wslive.core.roles import Role
from wslive.crowd import Crowd, read_ledger
from wslive.crowd.audit import compare
from wslive.notebook import keys, local_server

# The words of notebooks/01_host.ipynb: run there, its cells find this room and this question.
TITLE = "Sorting 101"
QUESTION = "Which sort is stable?"
OPTIONS = ("quick", "merge", "heap")
RIGHT = "merge"

DRAW_INTERVAL_S = 0.25
NOTICE_S = 2.0
"""So long after a connection has failed it is waited whether the server has ended."""


@dataclass(frozen=True)
class Options:
    """What was typed."""

    no_browser: bool
    seconds: float | None
    size: int
    seed: int
    port: int


@dataclass(frozen=True)
class Room:
    """The demo's room."""

    server: str
    id: str
    code: str
    host_key: str


@dataclass(frozen=True)
class Stage:
    """All that runs before the crowd comes."""

    server: Child
    room: Room
    host: Connection
    notebook: str | None


def run(*, folder: Path | None, no_browser: bool, seconds: float | None, size: int, seed: int, port: int) -> None:
    """Run the demo until Ctrl-C, or for so many seconds; the options are those of the command.

    Raises:
        NotStarted: The server did not start.
        HasEnded: The server has ended by itself.
        StoreUnwritable: The folder cannot be written.
    """
    root = _folder(folder)
    try:
        agrees = asyncio.run(_demo(root, Options(no_browser, seconds, size, seed, port), is_kept=folder is not None))
    finally:
        if folder is None:
            shutil.rmtree(root, ignore_errors=True)
    if not agrees:
        sys.exit(1)


async def _demo(root: Path, options: Options, *, is_kept: bool) -> bool:
    """Everything; returns whether ledger and log agree."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    store = root / "wslive.db"
    with asked_to_end() as asked:
        asking = asyncio.create_task(asked.wait())
        async with AsyncExitStack() as stack:
            stack.callback(asking.cancel)
            setting = asyncio.create_task(_set_the_stage(stack, root, store, options, console))
            await asyncio.wait({setting, asking}, return_when=asyncio.FIRST_COMPLETED)
            if not setting.done():
                setting.cancel()
                await asyncio.wait({setting})
                return True
            stage = setting.result()
            _say_where(console, stage)
            if stage.notebook and not options.no_browser and can_open_browser():
                webbrowser.open(stage.notebook)
            ledger = root / f"acks-{stage.room.code}.jsonl"
            crowd = Crowd(stage.room.server, stage.room.code, options.size, options.seed, ledger, leaning=RIGHT)
            await _watch(crowd, stage, options, asking, console)
            console.print("Ending JupyterLab and the server …")
    agrees = _summary(console, crowd, ledger, store, stage.room)
    if is_kept:
        console.print(f"  Ledger of acks   {ledger}")
        console.print(f"  Store            {store}")
    return agrees


async def _set_the_stage(stack: AsyncExitStack, root: Path, store: Path, options: Options, console: Console) -> Stage:
    """Start the server, open the room, ask the question, start JupyterLab; `stack` ends it all."""
    console.print("Starting a server and JupyterLab …")
    token = "ht_" + secrets.token_urlsafe(24)
    env = {**os.environ, **lab_folders(root / "jupyter"), "WSLIVE_HOST_TOKEN": token}
    # This process looks for the server, and leaves the host's key, where the Lab's kernels do.
    os.environ.update(env)
    server, running = await start_server(root, options.port, store, env)
    stack.push_async_callback(server.end)
    room = await _open_room(running.url, token)
    host = await stack.enter_async_context(_asked(room))
    notebook = await _lab(stack, root, {**env, "WSLIVE_SERVER": running.url}, console)
    return Stage(server, room, host, notebook)


async def _open_room(server: str, hosting_token: str) -> Room:
    """Open the room, and leave its key where `wslive.host()` looks for it."""
    made = await fetch_json(server, "/api/rooms", method="POST", body={"title": TITLE}, bearer=hosting_token)
    room = Room(server, made["room"], made["code"], made["host_key"])
    keys.keep_host(keys.HostKey(local_server.name_of(server), room.code, TITLE, room.host_key, time.time()))
    return room


@asynccontextmanager
async def _asked(room: Room) -> AsyncIterator[Connection]:
    """A host's connection, with the question asked."""
    host = Connection(room.server, room.code, role=Role.HOST, token=room.host_key)
    await host.open()
    try:
        body = {"question": QUESTION, "options": list(OPTIONS)}
        await host.command(0, "open_activity", {"kind": "poll", "body": body})
        yield host
    finally:
        await host.close()


async def _lab(stack: AsyncExitStack, root: Path, env: dict[str, str], console: Console) -> str | None:
    """Start JupyterLab where it is installed; its notebook's address."""
    if not (find_spec("jupyterlab") and find_spec("ipykernel")):
        console.print('JupyterLab is not installed here: `pip install "wslive[lab]"` adds the notebook to this demo.')
        return None
    notebooks = root / "notebooks"
    _copy_notebooks(notebooks)
    try:
        lab, url = await start_lab(root, notebooks, env)
    except NotStarted as error:
        console.print(f"{error}\nThe demo goes on without a notebook.")
        return None
    stack.push_async_callback(lab.end)
    return url


def _say_where(console: Console, stage: Stage) -> None:
    link = f"{stage.room.server}/r/{stage.room.code}"
    console.print()
    if stage.notebook:
        console.print(f"  Notebook     {stage.notebook}")
    console.print(f"  Phone page   {link}")
    console.print(f"  Projector    {link}/screen")
    console.print()
    if stage.notebook:
        console.print("Run the notebook's cells: the chart in it moves as the answers come. Ctrl-C ends the demo.")


async def _watch(crowd: Crowd, stage: Stage, options: Options, asking: asyncio.Task[Any], console: Console) -> None:
    """Let the crowd in, draw until the time is over, and wait until everybody has gone.

    Raises:
        HasEnded: The server has ended by itself. The crowd would wait for it, and nothing starts it again.
    """
    running, ending = asyncio.create_task(crowd.run(options.seconds)), asyncio.create_task(stage.server.ended())
    try:
        with Screen(console, lambda: stage.host.replica.view, lambda: crowd.here, options.size) as screen:
            while not (running.done() or asking.done() or ending.done()):
                screen.draw()
                waiting = {running, asking, ending}
                await asyncio.wait(waiting, timeout=DRAW_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            crowd.stop()
            await asyncio.wait({running, ending}, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and isinstance(running.exception(), NotConnected):
            await asyncio.wait({ending}, timeout=NOTICE_S)  # who was just coming in hears of it first
        if ending.done() and (not running.done() or running.exception()):
            raise ending.result()
        await running
    finally:
        for task in (running, ending):
            task.cancel()
        await asyncio.wait({running, ending})


def _summary(console: Console, crowd: Crowd, ledger: Path, store: Path, room: Room) -> bool:
    """Compare ledger and log, and say what has happened; True where they agree."""
    found = compare(read_ledger(ledger), store, room.id, unsettled=crowd.stats.unsettled)
    people, votes, lines = crowd.stats.joined, found.votes, found.lines
    console.print(f"{people} people, {found.ballots} ballots from {votes} votes, {lines} chat lines.")
    if found.problems:
        for problem in found.problems:
            console.print(f"The ledger and the log differ: {problem}")
    else:
        console.print(f"ledger == log: each of the {found.acked} acknowledged commands is in the log once.")
    return not found.problems


# ── folders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="wslive-demo-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnwritable(f"The folder {folder} cannot be made: {error.strerror}. Choose another --dir.") from None
    return folder.resolve()


def _copy_notebooks(to: Path) -> None:
    """The notebooks, to be changed at will; what was changed in a kept folder stays."""
    package = Path(__file__).resolve().parent.parent
    # An installed package carries them; in a clone they lie beside it.
    source = next(folder for folder in (package / "notebooks", package.parent / "notebooks") if folder.is_dir())
    to.mkdir(exist_ok=True)
    for notebook in source.glob("*.ipynb"):
        if not (to / notebook.name).exists():
            shutil.copyfile(notebook, to / notebook.name)
