"""Every command is sent a thousand times with the same ref: on several connections at once, and across restarts."""

import asyncio
import random
import secrets
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from tests.end_to_end.servers import ServeProcess
from tests.torture.figures import Figures, Form
from tests.torture.raw import Raw
from tools.docs import commands
from wslive.audit.store import verify
from wslive.core.activity import CommandSpec
from wslive.server.settings import ServerSettings

CONNECTIONS = 4
CHAT = 2
HOST = "host"


class Step(NamedTuple):
    """One command. Bodies may need what earlier steps have made."""

    who: str
    owner: str
    kind: str
    body: Callable[["Lecture"], dict[str, Any]]
    activity: Callable[["Lecture"], int] = lambda lecture: 0
    name: str = ""
    """What its offset is called later on."""


def poll(lecture: "Lecture") -> int:
    """The id of the poll."""
    return lecture.made["poll"]


def chat(lecture: "Lecture") -> int:
    """The id of the chat."""
    return CHAT


def nothing(lecture: "Lecture") -> dict[str, Any]:
    """An empty body."""
    return {}


def opening(question: str) -> Callable[["Lecture"], dict[str, Any]]:
    """The body that opens a poll."""
    return lambda lecture: {"kind": "poll", "body": {"question": question, "options": ["quick", "merge", "heap"]}}


def person(name: str) -> Callable[["Lecture"], dict[str, Any]]:
    """The body of what is done to somebody."""
    return lambda lecture: {"person": lecture.actors[name]}


# In the order of a lecture. But for votes, nobody does two things of a kind: what one token may do is limited.
STEPS = [
    Step(HOST, "room", "open_activity", opening("Which sort is stable?"), name="poll"),
    Step("Ada", "poll", "cast_vote", lambda lecture: {"round": 1, "options": ["o2"]}, poll),
    Step("Bob", "poll", "cast_vote", lambda lecture: {"round": 1, "options": ["o1"]}, poll),
    Step("Bob", "poll", "retract_vote", lambda lecture: {"round": 1}, poll),
    Step(HOST, "poll", "close", nothing, poll),
    Step(HOST, "poll", "reopen", nothing, poll),
    Step(HOST, "poll", "start_round", nothing, poll),
    Step("Ada", "poll", "cast_vote", lambda lecture: {"round": 2, "options": ["o3"]}, poll),
    Step("Ada", "chat", "say", lambda lecture: {"text": "why not heap?"}, chat, "line"),
    Step(HOST, "chat", "say", lambda lecture: {"text": "it is not stable"}, chat),
    Step(HOST, "chat", "hide_line", lambda lecture: {"line": lecture.made["line"]}, chat),
    Step(HOST, "chat", "set_chat", lambda lecture: {"mode": "on", "paused": True}, chat),
    Step("Bob", "room", "rename", lambda lecture: {"name": "Robert"}),
    Step(HOST, "room", "mute", person("Bob")),
    Step(HOST, "room", "lock", nothing),
    Step(HOST, "room", "set_stage", lambda lecture: {"activity": 0}),
    Step(HOST, "room", "open_activity", opening("And this one?"), name="second"),
    Step(
        HOST,
        "poll",
        "edit",
        lambda lecture: {"question": "Really?", "options": ["quick", "merge", "heapsort"]},
        lambda lecture: lecture.made["second"],
    ),
    Step(HOST, "poll", "discard", nothing, lambda lecture: lecture.made["second"]),
    Step(HOST, "room", "remove_person", person("Cleo")),
    Step(HOST, "room", "end_room", nothing),
]


def complaints(err: str) -> list[str]:
    """What a server's log says, but for that many came in at once."""
    return [line for line in err.splitlines() if not line.endswith("connections were told to come back later")]


class Lecture:
    """A server, a room on it, and people with several connections each."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.restarts = 0
        self.answers = 0
        self.made: dict[str, int] = {}
        self.actors: dict[str, str] = {}
        self.acks: list[tuple[Step, str, dict[str, Any], int]] = []
        self._hellos: dict[str, dict[str, Any]] = {}
        self._raws: dict[str, list[Raw]] = {}

    async def start(self) -> None:
        self.server = await ServeProcess(self.root, "--port", "0").start()
        self.room = await self.server.open_room()
        self._hellos[HOST] = {"room": self.room["code"], "role": "host", "token": self.room["host_key"]}

    async def restart(self) -> None:
        """Kill the server and start it again; everybody's connections are gone."""
        port = str(self.server.port)
        _, _, err = await self.server.end(signal.SIGKILL)
        assert complaints(err) == []
        self.server = await ServeProcess(self.root, "--port", port).start()
        self.restarts += 1

    async def join(self, name: str, hellos: int) -> None:
        """Come in, with the same hello so many times at once: it is one person."""
        hello = {"room": self.room["code"], "name": name, "ref": secrets.token_urlsafe(18)}
        for at_once in (min(20, hellos - done) for done in range(0, hellos, 20)):
            raws = await asyncio.gather(*(Raw.open(self.server.url, **hello) for _ in range(at_once)))
            (actor,) = {raw.welcome["actor"] for raw in raws}
            assert self.actors.setdefault(name, actor) == actor
            self._hellos[name] = {"room": self.room["code"], "token": raws[0].welcome["token"]}
            await asyncio.gather(*(raw.close() for raw in raws))

    async def connected(self, who: str) -> list[Raw]:
        """Connections of somebody, new ones where the old are gone."""
        await self.hang_up()
        self._raws[who] = await asyncio.gather(
            *(Raw.open(self.server.url, **self._hellos[who]) for _ in range(CONNECTIONS))
        )
        return self._raws[who]

    async def hang_up(self) -> None:
        """All connections."""
        raws = [raw for raws in self._raws.values() for raw in raws]
        self._raws.clear()
        await asyncio.gather(*(raw.close() for raw in raws))

    async def flood(self, who: str, command: dict[str, Any], times: int, *, killing: bool) -> list[dict[str, Any]]:
        """Send a command so many times over all connections of somebody, and take all answers.

        With a kill in the middle, each connection is sent again all that it has no answer to.
        """
        share = -(-times // CONNECTIONS)
        raws = await self.connected(who)
        for raw in raws:
            raw.send(command, share)
        found: list[dict[str, Any]] = []
        if killing:
            await asyncio.wait([asyncio.create_task(raw.answered(command["ref"], 1)) for raw in raws])
            await self.restart()
            before = await asyncio.gather(*(raw.answered(command["ref"], share) for raw in raws))
            found = [answer for told in before for answer in told]
            raws = await self.connected(who)
            for raw in raws:
                raw.send(command, share)
        told = await asyncio.gather(*(raw.answered(command["ref"], share) for raw in raws))
        return found + [answer for answers in told for answer in answers]

    async def take(self, step: Step, times: int, *, killing: bool) -> None:
        """One step: the same ack for each of the copies."""
        command = {
            "type": "command",
            "ref": secrets.token_urlsafe(12),
            "activity": step.activity(self),
            "kind": step.kind,
            "body": step.body(self),
        }
        answers = await self.flood(step.who, command, times, killing=killing)
        told = {(answer["type"], answer.get("offset"), answer.get("code")) for answer in answers}
        assert len(told) == 1, (step.kind, told)
        ((what, offset, code),) = told
        assert what == "ack", (step.kind, code)
        assert isinstance(offset, int)
        if step.name:
            self.made[step.name] = offset
        self.answers += len(answers)
        self.acks.append((step, command["ref"], command, offset))


def test_every_command_that_a_connection_may_send_is_among_the_steps():
    # What opens an activity travels inside of open_activity.
    known: dict[str, dict[str, CommandSpec]] = commands()
    expected = {(owner, kind) for owner, specs in known.items() for kind in specs if kind != "open"}
    assert {(step.owner, step.kind) for step in STEPS} == expected, "a new command: add it to STEPS"


async def test_a_command_counts_once_and_has_the_same_ack_however_often_it_is_sent(
    tmp_path: Path, form: Form, figures: Figures
):
    times, kills = form.choose((20, 2), (1000, len(STEPS) - 1))
    chance = random.Random(form.seed)
    killing = set(chance.sample(range(len(STEPS) - 1), kills))
    lecture = Lecture(tmp_path)
    await lecture.start()
    try:
        for name in ("Ada", "Bob", "Cleo"):
            await lecture.join(name, times)
        for number, step in enumerate(STEPS[:-1]):
            await lecture.take(step, times, killing=number in killing)
            # The copies have used up what one token may send, and the next command is another one.
            await asyncio.sleep(1.5 / ServerSettings().vote_rate.per_s)
        # After yet another restart, everything once more, long after it was done.
        await lecture.restart()
        for step, ref, command, offset in lecture.acks:
            answers = await lecture.flood(step.who, command, CONNECTIONS, killing=False)
            assert {(answer["type"], answer["ref"], answer.get("offset")) for answer in answers} == {
                ("ack", ref, offset)
            }
            lecture.answers += len(answers)
        # The end of the room closes every connection, the host's too; what was not answered is asked again.
        await end(lecture, times)
        await lecture.hang_up()
    finally:
        await lecture.server.__aexit__()

    report = verify(tmp_path / "wslive.db")
    assert report.is_sound, (report.problems, report.rooms[0].problems)
    with closing(sqlite3.connect(tmp_path / "wslive.db")) as db:
        rows = db.execute("SELECT offset, actor, ref, kind FROM events ORDER BY offset").fetchall()
    # The room and its chat, three people, and one event for each step, at the offset of its ack.
    assert [kind for *_, kind in rows].count("joined") == 3
    assert len(rows) == 2 + 3 + len(STEPS)
    by_ref = {ref: offset for offset, _, ref, _ in rows}
    assert all(by_ref[ref] == offset for _, ref, _, offset in lecture.acks)
    figures(
        row=3,
        attack="each command sent again and again with the same ref",
        holds="It counts once, and every copy has the same ack: on several connections at once, across restarts by "
        "kill -9, and long after.",
        kinds=len({(step.owner, step.kind) for step in STEPS}) + 1,
        commands=len(STEPS) + 3,
        copies_of_each=times,
        connections_of_each=CONNECTIONS,
        kills=lecture.restarts,
        acks=lecture.answers,
        other_answers=0,
        events_beyond_one_a_command=len(rows) - (2 + 3 + len(STEPS)),
    )


async def end(lecture: Lecture, times: int) -> None:
    """End the room, in as many copies; a host whose connections are closed by it comes back and asks again."""
    step, ref = STEPS[-1], secrets.token_urlsafe(12)
    command = {"type": "command", "ref": ref, "activity": 0, "kind": step.kind, "body": {}}
    offsets: set[int] = set()
    answered = 0
    while answered < times:
        answers = await lecture.flood(step.who, command, times - answered, killing=False)
        assert answers, "nobody was told anything"
        assert {answer["type"] for answer in answers} == {"ack"}, answers
        offsets |= {answer["offset"] for answer in answers}
        answered += len(answers)
    lecture.answers += answered
    (offset,) = offsets
    lecture.acks.append((step, ref, command, offset))
