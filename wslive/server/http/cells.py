"""What draws rooms in notebook cells, as one JavaScript module named after its content.

A notebook page loads it once, however many charts it shows, and a browser keeps it: another content has another name.
It comes from the server of the room; where that has another version of wslive, or cannot be reached from the page, the
kernel sends its own.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from wslive.activities import activities
from wslive.activities.poll import chart

_PACKAGE = Path(__file__).resolve().parents[2]


class Cells(NamedTuple):
    """The module.

    Attributes:
        name: Below `/static/`, e.g. "cells-3f9c27a1d0b4.js".
        body: Its source.
    """

    name: str
    body: bytes


@cache
def cells() -> Cells:
    """The module, with the sources of all others inside."""
    notebook, web = _PACKAGE / "notebook", _PACKAGE / "web"
    files = {
        "cell": notebook / "cell.js",
        "layouts": notebook / "layouts.js",
        **{name: web / f"{name}.js" for name in ("wire", "client", "lib", "charts")},
        **{name: _PACKAGE / "activities" / "poll" / f"{name}.js" for name in ("chart", "controls")},
    }
    sources: dict[str, Any] = {
        **{name: path.read_text("utf-8") for name, path in files.items()},
        "styles": styles(),
        "template": chart.TEMPLATE,
        "views": {kind: view.read_text("utf-8") for kind, view in _views().items()},
    }
    body = (notebook / "cells.js").read_text("utf-8").replace("__SOURCES__", json.dumps(sources), 1).encode()
    return Cells(f"cells-{hashlib.sha256(body).hexdigest()[:12]}.js", body)


def styles() -> str:
    """The look of everything in a cell."""
    web = [_PACKAGE / "web" / f"{name}.css" for name in ("style", "poll", "chart", "chat")]
    return "\n".join(path.read_text("utf-8") for path in (*web, _PACKAGE / "notebook" / "cell.css"))


def _views() -> dict[str, Path]:
    found = {kind: _PACKAGE / "activities" / kind / "view.js" for kind in activities()}
    return {kind: path for kind, path in found.items() if path.is_file()}
