"""The room that clients come to who name none: one that is there, or one that is made with its poll.

Starting the server again is a use and not a mistake: a room of the same title is taken up again, with its poll and all
that was said in it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from wslive.core.commands import Command
from wslive.core.errors import BadCommand, RoomUnavailable
from wslive.core.room import ROOM, Room
from wslive.core.room_messages import RoomOpened
from wslive.core.text import MAX_TITLE_CHARS, clean
from wslive.eventlog.base import EventLog
from wslive.server.access import CODE_LENGTH, CODE_SYMBOLS, clean_code
from wslive.server.node import HOST, LiveRoom, Node

POLL_KEY = "socketio"
"""The key of the poll that comes with the room: by it the poll is found again."""

_CODE = re.compile(f"[{CODE_SYMBOLS}]{{{CODE_LENGTH}}}")


class DefaultRoom(NamedTuple):
    """The room.

    Attributes:
        code: Its join code.
        title: What it is called.
        host_key: Where it was just made: its key, told once.
    """

    code: str
    title: str
    host_key: str | None


async def default_room(node: Node, wanted: str, options: Sequence[str] = ()) -> DefaultRoom:
    """Find or make the room that clients come to.

    Args:
        node: The rooms of a server.
        wanted: The join code of a room, or the title of one that is found or made; then also its question.
        options: What can be answered; without, the room has only its chat.

    Raises:
        BadCommand: It looks like a join code and there is no such room; or the room has ended.
        Refused: The title or the options are empty, too long or too many.
    """
    if not options and _CODE.fullmatch(clean_code(wanted)):
        try:
            live = await node.find(wanted)
        except RoomUnavailable:
            raise BadCommand(
                f"There is no room with the code {wanted}. Give the code of one that is there, or a title of more "
                "than one word to make one."
            ) from None
        return await _usable(live, None)
    wanted = clean(wanted, max_chars=MAX_TITLE_CHARS, what="The title")
    code = await _code_of_title(node.log, wanted)
    host_key = None
    if code is None:
        made = await node.create(wanted)
        code, host_key = made.record.code, made.host_key
    live = await node.find(code)
    if options:
        await _with_poll(live, wanted, options)
    return await _usable(live, host_key)


async def _usable(live: LiveRoom, host_key: str | None) -> DefaultRoom:
    title, has_ended = await live.task.look(lambda room: (room.title, room.has_ended))
    if has_ended:
        raise BadCommand(f"The room {live.record.code} has ended. Name another one.")
    return DefaultRoom(live.record.code, title, host_key)


async def _code_of_title(log: EventLog, title: str) -> str | None:
    """The latest room of a title that has not ended; its first event tells the title."""
    for record in sorted(await log.rooms(), key=lambda record: -record.created_at_ms):
        if record.ended_at_ms is None:
            opening = await log.read(record.room, 0, 1)
            if opening and msgspec.json.decode(opening[0].body, type=RoomOpened).title == title:
                return record.code
    return None


async def _with_poll(live: LiveRoom, question: str, options: Sequence[str]) -> None:
    def has_poll(room: Room) -> bool:
        return any(state.key == POLL_KEY and not state.discarded for state in room.of_kind("poll").values())

    if not await live.task.look(has_poll):
        poll = {"question": question, "options": list(options), "key": POLL_KEY}
        body = {"kind": "poll", "body": poll, "keep_open": False}
        command = Command(secrets.token_hex(12), ROOM, "open_activity", msgspec.Raw(msgspec.json.encode(body)))
        await live.task.ask(HOST, command)
