"""Who comes in: a hello turned into somebody, and whether that somebody may be in the room now.

Strangers get one refusal, whatever the reason: `RoomUnavailable` for unknown, ended, locked and full rooms alike, and
`WrongHostKey` whether the code or the key is wrong. More is told only to people who hold a token of the room. So a
token is verified before the room is looked for: a made-up one must not tell which codes exist.

`admit` takes time (a room may have to be opened, a join stored), so whether somebody may be here is asked last, by
`check`, on the very state that the welcome shows.
"""

from __future__ import annotations

import secrets
import time
from typing import NamedTuple

import msgspec

from wslive.core.commands import Command
from wslive.core.errors import (
    InvalidToken,
    Removed,
    RoomHasEnded,
    RoomUnavailable,
    TemporarilyUnavailable,
    WrongHostKey,
)
from wslive.core.events import Position
from wslive.core.roles import HOST_ACTOR, Level, Role, Who
from wslive.core.room import ROOM, Room
from wslive.server.access import Claims, Signer, clean_code, key_fits
from wslive.server.node import LiveRoom, Node
from wslive.wire.messages import Hello

_LET_IN_RETRY_S = 5.0
_MIN_REF_CHARS = 16
"""A shorter ref of a hello is no secret, so no identity is derived from it."""


class Admission(NamedTuple):
    """Who a hello turned out to be.

    Attributes:
        live: The room.
        who: The reader.
        token: The token to hand out, where the hello came without one.
        known: Where the client's replica stands; None where it cannot be this reader's.
    """

    live: LiveRoom
    who: Who
    token: str | None
    known: Position | None


class Door:
    """Lets people into the rooms of a node.

    Attributes:
        signer: Makes and checks the tokens.
        let_in: Join codes of the rooms that strangers may come into; None: every room, to whoever knows its code.
    """

    def __init__(self, node: Node, signer: Signer) -> None:
        """Let strangers into every room."""
        self._node = node
        self.signer = signer
        self.let_in: set[str] | None = None

    def lets_in(self, code: str) -> bool:
        """Whether strangers may come into the room of a code, if there is one."""
        return self.let_in is None or clean_code(code) in self.let_in

    def check_stranger(self, hello: Hello) -> None:
        """Whether somebody of whom nothing is known but this hello may come into the room now.

        Raises:
            RoomUnavailable: No.
            TemporarilyUnavailable: Not now; whoever was in the room before comes back when the host lets people in.
        """
        if self.lets_in(hello.room):
            return
        if hello.token is None:
            raise RoomUnavailable
        raise TemporarilyUnavailable("The host has to let people in again.", retry_after_s=_LET_IN_RETRY_S)

    async def admit(self, hello: Hello, ticket: Claims | None, level: Level = Level.TOKEN) -> Admission:
        """Find out who says hello, and enter new participants in the room's log.

        Raises:
            RoomUnavailable · WrongHostKey · InvalidToken: See the module.
            EmptyText · TextTooLong · BadCommand: About the name or the ref of a new participant.
            TemporarilyUnavailable: The store is out of reach.
        """
        if ticket is not None:
            live = await self._node.find_id(ticket.room)
            return Admission(live, Who(ticket.actor, ticket.role), None, hello.position)
        if hello.role is Role.HOST:
            live = await self.hosted(hello.room, hello.token)
            return Admission(live, Who(HOST_ACTOR, Role.HOST, hello.ledger), None, hello.position)
        if hello.token is not None:
            return await self._recognise(hello, hello.token)
        live = await self._node.find(hello.room)
        if hello.role is Role.VIEWER:
            who = Who("v_" + secrets.token_urlsafe(9), Role.VIEWER)
        else:
            who = await self._enter(live, hello, level)
        return Admission(live, who, self._token(live, who), None)

    async def hosted(self, code: str, host_key: str | None) -> LiveRoom:
        """The room of a code, for the holder of its host key.

        Raises:
            WrongHostKey: No room has this code and this key.
            TemporarilyUnavailable: The store is out of reach.
        """
        try:
            live = await self._node.find(code)
        except RoomUnavailable:
            raise WrongHostKey from None
        if not key_fits(host_key, live.record.host_key_hash):
            raise WrongHostKey
        return live

    def ticket(self, live: LiveRoom, who: Who) -> str:
        """A ticket for another connection of the same person; single ballots are not for browsers."""
        expires_at_s = int(time.time() + self._node.settings.ticket_life_s)
        return self.signer.sign(Claims(live.record.room, who.actor, who.role, expires_at_s))

    async def _recognise(self, hello: Hello, token: str) -> Admission:
        claims = self.signer.verify(token)
        try:
            live = await self._node.find(hello.room)
        except RoomUnavailable:
            live = None
        if live is None or live.record.room != claims.room:
            # A stranger's room must not answer otherwise than no room: what is told is about the token's own.
            await self._node.find_id(claims.room)
            raise InvalidToken
        if claims.role is not hello.role or claims.expires_at_s:
            raise InvalidToken
        return Admission(live, Who(claims.actor, claims.role), None, hello.position)

    async def _enter(self, live: LiveRoom, hello: Hello, level: Level) -> Who:
        ref = hello.ref if len(hello.ref) >= _MIN_REF_CHARS else secrets.token_urlsafe(18)
        actor = self.signer.actor_for(live.record.room, ref)
        who = Who(actor, Role.PARTICIPANT)
        limit = self._node.settings.max_participants

        def must_join(room: Room) -> bool:
            if room.people.get(actor) is not None:
                return False  # a hello that was sent again
            others = sum(room.people.get(other) is None for other in live.joining - {actor})
            if room.has_ended or room.is_locked or room.people_count + others >= limit:
                raise RoomUnavailable
            live.joining.add(actor)
            return True

        try:
            if await live.task.look(must_join):
                body = msgspec.Raw(msgspec.json.encode({"name": hello.name, "level": level}))
                await live.task.ask(who, Command(ref, ROOM, "join", body))
        except RoomHasEnded:
            raise RoomUnavailable from None
        finally:
            # Also where the connection went away between the two.
            live.joining.discard(actor)
        return who

    def _token(self, live: LiveRoom, who: Who) -> str:
        return self.signer.sign(Claims(live.record.room, who.actor, who.role))


def check(room: Room, admission: Admission) -> None:
    """Whether somebody who was admitted may be in the room as it is now.

    Raises:
        RoomUnavailable: A stranger may not.
        InvalidToken · Removed · RoomHasEnded: The holder of a token may not.
    """
    who, is_new = admission.who, admission.token is not None
    if who.role is Role.HOST:
        return
    if who.role is Role.VIEWER and is_new and (room.is_locked or room.has_ended):
        raise RoomUnavailable
    if who.role is Role.PARTICIPANT:
        person = room.people.get(who.actor)
        if person is None:
            raise InvalidToken
        if person.removed:
            raise Removed
    if room.has_ended:
        raise RoomHasEnded
