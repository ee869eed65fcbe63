"""More and more people in a room of their own: how long joining, an ack and a delivery take, and who does not get in.

Everything is bounded: at most `CONNECTS_PER_S` new connections a second and `PENDING` at a time, and each person votes
`VOTES_PER_PERSON_S` times a second, evenly spread. That is a hall that answers a new question every five seconds.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wslive.client.connection import Connection
from wslive.client.http import fetch_json
from wslive.client.requests import new_ref
from wslive.core.errors import WsliveError
from wslive.core.roles import Role
from wslive.crowd.thin import Ears, NotIn, ThinPerson, open_thin
from wslive.wire import codec, messages

TITLE = "Load test (wslive bench)"
OPTIONS = ("quick", "merge", "heap", "bubble")
CONNECTS_PER_S = 100.0
PENDING = 50
CONNECT_TIMEOUT_S = 10.0
VOTES_PER_PERSON_S = 0.2
DRAIN_S = 10.0
"""How long is waited for what has not come when the votes are over."""
GIVE_UP_AFTER = 20
"""Whoever comes after so many failures in a row is not even tried: the server has said what it had to say."""


@dataclass
class Step:
    """What came out with so many people.

    Attributes:
        people: How many were to be there.
        here: How many were, at the end.
        tried: How many connections this step opened or tried to.
        failed: How many of these did not get in, by reason.
        lost: How many were lost on the way, by reason.
        votes, acked: Votes sent, and votes that were acknowledged.
        refused: Votes that were refused, by the server's sentence.
        join_ms: From connecting to being in the room, of each who got in.
        ack_ms: From when a vote was due to its ack.
        delivery_ms: Of each change that came to somebody: how long ago the oldest vote in it was due.
        behind: People who had not seen everything `DRAIN_S` after the last vote.
        busy_share: How busy this process was while people voted; near 1 it is what was measured.
    """

    people: int
    here: int = 0
    tried: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    votes: int = 0
    acked: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    join_ms: list[float] = field(default_factory=list)
    ack_ms: list[float] = field(default_factory=list)
    delivery_ms: list[float] = field(default_factory=list)
    behind: int = 0
    busy_share: float = 0.0


class LoadTest:
    """A room of its own on a server, and the people in it. Everything belongs to the loop that `open` is called on.

    Attributes:
        code: The room's join code; empty before `open`.
    """

    def __init__(self, server: str, hosting_token: str | None) -> None:
        """Prepare for the server at this base URL."""
        self.server = server
        self.code = ""
        self._hosting_token = hosting_token
        self._host_key = ""
        self._host: Connection | None = None
        self._poll = 0
        self._people: list[ThinPerson] = []
        self._ears = Ears(self._came)
        self._step = Step(0)
        self._sent_s: dict[str, float] = {}
        self._voted: list[tuple[int, float]] = []  # (offset, when it was due)
        self._deltas: list[tuple[float, int, int]] = []  # (when it came, from, to)

    async def open(self) -> None:
        """Make the room and its question.

        Raises:
            HostingNotAllowed: The server makes no rooms for this user.
            NotConnected: No wslive server answers.
        """
        made: dict[str, Any] = await fetch_json(
            self.server, "/api/rooms", method="POST", body={"title": TITLE}, bearer=self._hosting_token
        )
        self.code, self._host_key = made["code"], made["host_key"]
        self._host = Connection(self.server, self.code, role=Role.HOST, token=self._host_key)
        await self._host.open()
        body = {"question": "Is this only a test?", "options": OPTIONS, "results": "live"}
        self._poll = await self._host.command(0, "open_activity", {"kind": "poll", "body": body})

    async def step(self, people: int, seconds: float, on_progress: Callable[[float], None]) -> Step:
        """Let people come until there are so many, and let them vote and watch.

        Args:
            people: How many are to be there.
            seconds: For how long they vote.
            on_progress: Told how much of the step is done, from 0 to 1.
        """
        step = self._step = Step(people)
        self._sent_s.clear()
        self._voted.clear()
        self._deltas.clear()
        coming = max(people - len(self._people), 0)
        coming_share = coming / CONNECTS_PER_S / (coming / CONNECTS_PER_S + seconds)
        await self._let_in(coming, lambda done: on_progress(done * coming_share))
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        await self._vote(seconds, lambda done: on_progress(coming_share + done * (1 - coming_share)))
        # Not the wait for what is missing, in which there is little to do.
        step.busy_share = (time.process_time() - began_cpu_s) / (time.perf_counter() - began_s)
        await self._drain()
        head = max((offset for offset, _ in self._voted), default=0)
        for person in self._people:
            if person.lost:
                step.lost[person.lost] += 1
            elif person.offset < head:
                step.behind += 1
        self._people = [person for person in self._people if not person.lost]
        step.here = len(self._people)
        step.delivery_ms = delays_ms(sorted(self._voted), self._deltas)
        return step

    async def close(self) -> bool:
        """Send everybody home and delete the room; whether it is deleted (or never was)."""
        for person in self._people:
            person.close()
        self._people.clear()
        if self._host is not None:
            await self._host.close()
        if not self.code:
            return True
        try:
            await fetch_json(self.server, f"/api/rooms/{self.code}", method="DELETE", bearer=self._host_key)
        except (WsliveError, OSError):
            return False
        return True

    # ── coming ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _let_in(self, coming: int, on_progress: Callable[[float], None]) -> None:
        """At a bounded rate; stop early where nobody gets in any more."""
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(PENDING)
        recent: deque[bool] = deque(maxlen=GIVE_UP_AFTER)
        began_s = loop.time()

        async def one(number: int) -> None:
            try:
                recent.append(await self._come(number))
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            for number in range(coming):
                if len(recent) == GIVE_UP_AFTER and not any(recent):
                    break
                await asyncio.sleep(began_s + number / CONNECTS_PER_S - loop.time())
                await room.acquire()
                group.create_task(one(number))
                self._step.tried += 1
                on_progress(number / coming)

    async def _come(self, number: int) -> bool:
        began_s = time.perf_counter()
        hello = messages.Hello(room=self.code, ref=new_ref(), name=f"Test {number + 1} (synthetic)")
        try:
            person = await open_thin(self._ears, self.server, hello, timeout_s=CONNECT_TIMEOUT_S)
        except NotIn as error:
            self._step.failed[str(error)] += 1
            return False
        self._step.join_ms.append(1e3 * (time.perf_counter() - began_s))
        self._people.append(person)
        return True

    # ── voting ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _vote(self, seconds: float, on_progress: Callable[[float], None]) -> None:
        voters = [person for person in self._people if not person.lost]
        votes = max(1, round(len(voters) * VOTES_PER_PERSON_S * seconds)) if voters else 0
        began_s = time.perf_counter()
        for number in range(votes):
            due_s = began_s + number * seconds / votes
            wait_s = due_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            person = voters[number % len(voters)]
            if person.lost:
                continue
            ref = new_ref(person.offset)
            chosen = f"o{(number + number // len(voters)) % len(OPTIONS) + 1}"
            body = codec.encode({"round": 1, "options": [chosen]})
            self._sent_s[ref] = due_s  # not when it was sent: a load that falls behind must not look fast
            person.send(messages.Command(ref, self._poll, "cast_vote", msgspec.Raw(body)))
            self._step.votes += 1
            on_progress(number / votes)

    async def _drain(self) -> None:
        """Until everything sent is answered and everybody has seen it, or nobody is left to wait for."""
        until_s = time.perf_counter() + DRAIN_S
        while time.perf_counter() < until_s:
            head = max((offset for offset, _ in self._voted), default=0)
            here = [person for person in self._people if not person.lost]
            if not here or (not self._sent_s and all(person.offset >= head for person in here)):
                return
            await asyncio.sleep(0.05)

    def _came(self, person: ThinPerson, message: messages.ServerMessage) -> None:
        match message:
            case messages.Delta(from_=from_, to=to):
                self._deltas.append((time.perf_counter(), from_, to))
            case messages.Ack(ref=ref, offset=offset) if ref in self._sent_s:
                sent_s = self._sent_s.pop(ref)
                self._step.acked += 1
                self._step.ack_ms.append(1e3 * (time.perf_counter() - sent_s))
                self._voted.append((offset, sent_s))
            case messages.Refused(ref=ref, message=sentence) if ref in self._sent_s:
                del self._sent_s[ref]
                self._step.refused[sentence] += 1


def delays_ms(voted: Sequence[tuple[int, float]], deltas: Sequence[tuple[float, int, int]]) -> list[float]:
    """Of each delta the age of the oldest vote that it brings; those that bring none are left out.

    Args:
        voted: (offset, when it was due in s), ascending.
        deltas: (when it came in s, from, to).
    """
    offsets = [offset for offset, _ in voted]
    found = []
    for at_s, from_, to in deltas:
        place = bisect_right(offsets, from_)
        if place < len(offsets) and offsets[place] <= to:
            found.append(1e3 * (at_s - voted[place][1]))
    return found
