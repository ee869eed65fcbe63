"""What draws rooms in notebook cells, as one JavaScript module named after its content.

A notebook page loads it once, however many charts it shows, and a browser keeps it: another content has another name.
It comes from the server of the room; where that has another version of wslive, or cannot be reached from the page, the
kernel sends its own.

The server may be somebody else's, and what it sends would run in the notebook's page, which can do all that its owner
can. So the page takes it only where its SHA-256 is the one in the name, which the kernel has told; and plotly.js only
where its SHA-256 is the one in this module.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from wslive.activities import activities
from wslive.activities.poll import chart

_PACKAGE = Path(__file__).resolve().parents[2]


class Cells(NamedTuple):
    """The module.

    Attributes:
        name: Below `/static/`, e.g. "cells-….js" with the SHA-256 of the body, in 43 symbols of URL-safe base64.
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
        "plotlySum": _plotly_sum(),
    }
    body = (notebook / "cells.js").read_text("utf-8").replace("__SOURCES__", json.dumps(sources), 1).encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode()
    return Cells(f"cells-{digest.rstrip('=')}.js", body)


def is_cells(name: str) -> bool:
    """Whether a file is this module: whoever asks for others does not wait until it is put together."""
    return name.startswith("cells-") and name == cells().name


def plotly_js() -> Path | None:
    """Where the plotly package keeps its JavaScript; None where plotly is not installed."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    return path if path.is_file() else None


def _plotly_sum() -> str:
    """Its SHA-256 in base64; "" where plotly is not installed."""
    path = plotly_js()
    return "" if path is None else base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()


def styles() -> str:
    """The look of everything in a cell."""
    web = [_PACKAGE / "web" / f"{name}.css" for name in ("style", "poll", "chart", "chat")]
    return "\n".join(path.read_text("utf-8") for path in (*web, _PACKAGE / "notebook" / "cell.css"))


def _views() -> dict[str, Path]:
    found = {kind: _PACKAGE / "activities" / kind / "view.js" for kind in activities()}
    return {kind: path for kind, path in found.items() if path.is_file()}
