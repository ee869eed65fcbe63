"""One connection's logic: turns from `wire.session`, people from `admission`, views from `views.fanout`.

It holds no socket of its own, so the handler of `wslive serve` and one that lives in another Tornado application can
both be thin shells around it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from wslive.core.errors import (
    InvalidToken,
    LoginNeeded,
    NotAllowed,
    Refused,
    Removed,
    RoomHasEnded,
    RoomUnavailable,
    TemporarilyUnavailable,
    TooFast,
)
from wslive.core.roles import Level, Role, Who
from wslive.core.room import ROOM, Room
from wslive.core.room_messages import SERVER_COMMANDS
from wslive.core.room_view import older
from wslive.server.access.guesses import wait_s
from wslive.server.access.identity import Person
from wslive.server.access.neighbours import Neighbourhood
from wslive.server.access.tokens import READ, Claims
from wslive.server.admission import Door, check
from wslive.server.rooms.node import LiveRoom
from wslive.server.rooms.told import Outcome, as_answer
from wslive.server.settings import ServerSettings
from wslive.server.views.members import Member
from wslive.server.websocket.outbox import WayOut
from wslive.server.websocket.rfc6455 import text_frame
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode
from wslive.wire.codec import encode
from wslive.wire.session import Close, Phase, Reply, Session

logger = logging.getLogger("wslive.connection")

MAX_PAGE = 200
"""Entries of one page of older lines."""

_MAX_REASON_BYTES = 123


class Socket(Protocol):
    """What a handler offers."""

    def outbox(self, *, on_drained: Callable[[], None], on_full: Callable[[], None]) -> WayOut:
        """The way out; see `websocket.outbox.Outbox` for the two calls."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        ...


class Connection:
    """One WebSocket."""

    __slots__ = (
        "_audience_only",
        "_door",
        "_from_elsewhere",
        "_is_closing",
        "_joining",
        "_level",
        "_live",
        "_member",
        "_network",
        "_outbox",
        "_person",
        "_session",
        "_settings",
        "_socket",
        "_ticket",
        "opened_at_s",
        "vouch",
    )

    def __init__(
        self,
        door: Door,
        socket: Socket,
        settings: ServerSettings,
        ticket: Claims | None,
        *,
        audience_only: bool,
        level: Level = Level.TOKEN,
        network: Neighbourhood = None,
        from_elsewhere: bool = False,
        person: Person | None = None,
        vouch: str = "",
    ) -> None:
        """Wait for the hello.

        Args:
            door: Lets people in.
            socket: What carries the frames.
            settings: Those of the server.
            ticket: One whose signature is ours, where the handshake showed one.
            audience_only: Whether hosts are turned away.
            level: That of a new participant, where nobody vouches for them.
            network: Where the other end is.
            from_elsewhere: Whether that is another device; see `Gate.is_from_elsewhere`.
            person: Whom they have shown to be at the provider of identities.
            vouch: What that rests on, or their ticket.
        """
        self.opened_at_s = time.monotonic()
        self.vouch = vouch
        self._person = person
        self._door = door
        self._socket = socket
        self._settings = settings
        self._ticket = ticket
        self._audience_only = audience_only
        self._level = level
        self._network = network
        self._from_elsewhere = from_elsewhere
        self._session = Session(settings.max_frame_bytes)
        self._outbox = socket.outbox(on_drained=self._drained, on_full=self._full)
        self._is_closing = False
        self._member: Member | None = None
        self._live: LiveRoom | None = None
        self._joining: asyncio.Task[None] | None = None

    @property
    def is_waiting_for_hello(self) -> bool:
        """Whether nothing has been heard yet."""
        return self._session.phase is Phase.NEW

    def opened(self) -> None:
        """The handshake is done."""
        vouching = self._door.vouching
        has_expired = self._ticket is not None and self._ticket.expires_at_s <= time.time()
        if has_expired or (vouching is not None and not vouching.holds(self.vouch)):
            self.close(CloseCode.TICKET_EXPIRED)

    def received(self, frame: str | bytes) -> None:
        """A frame came."""
        effect = self._session.receive(frame)
        if type(effect) is messages.Command:
            self._submit(effect)  # nearly all of them
            return
        match effect:
            case Reply(message):
                self._post(message)
            case Close(code, reason):
                self.close(code, reason)
            case messages.Hello() as hello:
                self._joining = asyncio.get_running_loop().create_task(self._join(hello))
            case messages.ReadOlder() as wish:
                self._read_older(wish)
            case messages.GetTicket() as wish:
                self._make_ticket(wish)

    def lost(self) -> None:
        """The socket is gone."""
        self._session.closed()
        if self._joining is not None:
            self._joining.cancel()
        self._leave()

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Close with a code of ours, once."""
        if self._is_closing:
            return
        self._is_closing = True
        self._door.meter.closed(code)
        self._session.closed()
        self._outbox.close()
        self._leave()
        self._socket.close(code, _short(reason or code.sentence))

    def say_bye(self, spread_s: float) -> None:
        """The server goes down."""
        code = CloseCode.GOING_AWAY
        self._post(messages.Bye(code, code.sentence, spread_s))
        self.close(code)

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._outbox.abort()

    def _leave(self) -> None:
        if self._live is not None and self._member is not None:
            self._live.fanout.remove(self._member)
        # The member knows how to close this connection: left to the cyclic collector, which `wslive serve` calls next
        # to never, a hall that comes and goes would cost more memory with everybody who has left.
        self._live = self._member = None

    # ── joining ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _join(self, hello: messages.Hello) -> None:
        loop = asyncio.get_running_loop()
        asked_at_s = loop.time()

        def turn_away(refused: Refused) -> None:
            if isinstance(refused, TemporarilyUnavailable):
                self._turn_away(hello.ref, refused)
                return
            if isinstance(refused, RoomUnavailable) and self._ticket is None and hello.token is None:
                self._door.guessed_wrong(hello, self._network)
            # Whatever was found out on the way must not be told by how long it took.
            loop.call_later(wait_s(asked_at_s, loop.time()), self._turn_away, hello.ref, refused)

        try:
            role = hello.role if self._ticket is None else self._ticket.role
            if self._audience_only and role is Role.HOST:
                raise NotAllowed("This address is for the audience. Host the room at the server's own address.")
            if self._audience_only and self._ticket is None:
                await self._door.check_stranger(hello, self._network)
            admission = await self._door.admit(hello, self._ticket, self._level, self._network, self._person)
        except Refused as refused:
            turn_away(refused)
            return
        except Exception:
            logger.exception("a hello failed")
            self.close(CloseCode.STORE_TROUBLE)
            return
        finally:
            self._joining = None  # what it holds is not needed for as long as the connection lives
        live, who, token, known = admission

        def welcome(room: Room) -> None:
            if self._session.phase is not Phase.JOINING:
                return  # gone meanwhile
            try:
                check(room, admission)
                member = Member(who, self._outbox, self.close)
                live.fanout.add(member, room, known, token, live.record.code)
                is_guest = self._from_elsewhere and who.role is Role.PARTICIPANT
                live.fanout.arrivals.welcomed(self._network, from_elsewhere=is_guest)
            except Refused as refused:
                turn_away(refused)
            except Exception:
                logger.exception("a welcome failed")
                self.close(CloseCode.STORE_TROUBLE)
            else:
                self._session.admitted()
                self._live, self._member = live, member

        live.task.read(welcome, turn_away)

    def _turn_away(self, ref: str, refused: Refused) -> None:
        self._door.meter.turned_away(refused)
        if self._session.phase is not Phase.JOINING:
            return  # gone meanwhile
        self._refuse(ref, refused)
        self.close(_close_code(refused), refused.message)

    # ── joined ────────────────────────────────────────────────────────────────────────────────────────────────

    def _submit(self, command: messages.Command) -> None:
        live, member = self._live, self._member
        assert live is not None  # see `_joined`
        assert member is not None
        who = member.who
        objection: Refused | None = None
        try:
            if command.activity == ROOM and command.kind in SERVER_COMMANDS:
                raise NotAllowed
            live.rates.check(who.actor, who.role, command.kind, time.monotonic())
        except Refused as refused:
            objection = as_answer(refused)
        live.task.submit(who, command, self._answer, objection)

    def _answer(self, ref: str, outcome: Outcome) -> None:
        if isinstance(outcome, Refused):
            self._refuse(ref, outcome)
        else:
            self._outbox.post(text_frame(encode(messages.Ack(ref, outcome))))

    def _read_older(self, wish: messages.ReadOlder) -> None:
        live, who = self._joined()

        def refuse(refused: Refused) -> None:
            self._refuse(wish.ref, refused)

        def read(room: Room) -> None:
            try:
                limit = max(1, min(wish.limit, MAX_PAGE))
                self._post(messages.Page(wish.ref, older(room, who, wish.activity, wish.before, limit)))
            except Refused as refused:
                refuse(refused)

        if self._may_read(wish.ref):
            live.task.read(read, refuse)

    def _make_ticket(self, wish: messages.GetTicket) -> None:
        live, who = self._joined()
        if self._may_read(wish.ref):
            life_s = self._settings.ticket_life_s
            self._post(messages.Ticket(wish.ref, self._door.ticket(live, who, self.vouch), life_s))

    def _may_read(self, ref: str) -> bool:
        live, who = self._joined()
        try:
            live.rates.check(who.actor, who.role, READ, time.monotonic())
        except Refused as refused:
            self._refuse(ref, refused)
            return False
        return True

    def _joined(self) -> tuple[LiveRoom, Who]:
        # The session lets these messages through only when joined.
        assert self._live is not None
        assert self._member is not None
        return self._live, self._member.who

    def _full(self) -> None:
        self.close(CloseCode.SLOW_READER)

    def _drained(self) -> None:
        if self._live is not None and self._member is not None:
            self._live.fanout.drained(self._member)

    def _refuse(self, ref: str, refused: Refused) -> None:
        self._post(messages.Refused(ref, refused.code, refused.message, refused.retry_after_s))

    def _post(self, message: messages.ServerMessage) -> None:
        self._outbox.post(text_frame(encode(message)))


def _close_code(refused: Refused) -> CloseCode:
    match refused:
        case RoomUnavailable():
            return CloseCode.ROOM_UNAVAILABLE
        case InvalidToken():
            return CloseCode.INVALID_TOKEN
        case LoginNeeded():
            return CloseCode.LOGIN_ENDED
        case Removed():
            return CloseCode.REMOVED
        case RoomHasEnded():
            return CloseCode.ROOM_ENDED
        case TemporarilyUnavailable():
            return CloseCode.STORE_TROUBLE
        case TooFast():
            return CloseCode.TOO_MANY_GUESSES
    return CloseCode.REFUSED


def _short(reason: str) -> str:
    """What fits into a close frame: 123 bytes of UTF-8, no character cut in two."""
    return reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
