"""Handshakes, frames, messages and requests that nobody had in mind. Nobody else notices, and nothing is written."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.torture.figures import Figures, Form, Part
from tests.torture.mutations import worse_bytes, worse_frames, worse_json, worse_request, worse_wish
from tests.torture.served import TOKEN
from tests.torture.target import PROTOCOL, Seat, Target, Witness, p99_ms
from tests.websocket.raw import Frame, Opcode, RawSocket, frame, handshake

CHAT = 2
BATCH = 100
AT_ONCE = 8
"""Connections that are open at the same time, so that neither side waits for the other."""
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
            yield self._said_too_early(self.rng.choices(templates, k=AT_ONCE))

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

    def _said_too_early(self, templates: list[dict[str, Any]]) -> int:
        """Before a hello one bad message is the last."""
        strangers = [{**template, "room": "QQQQQQ", "role": "host"} for template in templates]
        self._framed([("/ws", frame(Opcode.TEXT, worse_json(self.rng, stranger))) for stranger in strangers])
        return len(templates)

    # ── frames, handshakes, requests ──────────────────────────────────────────────────────────────────────────────

    def frames(self) -> Iterator[int]:
        """Frames, of people who came in and of others."""
        payload, tries = b'{"type":"ping","n":%d,"x":"\xc3\xa9"}', 8
        while True:
            batch = []
            for _ in range(AT_ONCE):
                path, sent = self.rng.choice(("/ws", "/ws", "/echo")), b""
                if path == "/ws" and self.rng.random() < 0.5:
                    hello = {"type": "hello", "room": self.code, "token": self.rng.choice(self.tokens)}
                    sent += frame(Opcode.TEXT, json.dumps(hello).encode())
                for number in range(tries):
                    sent += worse_frames(self.rng, payload % number)
                    sent += frame(Opcode.TEXT, b'{"type":"ping","n":%d}' % (10_000 + number))
                batch.append((path, sent))
            for came in self._framed(batch):
                answered = sum(b":1000" in one.payload or b"n" in one.payload for one in came if one.opcode == 1)
                yield min(tries, answered + 1)

    def _framed(self, batch: list[tuple[str, bytes]]) -> list[list[Frame]]:
        """Shake hands, send, and say that nothing more comes, on several connections at once; what came on each.

        Nothing is waited for before the end: the server has what follows a handshake with it.
        """
        host = "{}:{}".format(*self.target.address)
        found = []
        with ExitStack() as stack:
            others = [stack.enter_context(RawSocket(self.target.address)) for _ in batch]
            for other, (path, sent) in zip(others, batch, strict=True):
                other.send(handshake(host, path, headers=PROTOCOL) + sent)
                self._no_more(other)
            for other in others:
                assert other.answer().status == 101
                came = other.frames()
                self.answers.update(f"close {one.close_code}" for one in came if one.opcode == Opcode.CLOSE)
                found.append(came)
        return found

    @staticmethod
    def _no_more(other: RawSocket) -> None:
        with suppress(OSError):  # it has closed already
            other.sock.shutdown(socket.SHUT_WR)

    def handshakes(self) -> Iterator[int]:
        """Handshakes that are none, or not quite."""
        host = "{}:{}".format(*self.target.address)

        def asked() -> bytes:
            path = self.rng.choice(("/ws", "/ws", "/echo", "/socket.io/?EIO=4&transport=websocket"))
            protocols = f"wslive.v1, wslive.ticket.{self.rng.choice(self.tokens)}"
            extra = {"Origin": f"http://{host}", "Sec-WebSocket-Protocol": protocols}
            return worse_request(self.rng, handshake(host, path, headers=self.rng.choice(({}, PROTOCOL, extra))))

        return self._requested([[asked()] for _ in range(AT_ONCE)] for _ in itertools.count())

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

        def asked() -> bytes:
            method, path, body = self.rng.choice(texts)
            # A body of its own is never right, so no room comes of it.
            payload = b"" if body is None else worse_json(self.rng, {**body, "title": None})
            bearer = self.rng.choice((TOKEN, "hk_wrong", ""))
            found = (
                f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
            ).encode() + payload
            return worse_request(self.rng, found) if self.rng.random() < 0.5 else found

        return self._requested([[asked() for _ in range(5)] for _ in range(AT_ONCE)] for _ in itertools.count())

    def _requested(self, batches: Iterable[list[list[bytes]]]) -> Iterator[int]:
        """Send batches of requests, each over several connections; how many of them were looked at, one turn later.

        Some are answered late on purpose; until then there is enough else to do.
        """
        before: list[tuple[RawSocket, list[bytes]]] = []
        try:
            for batch in batches:
                now = [(RawSocket(self.target.address), requests) for requests in batch]
                for other, requests in now:
                    other.send(b"".join(requests))
                    self._no_more(other)
                looked_at = sum(self._answered(other, requests) for other, requests in before)
                before = now
                yield looked_at
        finally:
            for other, _ in before:
                other.sock.close()

    def _answered(self, other: RawSocket, requests: list[bytes]) -> int:
        with other:
            came = other.rest()
        assert b" 500 " not in came.partition(b"\r\n")[0], (requests, came[:300])
        self.answers[f"HTTP {came[9:12].decode('latin-1')}"] += 1
        return min(len(requests), came.count(b"HTTP/1.1 ") + 1)

    # ── Socket.IO ─────────────────────────────────────────────────────────────────────────────────────────────────

    def socketio(self) -> Iterator[int]:
        """Packets of Socket.IO clients, by a WebSocket and by requests."""
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

        def packet() -> bytes:
            worse = worse_bytes(self.rng, self.rng.choice(packets))
            return worse.decode(errors="replace").encode() if self.rng.random() < 0.9 else worse

        polling = self._requested([self._polls(packet) for _ in range(AT_ONCE)] for _ in itertools.count())
        while True:
            batch = []
            for _ in range(AT_ONCE):
                sent = frame(Opcode.TEXT, b"40") if self.rng.random() < 0.8 else b""
                for _ in range(10):
                    sent += frame(Opcode.TEXT if self.rng.random() < 0.95 else Opcode.BINARY, packet())
                batch.append((f"/socket.io/?EIO=4&transport=websocket&room={self.sio_code}", sent))
            self._framed(batch)
            yield 10 * len(batch)
            yield next(polling)

    def _polls(self, packet: Callable[[], bytes]) -> list[bytes]:
        """Requests of a polling client that came in: bodies of several packets, some with what else is not right."""
        connection = http.client.HTTPConnection(*self.target.address, timeout=60)
        path = f"/socket.io/?EIO=4&transport=polling&room={self.sio_code}"
        connection.request("GET", path)
        opened = connection.getresponse().read()
        connection.close()
        head = (
            f"POST {path}&sid={json.loads(opened[1:])['sid']} HTTP/1.1\r\nHost: {self.target.address[0]}\r\n".encode()
        )
        bodies = [b"40", *(b"\x1e".join(packet() for _ in range(self.rng.choice((1, 1, 2, 20)))) for _ in range(5))]
        requests = [head + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies]
        return [worse_request(self.rng, one) if self.rng.random() < 0.1 else one for one in requests]


def events(target: Target, room: dict[str, str], after: int) -> str:
    """The log after an offset, for a failure."""
    connection = http.client.HTTPConnection(*target.address, timeout=60)
    path = f"/api/rooms/{room['code']}/events?after={after}"
    connection.request("GET", path, headers={"Authorization": f"Bearer {room['host_key']}"})
    found = connection.getresponse().read().decode()
    connection.close()
    return found


@pytest.mark.parts(5)
def test_nonsense_is_noticed_by_nobody_and_writes_nothing(form: Form, figures: Figures, tmp_path: Path, part: Part):
    inputs = form.choose(50_000, len(part.share(1_000_000)), 200_000)
    with Target(tmp_path) as target:
        fuzzer = Fuzzer(target, random.Random(f"{form.seed}/{part}"))
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
    sent = {kind.replace("'", "").replace(" ", "_").replace(".", "_").lower(): n for kind, n in fuzzer.sent.items()}
    figures(
        row=6,
        attack="mutated handshakes, frames, messages, requests and Socket.IO packets",
        holds="The server lives and complains of nothing; whoever behaves gets every ack; between two acks of theirs "
        "only what was acknowledged is in the log, which is sound; memory is bounded.",
        adds=("inputs", *sent, "crashes", "lines_in_its_log", "acks_of_the_innocent", "server_computed_s"),
        inputs=total,
        **sent,
        crashes=0,
        lines_in_its_log=0,
        acks_of_the_innocent=len(took_s),
        p99_ack_of_the_innocent_ms=p99_ms(took_s),
        server_grew_by_mib=round(grown_kib / 1024, 1),
        server_computed_s=round(cpu_s, 1),
    )
    assert grown_kib < MOST_RSS_KIB * form.choose(1, 4)
