"""A server to attack: its process, its memory, and people who use it meanwhile."""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from tests.torture.served import TOKEN
from tests.websocket.raw import Frame, Opcode, RawSocket, frame
from wslive.audit.store import verify
from wslive.cli.bench import percentile

SERVED = Path(__file__).with_name("served.py")
ROOT = Path(__file__).resolve().parent.parent.parent
PROTOCOL = {"Sec-WebSocket-Protocol": "wslive.v1"}


class Target:
    """The server."""

    def __init__(self, folder: Path, *, has_limits: bool = False) -> None:
        """Start it; its store and its log are kept in `folder`. Without limits, nobody is too fast for it."""
        self.store = folder / "wslive.db"
        self._complaints = folder / "stderr.txt"
        with self._complaints.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.served", str(self.store), *(["--limits"] if has_limits else [])],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.complaints
        self.address = ("127.0.0.1", int(json.loads(line)["port"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        code = self.process.poll()
        if error is not None:
            lives = "lives" if code is None else f"has ended with {code}"
            error.add_note(f"The server {lives}, and has said: {self.complaints[-4000:]!r}")
        if code is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def open_room(self, title: str) -> dict[str, str]:
        """Make a room: {room, code, host_key, link}."""
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            body = json.dumps({"title": title})
            connection.request("POST", "/api/rooms", body, {"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            assert answer.status == 201
            return dict(json.loads(answer.read()))
        finally:
            connection.close()

    @property
    def complaints(self) -> str:
        """What it has written to its log."""
        return self._complaints.read_text()

    @property
    def rss_kib(self) -> int:
        """How much memory it has."""
        return self._status("VmRSS")

    @property
    def cpu_s(self) -> float:
        """How long it has computed."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    @property
    def files(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def end(self) -> None:
        """End it, as Ctrl-C would; it must not have complained, and its store must be sound."""
        assert self.process.poll() is None, self.complaints
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        assert self.complaints == "", self.complaints
        report = verify(self.store)
        assert report.is_sound, report


_numbers = itertools.count()
"""For refs: a ref that its actor has used before is a retry, over whatever connection it comes."""


class Seat:
    """Somebody in a room, with a socket that is read to the last byte."""

    def __init__(self, target: Target, code: str, **hello: Any) -> None:
        """Come in; `hello` adds to the first message."""
        self.socket = RawSocket.open(target.address, "/ws", headers=PROTOCOL)
        self.say({"type": "hello", "room": code, "ref": "", **hello})
        self.welcome = self.next("welcome", "refused")
        assert self.welcome["type"] == "welcome", self.welcome
        self.token = hello.get("token") or self.welcome.get("token")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.sock.close()

    def say(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self.socket.send(frame(Opcode.TEXT, json.dumps(message).encode()))

    def next(self, *types: str) -> dict[str, Any]:
        """The next message of one of these types."""
        while True:
            came = self._frame()
            assert came is not None, "closed"
            assert came.opcode == Opcode.TEXT, came
            if (message := json.loads(came.payload))["type"] in types:
                return dict(message)

    def ask(self, activity: int, kind: str, body: object) -> int:
        """Send a command, and return the offset of its ack."""
        ref = f"seat{next(_numbers)}"
        self.say({"type": "command", "ref": ref, "activity": activity, "kind": kind, "body": body})
        while (answer := self.next("ack", "refused")).get("ref") != ref:
            pass
        assert answer["type"] == "ack", answer
        return int(answer["offset"])

    def hear(self, payloads: Iterable[bytes]) -> tuple[list[dict[str, Any]], Frame | None]:
        """Send texts; what came until all were worked off, and the close frame if there was one."""
        # A command that there is not comes after everything before it, and is refused then.
        ref = f"seat{next(_numbers)}"
        last = json.dumps({"type": "command", "ref": ref, "activity": 0, "kind": "none"}).encode()
        self.socket.send(b"".join(frame(Opcode.TEXT, payload) for payload in [*payloads, last]))
        heard: list[dict[str, Any]] = []
        while (came := self._frame()) is not None:
            if came.opcode == Opcode.CLOSE:
                return heard, came
            message = json.loads(came.payload)
            if message.get("ref") == ref:
                return heard, None
            heard.append(message)
        return heard, Frame(Opcode.CLOSE)

    def _frame(self) -> Frame | None:
        """The next frame that is no ping; pings are answered."""
        while (came := self.socket.frame()) is not None and came.opcode == Opcode.PING:
            self.socket.send(frame(Opcode.PONG, came.payload))
        return came


class Witness:
    """A participant who votes now and then, and has to get an ack each time."""

    def __init__(self, target: Target, code: str, poll: int, options: list[str]) -> None:
        """Come in."""
        self.seat = Seat(target, code, name="Witness")
        self._poll, self._options = poll, itertools.cycle(options)
        self.took_s: list[float] = []

    def vote(self) -> int:
        """Vote; the offset of the ack."""
        began_s = time.perf_counter()
        offset = self.seat.ask(self._poll, "cast_vote", {"round": 1, "options": [next(self._options)]})
        self.took_s.append(time.perf_counter() - began_s)
        return offset


def p99_ms(took_s: list[float]) -> float:
    """Within which 99 of a hundred acks came, as figures tell it."""
    return round(percentile(took_s, 99) * 1e3, 1)
