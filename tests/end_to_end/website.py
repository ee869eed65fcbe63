"""Somebody else's website: pages from another origin than our server's."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes on before it has read everything is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Website:
    """The files of a folder on a port that the system chose.

    Attributes:
        origin: Where its pages come from.
        replaced: Texts in its files, and what is served instead: the address of a server.
    """

    def __init__(self, folder: Path) -> None:
        """Begin to serve."""
        self.replaced: dict[str, str] = {}
        website = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                file = folder / urlsplit(self.path).path.strip("/")
                if not file.is_file():
                    self.send_error(404)
                    return
                text = file.read_text("utf-8")
                for before, after in website.replaced.items():
                    text = text.replace(before, after)
                self.send_response(200)
                kind = "text/javascript" if file.suffix == ".js" else "text/html"
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
