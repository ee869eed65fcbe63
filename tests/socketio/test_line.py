from __future__ import annotations

from typing import Any

import pytest

from tests.server.hall import lines
from tests.socketio.conftest import OpenHall, SocketIoHall
from wslive.core.errors import BadCommand, InvalidToken, NotAllowed, RoomUnavailable, TemporarilyUnavailable, TooFast
from wslive.core.roles import Role
from wslive.server.settings import Rate
from wslive.socketio.line import Line
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode

CHAT = 2


class End:
    """Somebody at the end of a line who notes what happens, in order."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.is_clear = True
        self.stuck_since_s: float | None = None

    def hear(self, line: Line, message: messages.ServerMessage) -> None:
        self.heard.append(message)

    def acked(self, kind: str, offset: int) -> None:
        self.heard.append((kind, offset))

    def ended(self, line: Line, code: CloseCode, reason: str) -> None:
        self.heard.append((code, reason))


@pytest.fixture
def end() -> End:
    return End()


def line_to(hall: SocketIoHall, end: End) -> Line:
    return Line(hall.gateway.context, end, end)


def hello(hall: SocketIoHall, **fields: Any) -> messages.Hello:
    return messages.Hello(**{"room": hall.code, "ref": "0123456789abcdef", "name": "Ada", **fields})


async def test_a_command_is_heard_of_before_the_room_hears_what_it_did(hall: SocketIoHall, end: End):
    line = line_to(hall, end)
    came = await line.say_hello(hello(hall))
    offset = await line.command(CHAT, "say", {"text": "Hello"})
    assert offset == came + 1
    kinds = [type(message) for message in end.heard]
    assert kinds[0] is messages.Welcome
    ada = await hall.join("Bob")
    await ada.at(offset)
    assert end.heard.index(("say", offset)) < kinds.index(messages.Delta)
    line.lost()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"room": "NOSUCH"}, RoomUnavailable),
        ({"token": "no.token"}, InvalidToken),
    ],
)
async def test_a_hello_that_is_refused_raises_the_refusal(
    hall: SocketIoHall, end: End, fields: dict[str, Any], error: type[Exception]
):
    with pytest.raises(error):
        await line_to(hall, end).say_hello(hello(hall, **fields))
    assert end.heard == []


async def test_nobody_hosts_this_way(hall: SocketIoHall, end: End):
    with pytest.raises(NotAllowed, match="for the audience"):
        await line_to(hall, end).say_hello(hello(hall, role=Role.HOST, token=hall.host_key))


async def test_rates_and_sizes_are_those_of_every_connection(open_hall: OpenHall, end: End):
    hall = await open_hall(line_rate=Rate(per_s=0.001, burst=1))
    line = line_to(hall, end)
    await line.say_hello(hello(hall))
    with pytest.raises(BadCommand, match="this server takes at most 16384"):
        line.command(CHAT, "say", {"text": "x" * 20_000})
    await line.command(CHAT, "say", {"text": "one"})
    with pytest.raises(TooFast) as refused:
        await line.command(CHAT, "say", {"text": "two"})
    assert refused.value.retry_after_s is not None
    line.lost()


async def test_while_the_outlet_is_behind_no_delta_comes_and_then_one_for_all(hall: SocketIoHall, end: End):
    line = line_to(hall, end)
    came = await line.say_hello(hello(hall))
    end.is_clear = False
    host = await hall.host()
    for number in range(5):
        await host.done(CHAT, "say", {"text": f"line {number}"})
    assert messages.Delta not in [type(message) for message in end.heard]
    end.is_clear = True
    line.on_drained()
    [delta] = [message for message in end.heard if isinstance(message, messages.Delta)]
    assert (delta.from_, delta.to) == (came, came + 5)
    line.lost()


async def test_the_end_of_the_room_ends_the_line_with_its_code(hall: SocketIoHall, end: End):
    line = line_to(hall, end)
    await line.say_hello(hello(hall))
    host = await hall.host()
    await host.done(0, "end_room")
    await host.closed()
    assert end.heard[-1] == (CloseCode.ROOM_ENDED, CloseCode.ROOM_ENDED.sentence)


async def test_the_end_of_the_server_is_one_to_come_back_from(hall: SocketIoHall, end: End):
    line = line_to(hall, end)
    await line.say_hello(hello(hall))
    line.say_bye(5.0)
    assert [type(message) for message in end.heard[-2:-1]] == [messages.Bye]
    assert end.heard[-1] == (CloseCode.GOING_AWAY, CloseCode.GOING_AWAY.sentence)


async def test_who_is_gone_is_not_kept_waiting_and_keeps_nobody_waiting(
    hall: SocketIoHall, end: End, caplog: pytest.LogCaptureFixture
):
    line = line_to(hall, end)
    await line.say_hello(hello(hall))
    bob = await hall.join("Bob")
    answer = line.command(CHAT, "say", {"text": "Hello"})
    said = await bob.ask(CHAT, "say", {"text": "Hi"})
    line.lost()
    with pytest.raises(TemporarilyUnavailable, match="ended before the room answered"):
        await answer
    offset = (await bob.answer(said))["offset"]
    assert lines(await bob.at(offset)) == ["Hello", "Hi"]  # what was asked is done all the same
    assert ("say", offset - 1) not in end.heard
    assert caplog.text == ""


async def test_a_mistake_at_one_end_is_that_ends_alone(
    hall: SocketIoHall, end: End, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    line = line_to(hall, end)
    await line.say_hello(hello(hall))
    monkeypatch.setattr(end, "hear", lambda line, message: 1 / 0)
    bob, host = await hall.join("Bob"), await hall.host()
    offset = await host.done(CHAT, "say", {"text": "Hello"})
    assert lines(await bob.at(offset)) == ["Hello"]
    assert end.heard[-1] == (CloseCode.STORE_TROUBLE, CloseCode.STORE_TROUBLE.sentence)
    assert "ZeroDivisionError" in caplog.text
