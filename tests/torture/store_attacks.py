"""A server under votes and lines whose acks are written down outside, and what is then found in its store."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.client.rooms import Soon
from wslive.audit.store import verify
from wslive.client.connection import Connection
from wslive.client.requests import new_ref
from wslive.core.errors import ClientError, Refused
from wslive.core.roles import Role

SORTS = {"kind": "poll", "body": {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}}
CHAT = 2


@dataclass
class Hall:
    """A host, people, and the ledger of what they were told.

    Attributes:
        acks: The offset of each acknowledged command, by its ref.
        refused: How often each refusal came.
    """

    url: str
    room: dict[str, Any]
    host: Connection
    poll: int = 0
    people: list[Connection] = field(default_factory=list)
    acks: dict[str, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    @classmethod
    async def open(cls, url: str, room: dict[str, Any], size: int) -> Hall:
        """Ask a question, and let people in."""
        host = Connection(url, room["code"], role=Role.HOST, token=room["host_key"], rng=Soon())
        hall = cls(url, room, host)
        await host.open()
        hall.poll = await host.command(0, "open_activity", SORTS)
        for number in range(size):
            person = Connection(url, room["code"], name=f"Person {number}", rng=Soon())
            await person.open()
            hall.people.append(person)
        return hall

    async def act(self, chance: random.Random, commands: int) -> None:
        """Let people vote and talk, until so many commands are acknowledged."""
        due = len(self.acks) + commands
        await asyncio.gather(*(self._act(person, random.Random(chance.random()), due) for person in self.people))

    async def _act(self, person: Connection, chance: random.Random, due: int) -> None:
        while len(self.acks) < due:
            if chance.random() < 0.1:
                wish: tuple[int, str, object] = (CHAT, "say", {"text": f"line {chance.randrange(10**6)} {'.' * 200}"})
            else:
                option = chance.choice(["o1", "o2", "o3"])
                wish = (self.poll, "cast_vote", {"round": 1, "options": [option]})
            await self.send(person, *wish)

    async def send(self, person: Connection, activity: int, kind: str, body: object, *, timeout_s: float = 5.0) -> None:
        """One command, until it is answered or the time is over; an answer that comes later is of no use here."""
        ref = new_ref()
        try:
            self.acks[ref] = await person.command(activity, kind, body, ref=ref, timeout_s=timeout_s)
        except Refused as refused:
            self.refused[refused.code] += 1
            await asyncio.sleep(refused.retry_after_s or 0)
        except ClientError as error:
            self.refused[type(error).__name__] += 1

    async def close(self) -> None:
        """Everybody goes."""
        for connection in (self.host, *self.people):
            await connection.close()


def held(store: Path, acks: dict[str, int]) -> int:
    """How many of the acks are in the store, where they say; it has to be sound, and to have none of them twice."""
    report = verify(store)
    assert report.is_sound, [report.problems, *(room.problems for room in report.rooms)]
    with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)) as db:
        found = list(db.execute("SELECT ref, offset FROM events"))
    offsets = dict(found)
    assert len(offsets) == len(found)
    assert not [ref for ref in offsets.keys() & acks.keys() if offsets[ref] != acks[ref]]
    return len(offsets.keys() & acks.keys())


def tally(store: Path, poll: int) -> dict[str, int]:
    """The recount of the poll's one round."""
    (room,) = verify(store).rooms
    ((_, _, counts),) = room.recount.tallies(poll)
    return counts


async def shown(url: str, room: dict[str, Any], poll: int) -> dict[str, int] | str:
    """The tally that a new host is shown; where it is shown none, why not."""
    host = Connection(url, room["code"], role=Role.HOST, token=room["host_key"], rng=Soon())
    opening = asyncio.create_task(host.open(60))
    try:
        # A store that cannot be read is told at once, and the client would ask again and again.
        while not opening.done() and host.last_error is None:  # noqa: ASYNC110 (nothing tells us)
            await asyncio.sleep(0.01)
        if not opening.done():
            return type(host.last_error).__name__
        await opening
        counts = host.replica.view["activities"][str(poll)]["tally"]["counts"]
        return {option: number for option, number in counts.items() if number}
    except (Refused, ClientError) as error:
        return type(host.last_error or error).__name__
    finally:
        opening.cancel()
        await asyncio.wait({opening})
        with contextlib.suppress(Exception):
            await host.close()
