"""What a client does when a server follows a script: gaps, final codes, good-byes, things it does not know."""

import asyncio

import pytest

from tests.client.rooms import Peer, Soon, delta, position, scripted, welcome
from wslive.client.connection import Connection, Status
from wslive.core.errors import ConnectionEnded, NotConnected, PollClosed, RoomUnavailable, TooFast
from wslive.core.view import Set
from wslive.wire.close_codes import CloseCode
from wslive.wire.messages import Ack, Bye, Refused

NOW = Set(("n",), 1)


def ada(url: str, **options) -> Connection:
    return Connection(url, "K7M2QX", name="Ada", rng=options.pop("rng", Soon()), **options)


async def test_after_a_gap_the_client_resumes_from_where_it_stands():
    async def gap(peer: Peer) -> None:
        hello = await peer.hello()
        assert (hello.position, hello.token, hello.name) == (None, None, "Ada")
        await peer.send(welcome(3, {"n": 0}), delta(3, 4, Set(("n",), 4)), delta(6, 7, Set(("n",), 7)))
        await peer.closed()

    async def resumed(peer: Peer) -> None:
        hello = await peer.hello()
        assert (hello.position, hello.token) == (position(4), "token of Ada")
        await peer.send(welcome(7, ops=[Set(("n",), 7)]))
        await peer.closed()

    async with scripted(gap, resumed) as url:
        connection = ada(url)
        await connection.open()
        assert await connection.changed(lambda view: view["n"] == 7 and connection.replica.offset, timeout_s=10) == 7
        assert connection.status is Status.LIVE
        await connection.close()


async def test_a_resume_of_nothing_is_answered_by_a_hello_without_a_position():
    async def confused(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(3, ops=[]))
        await peer.closed()

    async def whole(peer: Peer) -> None:
        assert (await peer.hello()).position is None
        await peer.send(welcome(3, {"n": 3}))
        await peer.closed()

    async with scripted(confused, whole) as url:
        connection = ada(url)
        await connection.open()
        assert connection.replica.view == {"n": 3}
        await connection.close()


async def test_a_hello_that_is_said_again_before_the_welcome_does_not_join_twice():
    refs: list[str] = []

    async def lost(peer: Peer) -> None:
        refs.append((await peer.hello()).ref)
        await peer.close(CloseCode.GOING_AWAY)

    async def welcomed(peer: Peer) -> None:
        refs.append((await peer.hello()).ref)
        await peer.send(welcome(1))
        await peer.close(CloseCode.GOING_AWAY)

    async def again(peer: Peer) -> None:
        refs.append((await peer.hello()).ref)
        await peer.send(welcome(1, ops=[]), delta(1, 2, NOW))
        await peer.closed()

    async with scripted(lost, welcomed, again) as url:
        connection = ada(url)
        await connection.open()
        await connection.changed(lambda view: view.get("n"), timeout_s=10)
        await connection.close()
    first, second, third = refs
    assert first == second != third
    assert len(first) >= 11  # 64 bits at least


async def test_a_command_keeps_its_ref_over_reconnects():
    async def cut_after_command(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        commands.append(await peer.command())
        await peer.close(CloseCode.GOING_AWAY)

    async def acknowledge(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1, ops=[]))
        commands.append(await peer.command())
        await peer.send(Ack(commands[-1].ref, 2), delta(1, 2, NOW))
        await peer.closed()

    commands = []
    async with scripted(cut_after_command, acknowledge) as url:
        connection = ada(url)
        await connection.open()
        assert await connection.command(2, "say", {"text": "once"}) == 2
        assert connection.replica.view == {"n": 1}
        assert commands[0] == commands[1]
        assert bytes(commands[0].body) == b'{"text":"once"}'
        await connection.close()


async def test_an_ack_of_a_log_that_is_no_more_still_answers():
    async def ack_then_lose_the_log(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(7))
        await peer.send(Ack((await peer.command()).ref, 8))
        await peer.close(CloseCode.GOING_AWAY)

    async def another_log(peer: Peer) -> None:
        await peer.hello()
        fresh = welcome(1, {"n": 1})
        await peer.send(
            type(fresh)("reset", position(1, "new"), "K7M2QX", "p_ada", fresh.role, fresh.presence, view={})
        )
        await peer.closed()

    async with scripted(ack_then_lose_the_log, another_log) as url:
        connection = ada(url)
        await connection.open()
        assert await connection.command(2, "say", {"text": "said"}) == 8
        await connection.close()


@pytest.mark.parametrize("code", [code for code in CloseCode if code.is_final])
async def test_a_final_close_code_ends_the_connection_with_its_sentence(code: CloseCode):
    async def end(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        await peer.command()
        await peer.close(code)

    async with scripted(end) as url:
        connection = ada(url)
        await connection.open()
        with pytest.raises(ConnectionEnded) as told:
            await connection.command(2, "say", {"text": "hello?"})
        assert str(told.value) == code.sentence
        assert connection.status is Status.ENDED
        assert connection.away_since is not None


@pytest.mark.parametrize("code", [code for code in CloseCode if not code.is_final] + [1000, 1001, 1006])
async def test_any_other_end_is_followed_by_coming_back(code: int):
    async def go(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        await peer.close(code) if code != 1006 else None

    async def back(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1, ops=[NOW]))
        await peer.closed()

    async with scripted(go, back) as url:
        connection = ada(url)
        await connection.open()
        await connection.changed(lambda view: view.get("n"), timeout_s=10)
        await connection.close()


async def test_a_good_bye_says_why_and_spreads_the_coming_back():
    reasons: list[str] = []
    rng = Soon()

    async def bye(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1), Bye(CloseCode.GOING_AWAY, "The server restarts.", spread_s=20))
        await peer.close(CloseCode.GOING_AWAY)

    async def back(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1, ops=[NOW]))
        await peer.closed()

    def note(status: Status) -> None:
        if status is Status.AWAY:
            reasons.append(str(connection.last_error))

    async with scripted(bye, back) as url:
        connection = ada(url, rng=rng, on_status=note)
        await connection.open()
        await connection.changed(lambda view: view.get("n"), timeout_s=10)
        assert rng.ranges == [(0, 20)]
        assert reasons == ["The server restarts."]
        assert connection.last_error is None
        await connection.close()


async def test_a_final_good_bye_ends_the_connection():
    async def bye(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1), Bye(CloseCode.REMOVED, "The host has sent you out."))
        await peer.close(CloseCode.REMOVED)

    async with scripted(bye) as url:
        connection = ada(url)
        await connection.open()
        with pytest.raises(ConnectionEnded, match="sent you out"):
            await connection.changed(lambda view: False)


async def test_a_hello_that_is_refused_for_a_moment_is_said_again():
    async def not_now(peer: Peer) -> None:
        await peer.hello()
        await peer.send(Refused("", "temporarily_unavailable", "The store is busy.", retry_after_s=0.01))
        await peer.close(CloseCode.STORE_TROUBLE)

    async def now(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        await peer.closed()

    async with scripted(not_now, now) as url:
        connection = ada(url)
        await connection.open()
        assert connection.status is Status.LIVE
        await connection.close()


async def test_a_hello_that_is_refused_on_coming_back_ends_the_connection_with_its_reason():
    async def go(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        await peer.close(CloseCode.GOING_AWAY)

    async def refuse(peer: Peer) -> None:
        hello = await peer.hello()
        await peer.send(Refused(hello.ref, "room_unavailable", "This room cannot be joined."))
        await peer.close(CloseCode.ROOM_UNAVAILABLE)

    async with scripted(go, refuse) as url:
        connection = ada(url)
        await connection.open()
        with pytest.raises(ConnectionEnded, match="cannot be joined"):
            await connection.changed(lambda view: False)
        assert isinstance(connection.last_error, RoomUnavailable)


async def test_a_store_that_is_busy_gets_the_same_command_again():
    async def busy_once(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        first = await peer.command()
        await peer.send(Refused(first.ref, "temporarily_unavailable", "The store is busy.", retry_after_s=0.01))
        second = await peer.command()
        assert second == first
        await peer.send(Ack(second.ref, 2), delta(1, 2, NOW))
        await peer.closed()

    async with scripted(busy_once) as url:
        connection = ada(url)
        await connection.open()
        assert await connection.command(2, "say", {"text": "once"}) == 2
        await connection.close()


async def test_a_rate_limit_tells_when_to_come_back_but_never_hides_an_ack_that_was_lost():
    """A command sent again may be in the log already: that it came too fast says nothing about it."""

    async def refuse_then_cut(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        await peer.send(Refused((await peer.command()).ref, "too_fast", "That was too fast.", retry_after_s=3))
        await peer.command()
        await peer.close(CloseCode.GOING_AWAY)

    async def refuse_the_retry_once(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1, ops=[]))
        again = await peer.command()
        await peer.send(Refused(again.ref, "too_fast", "That was too fast.", retry_after_s=0.01))
        assert await peer.command() == again
        await peer.send(Ack(again.ref, 2), delta(1, 2, NOW))
        await peer.closed()

    async with scripted(refuse_then_cut, refuse_the_retry_once) as url:
        connection = ada(url)
        await connection.open()
        with pytest.raises(TooFast) as told:
            await connection.command(2, "say", {"text": "first"})
        assert told.value.retry_after_s == 3
        assert await connection.command(2, "say", {"text": "second"}) == 2
        await connection.close()


async def test_what_this_version_does_not_know_is_left_alone(caplog):
    async def newer(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        await peer.send_text('{"type":"fireworks","how_many":12}')
        await peer.send_text("no JSON at all")
        await peer.send(delta(1, 2, NOW), Refused("nobody's ref", "poll_closed", "Too late."), Ack("nobody's", 2))
        await peer.closed()

    async with scripted(newer) as url:
        connection = ada(url)
        await connection.open()
        await connection.changed(lambda view: view.get("n"), timeout_s=10)
        assert connection.status is Status.LIVE
        await connection.close()
    assert caplog.text.count("was not understood") == 2


async def test_a_flood_of_deltas_is_told_once_a_turn_and_leaves_no_task_each():
    flood = 2000
    changes = 0
    most_tasks = 0

    async def send_flood(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(0, {"n": 0}))
        await peer.send_at_once([delta(n, n + 1, Set(("n",), n + 1)) for n in range(flood)])
        await peer.closed()

    def count() -> None:
        nonlocal changes, most_tasks
        changes += 1
        most_tasks = max(most_tasks, len(asyncio.all_tasks()))

    async with scripted(send_flood) as url:
        connection = ada(url, on_change=count)
        await connection.open()
        await connection.changed(lambda view: view["n"] == flood, timeout_s=30)
        assert connection.replica.offset == flood
        assert changes < flood / 4
        assert most_tasks < 20
        await connection.close()


async def test_a_refusal_that_nobody_waits_for_any_more_is_not_logged_as_lost(caplog):
    async def refuse_late(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        command = await peer.command()
        await asyncio.wait_for(gave_up.wait(), 10)
        await peer.send(Refused(command.ref, "poll_closed", PollClosed.sentence), delta(1, 2, NOW))
        await peer.closed()

    gave_up = asyncio.Event()
    async with scripted(refuse_late) as url:
        connection = ada(url)
        await connection.open()
        waiting = asyncio.create_task(connection.command(3, "cast_vote", {"round": 1, "options": ["o1"]}))
        await asyncio.sleep(0)
        waiting.cancel()
        gave_up.set()
        await connection.changed(lambda view: view.get("n"), timeout_s=10)
        assert connection.unanswered == 0
        await connection.close()
    assert caplog.text == ""


async def test_a_server_that_never_answers_the_hello_is_given_up_in_time():
    async def mute(peer: Peer) -> None:
        await peer.closed()

    async with scripted(mute) as url:
        with pytest.raises(NotConnected, match=r"did not answer within 0\.1 s"):
            await ada(url).open(timeout_s=0.1)
