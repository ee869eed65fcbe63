"""A room on a server with a SQLite store, as its host has it."""

from __future__ import annotations

from pathlib import Path

from wslive.client.connection import Connection
from wslive.client.http import fetch_json
from wslive.core.roles import Role
from wslive.core.view import View
from wslive.crowd import Behaviour, Crowd
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

SORTS = {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}

HURRY = Behaviour(
    arrive_within_s=0.2, think_median_s=0.2, reconsider_mean_s=0.5, line_mean_s=1, leave_mean_s=2, away_median_s=0.1
)
"""People with little time; not so little that the rate limits would stop them."""


class Lecture:
    """A room with its host connected."""

    def __init__(self, folder: Path, server: Server, room: str, host: Connection) -> None:
        self.store = folder / "wslive.db"
        self.ledger = folder / "acks.jsonl"
        self.server, self.room, self.host = server, room, host

    @classmethod
    async def begin(cls, folder: Path) -> Lecture:
        server = Server(ServerSettings(port=0), await SqliteLog.open(folder / "wslive.db"))
        await server.start()
        made = await fetch_json(
            server.url, "/api/rooms", method="POST", body={"title": "Sorting 101"}, bearer=server.hosting_token
        )
        host = Connection(server.url, made["code"], role=Role.HOST, token=made["host_key"], ledger=True)
        await host.open()
        return cls(folder, server, made["room"], host)

    async def end(self) -> None:
        await self.host.close()
        await self.server.stop()

    async def ask(self, **options: object) -> int:
        """Open a poll and return its id."""
        wish = {"kind": "poll", "body": {**SORTS, **options}}
        return await self.host.command(0, "open_activity", wish)

    def crowd(self, size: int, **options: object) -> Crowd:
        options.setdefault("behaviour", HURRY)
        options.setdefault("ledger", self.ledger)
        return Crowd(self.server.url, self.host.code, size, **options)  # type: ignore[arg-type]

    @property
    def view(self) -> View:
        return self.host.replica.view

    def poll(self, id: int) -> View:
        """A poll as the host sees it."""
        found: View = self.view["activities"][str(id)]
        return found

    async def answered(self, poll: int, at_least: int) -> None:
        """Wait until so many have answered in the present round."""
        await self.host.changed(lambda view: self.poll(poll)["tally"]["answered"] >= at_least, timeout_s=60)
