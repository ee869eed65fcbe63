"""The files that pages and notebooks load, read once and kept with their tags.

plotly.js comes out of the plotly package, which is located and not imported: importing it would cost the server
memory and a second, and a server without notebooks has no use for it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
from pathlib import Path
from typing import NamedTuple

from wslive.activities.poll import chart
from wslive.server.http.cells import cells, is_cells, plotly_js

_PACKAGE = Path(__file__).resolve().parents[2]
_COMPRESS_FROM_BYTES = 1024
"""What is smaller fits into one packet anyway."""


class StaticFile(NamedTuple):
    """One file as it is sent."""

    body: bytes
    gzipped: bytes | None
    """None where that would save nothing."""
    content_type: str
    etag: str
    is_for_ever: bool
    """Whether another content would have another name."""


class StaticFiles:
    """All files below `/static/`, by name."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self._kept: dict[str, StaticFile] = {}

    def kept(self, name: str) -> StaticFile | None:
        """The file of that name if it was read before."""
        return self._kept.get(name)

    def get(self, name: str) -> StaticFile | None:
        """The file of that name; None where there is none.

        Only names that `_source` lists are ever looked up, so no path can be climbed.
        """
        kept = self._kept.get(name)
        if kept is None:
            body = _source(name)
            if body is None:
                return None
            big = len(body) >= _COMPRESS_FROM_BYTES
            kept = self._kept[name] = StaticFile(
                body,
                gzip.compress(body, 6, mtime=0) if big else None,
                _content_type(name),
                f'"{hashlib.sha256(body).hexdigest()[:20]}"',
                is_cells(name),
            )
        return kept


def _source(name: str) -> bytes | None:
    if name == "plotly.min.js":
        path = plotly_js()
        return None if path is None else path.read_bytes()
    if name == "activities/poll/chart.json":
        return json.dumps(chart.TEMPLATE).encode()
    if is_cells(name):
        return cells().body
    files = {f.name: f for f in (_PACKAGE / "web").iterdir() if f.is_file()}
    for script in (_PACKAGE / "activities").glob("*/*.js"):
        files[f"activities/{script.parent.name}/{script.name}"] = script
    found = files.get(name)
    return None if found is None else found.read_bytes()


def missing(name: str) -> str:
    """What to say where a file is not there."""
    if name == "plotly.min.js":
        return "This server has no charts: the plotly package is not installed with it. Install plotly and start again."
    return "There is no such file."


def _content_type(name: str) -> str:
    if name.endswith(".js"):
        return "text/javascript; charset=utf-8"
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed
