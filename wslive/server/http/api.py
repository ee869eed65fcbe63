"""The small JSON interface for hosts: make a room, let people in, read the log, erase, delete.

Only the server's own listener has it; the one for the audience has not.
"""

from __future__ import annotations

import logging
import os
from importlib.metadata import version
from typing import Any

import msgspec

from wslive.core.errors import BadCommand, LogError, TemporarilyUnavailable
from wslive.core.events import Event
from wslive.server.access.identity import shown
from wslive.server.access.origins import stream_of
from wslive.server.access.tokens import check_hosting
from wslive.server.http.pages import Handler
from wslive.server.rooms.node import LiveRoom
from wslive.wire.messages import PASS_HEADER

logger = logging.getLogger("wslive.api")

_PAGE_EVENTS = 2000
_MAX_DIGITS = 15
"""More than any offset has; what is larger does not fit into a store's integers."""


class ServerHandler(Handler):
    """`/api/server`: which server this is."""

    def get(self) -> None:
        """Nothing secret."""
        here = self.context.door.vouching is not None
        self.finish({**about_server(), "audience": self.context.network.urls, "here": here})


def about_server() -> dict[str, Any]:
    """Which version runs in which process."""
    return {"wslive": version("wslive"), "pid": os.getpid()}


class _ForHosts(Handler):
    """Calls of this server's own people."""

    async def check_may_host(self) -> None:
        """Ask for the hosting token; where somebody vouches for people, whether this one may host.

        Raises:
            HostingNotAllowed · LoginNeeded · NotAllowed · TemporarilyUnavailable: No.
        """
        vouching = self.context.door.vouching
        if vouching is None:
            check_hosting(self.context.hosting_token, self.bearer())
            return
        person = await vouching.identity.of_proof(shown(self.request.headers.get("Authorization", "")))
        await vouching.identity.check_host(person)
        logger.info("%s: %s %s", person.id, type(self).__name__, self.request.method)


class RoomsHandler(_ForHosts):
    """`/api/rooms`: make a room."""

    async def post(self) -> None:
        """With the hosting token; answers with the host key, once."""
        await self.answered(self._post())

    async def _post(self) -> None:
        context = self.context
        if not context.settings.anyone_may_host:
            await self.check_may_host()
        made = await context.node.create(field(self.request.body, "title"))
        self.set_status(201)
        code = made.record.code
        link, _ = self.join_link(code)
        self.finish({"room": made.record.room, "code": code, "host_key": made.host_key, "link": link})


class AudienceHandler(_ForHosts):
    """`/api/audience`: who can reach this server."""

    async def post(self) -> None:
        """With the hosting token (`anyone_may_host` does not open an operator's network)."""
        await self.answered(self._post())

    async def _post(self) -> None:
        context = self.context
        await self.check_may_host()
        audience = field(self.request.body, "audience")
        if context.door.vouching is not None:
            # Whoever is vouched for comes by the address of the hub, which the host's own page knows best.
            if audience not in ("this_computer", "network"):
                raise BadCommand('Here people come by the hub\'s own address: use audience="network".')
            self.finish({"links": context.network.urls, "here": True})
            return
        self.finish({"links": context.network.let_in(audience)})


class _ByHostKey(Handler):
    """Calls of the holder of a room's host key."""

    async def hosted(self, code: str) -> LiveRoom:
        """The room. Where somebody vouches for people the key alone is not enough: its holder has to be one of them.

        Raises:
            WrongHostKey · TemporarilyUnavailable: See `Door.hosted`.
            LoginNeeded · NotAllowed: See `access.identity.Identity.of_proof`.
        """
        door = self.context.door
        if door.vouching is not None:
            await door.vouching.identity.of_proof(shown(f"Bearer {self.request.headers.get(PASS_HEADER, '')}"))
        return await door.hosted(code, self.bearer())


class RoomHandler(_ByHostKey):
    """`/api/rooms/CODE`: delete a room."""

    async def delete(self, code: str) -> None:
        """With the host key."""
        await self.answered(self._delete(code))

    async def _delete(self, code: str) -> None:
        live = await self.hosted(code)
        await self.context.node.delete(live)
        self.finish({"deleted": live.record.code})


class PersonHandler(_ByHostKey):
    """`/api/rooms/CODE/people/PERSON`: erase what a person has written."""

    async def delete(self, code: str, person: str) -> None:
        """With the host key; also in a room that has ended."""
        await self.answered(self._delete(code, person))

    async def _delete(self, code: str, person: str) -> None:
        live = await self.hosted(code)
        self.finish({"erased": person, "offset": await self.context.node.erase(live, person)})


class InvitationsHandler(_ByHostKey):
    """`/api/rooms/CODE/invitations`: what a host hands out, one for each person."""

    async def get(self, code: str) -> None:
        """With the host key: the first `count` of them, and which have been used."""
        await self.answered(self._get(code))

    async def _get(self, code: str) -> None:
        door, most = self.context.door, self.context.settings.max_participants
        live = await self.hosted(code)
        count = number(self, "count") or 0
        if count > most:
            raise BadCommand(f"A room has at most {most} people, and so many invitations.")
        room = live.record.room
        made = [door.signer.invitation(room, i) for i in range(1, count + 1)]
        used = await live.task.look(
            lambda state: [state.people.get(door.signer.invited_as(room, text) or "") is not None for text in made]
        )
        found = [{"invitation": text, "used": was_used} for text, was_used in zip(made, used, strict=True)]
        self.set_header("Cache-Control", "no-store")
        self.finish({"invitations": found})


class EventsHandler(_ByHostKey):
    """`/api/rooms/CODE/events`: the log as JSON lines."""

    async def get(self, code: str) -> None:
        """With the host key; `activity`, `after` and `limit` narrow it down.

        Refs stay inside: they are people's secrets.
        """
        await self.answered(self._get(code))

    async def _get(self, code: str) -> None:
        live = await self.hosted(code)
        activity = number(self, "activity")
        after = number(self, "after") or 0
        left = number(self, "limit")
        self.set_header("Content-Type", "application/x-ndjson")
        while left is None or left > 0:
            try:
                events = await self.context.node.log.read(live.record.room, after, _PAGE_EVENTS)
            except LogError:
                if not self._headers_written:
                    raise TemporarilyUnavailable(retry_after_s=1.0) from None
                # An end that looks like one would pass half a log off for the whole.
                logger.warning("room %s: its log could not be read to the end", live.record.room)
                stream = stream_of(self.request)
                if stream is not None:
                    stream.close()
                return
            for event in events:
                after = event.offset
                if activity is None or activity in (event.activity, event.offset):
                    self.write(_line(event))
                    left = None if left is None else left - 1
                    if left == 0:
                        break
            if len(events) < _PAGE_EVENTS:
                return
            await self.flush()


def _line(event: Event) -> bytes:
    fields = {
        "offset": event.offset,
        "at_ms": event.at_ms,
        "actor": event.actor,
        "activity": event.activity,
        "kind": event.kind,
        "version": event.version,
        "body": msgspec.Raw(event.body or b"null"),
    }
    return msgspec.json.encode(fields) + b"\n"


def number(handler: Handler, name: str) -> int | None:
    """A number of the query.

    Raises:
        BadCommand: It is none.
    """
    text = handler.get_query_argument(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        raise BadCommand(f"{name} has to be a number of up to {_MAX_DIGITS} digits, not {text[:20]!r}.")
    return int(text)


def field(body: bytes, name: str) -> str:
    """A text field of a JSON body.

    Raises:
        BadCommand: It is not there.
    """
    try:
        # Unlike the standard library's, this reader takes no halves of surrogate pairs, which no text of ours can hold.
        fields: Any = msgspec.json.decode(body or b"{}")
        value = fields[name]
    except (ValueError, TypeError, KeyError, RecursionError):
        value = None
    if not isinstance(value, str):
        raise BadCommand(f'The body has to be JSON with a text field "{name}".')
    return value
