import asyncio

import pytest

import wslive
from tests.notebook.conftest import follow
from wslive.core.errors import ChatOff, ChatPaused, UnknownLine
from wslive.notebook.participant import Participant
from wslive.notebook.room import HostRoom


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


@pytest.fixture
def me(room: HostRoom) -> Participant:
    return wslive.join(room.link, name="Ada")


def test_lines_reach_everybody_in_order(room: HostRoom, me: Participant) -> None:
    me.say("why not heap?")
    follow(room, me)
    room.chat.say("good question")
    assert [(line.name, line.text) for line in room.chat] == [("Ada", "why not heap?"), ("Host", "good question")]
    assert len(room.chat) == 2


def test_a_plain_program_says_the_same_line_as_often_as_it_is_told(room: HostRoom, me: Participant) -> None:
    me.say("hello")
    me.say("hello")
    follow(room, me)
    assert len(room.chat) == 2


def test_pausing_stops_participants_and_not_the_host(room: HostRoom, me: Participant) -> None:
    room.chat.pause()
    room.chat.pause()
    with pytest.raises(ChatPaused):
        me.say("hello")
    room.chat.say("one moment")
    room.chat.resume()
    me.say("hello")
    assert not room.chat.paused


def test_the_mode_decides_who_reads(room: HostRoom, me: Participant) -> None:
    room.chat.mode = "to_host"
    me.say("a question in private")
    follow(room, me)
    assert [line.text for line in room.chat] == ["a question in private"]
    assert list(wslive.join(room.link, name="Bo").chat) == []
    room.chat.mode = "off"
    with pytest.raises(ChatOff):
        me.say("hello")
    with pytest.raises(ValueError, match="'on', 'off', 'to_host'"):
        room.chat.mode = "loud"


def test_a_hidden_line_stays_with_the_host(room: HostRoom, me: Participant) -> None:
    me.say("first")
    me.say("second")
    follow(room, me)
    (first, _) = room.chat
    room.chat.hide(first)
    assert [line.hidden for line in room.chat] == [True, False]
    other = wslive.join(room.link, name="Bo")
    assert [line.text for line in other.chat] == ["second"]
    room.chat.hide(first.id, hidden=False)
    assert [line.hidden for line in room.chat] == [False, False]
    with pytest.raises(UnknownLine):
        room.chat.hide(999)


def test_the_frame_goes_back_to_the_first_line(room: HostRoom) -> None:
    async def say() -> None:
        await asyncio.gather(*(room.chat.aio.say(f"line {number}") for number in range(180)))

    asyncio.run(say())  # at once: one by one each would wait until the one before shows
    for number in range(180, 203):  # one more page than a snapshot begins with
        room.chat.say(f"line {number}")
    viewer = wslive.watch(room.link)
    assert len(viewer.chat) == 200
    frame = viewer.chat.to_frame()
    assert frame["text"].tolist() == [f"line {number}" for number in range(203)]
    assert list(frame.columns) == ["line", "participant", "name", "text", "said_at", "hidden"]
    assert str(frame["said_at"].dt.tz) == "UTC"


def test_neither_representation_nor_saved_page_has_a_line_or_a_name(room: HostRoom, me: Participant) -> None:
    me.say("something private")
    follow(room, me)
    chat = room.chat
    assert repr(chat) == "<HostChat: on, 1 line>"
    assert "private" not in chat.saved_html()
    assert "Ada" not in chat.saved_html()
