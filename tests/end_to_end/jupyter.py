"""A real Jupyter Server with wslive in it, spoken to from outside: as Jupyter's owner, a kernel, or a stranger."""

import http.client
import json
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.end_to_end.lab import Lab
from wslive.wire.messages import SUBPROTOCOL

TIMEOUT_S = 60.0
"""How long answers are waited for: a guard against waiting for ever, no assertion about speed."""

# A server starts sooner without them, and no page of theirs is opened here.
FRONTENDS = ("jupyter_lsp", "jupyter_server_terminals", "jupyterlab", "notebook", "voila.server_extension")


class JupyterServer(Lab):
    """A `jupyter server` with the extension, on loopback, with folders of its own; without frontends unless asked."""

    program = ("jupyter_server",)

    def __init__(
        self,
        root: Path,
        *options: str,
        env: Mapping[str, str] | None = None,
        has_rooms: bool = True,
        has_frontends: bool = False,
    ) -> None:
        without = [] if has_frontends else [f"--ServerApp.jpserver_extensions={name}=False" for name in FRONTENDS]
        super().__init__(root, env=env, options=(*without, *options))
        self._has_rooms = has_rooms

    def start(self, timeout_s: float = 60) -> None:
        """Start the server, and return when its rooms can be found."""
        super().start(timeout_s)
        deadline = time.monotonic() + timeout_s
        while self._has_rooms and not self._file.exists():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    @property
    def _file(self) -> Path:
        return Path(self.env["JUPYTER_RUNTIME_DIR"]) / "wslive" / f"server-{self._port}.json"

    @property
    def running(self) -> dict[str, Any]:
        """What the file says by which kernels find their server's rooms."""
        found: dict[str, Any] = json.loads(self._file.read_text())
        return found

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    @property
    def token(self) -> str:
        """Jupyter's own token."""
        return self._token

    def call(self, method: str, path: str, body: object = None, bearer: str | None = None) -> tuple[int, Any]:
        """A call of the hosts' interface, as kernels make it."""
        headers = {"Authorization": f"Bearer {bearer or self.running['hosting_token']}"}
        status, _, text = self.ask(path, method=method, headers=headers, body=body)
        return status, json.loads(text)

    def open_room(self, title: str = "Sorting 101") -> dict[str, str]:
        """Make a room, as a kernel does: {room, code, host_key, link}."""
        status, made = self.call("POST", "wslive/api/rooms", {"title": title})
        assert status == 201, made
        return dict(made)

    def let_in(self, code: str, audience: str = "network") -> dict[str, Any]:
        """Let people in, or with "this_computer" nobody any more."""
        status, answer = self.call("POST", "wslive/api/audience", {"room": code, "audience": audience})
        assert status == 200, answer
        return dict(answer)

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: object = None
    ) -> tuple[int, dict[str, str], str]:
        """One plain request, redirects not followed: status, headers, text."""
        parts = urlsplit(f"{self.base_url}/{path}")
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=TIMEOUT_S)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            payload = None if body is None else json.dumps(body)
            connection.request(method, target, payload, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode(errors="replace")
        finally:
            connection.close()

    def knock(
        self,
        hello: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        protocols: Sequence[str] = (),
        host: str | None = None,
    ) -> str:
        """Open the WebSocket and say hello: "handshake 403", "welcome", or the code of the refusal."""
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(self.socket(headers, protocols, host))
            except InvalidStatus as refused:
                return f"handshake {refused.response.status_code}"
            answer = self.exchanged(opened, {"type": "hello", **hello})
            return str(answer["type"] if answer["type"] == "welcome" else answer["code"])

    def socket(
        self, headers: Mapping[str, str] | None = None, protocols: Sequence[str] = (), host: str | None = None
    ) -> ClientConnection:
        """An open WebSocket; `host` is what it takes this server for.

        Raises:
            InvalidStatus: The handshake is refused.
        """
        parts = urlsplit(self.base_url)
        return connect(
            f"ws://{host or parts.netloc}{parts.path}/wslive/ws",
            sock=socket.create_connection(("127.0.0.1", self._port)),
            additional_headers=headers,
            subprotocols=[Subprotocol(name) for name in (SUBPROTOCOL, *protocols)],
            open_timeout=TIMEOUT_S,
        )

    def ticket(self, room: Mapping[str, str]) -> str:
        """A ticket for the host of a room, as the kernel hands it to its page."""
        headers = {"Authorization": f"Bearer {self.running['hosting_token']}"}
        with self.socket(headers) as opened:
            hello = {"type": "hello", "room": room["code"], "role": "host", "token": room["host_key"]}
            assert self.exchanged(opened, hello)["type"] == "welcome"
            answer = self.exchanged(opened, {"type": "get_ticket"})
            return str(answer["ticket"])

    @staticmethod
    def exchanged(opened: ClientConnection, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message, and give its answer; what comes before that, as news of others does, is left out."""
        ref = secrets.token_hex(16)
        opened.send(json.dumps({"ref": ref, **message}))
        while True:
            answer: dict[str, Any] = json.loads(opened.recv(TIMEOUT_S))
            if answer["type"] in ("welcome", "pong", "refused") or answer.get("ref") == ref:
                return answer
