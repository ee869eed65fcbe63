"""A real JupyterLab of its own for the tests, and a notebook that is open in it.

`Lab` is the server process, `Notebook` drives one notebook in a page: through JupyterLab's own commands and
its document model where it can, since the DOM only shows what happens to be drawn.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page

from tests.end_to_end import browser

MARK = "WSLIVE_TEST_LAB"
"""In the environment of everything that a Lab starts, however far it has detached itself."""

LOOK_MS = 50
"""How often a page is asked. By itself Playwright asks with every frame, and has every frame drawn for it."""

WITHOUT_EXTENSION = ("--WSLive.enabled=False",)

FOLDERS = {
    "HOME": "home",
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "xdg-config",
    "XDG_DATA_HOME": "xdg-data",
    "XDG_RUNTIME_DIR": "xdg-runtime",
    "XDG_STATE_HOME": "xdg-state",
}


class Lab:
    """A `jupyter lab` whose every folder is its own, on a loopback port that the system chose.

    Attributes:
        root: Folder that holds everything of this Lab.
        notebooks: Folder that it serves.
        env: Environment of the server and of its kernels: with it, a process beside the Lab is the same user.
    """

    program: ClassVar[Sequence[str]] = ("jupyterlab", "--expose-app-in-browser")  # as window.jupyterapp

    def __init__(
        self, root: Path, env: Mapping[str, str] | None = None, options: Sequence[str] = WITHOUT_EXTENSION
    ) -> None:
        """Prepare a Lab below `root`, with `env` added to the environment; `start` starts it.

        Unless `options` says otherwise, rooms live in the user's own server and not in Jupyter.
        """
        self.root = root
        self._options = options
        self._port = 0
        self.notebooks = root / "notebooks"
        self.notebooks.mkdir(parents=True)
        folders = {name: root / folder for name, folder in FOLDERS.items()}
        for folder in folders.values():
            folder.mkdir(mode=0o700)
        self._mark = secrets.token_hex(16)
        self._token = secrets.token_hex(16)
        self.env = {
            **os.environ,
            **{name: str(folder) for name, folder in folders.items()},
            "JUPYTER_PLATFORM_DIRS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            MARK: self._mark,
            **(env or {}),
        }
        # No pop-up that asks whether to fetch news, and no fetching. Nor does each page ask whether JupyterLab is to be
        # built again: Node would be started twice for the answer.
        page_config = root / FOLDERS["JUPYTER_CONFIG_DIR"] / "labconfig" / "page_config.json"
        page_config.parent.mkdir()
        news = "@jupyterlab/apputils-extension:announcements"
        page_config.write_text(
            json.dumps({"disabledExtensions": {news: True}, "buildAvailable": False, "buildCheck": False})
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout_s: float = 60) -> None:
        """Start the server and return when it answers.

        Raises:
            RuntimeError: It ended or did not answer in time; the message has the end of its log.
        """
        options = [
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self._port}",  # after a stop the one that it had
            f"--ServerApp.root_dir={self.notebooks}",
            f"--IdentityProvider.token={self._token}",
            "--LanguageServerManager.autodetect=False",  # it would ask npm where Node's programs are
            *self._options,
        ]
        with (self.root / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command([sys.executable, "-m", *self.program, *options]),
                cwd=self.notebooks,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # The server writes this file when it has its port, before it serves.
        info = Path(self.env["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{self._process.pid}.json"
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.base_url: str = json.loads(info.read_text())["url"].rstrip("/")
                self.api("GET", "status")
                self._port = urlsplit(self.base_url).port or 0
            except (OSError, ValueError) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"JupyterLab did not start:\n{self.log()[-4000:]}") from error
                time.sleep(0.05)
            else:
                return

    def command(self, command: list[str]) -> list[str]:
        """The command line of the server."""
        return command

    def stop(self) -> None:
        """End the server, its kernels, and whatever these have left running."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        left = list(self.processes())
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(left, timeout=30)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def processes(self) -> Iterator[psutil.Process]:
        """Every process that this Lab started and that still runs, detached ones too."""
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self._mark:
                    yield process
            except psutil.Error:  # gone meanwhile, or not ours to look into
                continue

    def log(self) -> str:
        """What the server has printed."""
        return (self.root / "server.log").read_text(errors="replace")

    def url(self, path: str) -> str:
        """Where a page of this Lab is, with the token that lets a browser in."""
        return f"{self.base_url}/{path}?token={self._token}"

    def api(self, method: str, path: str) -> Any:
        """Call Jupyter's REST interface; `path` is below /api/."""
        request = Request(
            f"{self.base_url}/api/{path}", method=method, headers={"Authorization": f"token {self._token}"}
        )
        with urlopen(request, timeout=30) as response:
            body = response.read()
        return json.loads(body) if body else None

    def shut_down_kernels(self) -> None:
        """End every kernel of every notebook."""
        for session in self.api("GET", "sessions"):
            self.api("DELETE", f"sessions/{session['id']}")

    def write_notebook(self, name: str, cells: list[str]) -> Path:
        """Write a notebook of code cells into the served folder."""
        path = self.notebooks / name
        path.parent.mkdir(parents=True, exist_ok=True)
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{number}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for number, source in enumerate(cells)
            ],
        }
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return path

    def open(self, page: Page, name: str) -> "Notebook":
        """Open a notebook of the served folder in a page, alone in the window, and wait for its kernel."""
        page.goto(self.url(f"doc/tree/{name}"))
        notebook = Notebook(page)
        notebook.wait_ready()
        return notebook


# Commands given before all this holds are lost without a word.
CONNECTED = """async () => {
    const app = window.jupyterapp;
    if (!app) return false;
    await app.restored;
    const context = app.shell.currentWidget?.context;
    if (!context) return false;
    await context.ready;
    await context.sessionContext.ready;
    return context.sessionContext.session?.kernel?.connectionStatus === 'connected';
}"""
PANEL = "window.jupyterapp.shell.currentWidget"
KERNEL_STATUS = f"() => {PANEL}.context.sessionContext.session?.kernel?.status ?? 'none'"

# What a kernel is asked too early is lost without a word as well, and then a cell runs for ever.
ANSWERS = f"""() => {{
    const answer = {PANEL}.context.sessionContext.session?.kernel?.requestKernelInfo();
    const nothing = new Promise((resolve) => setTimeout(() => resolve(false), 5000));
    return Promise.race([answer?.then(() => true, () => false) ?? false, nothing]);
}}"""

# A command's promise is kept in the page: an evaluation that awaited it could not be given a time limit.
START = """([id, command]) => {
    const run = { state: 'running' };
    (window.wsliveTestRuns ??= {})[id] = run;
    window.jupyterapp.commands.execute(command).then(
        (result) => { run.state = 'done'; run.result = result ?? null; },
        (error) => { run.state = 'failed'; run.error = String(error); },
    );
}"""
RUN = "(id) => window.wsliveTestRuns?.[id] ?? { state: 'lost' }"
RUN_OVER = f"(id) => ({RUN})(id).state !== 'running'"


@dataclass(frozen=True)
class Run:
    """A command of JupyterLab that was started and may still be at work. A reload of the page loses it."""

    page: Page
    id: str
    command: str

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return not self.page.evaluate(RUN_OVER, self.id)

    def wait(self, timeout_s: float = 60) -> Any:
        """Wait until it is over and give what the command returned."""
        self.page.wait_for_function(RUN_OVER, arg=self.id, timeout=timeout_s * 1000, polling=LOOK_MS)
        run = self.page.evaluate(RUN, self.id)
        assert run["state"] == "done", f"{self.command}: {run}"
        return run["result"]


class Notebook:
    """One notebook in a page; cells are counted from 0."""

    def __init__(self, page: Page) -> None:
        """Take over a page that is at a notebook's address; `wait_ready` before anything else."""
        self.page = page

    def wait_ready(self, *, idle: bool = True, timeout_s: float = 60) -> None:
        """Wait until notebook and kernel are connected and, unless told otherwise, the kernel answers and is idle."""
        self.page.wait_for_selector(".jp-Notebook", timeout=timeout_s * 1000)
        self.page.wait_for_function(CONNECTED, timeout=timeout_s * 1000, polling=LOOK_MS)
        if idle:
            self.page.wait_for_function(ANSWERS, timeout=timeout_s * 1000, polling=LOOK_MS)
            self.wait_kernel("idle", timeout_s)

    # -- cells ------------------------------------------------------------------------------------------

    def cell(self, index: int) -> Locator:
        """The cell as drawn, input and output."""
        return self.page.locator(within_cell(index))

    def output(self, index: int) -> Locator:
        """The cell's output as drawn."""
        return self.page.locator(f"{within_cell(index)} .jp-Cell-outputArea")

    def append(self, source: str) -> int:
        """Add a code cell at the end and return its index."""
        return int(
            self.page.evaluate(
                f"""(source) => {{
                    const cells = {PANEL}.content.model.sharedModel;
                    cells.insertCell(cells.cells.length, {{ cell_type: 'code', source }});
                    return cells.cells.length - 1;
                }}""",
                source,
            )
        )

    def start_cell(self, index: int) -> Run:
        """Run one cell without waiting for it."""
        self.page.evaluate(
            f"""(index) => {{
                const notebook = {PANEL}.content;
                notebook.deselectAll();
                notebook.activeCellIndex = index;
            }}""",
            index,
        )
        return self.start("notebook:run-cell")

    def run_cell(self, index: int, timeout_s: float = 60) -> list[dict[str, Any]]:
        """Run one cell, wait for it and return its outputs; an error or a line on stderr fails the test."""
        self.start_cell(index).wait(timeout_s)
        self.check(index)
        return self.outputs(index)

    def run(self, source: str, timeout_s: float = 60) -> str:
        """Add a cell, run it and return the text it put out."""
        index = self.append(source)
        self.run_cell(index, timeout_s)
        return self.text(index)

    def run_until(self, source: str, text: str, timeout_s: float = 60) -> None:
        """Add a cell, and run it until it puts out this text.

        What a page shows already may not have reached its kernel, which has a connection of its own.
        """
        index = self.append(source)
        deadline = time.monotonic() + timeout_s
        self.run_cell(index)
        while self.text(index).strip() != text:
            assert time.monotonic() < deadline, self.text(index)
            self.run_cell(index)

    def start_all(self) -> Run:
        """Run all cells without waiting for them."""
        return self.start("notebook:run-all-cells")

    def run_all(self, timeout_s: float = 120) -> None:
        """Run all cells and wait for them; an error or a line on stderr fails the test."""
        self.start_all().wait(timeout_s)
        for index in range(self.page.evaluate(f"() => {PANEL}.content.widgets.length")):
            self.check(index)

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """A cell's outputs as the notebook format has them."""
        outputs: list[dict[str, Any]] = self.page.evaluate(
            f"(index) => {PANEL}.content.widgets[index].model.outputs?.toJSON() ?? []", index
        )
        return outputs

    def text(self, index: int) -> str:
        """A cell's streams and plain-text results, one after another."""
        return "".join(
            joined(output["text"]) if "text" in output else joined(output["data"].get("text/plain", ""))
            for output in self.outputs(index)
            if output["output_type"] != "error"
        )

    def check(self, index: int) -> None:
        """Fail the test if the cell ended with an error or wrote on stderr."""
        for output in self.outputs(index):
            if output["output_type"] == "error":
                raise AssertionError(f"cell {index}: {output['ename']}: {output['evalue']}")
            if output.get("name") == "stderr":
                raise AssertionError(f"cell {index} wrote on stderr: {joined(output['text'])}")

    # -- charts -----------------------------------------------------------------------------------------

    def chart(self, index: int, **which: Any) -> Any:
        """What the chart in a cell shows; `which` is that of `browser.chart_values`."""
        return browser.chart_values(self.page, within=within_cell(index), **which)

    def wait_for_chart(self, index: int, values: list[Any], **which: Any) -> None:
        """Wait until the chart in a cell shows these values; `which` is that of `browser.wait_for_chart`."""
        browser.wait_for_chart(self.page, values, within=within_cell(index), **which)

    # -- document and kernel ------------------------------------------------------------------------------

    def start(self, command: str) -> Run:
        """Start a command of JupyterLab."""
        run = Run(self.page, secrets.token_hex(4), command)
        self.page.evaluate(START, [run.id, command])
        return run

    def save(self) -> None:
        """Save the notebook."""
        self.start("docmanager:save").wait()

    def reload(self, *, idle: bool = True) -> None:
        """Reload the page; with `idle=False` do so while the kernel is at work."""
        self.page.reload()
        self.wait_ready(idle=idle)

    def kernel_status(self) -> str:
        """What JupyterLab knows of the kernel: "idle", "busy", "unknown", "none" …."""
        return str(self.page.evaluate(KERNEL_STATUS))

    def wait_kernel(self, status: str, timeout_s: float = 60) -> None:
        """Wait until the kernel's status is this one."""
        try:
            self.page.wait_for_function(
                f"(status) => ({KERNEL_STATUS})() === status", arg=status, timeout=timeout_s * 1000, polling=LOOK_MS
            )
        except PlaywrightError as error:
            raise AssertionError(f"the kernel is {self.kernel_status()}, not {status}") from error

    def interrupt_kernel(self) -> None:
        """Interrupt what the kernel is running and wait until it is idle."""
        self.start("notebook:interrupt-kernel").wait()
        self.wait_kernel("idle")

    def restart_kernel(self) -> None:
        """Restart the kernel, without the question that a person is asked, and wait until it is idle."""
        self.page.evaluate(f"() => {PANEL}.context.sessionContext.restartKernel()")
        self.wait_ready()

    def shut_down_kernel(self) -> None:
        """End the kernel; the page stays open without one."""
        self.page.evaluate(f"() => {PANEL}.context.sessionContext.shutdown()")
        self.wait_kernel("none")


def within_cell(index: int) -> str:
    """The CSS selector of a cell."""
    return f'.jp-Cell[data-windowed-list-index="{index}"]'


def joined(text: str | list[str]) -> str:
    """A text of the notebook format, which may be a list of lines."""
    return text if isinstance(text, str) else "".join(text)
