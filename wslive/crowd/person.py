"""One synthetic person: a connection, and an agenda of what to do when."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from wslive.client.connection import Connection, Status
from wslive.client.requests import new_ref
from wslive.core.errors import ConnectionEnded, NotConnected, Refused, Unconfirmed
from wslive.core.view import View
from wslive.crowd.ledger import Entry, Ledger
from wslive.crowd.model import Mind, Question

SETTLE_S = 30.0
"""How long a command that is on its way at the end may take to be answered."""

KNOCK_AGAIN_S = 2.0
"""How long somebody whom no server answers waits at most before trying once more."""


@dataclass
class Stats:
    """What has happened so far.

    Attributes:
        joined: People who came in.
        came_back: How often somebody left and came back.
        acked: Acknowledged commands by their kind; what the ledger holds, counted.
        refused: Refusals by their code.
        unsettled: Commands without an answer when the crowd had to go; such a one may be in the log, though not in
            the ledger.
    """

    joined: int = 0
    came_back: int = 0
    acked: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unsettled: int = 0

    @property
    def votes(self) -> int:
        """Acknowledged votes, changes of mind among them."""
        return self.acked["cast_vote"]

    @property
    def lines(self) -> int:
        """Acknowledged chat lines."""
        return self.acked["say"]


@dataclass
class Company:
    """What all people of a crowd share."""

    server: str
    code: str
    ledger: Ledger
    stats: Stats = field(default_factory=Stats)
    is_stopping: bool = False


class Deed(NamedTuple):
    """Something on the agenda."""

    what: Literal["answer", "speak", "leave"]
    question: Question | None = None


class Person:
    """One of the crowd."""

    def __init__(self, company: Company, mind: Mind, rng: random.Random) -> None:
        """Think with `mind`; `rng` is for the delays of the network."""
        self._company = company
        self._mind = mind
        self._rng = rng
        self._wake = asyncio.Event()
        self._agenda: dict[Deed, float] = {}  # when, on the loop's clock
        self._seen: dict[Question, float] = {}
        self._polls: list[tuple[str, int, View]] = []
        self._open: dict[int, Question] = {}
        self._connection = Connection(
            company.server, company.code, name=mind.name, rng=rng, on_change=self._look, on_status=self._notice
        )

    @property
    def is_here(self) -> bool:
        """Whether this person is connected."""
        return self._connection.status is Status.LIVE

    def stop(self) -> None:
        """Finish what is on its way, and go."""
        self._wake.set()

    async def live(self) -> None:
        """Come, stay, leave and come back, until the crowd stops or the room ends."""
        try:
            await self._pause(self._mind.arrives_after_s())
            while await self._come() and await self._stay():
                await self._connection.close()
                await self._pause(self._mind.stays_away_s())
        finally:
            await self._connection.close()

    # ── coming and staying ────────────────────────────────────────────────────────────────────────────────────────

    async def _come(self) -> bool:
        stats = self._company.stats
        is_new = not self._connection.actor
        while not self._company.is_stopping:
            try:
                await self._connection.open()
            except NotConnected:
                # The server may be on its way. The hello keeps its ref meanwhile, so nobody joins twice.
                await self._pause(self._rng.uniform(0, KNOCK_AGAIN_S))
            except Refused as refused:
                stats.refused[refused.code] += 1
                return False
            else:
                stats.joined += is_new
                stats.came_back += not is_new
                self._polls, self._open = [], {}
                self._agenda = {
                    Deed("speak"): self._in(self._mind.speaks_after_s()),
                    Deed("leave"): self._in(self._mind.leaves_after_s()),
                }
                self._look()
                return True
        return False

    async def _stay(self) -> bool:
        """Do what is on the agenda; True where this person leaves to come back."""
        while not self._company.is_stopping and self._connection.status is not Status.ENDED:
            deed = min(self._agenda, key=self._agenda.__getitem__)
            if not await self._pause(self._agenda[deed] - self._in(0)):
                continue  # something has changed; the agenda may have as well
            del self._agenda[deed]
            match deed:
                case Deed("leave"):
                    return True
                case Deed("speak"):
                    await self._speak()
                    self._agenda[deed] = self._in(self._mind.speaks_after_s())
                case Deed("answer", Question() as question) if question in self._open.values():
                    self._agenda[deed] = self._in(await self._answer(question))
        return False

    def _look(self) -> None:
        """The view changed: put new questions on the agenda, take those that are over from it."""
        polls = [
            (id, activity["status"]["round"], activity["definition"])
            for id, activity in self._connection.replica.view["activities"].items()
            if activity["kind"] == "poll" and activity["status"]["open"]
        ]
        # Definitions are replaced, never changed in place: equal ones are the same object, mostly.
        if polls == self._polls:
            return
        self._polls = polls
        self._open = {int(id): _question(int(id), round, definition) for id, round, definition in polls}
        for deed in [d for d in self._agenda if d.question and d.question not in self._open.values()]:
            del self._agenda[deed]
        for question in self._open.values():
            deed = Deed("answer", question)
            if deed not in self._agenda and self._mind.answers(question):
                self._seen.setdefault(question, self._in(0))
                wait_s = self._mind.reconsiders_after_s if self._ballot(question) else self._mind.thinks_s
                self._agenda[deed] = self._in(wait_s(question))
        self._wake.set()

    def _notice(self, status: Status) -> None:
        if status is Status.ENDED:
            self._wake.set()

    # ── doing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, question: Question) -> float:
        """Vote, or change one's mind; return after how many seconds to think about it again."""
        mind = self._mind
        mine = self._ballot(question)
        if mine:
            if not question.changeable:
                return mind.reconsiders_after_s(question)
            if mind.retracts(question):
                await self._send(question.activity, "retract_vote", {"round": question.round})
                return mind.thinks_s(question)
            if mind.is_stubborn(question):
                return mind.reconsiders_after_s(question)
        age_s = (self._in(0) - self._seen[question]) * mind.behaviour.pace
        chosen = mind.answer(question, age_s)
        if chosen != mine:
            body = {"round": question.round, "options": list(chosen)}
            voted = await self._send(question.activity, "cast_vote", body)
            if voted and mine and mind.says_so():
                await self._speak(changed=True)
        return mind.reconsiders_after_s(question)

    async def _speak(self, *, changed: bool = False) -> None:
        view = self._connection.replica.view
        id, chat = next((id, a) for id, a in view["activities"].items() if a["kind"] == "chat")
        question = self._open.get(view["room"]["stage"])
        others = [line["name"] for line in list(chat["lines"].values())[-3:] if line["by"] != self._connection.actor]
        mine = self._ballot(question) if question is not None else ()
        text = self._mind.line(question, mine, others[-1] if others else "", changed=changed)
        if chat["settings"]["mode"] != "off" and not chat["settings"]["paused"]:
            await self._send(int(id), "say", {"text": text})

    async def _send(self, activity: int, kind: str, body: dict[str, Any]) -> bool:
        """Send a command, and wait until it is in the ledger, or refused."""
        company, connection, stats = self._company, self._connection, self._company.stats
        ref = new_ref(connection.replica.offset)
        while True:
            try:
                offset = await connection.command(activity, kind, body, ref=ref, timeout_s=SETTLE_S)
            except Refused as refused:
                stats.refused[refused.code] += 1
                return False
            except Unconfirmed:
                if not company.is_stopping:
                    continue  # the same command: it is queued and counts once
                stats.unsettled += 1
                return False
            except ConnectionEnded:
                stats.unsettled += 1
                return False
            company.ledger.note(Entry(connection.actor, ref, offset, activity, kind, body))
            stats.acked[kind] += 1
            return True

    def _ballot(self, question: Question) -> tuple[str, ...]:
        own = self._connection.replica.view["me"]["activities"].get(str(question.activity))
        return tuple(own["options"]) if own and own["round"] == question.round else ()

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _in(self, seconds: float) -> float:
        return asyncio.get_running_loop().time() + seconds

    async def _pause(self, seconds: float) -> bool:
        """Wait; False if something woke this person before the time."""
        if self._company.is_stopping:
            return False
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return True
        return False


def _question(activity: int, round: int, definition: View) -> Question:
    return Question(
        activity,
        round,
        definition["question"],
        tuple((option["id"], option["text"]) for option in definition["options"]),
        definition["max_choices"],
        definition["changeable"],
    )
