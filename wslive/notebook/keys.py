"""Host keys and participants' tokens, kept where only their owner can read them.

A host key belongs to (server, room code) and comes with the room's title, so that `host(title)` finds its room again.
A token belongs to (server, room code, notebook, name): the same notebook is the same person in the room, whatever
became of its kernel; another notebook with that name is another person.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from wslive.notebook import private_files


class HostKey(msgspec.Struct, frozen=True):
    """One room of this user."""

    server: str
    code: str
    title: str
    host_key: str
    opened_at_s: float

    def __repr__(self) -> str:
        """Without the key: a repr ends up in outputs."""
        return f"HostKey({self.server!r}, {self.code!r}, {self.title!r}, ••••)"


class Token(msgspec.Struct, frozen=True):
    """One person whom a notebook is in a room."""

    server: str
    code: str
    notebook: str
    name: str
    token: str

    def __repr__(self) -> str:
        """Without the token."""
        return f"Token({self.server!r}, {self.code!r}, {self.name!r}, ••••)"


class _Ring(msgspec.Struct):
    hosts: list[HostKey] = []
    tokens: list[Token] = []


def _path() -> Path:
    return private_files.data_folder() / "keys.json"


def _read() -> _Ring:
    return private_files.read(_path(), _Ring) or _Ring()


def hosted(server: str) -> list[HostKey]:
    """The rooms of this user on a server, the latest first."""
    return sorted((h for h in _read().hosts if h.server == server), key=lambda h: -h.opened_at_s)


def keep_host(key: HostKey) -> None:
    """Keep a room's key."""
    _change(lambda ring: ring.hosts, lambda h: (h.server, h.code) == (key.server, key.code), key)


def forget_host(server: str, code: str) -> None:
    """Drop the key of a room that is no more."""
    _change(lambda ring: ring.hosts, lambda h: (h.server, h.code) == (server, code), None)


def token(server: str, code: str, name: str | None) -> str | None:
    """What this notebook joined the room with under that name."""
    wanted = (server, code, notebook_id(), name or "")
    return next((t.token for t in _read().tokens if (t.server, t.code, t.notebook, t.name) == wanted), None)


def keep_token(server: str, code: str, name: str | None, token: str) -> None:
    """Keep it for the next time."""
    kept = Token(server, code, notebook_id(), name or "", token)
    same = (kept.server, kept.code, kept.notebook, kept.name)
    _change(lambda ring: ring.tokens, lambda t: (t.server, t.code, t.notebook, t.name) == same, kept)


def forget_token(server: str, code: str, name: str | None) -> None:
    """Drop a token that the room does not know (any more)."""
    same = (server, code, notebook_id(), name or "")
    _change(lambda ring: ring.tokens, lambda t: (t.server, t.code, t.notebook, t.name) == same, None)


def _change(part: Any, is_old: Any, new: Any) -> None:
    with private_files.locked(_path().with_suffix(".lock")):
        ring = _read()
        kept = part(ring)
        kept[:] = [entry for entry in kept if not is_old(entry)] + ([] if new is None else [new])
        private_files.write(_path(), ring)


def notebook_id() -> str:
    """What tells this notebook from others of the same user: its path where the front end says it, else its folder."""
    if path := os.environ.get("JPY_SESSION_NAME"):
        return path
    shell = ipython()
    if shell is not None and (path := shell.user_ns.get("__vsc_ipynb_file__")):
        return str(path)
    return str(Path.cwd())


def ipython() -> Any:
    """The running IPython, if this is one; never loads it."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()
