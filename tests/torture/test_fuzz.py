"""Handshakes, frames, messages and requests that nobody had in mind. Nobody else notices, and nothing is written."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.torture.figures import Figures, Form
from tests.torture.mutations import worse_bytes, worse_frames, worse_json, worse_request, worse_wish
from tests.torture.served import TOKEN
from tests.torture.target import PROTOCOL, Seat, Target, Witness, percentile
from tests.websocket.raw import Frame, Opcode, RawSocket, frame, handshake

CHAT = 2
BATCH = 100
SHARES = {"handshakes": 4, "frames": 14, "messages": 54, "host's messages": 14, "requests": 6, "Socket.IO": 8}
"""How many of a hundred inputs are of which kind."""
MOST_RSS_KIB = 64 * 1024
"""How much the server may grow by. Most of it is what was accepted: lines of the chat, people, renamings."""


class Fuzzer:
    """Everything that is sent, from one seed."""

    def __init__(self, target: Target, rng: random.Random) -> None:
        self.target, self.rng = target, rng
        self.sent: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self._refs = itertools.count()
        self._room = target.open_room("Sorting 101")
        self.code = self._room["code"]
        with Seat(target, self.code, role="host", token=self._room["host_key"]) as host:
            self.poll = host.ask(0, "open_activity", self._opens())
        view = self._view(self._room)
        self.options = [option["id"] for option in view["activities"][str(self.poll)]["definition"]["options"]]
        self.witness = Witness(target, self.code, self.poll, self.options)
        self.tokens: list[str] = []
        for role in ("participant", "viewer"):
            with Seat(target, self.code, role=role) as seat:
                self.tokens.append(str(seat.token))
        self.sio_code = target.open_room("From Socket.IO")["code"]

    def _opens(self) -> dict[str, Any]:
        body = {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}
        return {"kind": "poll", "body": body, "keep_open": True}

    # ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────

    def templates(self, code: str, poll: int, options: list[str]) -> list[dict[str, Any]]:
        """One message of each kind."""
        commands: list[tuple[int, str, dict[str, Any]]] = [
            (poll, "cast_vote", {"round": 1, "options": options[:1]}),
            (poll, "retract_vote", {"round": 1}),
            (CHAT, "say", {"text": "Hello"}),
            (0, "rename", {"name": "Ada"}),
            (0, "mute", {"person": "p1", "muted": True}),
            (0, "lock", {"locked": False}),
            (0, "set_stage", {"activity": poll}),
            (0, "open_activity", self._opens()),
            (0, "join", {"name": "Ada"}),
            (0, "open_room", {"title": "Mine"}),
            (poll, "close", {}),
            (poll, "start_round", {}),
            (poll, "edit", {"question": "Which?", "options": ["a", "b"]}),
            (CHAT, "hide_line", {"line": 5}),
            (CHAT, "set_chat", {"mode": "room", "paused": False}),
        ]
        return [
            *({"type": "command", "activity": at, "kind": kind, "body": body} for at, kind, body in commands),
            {"type": "read_older", "activity": CHAT, "before": 100, "limit": 10},
            {"type": "get_ticket"},
            {"type": "ping", "n": 5},
            {"type": "hello", "room": code, "role": "participant", "name": "Ada", "token": "x"},
            {"type": "hello", "room": code, "position": {"epoch": "x", "offset": 3, "chain": "y"}},
        ]

    def messages(self) -> Iterator[int]:
        """Messages of a participant and of a viewer who came in; of those who have not, too."""
        templates = self.templates(self.code, self.poll, self.options)
        while True:
            role, token = self.rng.choice(list(zip(("participant", "viewer"), self.tokens, strict=True)))
            with Seat(self.target, self.code, role=role, token=token) as seat:
                yield from self._said(seat, templates, self.witness.vote)
            for _ in range(10):
                yield self._said_too_early(self.rng.choice(templates))

    def hosts_messages(self) -> Iterator[int]:
        """Messages of a host, in a room of their own."""
        while True:
            room = self.target.open_room("Fuzz")
            host = {"role": "host", "token": room["host_key"]}
            with Seat(self.target, room["code"], **host) as seat:
                poll = seat.ask(0, "open_activity", self._opens())
            options = [o["id"] for o in self._view(room)["activities"][str(poll)]["definition"]["options"]]
            templates = self.templates(room["code"], poll, options)
            for _ in range(20):
                with Seat(self.target, room["code"], **host) as seat:
                    yield from self._said(seat, templates, partial(seat.ask, CHAT, "say", {"text": "Still here"}))

    def _view(self, room: dict[str, str]) -> dict[str, Any]:
        with Seat(self.target, room["code"], role="host", token=room["host_key"]) as seat:
            return dict(seat.welcome["view"])

    def _said(self, seat: Seat, templates: list[dict[str, Any]], check: Callable[[], int]) -> Iterator[int]:
        """Batches of messages, until the seat is closed for nonsense; only what was acked may have happened."""
        wishes = [template for template in templates if "body" in template]
        before = check()
        for _ in range(20):
            sent = []
            for _ in range(BATCH):
                template = dict(self.rng.choice(wishes if self.rng.random() < 0.95 else templates))
                if "ref" not in template and template["type"] != "ping":
                    template["ref"] = f"{next(self._refs):x}"
                is_wish = "body" in template and self.rng.random() < 0.96
                sent.append((worse_wish if is_wish else worse_json)(self.rng, template))
            heard, closed = seat.hear(sent)
            answers = Counter(message["type"] for message in heard)
            self.answers.update(answers)
            acked = {message["offset"] for message in heard if message["type"] == "ack"}
            if closed is not None:
                assert closed.close_code in (None, 4500, 4501, 4507, 1007), closed
                self.answers["closed"] += 1
                # It takes as many as it counts for nonsense, and no more of this batch.
                yield sum(message["type"] in ("ack", "refused", "page", "ticket", "pong") for message in heard) + 1
                return
            after = check()
            wanted = 1 + len([offset for offset in acked if offset > before])
            assert after - before == wanted, (wanted, events(self.target, self._room, before))
            before = after
            yield BATCH

    def _said_too_early(self, template: dict[str, Any]) -> int:
        """Before a hello one bad message is the last."""
        with RawSocket.open(self.target.address, "/ws", headers=PROTOCOL) as other:
            other.send(frame(Opcode.TEXT, worse_json(self.rng, {**template, "room": "QQQQQQ", "role": "host"})))
            self._read_out(other)
        return 1

    # ── frames, handshakes, requests ──────────────────────────────────────────────────────────────────────────────

    def frames(self) -> Iterator[int]:
        """Frames, of people who came in and of others."""
        while True:
            payload = b'{"type":"ping","n":%d,"x":"\xc3\xa9"}'
            path = self.rng.choice(("/ws", "/ws", "/echo"))
            with RawSocket.open(self.target.address, path, headers=PROTOCOL) as other:
                if path == "/ws" and self.rng.random() < 0.5:
                    hello = {"type": "hello", "room": self.code, "token": self.rng.choice(self.tokens)}
                    other.send(frame(Opcode.TEXT, json.dumps(hello).encode()))
                tries = 8
                for number in range(tries):
                    other.send(worse_frames(self.rng, payload % number))
                    other.send(frame(Opcode.TEXT, b'{"type":"ping","n":%d}' % (10_000 + number)))
                came = self._read_out(other)
                answered = sum(b":1000" in one.payload or b"n" in one.payload for one in came if one.opcode == 1)
                yield min(tries, answered + 1)

    def _read_out(self, other: RawSocket) -> list[Frame]:
        """Say that nothing more comes, and read what still does: the other side ends the connection too."""
        try:
            other.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has already
        came = other.frames()
        self.answers.update(f"close {one.close_code}" for one in came if one.opcode == Opcode.CLOSE)
        return came

    def handshakes(self) -> Iterator[int]:
        """Handshakes that are none, or not quite."""
        host = "{}:{}".format(*self.target.address)
        while True:
            path = self.rng.choice(("/ws", "/ws", "/echo", "/socket.io/?EIO=4&transport=websocket"))
            protocols = f"wslive.v1, wslive.ticket.{self.rng.choice(self.tokens)}"
            extra = {"Origin": f"http://{host}", "Sec-WebSocket-Protocol": protocols}
            asked = handshake(host, path, headers=self.rng.choice(({}, PROTOCOL, extra)))
            yield self._requested([worse_request(self.rng, asked)])

    def requests(self) -> Iterator[int]:
        """Requests to the JSON interface and to pages, several on a connection."""
        host = "{}:{}".format(*self.target.address)
        texts: list[tuple[str, str, dict[str, Any] | None]] = [
            ("POST", "/api/rooms", {"title": "x"}),
            ("POST", "/api/audience", {"audience": "nowhere"}),
            ("DELETE", f"/api/rooms/{self.code}", None),
            ("GET", f"/api/rooms/{self.code}/events?after=3&limit=5", None),
            ("GET", f"/r/{self.code}/about", None),
            ("GET", f"/r/{self.code}/qr.svg", None),
            ("POST", "/socket.io/?EIO=4&transport=polling", {"a": "b"}),
        ]
        while True:
            several = []
            for _ in range(5):
                method, path, body = self.rng.choice(texts)
                # A body of its own is never right, so no room comes of it.
                payload = b"" if body is None else worse_json(self.rng, {**body, "title": None})
                bearer = self.rng.choice((TOKEN, "hk_wrong", ""))
                asked = (
                    f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
                ).encode() + payload
                several.append(worse_request(self.rng, asked) if self.rng.random() < 0.5 else asked)
            yield self._requested(several)

    def _requested(self, requests: list[bytes]) -> int:
        with RawSocket(self.target.address) as other:
            for request in requests:
                other.send(request)
            try:
                other.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            came = b""
            try:
                while part := other.sock.recv(65536):
                    came += part
            except ConnectionResetError:
                pass
        assert b" 500 " not in came.partition(b"\r\n")[0], (requests, came[:300])
        answered = came.count(b"HTTP/1.1 ")
        self.answers[f"HTTP {came[9:12].decode('latin-1')}"] += 1
        return min(len(requests), answered + 1)

    # ── Socket.IO ─────────────────────────────────────────────────────────────────────────────────────────────────

    def socketio(self) -> Iterator[int]:
        """Packets of Socket.IO clients, by a WebSocket."""
        packets = [
            b'42["vote",{"option":"merge"}]',
            b'42["chat message","Hello"]',
            b'4217["vote","merge"]',
            b'40{"token":"x"}',
            b"40/other,",
            b"41",
            b'43["x"]',
            b'44{"message":"no"}',
            b'451-["x",{"_placeholder":true,"num":0}]',
            b"2probe",
            b"3",
            b"5",
            b"6",
        ]
        while True:
            path = f"/socket.io/?EIO=4&transport=websocket&room={self.sio_code}"
            with RawSocket.open(self.target.address, path) as other:
                if self.rng.random() < 0.8:
                    other.send(frame(Opcode.TEXT, b"40"))
                for _ in range(10):
                    packet = worse_bytes(self.rng, self.rng.choice(packets))
                    is_text = self.rng.random() < 0.95
                    packet = packet.decode(errors="replace").encode() if self.rng.random() < 0.9 else packet
                    other.send(frame(Opcode.TEXT if is_text else Opcode.BINARY, packet))
                self._read_out(other)
            yield 10


def events(target: Target, room: dict[str, str], after: int) -> str:
    """The log after an offset, for a failure."""
    connection = http.client.HTTPConnection(*target.address, timeout=20)
    path = f"/api/rooms/{room['code']}/events?after={after}"
    connection.request("GET", path, headers={"Authorization": f"Bearer {room['host_key']}"})
    found = connection.getresponse().read().decode()
    connection.close()
    return found


def test_nonsense_is_noticed_by_nobody_and_writes_nothing(form: Form, figures: Figures, tmp_path: Path):
    inputs = form.choose(15_000, 1_000_000, 200_000)
    with Target(tmp_path) as target:
        fuzzer = Fuzzer(target, random.Random(form.seed))
        kinds = {
            "handshakes": fuzzer.handshakes(),
            "frames": fuzzer.frames(),
            "messages": fuzzer.messages(),
            "host's messages": fuzzer.hosts_messages(),
            "requests": fuzzer.requests(),
            "Socket.IO": fuzzer.socketio(),
        }
        began_rss_kib = target.rss_kib
        # In turns, so that all are under way at the same time.
        while (total := sum(fuzzer.sent.values())) < inputs:
            kind = min(SHARES, key=lambda kind: fuzzer.sent[kind] / SHARES[kind])
            fuzzer.sent[kind] += next(kinds[kind])
        fuzzer.witness.vote()
        grown_kib = target.rss_kib - began_rss_kib
        cpu_s, took_s = target.cpu_s, fuzzer.witness.took_s
        for generator in kinds.values():
            generator.close()
        fuzzer.witness.seat.socket.sock.close()
        # What everybody sees is what the log says, and nothing else.
        seen = fuzzer._view(fuzzer._room)["activities"][str(fuzzer.poll)]["tally"]
        target.end()
        assert seen["answered"] >= 1
    figures(
        row=6,
        attack="mutated handshakes, frames, messages, requests and Socket.IO packets",
        holds="The server lives and complains of nothing; whoever behaves gets every ack; between two acks of theirs "
        "only what was acknowledged is in the log, which is sound; memory is bounded.",
        inputs=total,
        **{kind.replace("'", "").replace(" ", "_").replace(".", "_").lower(): n for kind, n in fuzzer.sent.items()},
        crashes=0,
        lines_in_its_log=0,
        acks_of_the_innocent=len(took_s),
        p99_ack_of_the_innocent_ms=round(percentile(took_s, 0.99) * 1e3, 1),
        server_grew_by_mib=round(grown_kib / 1024, 1),
        server_computed_s=round(cpu_s, 1),
    )
    assert grown_kib < MOST_RSS_KIB * form.choose(1, 4)
