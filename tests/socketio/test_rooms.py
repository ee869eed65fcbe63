from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from wslive.core.commands import Command
from wslive.core.errors import BadCommand, EmptyText, TooFewOptions
from wslive.core.room import Room
from wslive.eventlog.memory import MemoryLog
from wslive.server.rooms.node import HOST, Node
from wslive.server.settings import ServerSettings
from wslive.socketio.rooms import POLL_KEY, default_room

LANGUAGES = ["JavaScript", "C#", "PHP"]


@pytest.fixture
async def log() -> MemoryLog:
    """A store that outlives a server."""
    return MemoryLog()


@pytest.fixture
async def node(log: MemoryLog) -> AsyncIterator[Node]:
    """The rooms of a server."""
    node = Node(log, ServerSettings())
    yield node
    await node.close()


async def polls(node: Node, code: str) -> list[tuple[str, list[str], str | None]]:
    live = await node.find(code)

    def look(room: Room) -> list[tuple[str, list[str], str | None]]:
        return [(p.question, [o.text for o in p.options], p.key) for p in room.of_kind("poll").values()]

    return await live.task.look(look)


async def test_a_room_is_made_with_its_poll(node: Node):
    room = await default_room(node, "Which language?", LANGUAGES)
    assert room.title == "Which language?"
    assert room.host_key is not None
    assert await polls(node, room.code) == [("Which language?", LANGUAGES, POLL_KEY)]


async def test_without_options_it_has_only_its_chat(node: Node):
    room = await default_room(node, "The tea kitchen")
    assert await polls(node, room.code) == []


async def test_started_again_the_room_and_its_poll_are_taken_up(node: Node, log: MemoryLog):
    made = await default_room(node, "Which language?", LANGUAGES)
    other = await default_room(node, "Another one")
    again = Node(log, ServerSettings())
    found = await default_room(again, "  Which language?\u200b ", LANGUAGES)
    assert (found.code, found.host_key) == (made.code, None)
    assert await polls(again, found.code) == [("Which language?", LANGUAGES, POLL_KEY)]
    assert other.code != made.code
    await again.close()


async def test_a_poll_that_was_discarded_is_asked_again(node: Node):
    room = await default_room(node, "Which language?", LANGUAGES)
    live = await node.find(room.code)
    await live.task.ask(HOST, _discard(await live.task.look(lambda r: next(iter(r.of_kind("poll"))))))
    await default_room(node, "Which language?", LANGUAGES)
    assert len(await polls(node, room.code)) == 2


@pytest.mark.parametrize("is_noted", [False, True], ids=["just now", "some time ago"])
async def test_a_room_that_has_ended_is_not_taken_up(node: Node, is_noted: bool):
    made = await default_room(node, "Which language?")
    await _end(node, made.code)
    if is_noted:
        await node.sweep()
    again = await default_room(node, "Which language?")
    assert again.code != made.code
    with pytest.raises(BadCommand, match="has ended"):
        await default_room(node, made.code)


async def test_a_room_is_found_by_its_code(node: Node):
    made = await default_room(node, "Which language?")
    found = await default_room(node, made.code.lower())
    assert (found.code, found.title, found.host_key) == (made.code, "Which language?", None)


async def test_a_code_that_no_room_has_makes_none(node: Node, log: MemoryLog):
    with pytest.raises(BadCommand, match="There is no room with the code K7M2QX"):
        await default_room(node, "K7M2QX")
    assert await log.rooms() == []


async def test_with_options_it_is_a_title_whatever_it_looks_like(node: Node):
    assert (await default_room(node, "SQUARE", ["yes", "no"])).title == "SQUARE"


async def test_a_title_or_options_that_cannot_be_are_refused(node: Node, log: MemoryLog):
    with pytest.raises(EmptyText):
        await default_room(node, "   ")
    with pytest.raises(TooFewOptions):
        await default_room(node, "Which language?", ["JavaScript"])


def _discard(poll: int) -> Command:
    return Command("discard-it", poll, "discard", msgspec.Raw(b"{}"))


async def _end(node: Node, code: str) -> None:
    live = await node.find(code)
    await live.task.ask(HOST, Command("end-it", 0, "end_room", msgspec.Raw(b"{}")))
