"""The servers of this user on this computer: each leaves a file that only the user can read.

A notebook finds a server (and the token to create rooms on it) without being told: `wslive serve` writes
`<Jupyter's runtime folder>/wslive/server-<port>.json` when it listens and removes it at its end. A file that was left
behind by a killed server is removed by whoever finds it.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import msgspec
from jupyter_core.paths import jupyter_runtime_dir


class Running(msgspec.Struct, frozen=True):
    """A server that runs, or did a moment ago: its process lives, whether it answers only a request tells.

    Attributes:
        url: Its base URL on this computer.
        pid: Its process.
        hosting_token: What allows creating rooms.
        store: Where its rooms are kept; ":memory:" for nowhere.
        own: Whether a notebook started it for this user, rather than somebody by hand.
        started_at: Seconds since 1970.
        name: How keys name it where its address changes from start to start; "" where the address is its name.
        jupyter: Whether it is part of a Jupyter Server, whose own kernels it serves.
        trouble: Why it opens no rooms, in a sentence that says what to do; "" where it does.
    """

    url: str
    pid: int
    hosting_token: str
    store: str
    own: bool
    started_at: float
    name: str = ""
    jupyter: bool = False
    trouble: str = ""

    def __repr__(self) -> str:
        """Without the token: a repr ends up in outputs and logs."""
        return f"Running(url={self.url!r}, pid={self.pid}, store={self.store!r}, own={self.own})"


def folder() -> Path:
    """Where the files lie."""
    return Path(jupyter_runtime_dir()) / "wslive"


def write(running: Running, port: int) -> Path:
    """Leave the file of a server that listens on `port`, and return its path.

    Raises:
        OSError: The folder cannot be written.
    """
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder() / f"server-{port}.json"
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    # Nobody else may read it at any moment, and no reader sees half of it.
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(running))
    draft.replace(path)
    return path


def remove(path: Path) -> None:
    """Take the file away, unless another server has taken its place."""
    running = _read(path)
    if running is None or running.pid == os.getpid():
        path.unlink(missing_ok=True)


def found() -> list[Running]:
    """The servers of this user, the latest first; files of dead ones are removed."""
    servers: list[Running] = []
    for path in sorted(folder().glob("server-*.json")):
        running = _read(path)
        if running is None:
            continue
        if _is_alive(running.pid):
            servers.append(running)
        else:
            path.unlink(missing_ok=True)
    return sorted(servers, key=lambda running: -running.started_at)


def _read(path: Path) -> Running | None:
    try:
        if not _is_ours(path.stat()):
            return None
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None


def _is_ours(status: os.stat_result) -> bool:
    """Whether only this user could have written it: another's file would send rooms to that one's server."""
    if sys.platform == "win32":
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # there signal 0 would end the process; whoever connects finds out
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
