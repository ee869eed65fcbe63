"""A connection to a room that comes back by itself.

    connecting ──welcome──▶ live ──socket lost──▶ away ──welcome──▶ live …
                              └──final close code, refused hello, close()──▶ ended

While away it tries again with full jitter (`link`, `backoff`), and at once when somebody asks or waits for something;
it says where its replica stands, and is brought to the head. What was asked and not answered is kept (`requests`) and
sent again with the same refs after each welcome, so a command counts once however often it travels. Whoever watches is
called once per turn of the loop.

Everything here belongs to the loop that `open` is called on. From other threads go through `background`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from wslive.client.link import RETRY_AFTER_S, Down, Link
from wslive.client.replica import Replica
from wslive.client.requests import Request, Requests, new_ref, raw
from wslive.client.watchers import Watchers, tell
from wslive.core.errors import (
    BadCommand,
    ConnectionEnded,
    NotConnected,
    TemporarilyUnavailable,
    TooFast,
    Unconfirmed,
    refusal,
)
from wslive.core.roles import Role
from wslive.core.view import View
from wslive.wire import codec, messages
from wslive.wire.messages import MAX_FRAME_BYTES, Presence

ResultT = TypeVar("ResultT")

OPEN_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 10.0


class Status(Enum):
    """How a connection is."""

    CONNECTING = "connecting"
    LIVE = "live"
    AWAY = "away"
    ENDED = "ended"


class Connection:
    """One actor's connection to one room.

    Attributes:
        server: The base URL.
        code: The room's join code.
        role: What this connection is in the room.
        token: What to join with the next time, to be the same person; kept up to date by `welcome`.
        actor: This connection's id in the room; "" before the first welcome.
        replica: The room as this actor sees it.
        presence: Who is here; None before the first welcome.
        status: See `Status`.
        away_since: When the connection was lost, in seconds since 1970; None while it is live.
        last_error: Why it is away or has ended.
    """

    def __init__(
        self,
        server: str,
        code: str,
        *,
        role: Role = Role.PARTICIPANT,
        name: str | None = None,
        token: str | None = None,
        invitation: str | None = None,
        ledger: bool = False,
        on_change: Callable[[], None] | None = None,
        on_status: Callable[[Status], None] | None = None,
        on_presence: Callable[[Presence], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """Prepare a connection; `open` makes it.

        Args:
            server: The server's base URL, e.g. "http://192.168.1.7:8765".
            code: The room's join code.
            role: What to be in the room.
            name: For a new participant; the room gives one otherwise.
            token: The token of an earlier connection, or the host key.
            invitation: One that the host has handed out, for a new participant.
            ledger: Whether the host's program wants single ballots.
            on_change: Called after the view changed, at most once per turn of the loop.
            on_status: Called with each new status.
            on_presence: Called with each presence message.
            rng: For the delays before coming back.
        """
        self.server = server.rstrip("/")
        self.code = code
        self.role = role
        self.token = token
        self.actor = ""
        self.replica = Replica()
        self.presence: Presence | None = None
        self.status = Status.CONNECTING
        self.away_since: float | None = None
        self.last_error: Exception | None = None
        self._name = name
        self._invitation = invitation
        self._ledger = ledger
        self._on_change = on_change
        self._on_status = on_status
        self._on_presence = on_presence
        self._requests = Requests()
        self._watchers = Watchers()
        self._max_frame_bytes = MAX_FRAME_BYTES
        self._join_ref = new_ref()
        self._flush_is_due = False
        self._task: asyncio.Task[None] | None = None
        self._first_welcome: asyncio.Future[None] | None = None
        self._link = Link(
            self.server,
            hello=self._hello,
            on_message=self._take,
            on_down=self._went_down,
            rng=rng or random.Random(),
        )

    # ── opening and closing ───────────────────────────────────────────────────────────────────────────────────────

    async def open(self, timeout_s: float = OPEN_TIMEOUT_S) -> None:
        """Connect and join; return once the replica is there. After an error it may be called again.

        Raises:
            Refused: The room cannot be joined, or the token does not fit; see `core.errors`.
            NotConnected: No wslive server answered within `timeout_s` seconds.
        """
        if self._task is not None and not self._task.done():
            raise RuntimeError("This connection is open already")
        loop = asyncio.get_running_loop()
        first_welcome = self._first_welcome = loop.create_future()
        self.last_error = None
        self._set_status(Status.CONNECTING)
        self._task = loop.create_task(self._link.run(), name=f"wslive connection {self.code}")
        try:
            async with asyncio.timeout(timeout_s):
                await first_welcome
        except TimeoutError:
            reason = self.last_error or f"The server at {self.server} did not answer within {timeout_s:g} s."
            self.last_error = NotConnected(str(reason))
            await self.close()
            raise self.last_error from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the room; whatever is not answered yet is given up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._end(self.last_error or ConnectionEnded("This connection was closed here."))

    # ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def command(
        self,
        activity: int,
        kind: str,
        body: object,
        *,
        timeout_s: float = COMMAND_TIMEOUT_S,
        ref: str | None = None,
    ) -> int:
        """Send a command, and return its offset once the replica shows its effect.

        Args:
            activity: The activity's id; 0 is the room.
            kind: The command's name.
            body: Its body, as plain data.
            timeout_s: How long to wait for the answer, in seconds.
            ref: The name of a command sent before, to wait for that one (it counts once); a new name otherwise.

        Raises:
            Refused: The room did not accept it.
            Unconfirmed: No answer in time; the command stays queued and is sent again after a reconnect.
            ConnectionEnded: There is no connection any more.
        """
        ref = ref or new_ref(self.replica.offset)
        request = self._requests.get(ref)
        if request is None:
            request = self._ask(ref, messages.Command(ref, activity, kind, raw(body)))
        self._hurry()
        try:
            async with asyncio.timeout(timeout_s):
                return int(await asyncio.shield(request.answer))
        except TimeoutError:
            raise Unconfirmed(
                f"No answer within {timeout_s:g} s{self._whereabouts()}. The command stays queued: it is sent again "
                "by itself and counts once."
            ) from None

    async def older(self, activity: int, before: int, limit: int = 100) -> list[View]:
        """Entries before `before` of an activity's long collection, oldest first; fewer than `limit`: no more.

        Raises:
            Refused: There is no such activity.
            NotConnected: No answer in time.
        """
        ref = new_ref()
        entries: list[View] = await self._answer(self._ask(ref, messages.ReadOlder(ref, activity, before, limit)))
        return entries

    async def ticket(self) -> tuple[str, float]:
        """A ticket with which a widget's own connection becomes this actor, and the seconds it is good for.

        Raises:
            NotConnected: No answer in time.
        """
        ref = new_ref()
        ticket: messages.Ticket = await self._answer(self._ask(ref, messages.GetTicket(ref)))
        return ticket.ticket, ticket.expires_in_s

    async def changed(self, predicate: Callable[[View], ResultT], timeout_s: float | None = None) -> ResultT:
        """Wait until `predicate(view)` is true, and return what it returned.

        Raises:
            TimeoutError: It was not within `timeout_s` seconds.
            ConnectionEnded: It never will be.
        """
        if found := predicate(self.replica.view):
            return found
        if self.status is Status.ENDED:
            raise self._ended()
        self._hurry()
        return await self._watchers.wait(predicate, timeout_s)

    async def retry_now(self, timeout_s: float) -> None:
        """While away, try again now; return once that has led to something, after `timeout_s` seconds at the latest."""
        if (outcome := self._hurry()) is not None:
            await asyncio.wait([outcome], timeout=timeout_s)

    @property
    def unanswered(self) -> int:
        """How many commands (and questions) the server has not answered."""
        return len(self._requests)

    def _ask(self, ref: str, message: messages.ClientMessage) -> Request:
        if self._first_welcome is None:
            raise NotConnected("This connection was never opened: call open() first.")
        if self.status is Status.ENDED:
            raise self._ended()
        frame = codec.encode(message)
        if len(frame) > self._max_frame_bytes:
            raise BadCommand(f"The command has {len(frame)} bytes; this server takes at most {self._max_frame_bytes}.")
        request = Request(ref, frame)
        self._requests.add(request)
        self._link.send(frame)
        return request

    def _hurry(self) -> asyncio.Future[None] | None:
        return self._link.hurry() if self.status is Status.AWAY else None

    async def _answer(self, request: Request) -> Any:
        self._hurry()
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                return await asyncio.shield(request.answer)
        except TimeoutError:
            raise NotConnected(f"No answer within {COMMAND_TIMEOUT_S:g} s{self._whereabouts()}.") from None
        finally:
            self._requests.forget(request.ref)

    def _whereabouts(self) -> str:
        if self.away_since is None:
            return ""
        return f" ({self.server} has been out of reach for {time.time() - self.away_since:.0f} s)"

    def _ended(self) -> ConnectionEnded:
        return ConnectionEnded(str(self.last_error or "This connection has ended."))

    # ── what the link tells ───────────────────────────────────────────────────────────────────────────────────────

    def _hello(self) -> messages.Hello:
        return messages.Hello(
            room=self.code,
            role=self.role,
            ref=self._join_ref,
            name=self._name,
            token=self.token,
            position=self.replica.position,
            ledger=self._ledger,
            invitation=self._invitation if self.token is None else None,
        )

    def _take(self, message: messages.ServerMessage) -> None:
        match message:
            case messages.Delta():
                if self.replica.delta(message):
                    self._changed()
            case messages.Ack(ref=ref, offset=offset):
                if self._requests.ack(ref, offset):
                    self._changed()
            case messages.Presence():
                self._set_presence(message)
            case messages.Snapshot():
                self.replica.snapshot(message)
                self._changed()
            case messages.Welcome():
                self._take_welcome(message)
            case messages.Refused():
                self._take_refusal(message)
            case messages.Page(ref=ref, entries=entries):
                self._requests.answer(ref, entries)
            case messages.Ticket(ref=ref):
                self._requests.answer(ref, message)

    def _take_welcome(self, welcome: messages.Welcome) -> None:
        self.replica.welcome(welcome)
        if welcome.mode == "reset":
            self._requests.show_all()
        self.actor, self.role = welcome.actor, welcome.role
        self.token = welcome.token or self.token
        # The next joining, should there be one, is another: this one's name would find this one's person.
        self._join_ref = new_ref()
        self._max_frame_bytes = welcome.max_frame_bytes
        self.away_since = self.last_error = None
        for request in self._requests.unanswered():
            self._send_again(request.ref)
        self._set_presence(welcome.presence)
        self._set_status(Status.LIVE)
        self._changed()
        if self._first_welcome is not None and not self._first_welcome.done():
            self._first_welcome.set_result(None)

    def _take_refusal(self, message: messages.Refused) -> None:
        error = refusal(message.code, message.message, message.retry_after_s)
        request = self._requests.get(message.ref)
        if request is None:
            return
        # The same ref may succeed later. And a rate limit looks at a command before the log does: one that was sent
        # again may be stored already, so that it came too fast is no answer to it.
        if isinstance(error, TemporarilyUnavailable) or (request.was_sent_again and isinstance(error, TooFast)):
            loop = asyncio.get_running_loop()
            loop.call_later(message.retry_after_s or RETRY_AFTER_S, self._send_again, message.ref)
        else:
            self._requests.refuse(message.ref, error)

    def _send_again(self, ref: str) -> None:
        request = self._requests.get(ref)
        if request is not None:
            request.was_sent_again = True
            self._link.send(request.frame)

    def _went_down(self, down: Down) -> bool:
        self.last_error = down.error
        self.away_since = self.away_since or time.time()
        opening = self._first_welcome is not None and not self._first_welcome.done()
        if down.is_final or (opening and down.is_definite):
            self._end(down.error)
            return False
        if not opening:
            self._set_status(Status.AWAY)
        return True

    def _end(self, error: Exception) -> None:
        self.last_error = error
        self.away_since = self.away_since or time.time()
        if self._first_welcome is not None and not self._first_welcome.done():
            self._first_welcome.set_exception(error)
        self._requests.fail_all(self._ended())
        self._watchers.fail_all(self._ended())
        self._set_status(Status.ENDED)

    # ── telling whoever watches ───────────────────────────────────────────────────────────────────────────────────

    def _changed(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        self._requests.shown(self.replica.offset)
        self._watchers.look(self.replica.view)
        tell(self._on_change)

    def _set_status(self, status: Status) -> None:
        if status is not self.status:
            self.status = status
            tell(self._on_status, status)

    def _set_presence(self, presence: Presence) -> None:
        self.presence = presence
        tell(self._on_presence, presence)
