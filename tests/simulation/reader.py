"""One reader of a simulated room: what it does, what it was told, and how its replica looked at each position."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from wslive.client.connection import Connection, Status
from wslive.client.requests import new_ref
from wslive.core.errors import ConnectionEnded, NotConnected, Refused, Unconfirmed
from wslive.core.roles import Role, Who

CHAT = 2
_SORTS = ["quick", "merge", "heap", "tim"]


def frozen(view: Any) -> bytes:
    """A view as bytes that are the same for equal views."""
    return msgspec.json.encode(view, order="deterministic")


class Reader:
    """A connection, and somebody who uses it.

    Attributes:
        connection: The client's own.
        sent: The refs of all commands.
        acks: Each ack as it came from the wire: ref and offset.
        asks_in_secret: Whether the polls that can be secret are.
        refused: The refs that were refused for good, with the code.
        seen: The view at each position, as it looked when the replica had come there.
        went_back: Positions that were left for earlier ones; there may be none.
    """

    def __init__(self, seed: int, who: str, code: str, *, role: Role = Role.PARTICIPANT, **options: Any) -> None:
        self.who = who
        self.url = f"http://{who.replace(' ', '-')}"
        self.rng = random.Random(f"{seed}/{who}")
        self.connection = Connection(self.url, code, role=role, on_change=self.note_position, rng=self.rng, **options)
        self.ledger = bool(options.get("ledger"))
        self.asks_in_secret = False
        self.sent: set[str] = set()
        self.acks: list[tuple[str, int]] = []
        self.refused: dict[str, str] = {}
        self.seen: dict[int, bytes] = {}
        self.went_back: list[tuple[int, int]] = []
        self._last = 0
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def reader(self) -> Who:
        """Who it is to the room."""
        return Who(self.connection.actor, self.connection.role, self.ledger)

    def heard(self, frame: bytes) -> None:
        """A frame came, before the client looks at it."""
        if frame.startswith(b'{"type":"ack"'):
            ack = msgspec.json.decode(frame)
            self.acks.append((ack["ref"], ack["offset"]))

    def note_position(self) -> None:
        """The replica has changed."""
        offset = self.connection.replica.offset
        if offset < self._last:
            self.went_back.append((self._last, offset))
        self._last = offset
        if offset:
            self.seen[offset] = frozen(self.connection.replica.view)

    # ── what it does ──────────────────────────────────────────────────────────────────────────────────────────

    async def act(self, until_s: float) -> None:
        """Come in, and do something now and then."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self.connection.open()
                break
            except NotConnected:
                await asyncio.sleep(self.rng.uniform(0, 2))
            except Refused:
                return  # a locked room
        mean_s = self.rng.choice([0.3, 1.0, 2.0])
        while loop.time() < until_s and self.connection.status is not Status.ENDED:
            await asyncio.sleep(self.rng.expovariate(1 / mean_s))
            wish = self._wish()
            if wish is not None and loop.time() < until_s:
                task = asyncio.create_task(self._ask(*wish))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)

    async def rest(self, within_s: float, head: Callable[[], Awaitable[int]]) -> None:
        """Wait until everything is answered and the replica is at the head, or the connection has ended.

        Raises:
            TimeoutError: It never is.
        """
        async with asyncio.timeout(within_s):
            while not await self._is_at_rest(head):  # noqa: ASYNC110 (virtual time: nobody waits)
                await asyncio.sleep(0.5)

    async def close(self) -> None:
        """Go."""
        for task in self._asking:
            task.cancel()
        await self.connection.close()

    async def _is_at_rest(self, head: Callable[[], Awaitable[int]]) -> bool:
        connection = self.connection
        if connection.status is Status.ENDED:
            return not self._asking
        is_through = connection.status is Status.LIVE and not connection.unanswered and not self._asking
        return is_through and connection.replica.offset == await head()

    async def _ask(self, activity: int, kind: str, body: dict[str, Any]) -> None:
        ref = new_ref()
        self.sent.add(ref)
        while True:
            try:
                offset = await self.connection.command(activity, kind, body, ref=ref)
            except Unconfirmed:
                continue  # the same ref: it counts once
            except ConnectionEnded:
                return
            except Refused as refused:
                self.refused[ref] = refused.code
                return
            assert (ref, offset) in self.acks, "an answer that never came over the wire"
            return

    # ── what it wishes ────────────────────────────────────────────────────────────────────────────────────────

    def _wish(self) -> tuple[int, str, dict[str, Any]] | None:
        view = self.connection.replica.view
        if not view or self.connection.role is Role.VIEWER:
            return None
        polls = {int(id): a for id, a in view["activities"].items() if a["kind"] == "poll"}
        if self.connection.role is Role.HOST:
            return self._hosts_wish(view, polls)
        rng = self.rng
        if not polls or rng.random() < 0.25:
            if rng.random() < 0.2:
                return 0, "rename", {"name": f"N{rng.randrange(99)}"}
            return CHAT, "say", {"text": f"line {rng.randrange(1000)}"}
        poll = view["room"]["stage"] if rng.random() < 0.8 and view["room"]["stage"] in polls else rng.choice([*polls])
        shown = polls[poll]
        round = shown["status"]["round"]
        if rng.random() < 0.15:
            return poll, "retract_vote", {"round": round}
        options = [option["id"] for option in shown["definition"]["options"]]
        chosen = rng.sample(options, rng.randint(1, shown["definition"]["max_choices"]))
        return poll, "cast_vote", {"round": round, "options": chosen}

    def _hosts_wish(self, view: dict[str, Any], polls: dict[int, Any]) -> tuple[int, str, dict[str, Any]]:
        rng = self.rng
        people = [*view["people"]["names"]]
        lines = [*view["activities"][str(CHAT)]["lines"]]
        draw = rng.random()
        if draw < 0.004:
            return 0, "end_room", {}
        if draw < 0.012:
            return 0, "lock", {"locked": rng.random() < 0.5}
        if not polls or draw < 0.2:
            count = rng.randint(2, 4)
            body = {
                "question": f"Question {len(polls) + 1}?",
                "options": rng.sample(_SORTS, count),
                "max_choices": rng.randint(1, count),
                "results": rng.choice(["live", "after_vote", "after_close", "host_only"]),
                "changeable": rng.random() < 0.8,
            }
            keep_open = rng.random() < 0.5
            body["secret"] = self.asks_in_secret and body["results"] in ("after_close", "host_only")
            return 0, "open_activity", {"kind": "poll", "body": body, "keep_open": keep_open}
        poll = rng.choice([*polls])
        if draw < 0.5:
            return poll, rng.choice(["close", "reopen", "reopen", "start_round"]), {}
        if draw < 0.6:
            return poll, "edit", {"question": "Which one?", "options": rng.sample(_SORTS, rng.randint(2, 4))}
        if draw < 0.65:
            return 0, "set_stage", {"activity": rng.choice([0, *polls])}
        if draw < 0.75:
            mode = rng.choice(["on", "on", "off", "to_host"])
            return CHAT, "set_chat", {"mode": mode, "paused": rng.random() < 0.2}
        if draw < 0.8 and lines:
            return CHAT, "hide_line", {"line": int(rng.choice(lines)), "hidden": rng.random() < 0.7}
        if draw < 0.86 and people:
            return 0, "mute", {"person": rng.choice(people), "muted": rng.random() < 0.6}
        if draw < 0.88:
            return poll, "discard", {}
        if draw < 0.89 and people:
            return 0, "remove_person", {"person": rng.choice(people)}
        return CHAT, "say", {"text": "so is everybody"}
