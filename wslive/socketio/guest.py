"""One Socket.IO client in a room.

A client looks on, as a viewer, until it does something: giving a name, saying a line or voting makes it a participant.
So the people of the named chat come in under their names, and a page that only shows the votes is nobody. Whoever was
in the room before is recognised and is a participant at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from wslive.core.errors import BadCommand, Refused, RoomUnavailable, TemporarilyUnavailable
from wslive.core.roles import Level, Role
from wslive.core.room import ROOM, Room
from wslive.server.http.context import Context
from wslive.server.rooms.node import LiveRoom
from wslive.server.rooms.room_task import RETRY_AFTER_S
from wslive.socketio.authors import Authors
from wslive.socketio.identity import Identity, Recovery, new_pid
from wslive.socketio.line import Line
from wslive.socketio.outbox import Outbox
from wslive.socketio.packets import Emitted
from wslive.socketio.programs import Author, Do, Hole, Name, Programs, Told
from wslive.socketio.transport import Transport
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode
from wslive.wire.session import MAX_ERRORS

MAX_EARLY = 200
"""Events of one client that wait until it is in. A store that hangs keeps it waiting; more are to come again."""

_MAX_CODE_CHARS = 64


class Guest:
    """One client.

    Attributes:
        sid: Its Socket.IO id.
        pid: What it is to show when it comes back.
        transport: What carries it.
    """

    def __init__(
        self,
        context: Context,
        transport: Transport,
        sid: str,
        identity: Identity,
        recovery: Recovery,
        *,
        on_dismissed: Callable[[], None],
    ) -> None:
        """Prepare; `open` lets it into a room.

        Args:
            context: The server's parts.
            transport: What carries it.
            sid: Its Socket.IO id.
            identity: Who it is.
            recovery: What it shows of an earlier connection.
            on_dismissed: Tells the client that it is not to come back.
        """
        self.sid = sid
        self.pid = new_pid(recovery.lineage)
        self.transport = transport
        self._context = context
        self._identity = identity
        self._recovery = recovery
        self._on_dismissed = on_dismissed
        self._outbox = Outbox(transport, max_bytes=context.settings.max_outbox_bytes)
        self._author = Author(sid, recovery.lineage)
        self._in_order = asyncio.Lock()
        self._early = 0
        self._is_person = False
        self._is_gone = False
        self._nonsense = 0
        self._line: Line | None = None
        self._finishing: asyncio.Task[None] | None = None

    # ── coming and going ──────────────────────────────────────────────────────────────────────────────────────────

    async def open(self, code: str, authors_of: Callable[[LiveRoom], Authors]) -> None:
        """Come into the room of a code.

        Raises:
            Refused: With the reason.
        """
        self._code = code[:_MAX_CODE_CHARS]
        signer, token = self._context.door.signer, self._identity.token
        try:
            live = await self._find()
        except RoomUnavailable:
            # The line is refused too, and in the same time as by a room that is there but closed.
            await self._new_line().say_hello(self._look_on() if token is None else self._hello())
            raise
        room = live.record.room
        own = signer.actor_for(room, self._identity.ref) if token is None else signer.verify(token).actor
        position = self._recovery.position

        def look(state: Room) -> tuple[bool, int | None]:
            is_known = token is not None or state.people.get(own) is not None
            if position is None or position.epoch != state.head.epoch:
                return is_known, None
            return is_known, position.offset if state.chain_at(position.offset) == position.chain else None

        self._is_person, told_to = await live.task.look(look)
        self._authors = authors_of(live)
        self._programs = Programs(own, self._recovery.lineage, self._authors.of, told_to)
        await self._new_line().say_hello(self._hello() if self._is_person else self._look_on())
        if self._programs.recovered and self._recovery.pid is not None:
            self.pid = self._recovery.pid
        self.transport.on_bye = self._say_bye

    async def _find(self) -> LiveRoom:
        """The room of the code; for a token its own, whatever the code: the line will say that it is another's.

        Raises:
            Refused: With the reason.
        """
        door, token = self._context.door, self._identity.token
        if token is None:
            return await door.find(self._code, self.transport.network)
        return await self._context.node.find_id(door.signer.verify(token).room)

    def begin(self) -> None:
        """The client has been told that it is in: what it was sent meanwhile may follow."""
        self._outbox.open()

    def lost(self) -> None:
        """The client is gone."""
        self._is_gone = True
        if self._line is not None:
            self._line.lost()
        self.transport.left()

    def _hello(self, name: str | None = None) -> messages.Hello:
        identity = self._identity
        return messages.Hello(self._code, Role.PARTICIPANT, identity.ref, name, identity.token)

    def _look_on(self) -> messages.Hello:
        return messages.Hello(self._code, Role.VIEWER)

    def _new_line(self) -> Line:
        is_kept = self._identity.is_kept or self.transport.cookie is not None
        level = Level.TOKEN if is_kept else Level.LINK
        transport = self.transport
        network, elsewhere = transport.network, transport.from_elsewhere
        return Line(self._context, self._outbox, self, level, network, from_elsewhere=elsewhere)

    def _say_bye(self, spread_s: float) -> None:
        if self._line is not None:
            self._line.say_bye(spread_s)

    # ── what the room says ────────────────────────────────────────────────────────────────────────────────────────

    def hear(self, line: Line, message: messages.ServerMessage) -> None:
        """A welcome, or news of the room."""
        try:
            told = self._news(line, message)
        except Hole:
            slow = CloseCode.SLOW_READER
            self.ended(line, slow, slow.sentence)
            return
        for event, payload in told:
            self._outbox.event(event, payload)

    def acked(self, kind: str, offset: int) -> None:
        """A command of this client is in the log."""
        if kind == "say":
            self._authors.said(offset, self._author)

    def ended(self, line: Line, code: CloseCode, reason: str) -> None:
        """The room has closed the line: for good, or until the client comes back."""
        if line is not self._line or self._finishing is not None:
            return
        if code.is_final:
            self._outbox.event("error", {"code": code.name.lower(), "message": reason})

        async def finish() -> None:
            await self._outbox.close()
            if code.is_final:
                self._on_dismissed()
            else:
                self.transport.close(code, reason)

        self._finishing = asyncio.get_running_loop().create_task(finish())

    def _news(self, line: Line, message: messages.ServerMessage) -> list[Told]:
        if isinstance(message, messages.Welcome):
            if self._is_gone:  # once the room has let it in, which it is about to
                asyncio.get_running_loop().call_soon(line.lost)
                return []
            before, self._line = self._line, line
            self._outbox.on_drained, self._outbox.on_full = line.on_drained, line.on_full
            if before is not None:
                before.lost()
            return self._programs.welcome(message)
        if line is not self._line:
            return []  # the viewer's last news, which the participant's welcome had already
        match message:
            case messages.Delta():
                return self._programs.delta(message)
            case messages.Snapshot():
                return self._programs.snapshot(message)
            case messages.Presence():
                return self._programs.presence(message)
        return []

    # ── what the client says ──────────────────────────────────────────────────────────────────────────────────────

    async def take(self, emitted: Emitted) -> None:
        """Carry out an event, and answer it once it is committed or refused."""
        if emitted.event is None:
            self._take_nonsense()
            return
        try:
            offset = await self._carry_out(self._programs.wish(emitted.event, emitted.payload))
        except Refused as refused:
            error: dict[str, object] = {"code": refused.code, "message": refused.message}
            if refused.retry_after_s is not None:
                error["retry_after_s"] = refused.retry_after_s
            if emitted.id is None:
                self._outbox.event("error", error)
            else:
                self._outbox.ack(emitted.id, {"ok": False, "error": error})
        else:
            if emitted.id is not None:
                self._outbox.ack(emitted.id, {"ok": True, "offset": offset})

    async def _carry_out(self, wish: Name | Do) -> int:
        if self._early >= MAX_EARLY:
            raise TemporarilyUnavailable(retry_after_s=RETRY_AFTER_S)
        self._early += 1
        try:
            # One after the other, so that whoever gives a name and says a line at once is in before the line is said.
            async with self._in_order:
                answer = await self._ask(wish)
        finally:
            self._early -= 1
        return await answer

    async def _ask(self, wish: Name | Do) -> Awaitable[int]:
        """Send a wish on its way, as a participant; its answer comes later."""
        if not self._is_person:
            # Another connection to the room, a participant's, takes the place of the viewer's.
            offset = await self._new_line().say_hello(self._hello(wish.name if isinstance(wish, Name) else None))
            self._is_person = True
            if isinstance(wish, Name):
                return _known(offset)
        if isinstance(wish, Name):
            if not (wish.name or "").strip() or wish.name == self._programs.name:
                return _known(self._programs.offset)  # a prompt that was cancelled, or the name that it has
            wish = Do(ROOM, "rename", {"name": wish.name})
        assert self._line is not None, "a guest has a line once it is in"
        return self._line.command(wish.activity, wish.kind, wish.body)

    def _take_nonsense(self) -> None:
        self._nonsense += 1
        if self._nonsense <= MAX_ERRORS:
            error = BadCommand("This is no packet of the Socket.IO protocol, version 5.")
            self._outbox.event("error", {"code": error.code, "message": error.message})
        elif self._line is not None:
            self.ended(self._line, CloseCode.TOO_MANY_ERRORS, CloseCode.TOO_MANY_ERRORS.sentence)


async def _known(offset: int) -> int:
    """An answer that is there already."""
    return offset
