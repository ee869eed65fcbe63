"""Who comes in: a hello turned into somebody, and whether that somebody may be in the room now.

Strangers get one refusal, whatever the reason: `RoomUnavailable` for unknown, ended, locked and full rooms alike, and
`WrongHostKey` whether the code or the key is wrong. More is told only to people who hold a token of the room. So a
token is verified before the room is looked for: a made-up one must not tell which codes exist.

`admit` takes time (a room may have to be opened, a join stored), so whether somebody may be here is asked last, by
`check`, on the very state that the welcome shows.

How often strangers may be wrong about a code, and when they are told, is in `access.guesses`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import NamedTuple

import msgspec

from wslive.core.commands import Command
from wslive.core.errors import (
    BadCommand,
    HostingNotAllowed,
    InvalidToken,
    LoginNeeded,
    NotAllowed,
    Refused,
    Removed,
    RoomHasEnded,
    RoomUnavailable,
    TemporarilyUnavailable,
    WrongHostKey,
)
from wslive.core.events import Position
from wslive.core.roles import HOST_ACTOR, LOOKS_ON, Level, Role, Who, looking_on, taking_part
from wslive.core.room import ROOM, Room
from wslive.core.text import MAX_NAME_CHARS, clean_name
from wslive.server.access.guesses import Guesses
from wslive.server.access.identity import Person, Vouching
from wslive.server.access.neighbours import Neighbourhood
from wslive.server.access.tokens import Claims, Signer, clean_code, key_fits
from wslive.server.meter import Meter
from wslive.server.rooms.node import LiveRoom, Node
from wslive.wire.messages import Hello

_LET_IN_RETRY_S = 5.0
_MIN_REF_CHARS = 16
"""A shorter ref of a hello is no secret, so no identity is derived from it."""
_MAX_TRIED_CHARS = 24
_USED = "This invitation has been used already: each lets one person in, once. Ask the host for another one."


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
        guesses: How many wrong codes strangers have tried.
        let_in: Join codes of the rooms that strangers may come into; None: every room, to whoever knows its code.
        vouching: Who vouches for everybody who comes; None where tokens of our own make people.
    """

    def __init__(self, node: Node, signer: Signer, vouching: Vouching | None = None) -> None:
        """Let strangers into every room."""
        self._node = node
        self.signer = signer
        self.guesses = Guesses(node.settings, time.monotonic())
        self.vouching = vouching
        self.let_in: set[str] | None = None

    @property
    def meter(self) -> Meter:
        """Who counts."""
        return self._node.meter

    def lets_in(self, code: str) -> bool:
        """Whether strangers may come into the room of a code, if there is one."""
        return self.let_in is None or clean_code(code) in self.let_in

    def check_code(self, code: str, network: Neighbourhood) -> None:
        """Whether strangers of a network may come into the room of a code that they show.

        Raises:
            RoomUnavailable: No, or there is none; the caller tells `guessed_wrong`.
            TooFast: Too many wrong codes came from there.
        """
        self._check_guess(code, network)
        if not self.lets_in(code):
            raise RoomUnavailable

    async def check_stranger(self, hello: Hello, network: Neighbourhood) -> None:
        """Whether somebody of whom nothing is known but this hello may come into the room now.

        Raises:
            RoomUnavailable: No; the caller tells `guessed_wrong`.
            TooFast: Too many wrong codes came from there.
            InvalidToken: As for `admit`: a token is told about its own room alone, whichever rooms are open.
            TemporarilyUnavailable: Not now; whoever was in the room before comes back when the host lets people in.
        """
        if self.lets_in(hello.room):
            return
        if hello.token is None:
            self.check_code(hello.room, network)
            return
        await self._recognise(hello, hello.token)
        raise TemporarilyUnavailable("The host has to let people in again.", retry_after_s=_LET_IN_RETRY_S)

    async def find(self, code: str, network: Neighbourhood, person: Person | None = None) -> LiveRoom:
        """The room of a code that a stranger from that network shows, or somebody who is vouched for.

        Raises:
            RoomUnavailable: There is none; the caller tells `guessed_wrong`.
            TooFast: Too many wrong codes came from there.
            TemporarilyUnavailable: The store is out of reach.
        """
        if person is None or not await self._is_in(code, person):
            self._check_guess(code, network)
        # One that is over is not opened for strangers: a long log would take a time that tells of it.
        return await self._node.find(code, only=lambda record: person is not None or record.ended_at_ms is None)

    async def _is_in(self, code: str, person: Person) -> bool:
        """Whether somebody is in the room of a code already, as far as it is in memory."""
        live = self._node.live.get(clean_code(code))
        if live is None:
            return False
        actor = self._actor_of(live, person)
        return await live.task.look(lambda room: room.people.get(actor) is not None)

    async def title(self, hello: Hello, network: Neighbourhood, person: Person | None = None) -> str:
        """The title of a room that somebody can come into now with this hello; arguments and errors as for `find`."""
        live = await self.find(hello.room, network, person)
        invitation = hello.invitation
        is_invited = invitation is not None and self.signer.invited_as(live.record.room, invitation) is not None
        return await live.task.look(lambda room: self._title(live, room, is_invited))

    def guessed_wrong(self, hello: Hello, network: Neighbourhood) -> None:
        """Note that a stranger was told `RoomUnavailable`, whatever the reason."""
        # Cut, since it is kept: what is longer than any code is wrong anyway.
        tried = f"{clean_code(hello.room)[:_MAX_TRIED_CHARS]} {(hello.invitation or '')[:_MAX_TRIED_CHARS]}"
        self.guesses.wrong(network, tried, time.monotonic())

    async def admit(
        self,
        hello: Hello,
        ticket: Claims | None,
        level: Level = Level.TOKEN,
        network: Neighbourhood = None,
        person: Person | None = None,
    ) -> Admission:
        """Find out who says hello, and enter new participants in the room's log.

        Args:
            hello: What they say.
            ticket: The ticket that they showed.
            level: How sure it is who a new participant is, where nobody vouches for them.
            network: Where they come from.
            person: Whom they have shown to be at the provider of identities.

        Raises:
            RoomUnavailable · WrongHostKey · InvalidToken: See the module.
            LoginNeeded: Somebody vouches for people here, and for them nobody has.
            TooFast: A stranger came from where too many wrong codes came from.
            EmptyText · TextTooLong · BadCommand: About the name or the ref of a new participant.
            TemporarilyUnavailable: The store is out of reach.
        """
        if ticket is not None:
            live = await self._node.find_id(ticket.room)
            return Admission(live, Who(ticket.actor, ticket.role), None, hello.position)
        if person is None and self.vouching is not None:
            raise LoginNeeded  # however somebody has come here
        if hello.role is Role.HOST:
            live = await self.hosted(hello.room, hello.token)
            return Admission(live, Who(HOST_ACTOR, Role.HOST, hello.ledger), None, hello.position)
        if person is not None:
            live = await self.find(hello.room, network, person)
            return Admission(live, await self.enter(live, person, hello.role), None, hello.position)
        if hello.token is not None:
            return await self._recognise(hello, hello.token)
        live = await self.find(hello.room, network)
        if hello.role is Role.VIEWER:
            who = Who(LOOKS_ON + secrets.token_urlsafe(9), Role.VIEWER)
        else:
            who = await self._enter(live, hello, level, network)
        return Admission(live, who, self._token(live, who), None)

    async def hosted(self, code: str, host_key: str | None) -> LiveRoom:
        """The room of a code, for the holder of its host key.

        Raises:
            WrongHostKey: No room has this code and this key.
            TemporarilyUnavailable: The store is out of reach.
        """
        try:
            # A room is not opened for a wrong key: that would take a time that tells of it.
            return await self._node.find(code, only=lambda record: key_fits(host_key, record.host_key_hash))
        except RoomUnavailable:
            raise WrongHostKey from None

    async def enter(self, live: LiveRoom, person: Person, role: Role) -> Who:
        """Let somebody in for whom a provider vouches: the same participant from wherever they come.

        Raises:
            RoomUnavailable: The room takes nobody in.
            TemporarilyUnavailable: The store is out of reach.
        """
        assert self.vouching is not None
        actor, level = self._actor_of(live, person), self.vouching.identity.level
        if role is not Role.PARTICIPANT:
            if await live.task.look(lambda room: room.is_locked and room.people.get(actor) is None):
                await self._check_may_host(person)  # a projector comes back
            return Who(looking_on(actor), Role.VIEWER)
        # One ref for ever: two tabs that come at once make one event.
        return await self._join(live, actor, f"join-as-{actor}", _name_of(person), level, None)

    async def _check_may_host(self, person: Person) -> None:
        assert self.vouching is not None
        try:
            await self.vouching.identity.check_host(person)
        except HostingNotAllowed:
            raise RoomUnavailable from None

    def _actor_of(self, live: LiveRoom, person: Person) -> str:
        assert self.vouching is not None
        return self.signer.actor_of(live.record.room, self.vouching.identity.name, person.id)

    def ticket(self, live: LiveRoom, who: Who, vouch: str = "") -> str:
        """A ticket for another connection of the same person; single ballots are not for browsers.

        Args:
            live: The room.
            who: The person.
            vouch: By what somebody vouches for them, where they do.
        """
        expires_at_s = int(time.time() + self._node.settings.ticket_life_s)
        if self.vouching is not None:
            self.vouching.holds(vouch)  # for as long as the ticket
        return self.signer.sign(Claims(live.record.room, who.actor, who.role, expires_at_s, vouch))

    async def _recognise(self, hello: Hello, token: str) -> Admission:
        claims = self.signer.verify(token)
        try:
            live = await self._node.find(hello.room, only=lambda record: record.room == claims.room)
        except RoomUnavailable:
            # Another room must not answer otherwise than no room: what is told is about the token's own.
            await self._node.find_id(claims.room)
            raise InvalidToken from None
        if claims.role is not hello.role or claims.expires_at_s:
            raise InvalidToken
        return Admission(live, Who(claims.actor, claims.role), None, hello.position)

    def _check_guess(self, code: str, network: Neighbourhood) -> None:
        live = self._node.live.get(clean_code(code))
        # Where people of a network are in the room, somebody who guesses there must not keep out those who know it.
        if live is None or not live.fanout.arrivals.knows(network):
            self.guesses.check(network, time.monotonic())

    def _title(self, live: LiveRoom, room: Room, is_invited: bool) -> str:
        if room.has_ended or (room.is_locked and not is_invited) or self._is_full(live, room):
            raise RoomUnavailable
        return room.title

    def _is_full(self, live: LiveRoom, room: Room, actor: str = "") -> bool:
        others = sum(room.people.get(other) is None for other in live.joining - {actor})
        return room.people_count + others >= self._node.settings.max_participants

    async def _enter(self, live: LiveRoom, hello: Hello, level: Level, network: Neighbourhood) -> Who:
        ref = hello.ref if len(hello.ref) >= _MIN_REF_CHARS else secrets.token_urlsafe(18)
        actor = self.signer.actor_for(live.record.room, ref)
        is_invited = hello.invitation is not None
        if hello.invitation is not None:
            invited_as = self.signer.invited_as(live.record.room, hello.invitation)
            if invited_as is None:
                raise RoomUnavailable
            actor, level = invited_as, Level.INVITATION
        return await self._join(live, actor, ref, hello.name, level, network, is_invited=is_invited)

    async def _join(
        self,
        live: LiveRoom,
        actor: str,
        ref: str,
        name: str | None,
        level: Level,
        network: Neighbourhood,
        *,
        is_invited: bool = False,
    ) -> Who:
        """Enter a participant in the room's log, unless they are there already."""
        who = Who(actor, Role.PARTICIPANT)

        def must_join(room: Room) -> bool:
            if room.people.get(actor) is not None:
                # A hello that was sent again; whether it is the one that an invitation was used for, the log knows.
                return is_invited
            if room.has_ended or (room.is_locked and not is_invited) or self._is_full(live, room, actor):
                raise RoomUnavailable
            live.joining.add(actor)
            return True

        try:
            if await live.task.look(must_join):
                body = msgspec.Raw(msgspec.json.encode({"name": name, "level": level}))
                await live.task.ask(who, Command(ref, ROOM, "join", body))
                live.fanout.arrivals.note(network, asyncio.get_running_loop().time())
        except RoomHasEnded:
            raise RoomUnavailable from None
        except BadCommand:
            if is_invited and await live.task.look(lambda room: room.people.get(actor) is not None):
                raise NotAllowed(_USED) from None
            raise
        finally:
            # Also where the connection went away between the two.
            live.joining.discard(actor)
        return who

    def _token(self, live: LiveRoom, who: Who) -> str:
        return self.signer.sign(Claims(live.record.room, who.actor, who.role))


def _name_of(person: Person) -> str | None:
    """A login as a name: cut where it is longer than names are, and none where it cannot be one."""
    name = person.name
    try:
        return clean_name(name if len(name) <= MAX_NAME_CHARS else name[: MAX_NAME_CHARS - 1] + "…")
    except Refused:
        return None  # the room gives one


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
    person = room.people.get(taking_part(who.actor))
    if who.role is Role.PARTICIPANT and person is None:
        raise InvalidToken
    if person is not None and person.removed:
        raise Removed
    if room.has_ended:
        raise RoomHasEnded
