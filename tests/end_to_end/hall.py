"""A real server with a room, driven from plain code: Playwright's pages are, so the people around them are too."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient

from tests.client.rooms import Wire
from wslive.client.background import Background
from wslive.client.connection import Connection
from wslive.client.http import fetch_json
from wslive.core.roles import Role
from wslive.core.view import View
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

WAIT_S = 60.0
"""How long anything is waited for: a guard against waiting for ever, no assertion about speed."""

CHAT = 2
"""The id of every room's chat: the room's second event opens it."""


class Person:
    """Somebody's connection, in plain code."""

    def __init__(self, hall: Hall, connection: Connection) -> None:
        self._hall = hall
        self.connection = connection

    def command(self, activity: int, kind: str, body: dict[str, Any] | None = None) -> int:
        """Send a command and wait until its effect shows; returns the offset."""
        return self._hall.run(self.connection.command(activity, kind, body or {}, timeout_s=WAIT_S))

    def vote(self, poll: int, *options: str, round: int = 1) -> int:
        """Cast a vote, by option ids."""
        return self.command(poll, "cast_vote", {"round": round, "options": list(options)})

    def say(self, *texts: str) -> int:
        """Say lines in the chat; returns the id of the last."""

        async def say() -> int:
            said = [self.connection.command(CHAT, "say", {"text": text}, timeout_s=WAIT_S) for text in texts]
            return (await asyncio.gather(*said))[-1]

        return self._hall.run(say())

    def wait_for(self, condition: Callable[[View], bool]) -> None:
        """Wait until this person's view fulfils a condition."""
        self._hall.run(self.connection.changed(condition, WAIT_S))

    def wait_for_tally(self, poll: int, counts: dict[str, int]) -> None:
        """Wait until the tally shows these counts."""
        self.wait_for(lambda view: view["activities"][str(poll)]["tally"]["counts"] == counts)

    @property
    def view(self) -> View:
        """What this person sees now."""
        return self.connection.replica.view

    @property
    def actor(self) -> str:
        """This person's id in the room."""
        return self.connection.actor


class Hall:
    """A server that can be stopped and started again, a room on it, its host, and people."""

    def __init__(self, folder: Path, title: str = "Sorting 101", **settings: Any) -> None:
        """Start the server, and make the room."""
        self._folder = folder
        self._settings = settings
        self._background = Background()
        self.people: list[Connection] = []
        self._wires: list[Wire] = []
        self._port = 0
        self.start()
        made = self._made(title)
        self.code: str = made["code"]
        self.host_key: str = made["host_key"]
        self.host = self.connect(role=Role.HOST, token=self.host_key)

    def _made(self, title: str) -> Any:
        return self.run(
            fetch_json(self.url, "/api/rooms", method="POST", body={"title": title}, bearer=self._server.hosting_token)
        )

    def make_room(self, title: str) -> str:
        """Make another room on this server; returns its code."""
        return str(self._made(title)["code"])

    def invitation(self, number: int) -> str:
        """One of the room's invitations."""
        path = f"/api/rooms/{self.code}/invitations?count={number}"
        found = self.run(fetch_json(self.url, path, bearer=self.host_key))
        return str(found["invitations"][-1]["invitation"])

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine where the server runs."""
        return self._background.run(coroutine, 2 * WAIT_S)

    # ── the server ────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the server, at the port and with the store that it had before."""

        async def start() -> Server:
            log = await SqliteLog.open(self._folder / "store.db")
            settings = ServerSettings(port=self._port, secret_path=self._folder / "secret", **self._settings)
            server = Server(settings, log)
            await server.start()
            return server

        self._server: Server = self.run(start())
        self._port = self._server.port

    def stop(self) -> None:
        """Stop the server; people are told."""
        self.run(self._server.stop())

    @property
    def url(self) -> str:
        """The server's base URL."""
        return self._server.url

    @property
    def link(self) -> str:
        """The join link."""
        return f"{self.url}/r/{self.code}"

    def audience(self, audience: str) -> None:
        """Say who can reach the server."""
        self.run(
            fetch_json(
                self.url,
                "/api/audience",
                method="POST",
                body={"audience": audience},
                bearer=self._server.hosting_token,
            )
        )

    def wire(self) -> Wire:
        """A relay to the server whose connections can be cut."""
        wire: Wire = self.run(Wire(self._port).__aenter__())
        self._wires.append(wire)
        return wire

    def cut(self, wire: Wire) -> None:
        """Cut its connections, without a word."""

        async def cut() -> None:
            wire.cut()

        self.run(cut())

    # ── people ────────────────────────────────────────────────────────────────────────────────────────────────

    def connect(self, **options: Any) -> Person:
        """Somebody comes in; the options are those of `Connection`."""
        connection = Connection(self.url, self.code, rng=random.Random(0), **options)
        self.run(connection.open(WAIT_S))
        self.people.append(connection)
        return Person(self, connection)

    def join(self, *names: str) -> list[Person]:
        """People come in."""
        return [self.connect(name=name) for name in names]

    def events(self) -> list[dict[str, Any]]:
        """The room's log, as the host may download it."""

        async def read() -> bytes:
            url = f"{self.url}/api/rooms/{self.code}/events"
            headers = {"Authorization": f"Bearer {self.host_key}"}
            return (await AsyncHTTPClient().fetch(url, headers=headers)).body

        return [json.loads(line) for line in self.run(read()).splitlines()]

    def poll(self, question: str, options: list[str], *, keep_open: bool = False, **definition: Any) -> int:
        """The host asks a question; returns its id."""
        body = {"question": question, "options": options, **definition}
        return self.host.command(0, "open_activity", {"kind": "poll", "body": body, "keep_open": keep_open})

    def close(self) -> None:
        """Everybody goes, and the server ends."""
        for connection in self.people:
            self.run(connection.close())
        for wire in self._wires:
            self.run(wire.__aexit__())
        self.stop()
        self._background.stop()
