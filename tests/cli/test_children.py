"""Processes of the demo's own."""

import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from wslive.cli import children
from wslive.cli.children import Child, NotStarted, can_open_browser, lab_folders, start_server


async def python(code: str, folder: Path) -> Child:
    return await Child.start("The program", ["-c", code], log=folder / "log", env=os.environ, folder=folder)


async def test_a_child_is_ready_when_what_it_leaves_is_found_and_ends_when_asked(tmp_path: Path):
    child = await python("import pathlib, time; pathlib.Path('ready').write_text('yes'); time.sleep(100)", tmp_path)
    found = await child.ready(lambda: (tmp_path / "ready").read_text() if (tmp_path / "ready").exists() else None)
    assert found == "yes"
    process = psutil.Process(child.pid)
    assert os.getsid(child.pid) != os.getsid(0)  # Ctrl-C in the terminal does not reach it
    await child.end()
    assert not process.is_running()
    await child.end()


async def test_a_child_that_ends_instead_is_quoted(tmp_path: Path):
    child = await python("import sys; print('no such thing'); sys.exit(3)", tmp_path)
    with pytest.raises(NotStarted, match=r"The program ended with exit code 3(.|\n)*no such thing"):
        await child.ready(lambda: None)


async def test_the_end_of_a_child_is_noticed_and_quoted(tmp_path: Path):
    child = await python("import time; print('on air', flush=True); time.sleep(100)", tmp_path)
    await child.ready(lambda: (tmp_path / "log").read_text() or None)
    psutil.Process(child.pid).kill()
    assert "The program has ended by itself, with exit code -9" in str(await child.ended())
    assert "on air" in str(await child.ended())
    await child.end()


async def test_a_child_that_is_never_ready_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "START_TIMEOUT_S", 0.1)
    child = await python("import time; time.sleep(100)", tmp_path)
    with pytest.raises(NotStarted, match=r"was not ready after 0\.1 s"):
        await child.ready(lambda: None)
    await child.end()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to ignore on Windows")
async def test_a_child_that_does_not_listen_is_made_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "END_TIMEOUT_S", 0.1)
    deaf = (
        "import signal, pathlib, time; signal.signal(15, signal.SIG_IGN); pathlib.Path('deaf').touch(); time.sleep(99)"
    )
    child = await python(deaf, tmp_path)
    await child.ready(lambda: (tmp_path / "deaf").exists() or None)
    process = psutil.Process(child.pid)
    await child.end()
    assert not process.is_running()


async def test_a_server_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path):
    env = {**os.environ, **lab_folders(tmp_path / "jupyter")}
    with pytest.raises(NotStarted, match="there is no folder"):
        await start_server(tmp_path, 0, tmp_path / "no" / "wslive.db", env)
    assert psutil.Process().children() == []


def test_a_lab_reads_and_writes_nothing_of_the_users_own(tmp_path: Path):
    env = lab_folders(tmp_path / "jupyter")
    assert {Path(folder).parent for folder in env.values()} == {tmp_path / "jupyter"}
    assert all(Path(folder).is_dir() for folder in env.values())
    config = Path(env["JUPYTER_CONFIG_DIR"]) / "labconfig" / "page_config.json"
    assert json.loads(config.read_text())["disabledExtensions"] == {
        "@jupyterlab/apputils-extension:announcements": True
    }
    lab_folders(tmp_path / "jupyter")  # a kept folder is used again


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is a screen")
def test_without_a_screen_no_browser_takes_the_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not can_open_browser()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert can_open_browser()
