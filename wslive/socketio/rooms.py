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
from wslive.server.access.tokens import CODE_LENGTH, CODE_SYMBOLS, clean_code
from wslive.server.rooms.node import HOST, LiveRoom, Node

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
        title, has_ended = await live.task.look(_title_and_end)
        if has_ended:
            raise BadCommand(f"The room {wanted} has ended. Name another one.")
        return DefaultRoom(live.record.code, title, None)
    title = clean(wanted, max_chars=MAX_TITLE_CHARS, what="The title")
    found, host_key = await _of_title(node, title), None
    if found is None:
        made = await node.create(title)
        found, host_key = await node.find(made.record.code), made.host_key
    if options:
        await _with_poll(found, title, options)
    return DefaultRoom(found.record.code, title, host_key)


async def _of_title(node: Node, title: str) -> LiveRoom | None:
    """The latest room of a title that has not ended. The first event of a room tells its title."""
    for record in sorted(await node.log.rooms(), key=lambda record: -record.created_at_ms):
        if record.ended_at_ms is not None:
            continue
        opening = await node.log.read(record.room, 0, 1)
        if opening and msgspec.json.decode(opening[0].body, type=RoomOpened).title == title:
            live = await node.find(record.code)
            if not (await live.task.look(_title_and_end))[1]:  # its end may not be in its record yet
                return live
    return None


def _title_and_end(room: Room) -> tuple[str, bool]:
    return room.title, room.has_ended


async def _with_poll(live: LiveRoom, question: str, options: Sequence[str]) -> None:
    def has_poll(room: Room) -> bool:
        return any(state.key == POLL_KEY and not state.discarded for state in room.of_kind("poll").values())

    if not await live.task.look(has_poll):
        poll = {"question": question, "options": list(options), "key": POLL_KEY}
        body = {"kind": "poll", "body": poll, "keep_open": False}
        command = Command(secrets.token_hex(12), ROOM, "open_activity", msgspec.Raw(msgspec.json.encode(body)))
        await live.task.ask(HOST, command)
