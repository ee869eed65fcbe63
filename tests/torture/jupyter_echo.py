"""An extension of Jupyter Server that says back what it hears, by the handler of wslive's own extension.

Up to the handshake it is that handler: behind Jupyter's login, in Jupyter's application and its Tornado. After it,
`/plain-echo` does what `plain_echo.py` does.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from jupyter_server.utils import url_path_join

from tests.torture.plain_echo import PlainEcho
from wslive.extension.handlers import RoomSocket
from wslive.server.http.handshake import taken_over
from wslive.server.websocket.rfc6455 import TOO_BIG

PATH = "plain-echo"


class EchoSocket(RoomSocket):
    """The handler."""

    def initialize(self, serverapp: Any) -> None:  # type: ignore[override]
        (extension,) = serverapp.extension_manager.extension_apps["wslive.extension"]
        super().initialize(extension._mount)

    async def open(self, *args: Any, **kwargs: Any) -> None:
        context = self._context
        websocket = await taken_over(self, context, too_big=TOO_BIG)
        if websocket is None:
            return
        echo = PlainEcho(websocket)
        context.connected(echo)
        websocket.begin(context.keepalive, echo.received, partial(context.disconnected, echo))
        await websocket.ended()


def _load_jupyter_server_extension(serverapp: Any) -> None:
    path = url_path_join(serverapp.base_url, PATH)
    serverapp.web_app.add_handlers(".*$", [(path, EchoSocket, {"serverapp": serverapp})])
