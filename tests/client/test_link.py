"""Staying connected, seen from the link alone."""

import asyncio

import pytest

from tests.client.rooms import Hall, Peer, Soon, delta, scripted, welcome
from wslive.client.link import Down, Link
from wslive.client.replica import Gap
from wslive.core.errors import NotConnected, RoomUnavailable
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import Rate, ServerSettings
from wslive.wire.close_codes import CloseCode
from wslive.wire.messages import Bye, Delta, Hello, Refused, ServerMessage, Welcome


class Ends:
    """What a link tells, and how often it may come back."""

    def __init__(self, url: str, tries: int = 1) -> None:
        self.messages: list[ServerMessage] = []
        self.downs: list[Down] = []
        self.was_live: list[bool] = []
        self._tries = tries
        self.link = Link(
            url, hello=lambda: Hello(room="K7M2QX"), on_message=self.take, on_down=self.went_down, rng=Soon()
        )

    def take(self, message: ServerMessage) -> None:
        self.messages.append(message)
        self.was_live.append(self.link.is_live)

    def went_down(self, down: Down) -> bool:
        self.downs.append(down)
        return len(self.downs) < self._tries


async def test_it_is_live_from_the_welcome_to_the_end():
    async def serve(peer: Peer) -> None:
        assert await peer.hello() == Hello(room="K7M2QX")
        await peer.send(welcome(1), delta(1, 2))
        await peer.close(CloseCode.SLOW_READER)

    async with scripted(serve) as url:
        ends = Ends(url)
        await ends.link.run()
    assert [type(message) for message in ends.messages] == [Welcome, Delta]
    assert ends.was_live == [True, True]
    assert not ends.link.is_live
    [down] = ends.downs
    assert str(down.error) == CloseCode.SLOW_READER.sentence
    assert not down.is_final


async def test_it_comes_back_as_often_as_it_is_told_to():
    async def go(peer: Peer) -> None:
        await peer.hello()
        await peer.close(CloseCode.GOING_AWAY)

    async with scripted(go, go, go) as url:
        ends = Ends(url, tries=3)
        await ends.link.run()
    assert len(ends.downs) == 3


async def test_what_comes_after_a_good_bye_or_a_gap_belongs_to_nothing():
    async def bye(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1), Bye(CloseCode.GOING_AWAY, "See you.", 3.0), delta(1, 2))
        await peer.close(CloseCode.GOING_AWAY)

    async def flood(peer: Peer) -> None:
        await peer.hello()
        await peer.send_at_once([delta(n, n + 1) for n in range(5)])
        await peer.closed()

    async with scripted(bye) as url:
        ends = Ends(url)
        await ends.link.run()
        assert [type(message) for message in ends.messages] == [Welcome]
        assert (str(ends.downs[0].error), ends.downs[0].spread_s) == ("See you.", 3.0)
    async with scripted(flood) as url:
        ends = Ends(url)
        seen: list[ServerMessage] = []

        def stumble(message: ServerMessage) -> None:
            seen.append(message)
            raise Gap("a hole")

        ends.link._on_message = stumble
        await ends.link.run()
        assert len(seen) == 1
        assert not ends.downs[0].is_final


async def test_a_refused_hello_is_its_own_error_whatever_the_close_code_says():
    async def refuse(peer: Peer) -> None:
        await peer.hello()
        await peer.send(Refused("", "room_unavailable", "No such room."))
        await peer.close(CloseCode.REFUSED)

    async with scripted(refuse) as url:
        ends = Ends(url)
        await ends.link.run()
    [down] = ends.downs
    assert isinstance(down.error, RoomUnavailable)
    assert down.is_final
    assert ends.messages == []


async def test_nothing_is_sent_before_the_welcome_and_nothing_breaks_after_the_end():
    heard: list[str] = []

    async def listen(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        heard.append((await peer.command()).ref)
        await peer.close(CloseCode.GOING_AWAY)

    frame = b'{"type":"command","ref":"%s","activity":2,"kind":"say"}'
    async with scripted(listen) as url:
        ends = Ends(url)
        ends.link.send(frame % b"too early")
        running = asyncio.create_task(ends.link.run())
        while not ends.link.is_live:  # noqa: ASYNC110 - the link has no event for it, on purpose
            await asyncio.sleep(0.005)
        ends.link.send(frame % b"in time")
        await running
        ends.link.send(frame % b"too late")
        ends.link.drop(Down(NotConnected("nothing to drop")))
    assert heard == ["in time"]


async def test_a_hello_without_an_answer_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wslive.client.link.WELCOME_TIMEOUT_S", 0.05)

    async def mute(peer: Peer) -> None:
        await peer.closed()

    async with scripted(mute) as url:
        ends = Ends(url)
        await ends.link.run()
    assert "did not answer the hello" in str(ends.downs[0].error)


async def test_a_busy_server_says_when_to_come_back_and_it_comes_then_not_before():
    server = Server(ServerSettings(port=0, handshake_rate=Rate(per_s=5, burst=1)), MemoryLog())
    await server.start()
    try:
        hall = await Hall.open(server)
        first = await hall.join("Ada")
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        downs: list[Down] = []

        def went_down(down: Down) -> bool:
            downs.append(down)
            running.get_loop().call_soon(link.hurry)  # somebody waits for it; that does not make the server less busy
            return len(downs) < 2

        welcomed = loop.create_future()
        link = Link(
            server.url,
            hello=lambda: Hello(room=hall.code),
            on_message=lambda message: welcomed.set_result(loop.time()) if isinstance(message, Welcome) else None,
            on_down=went_down,
            rng=Soon(),
        )
        running = asyncio.create_task(link.run())
        assert await welcomed - began_s >= 1.0
        [down] = downs
        assert (down.retry_after_s, down.is_definite, down.is_final) == (1.0, False, False)
        running.cancel()
        await asyncio.wait([running])
        await first.close()
    finally:
        await server.stop()
