"""Secret polls: everything that could be kept is kept, and whoever has all of it tries to find out who chose what.

The one who tries has the store and its write-ahead log, copies made while the poll was open and afterwards, both
exports, the whole data folder, every frame that the host's kernel, the host's browser, a projector and somebody else
received, and what each voter's own client knows: its actor, its refs, the offsets of its acks.

Two things are tried. Every 32 bytes of every file are taken for the key; while the poll is open that does find it. And
two rooms, in which the same people do the same things at the same places and only who chose what differs, are compared
in all that anybody sees or keeps: where nothing differs, nothing can be learnt.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from tornado.httpclient import AsyncHTTPClient

from tests.end_to_end.servers import ServeProcess
from tests.server.hall import Person
from tests.torture.figures import Figures, Form
from wslive.audit.backup import back_up
from wslive.audit.export import export
from wslive.audit.store import verify
from wslive.core.secrecy import KEY_BYTES, BoxKey

OPTIONS = ["Ada", "Bob", "Eve", "nobody"]
CLOSINGS = ["close", "start_round", "discard", "another question"]


class World:
    """One room, the people in it, and everything that a watcher has seen."""

    def __init__(self, server: ServeProcess, room: dict[str, Any]) -> None:
        self.server = server
        self.room = room
        self.people: list[Person] = []
        self.watchers: dict[str, Person] = {}
        self.seen: list[Any] = []
        """The views of all watchers after each step, and what the host may export."""
        self.frames: list[str] = []
        """Every frame that a watcher has received while a secret poll was open."""
        self.refs: list[tuple[str, str, int]] = []
        """What the voters' clients know: actor, ref, offset."""

    async def come(self, **hello: Any) -> Person:
        person = await Person.connect(self.server.url)
        person.token = hello.get("token")
        answer = await person.hello(room=self.room["code"], **hello)
        assert answer["type"] == "welcome", answer
        return person

    async def fill(self, size: int) -> None:
        host = {"role": "host", "token": self.room["host_key"]}
        self.watchers = {
            "kernel": await self.come(**host, ledger=True),
            "browser": await self.come(**host),
            "projector": await self.come(role="viewer"),
            "somebody": await self.come(name="Somebody"),
        }
        self.people = [await self.come(name=f"Person {n}") for n in range(size)]

    @property
    def host(self) -> Person:
        return self.watchers["browser"]

    async def back(self, server: ServeProcess) -> None:
        """After the server was killed: everybody comes back as who they were."""
        self.server = server
        self.people = [await self.come(token=person.token) for person in self.people]
        for name, ledger in (("kernel", True), ("browser", False)):
            self.watchers[name] = await self.come(role="host", token=self.room["host_key"], ledger=ledger)
        for name, role in (("projector", "viewer"), ("somebody", "participant")):
            self.watchers[name] = await self.come(role=role, token=self.watchers[name].token)

    async def look(self, offset: int) -> None:
        """Everybody takes a step's effect, and it is noted what they see."""
        for name, watcher in self.watchers.items():
            await watcher.at(offset)
            self.seen.append([name, self.normal(watcher.view)])

    async def ask(self, *, secret: bool = True) -> int:
        body = {"question": "Who is to speak for us?", "options": OPTIONS, "max_choices": 2, "secret": secret}
        return await self.host.done(0, "open_activity", {"kind": "poll", "body": body})

    async def vote(self, number: int, poll: int, options: list[str], *, ref: str) -> int:
        """Vote, or take the vote back; returns the offset."""
        round = self.host.view["activities"][str(poll)]["status"]["round"]
        body = {"round": round, **({"options": options} if options else {})}
        person = self.people[number]
        offset = await person.done(poll, "cast_vote" if options else "retract_vote", body, ref=ref)
        self.refs.append((person.welcome["actor"], ref, offset))
        return offset

    async def export(self) -> bytes:
        url = f"{self.server.url}/api/rooms/{self.room['code']}/events"
        return (await AsyncHTTPClient().fetch(url, headers={"Authorization": f"Bearer {self.room['host_key']}"})).body

    def normal(self, value: Any) -> Any:
        """Without what chance decides in every room: ids, times and ciphers, of which the length stays."""
        text = json.dumps(value, sort_keys=True)
        text = re.sub(r'("content": )"([^"]*)"', lambda found: f'{found[1]}"{len(found[2])} symbols"', text)
        for name, somebody in [*self.watchers.items(), *enumerate(self.people)]:
            text = text.replace(somebody.welcome["actor"], f"<{name}>")
        pseudonyms = dict.fromkeys(re.findall(r"\bs_[A-Za-z0-9_-]{16}", text))
        for number, pseudonym in enumerate(pseudonyms):
            text = text.replace(pseudonym, f"<pseudonym {number}>")
        return json.loads(re.sub(r'("[a-z_]*at_ms": )\d+', r"\g<1>0", text))

    def note_frames(self, *, keep: bool) -> None:
        """Keep what has come, or only begin to listen."""
        for watcher in self.watchers.values():
            self.frames += watcher.frames if keep else []
            watcher.frames.clear()


def keys_in(folder: Path, actor: str, pseudonyms: set[str]) -> int:
    """At how many places below a folder lies a key by which this person voted."""
    found = 0
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for start in range(len(data) - KEY_BYTES + 1):
                found += BoxKey(data[start : start + KEY_BYTES]).pseudonym(actor) in pseudonyms
    return found


def sealed_by(store: Path, room: str) -> set[str]:
    with closing(sqlite3.connect(store)) as db:
        rows = db.execute("SELECT actor FROM events WHERE room = ? AND kind = 'sealed'", (room,))
        return {actor for (actor,) in rows}


async def live_through(world: World, script: list[Any], choices: list[list[str]], closing_by: str) -> dict[str, int]:
    """One secret poll from its opening to its end; returns its true tally."""
    poll = await world.ask()
    await world.look(poll)
    world.note_frames(keep=False)
    ballots: dict[int, list[str]] = {}
    for step, (number, choice) in enumerate(script):
        options = [] if choice is None else choices[choice]
        if options or ballots.get(number):
            ballots[number] = options
            await world.look(await world.vote(number, poll, options, ref=f"ref-of-{number}-in-{poll}-{step}"))
    world.note_frames(keep=True)
    if closing_by == "another question":
        offset = await world.ask(secret=False)
    else:
        offset = await world.host.done(poll, closing_by)
    await world.look(offset + 1)
    if closing_by == "start_round":
        await world.look(await world.host.done(poll, "close") + 1)
    return dict(Counter(option for options in ballots.values() for option in options))


async def test_who_chose_what_is_nowhere_after_closing(tmp_path: Path, form: Form, figures: Figures) -> None:
    chance = random.Random(form.seed)
    size, polls = form.choose((6, 4), (30, 24))
    data, copies = tmp_path / "data-folder", tmp_path / "copies"
    data.mkdir()
    copies.mkdir()
    store = data / "wslive.db"
    arguments = ("--store", str(store), "--port")
    server = await ServeProcess(data, *arguments, "0").start()
    try:
        worlds = [World(server, await server.open_room()) for _ in range(2)]
        for world in worlds:
            await world.fill(size)
        for number in range(polls):
            # The same script; in the second room the choices are dealt to other places of it, so the tally is another
            # person's and, as a whole, the same: everybody votes once, then some change and take back alike.
            choices = [[f"o{1 + n % 4}"] if n % 3 else [f"o{1 + n % 4}", f"o{1 + (n + 1) % 4}"] for n in range(size)]
            script: list[Any] = [(n, n) for n in chance.sample(range(size), size)]
            again = chance.randrange(size)
            script += [(again, None), (again, again)]
            closing_by = CLOSINGS[number % len(CLOSINGS)]
            dealt = chance.sample(choices, size)
            tallies = [
                await live_through(world, script, hand, closing_by)
                for world, hand in zip(worlds, (choices, dealt), strict=True)
            ]
            assert tallies[0] == tallies[1]
            assert not list((data / "wslive.db.boxes").iterdir())
        for world in worlds:
            assert '"counts":{' not in "".join(world.frames).replace(" ", "")
            assert '"ballots":{"' not in "".join(world.frames).replace(" ", "")

        # A poll that is open while copies are made and the server is killed.
        world = worlds[0]
        actor = world.people[0].welcome["actor"]
        poll = await world.ask()
        await world.look(poll)
        offset = await world.vote(0, poll, ["o1"], ref="ref-of-mine")
        for number in range(1, size):
            await world.vote(number, poll, ["o2"], ref=f"ref-of-the-last-{number}")
        await asyncio.to_thread(back_up, store, copies / "open.db")
        open_export = await world.export()
        pseudonyms = sealed_by(store, world.room["room"])
        found_while_open = await asyncio.to_thread(keys_in, data / "wslive.db.boxes", actor, pseudonyms)
        assert found_while_open == 1  # so this is how to look for it
        _, _, complaints = await server.end(signal.SIGKILL)
        assert complaints == ""
        server = await ServeProcess(data, *arguments, str(server.port)).start()
        for each in worlds:
            await each.back(server)
        assert await world.vote(0, poll, ["o1"], ref="ref-of-mine") == offset  # the same ack: nobody votes twice
        await world.vote(0, poll, ["o3"], ref="ref-of-a-change")
        assert len(sealed_by(store, world.room["room"]) - pseudonyms) == 0  # the same pseudonym
        await world.look(await world.host.done(poll, "close") + 1)
        assert await world.vote(0, poll, ["o1"], ref="ref-of-mine") == offset  # for two minutes, also of a closed one
        assert world.host.view["activities"][str(poll)]["tally"]["counts"] == {
            "o1": 0,
            "o2": size - 1,
            "o3": 1,
            "o4": 0,
        }

        # Everything that is kept now, and every byte of it.
        await asyncio.to_thread(back_up, store, copies / "closed.db")
        exports = [await each.export() for each in worlds]
        (copies / "exports.jsonl").write_bytes(open_export + exports[0] + exports[1])
        for name in ("open.db", "closed.db"):
            ballots = export(copies / name, world.room["code"], "ballots", names=True)
            assert {(row["participant"], row["name"], row["cast_at"]) for row in ballots} == {(None, None, None)}
        candidates = sum(path.stat().st_size for root in (data, copies) for path in root.rglob("*") if path.is_file())
        # On threads, since it takes minutes in the long form, and whoever answers no ping is let go.
        found_afterwards = sum([await asyncio.to_thread(keys_in, root, actor, pseudonyms) for root in (data, copies)])
        assert found_afterwards == 0
        events = [msgspec.json.decode(line) for line in (open_export + exports[0]).splitlines()]
        actors = {person.welcome["actor"] for person in world.people}
        sealed = [event for event in events if event["kind"] == "sealed"]
        assert sealed
        assert not [event for event in events if event["kind"] in ("vote_cast", "vote_retracted")]
        assert actors.isdisjoint(event["actor"] for event in sealed)
        assert len({len(event["body"]["content"]) for event in sealed}) == 1  # one length, whatever was chosen
        for event in sealed:
            content = base64.urlsafe_b64decode(event["body"]["content"] + "==")
            # None so short that it may be there by chance.
            assert not any(word in content for word in (b"vote_", b"round", b"options", b'"o1"', b'"o2"'))
        raw = b"".join(path.read_bytes() for root in (data, copies) for path in root.rglob("*") if path.is_file())
        assert not [ref for each in worlds for _, ref, _ in each.refs if ref.encode() in raw]

        # The two rooms, up to the poll that only one of them had.
        seen = len(worlds[1].seen)
        pairs = list(zip(worlds[0].seen[:seen], worlds[1].seen, strict=True))
        differences = [pair for pair in pairs if pair[0] != pair[1]]
        assert not differences
        lines = [
            world.normal([msgspec.json.decode(line) for line in exported.splitlines()])
            for world, exported in zip(worlds, exports, strict=True)
        ]
        assert lines[0][: len(lines[1])] == lines[1]

        # And what the comparison says of a poll that is not secret.
        for each, option in zip(worlds, ("o1", "o2"), strict=True):
            poll = await each.ask(secret=False)
            await each.look(poll)
            await each.look(await each.vote(0, poll, [option], ref="an-ordinary-one"))
        assert worlds[0].seen[-4:] != worlds[1].seen[-4:]
    finally:
        await server.end(signal.SIGTERM)
    report = await asyncio.to_thread(verify, store)
    assert report.is_sound, [room.problems for room in report.rooms]
    figures(
        row=15,
        attack="who chose what, looked for in all that is kept",
        holds="No log, export, host view, single-ballot audience or backup links a ballot to a person after closing; "
        "nobody sees a count before.",
        people=size,
        secret_polls=2 * polls + 1,
        sealed_votes=sum(len(world.refs) for world in worlds),
        views_compared=len(pairs),
        frames_searched=sum(len(world.frames) for world in worlds),
        keys_found_while_open=found_while_open,
        places_tried_for_a_key_afterwards=candidates,
        keys_found_afterwards=found_afterwards,
        differences_between_the_rooms=len(differences),
    )
