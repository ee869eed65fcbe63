"""How a notebook finds the servers of its user."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wslive.server import discovery
from wslive.server.discovery import Running


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path / "runtime" / "wslive"


def running(port: int, pid: int | None = None, started_at: float = 1.0) -> Running:
    return Running(f"http://127.0.0.1:{port}", pid or os.getpid(), "ht_secret", "wslive.db", False, started_at)


def test_without_a_server_none_is_found():
    assert discovery.found() == []


def test_servers_that_left_a_file_are_found_the_latest_first(runtime: Path):
    first = discovery.write(running(1, started_at=1.0), 1)
    discovery.write(running(2, started_at=2.0), 2)
    assert discovery.found() == [running(2, started_at=2.0), running(1, started_at=1.0)]
    discovery.remove(first)
    assert discovery.found() == [running(2, started_at=2.0)]
    assert [path.name for path in runtime.iterdir()] == ["server-2.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps folders of users apart in its own way")
def test_only_their_owner_can_read_them():
    path = discovery.write(running(1), 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_file_of_a_dead_server_is_removed():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path = discovery.write(running(1, ended.pid), 1)
    assert discovery.found() == []
    assert not path.exists()


def test_a_server_does_not_remove_the_file_of_its_successor():
    path = discovery.write(running(1, os.getppid()), 1)
    discovery.remove(path)
    assert path.exists()


def test_what_others_could_have_written_is_not_believed():
    path = discovery.write(running(1), 1)
    path.chmod(0o666)
    assert discovery.found() == []


def test_what_is_no_such_file_is_passed_over(runtime: Path):
    discovery.write(running(1), 1)
    (runtime / "server-2.json").write_text("half a fi")
    (runtime / "server-2.json").chmod(0o600)
    assert discovery.found() == [running(1)]


def test_the_token_is_not_in_a_repr():
    assert "ht_secret" not in repr(running(1))
