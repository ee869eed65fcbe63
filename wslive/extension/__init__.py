"""The Jupyter Server extension: rooms live in the Jupyter Server that people have already, at `{base_url}wslive/`.

It is on by installing. `app` is the extension with its settings, `c.WSLive`; `audience` says who may come in beside
those who have logged in to Jupyter; `handlers` puts pages, WebSocket and the calls of hosts behind that.
"""

from __future__ import annotations

from typing import Any

from wslive.extension.app import WSLive

__all__ = ["WSLive"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "wslive.extension", "app": WSLive}]
