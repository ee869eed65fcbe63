"""A hall that Socket.IO clients come to as well, and the official client in Node.js, driven from plain code."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.end_to_end.hall import Hall
from wslive.client.http import fetch_json
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings
from wslive.socketio.gateway import Gateway
from wslive.socketio.programs import POSITION

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = Path(__file__).with_name("socketio")
CLIENT_FILE = ROOT / "node_modules" / "socket.io-client" / "dist" / "socket.io.js"

LANGUAGES = ["JavaScript", "C#", "PHP", "Python", "Go"]
TIMEOUT_S = 60

HOW_TO_INSTALL = "The tests of the Socket.IO gateway need Node.js and its official client: run tools/node.sh"


class SocketIoHall(Hall):
    """A hall whose server has the gateway; clients that name no room come to the hall's."""

    def __init__(self, folder: Path, *, client_file: Path | None = CLIENT_FILE, **settings: Any) -> None:
        """Start the server, and make the room."""
        self._client_file = client_file
        self.code = ""
        super().__init__(folder, **settings)
        self.gateway.default_code = self.code

    def start(self) -> None:
        """Start the server, with a gateway of its own."""

        async def start() -> Server:
            log = await SqliteLog.open(self._folder / "store.db")
            settings = ServerSettings(port=self._port, secret_path=self._folder / "secret", **self._settings)
            self.gateway = Gateway(default_code=self.code, client_file=self._client_file)
            server = Server(settings, log, [self.gateway])
            await server.start()
            return server

        self._server = self.run(start())
        self._port = self._server.port

    def ask_languages(self) -> int:
        """The host asks the question of the original vote; returns the poll's id."""
        return self.poll("Which language?", LANGUAGES)

    def another_room(self, title: str) -> str:
        """Make another room on the same server; returns its code."""
        made = self.run(
            fetch_json(self.url, "/api/rooms", method="POST", body={"title": title}, bearer=self._server.hosting_token)
        )
        return str(made["code"])


@contextmanager
def socketio_hall(folder: Path, **settings: Any) -> Iterator[SocketIoHall]:
    """Open a hall, and close it at the end."""
    hall = SocketIoHall(folder, **settings)
    try:
        yield hall
    finally:
        hall.close()


class Client:
    """A client program in a Node.js of its own. What it reports is kept in order.

    An entry is a list: ["connect", id, recovered], ["event", name, …], ["ack", number, answer], ["shown", …], ….
    """

    def __init__(self, script: str, url: str, *args: Any, **options: Any) -> None:
        """Start a program of tests/end_to_end/socketio; the options are those of the official client's `io`."""
        node = shutil.which("node")
        assert node is not None and CLIENT_FILE.exists(), HOW_TO_INSTALL  # noqa: PT018
        options.setdefault("reconnectionDelay", 50)
        self._process = subprocess.Popen(
            [node, str(SCRIPTS / script), url, json.dumps(options), *map(json.dumps, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.entries: list[list[Any]] = []
        self._changed = threading.Condition()
        self._asked = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    # ── what it does ──────────────────────────────────────────────────────────────────────────────────────────

    def do(self, *command: Any) -> None:
        """Tell it to do something; see recorder.js."""
        self.tell(json.dumps(command))

    def tell(self, line: str) -> None:
        """Write a line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def emit(self, event: str, *args: Any) -> None:
        """Emit an event without asking for an answer."""
        self.do("emit", event, *args)

    def ask(self, event: str, *args: Any) -> Any:
        """Emit an event and wait for its answer."""
        self._asked += 1
        number = self._asked
        self.do("ask", number, event, *args)
        return self.wait_for(lambda entry: entry[:2] == ["ack", number])[2]

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            return
        self._process.stdin.close()
        try:
            self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(TIMEOUT_S)
        assert self._process.stderr is not None
        assert self._process.stdout is not None
        errors = self._process.stderr.read()
        self._process.stdout.close()
        self._process.stderr.close()
        assert errors == ""

    # ── what it says ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def id(self) -> str:
        """Its Socket.IO id now."""
        return str(self.wait_for(lambda entry: entry[0] == "connect", last=True)[1])

    def told(self, *names: str) -> list[list[Any]]:
        """The events that it was told so far, as [name, argument …]; all of them without names.

        The carrier of positions, which no program listens to, is left out unless it is named.
        """
        events = [entry[1:] for entry in self.entries if entry[0] == "event"]
        return [event for event in events if (event[0] in names if names else event[0] != POSITION)]

    def shown(self) -> list[Any]:
        """What the program showed to its person."""
        return [entry[1] if len(entry) == 2 else entry[1:] for entry in self.entries if entry[0] == "shown"]

    def wait_told(self, event: str, *args: Any) -> None:
        """Wait until it was told this event with these arguments."""
        self.wait_for(lambda entry: entry == ["event", event, *args])

    def wait_shown(self, *shown: Any) -> None:
        """Wait until the program showed this to its person; it has been told by then."""
        self.wait_for(lambda entry: entry == ["shown", *shown])

    def wait_for(
        self,
        wanted: Callable[[list[Any]], bool],
        *,
        since: int = 0,
        last: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> list[Any]:
        """Wait for an entry, and return the first one (or the last one so far) from number `since` on."""
        end_s = time.monotonic() + timeout_s
        with self._changed:
            while True:
                found = [entry for entry in self.entries[since:] if wanted(entry)]
                if found:
                    return found[-1 if last else 0]
                if not self._changed.wait(end_s - time.monotonic()):
                    raise AssertionError(f"it did not come; what came is {self.entries}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.entries.append(json.loads(line))
                self._changed.notify_all()


class Clients:
    """Starts client programs for one test, and ends them."""

    def __init__(self, url: str) -> None:
        """All of them go to one address, unless told otherwise."""
        self.url = url
        self._stack = ExitStack()

    def __call__(self, script: str, *args: Any, url: str | None = None, **options: Any) -> Client:
        """Start one, and wait until it is in."""
        client = self.start(script, *args, url=url, **options)
        assert client.id
        return client

    def start(self, script: str, *args: Any, url: str | None = None, **options: Any) -> Client:
        """Start one."""
        client = Client(script, url or self.url, *args, **options)
        self._stack.callback(client.close)
        return client

    def close(self) -> None:
        """End them."""
        self._stack.close()


class RawClient:
    """A participant who speaks `wslive.v1` by hand, as docs/protocol.md tells it."""

    def __init__(self, hall: Hall, name: str) -> None:
        """Come in."""
        self._stack = ExitStack()
        subprotocols = [Subprotocol("wslive.v1")]
        self._socket = self._stack.enter_context(connect(f"ws{hall.url[4:]}/ws", subprotocols=subprotocols))
        self._send(type="hello", room=hall.code, name=name, ref=secrets.token_hex(12))
        self.actor: str = self._receive("welcome")["actor"]

    def command(self, activity: int, kind: str, **body: Any) -> int:
        """Send a command and wait for its ack."""
        ref = secrets.token_hex(12)
        self._send(type="command", ref=ref, activity=activity, kind=kind, body=body)
        offset: int = self._receive("ack", ref=ref)["offset"]
        return offset

    def close(self) -> None:
        """Go."""
        self._stack.close()

    def _send(self, **message: Any) -> None:
        self._socket.send(json.dumps(message))

    def _receive(self, type: str, **fields: Any) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv(TIMEOUT_S))
            if message["type"] == type and fields.items() <= message.items():
                return message
