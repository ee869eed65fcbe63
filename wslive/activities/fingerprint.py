"""By which rules a log was folded: what tells the rules of this process from all others."""

from __future__ import annotations

import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wslive.core.activity import Activity

_READ_BY = ("wslive", "msgspec", "latex2mathml")
"""Packages that have a say in what a log comes to."""


@cache
def fingerprint(activities: frozenset[Activity[Any]]) -> bytes | None:
    """What tells the rules of this process from all others: a hash of their code; None where that cannot be read.

    An activity is one folder, so that is what is read of it.
    """
    folders = {_folder_of(name) for name in ["wslive.core.room", *(type(a).__module__ for a in activities)]}
    digest = sha256(repr([*map(version, _READ_BY), sys.version_info[:2]]).encode())
    for folder in sorted(folders, key=str):
        sources = sorted(folder.glob("*.py"))
        if not sources:
            return None
        for source in sources:
            code = source.read_bytes()
            digest.update(f"{folder.name}/{source.name} {len(code)}\n".encode() + code)
    return digest.digest()


def _folder_of(module: str) -> Path:
    file = sys.modules[module].__file__
    return Path(file).parent if file else Path("of a module without a file")
