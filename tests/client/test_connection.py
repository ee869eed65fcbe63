"""Connections to a real server, over wires that are cut."""

import asyncio
import gc

import pytest
from websockets.asyncio.client import connect as websocket
from websockets.asyncio.server import serve
from websockets.typing import Subprotocol

from tests.client.rooms import Hall, Never, Wire, texts
from wslive.client.connection import Connection, Status
from wslive.core.errors import (
    BadCommand,
    ConnectionEnded,
    EmptyText,
    InvalidToken,
    NotConnected,
    RoomUnavailable,
    Unconfirmed,
    UnknownActivity,
    WrongHostKey,
)
from wslive.core.roles import Role
from wslive.server.app import Server
from wslive.wire.codec import decode_server, encode
from wslive.wire.messages import SUBPROTOCOL, TICKET_PREFIX, Hello, Presence, Welcome

POLL = {"kind": "poll", "body": {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}}


async def test_an_open_connection_has_the_room_at_once(hall: Hall):
    ada = await hall.join("Ada")
    assert ada.status is Status.LIVE
    assert ada.replica.view["room"]["title"] == "Sorting 101"
    assert ada.replica.view["me"] == {
        "actor": ada.actor,
        "role": "participant",
        "name": "Ada",
        "muted": False,
        "activities": {},
    }
    assert ada.away_since is None


async def test_a_command_returns_when_the_replica_shows_its_effect(hall: Hall):
    host = await hall.host()
    poll = await host.command(0, "open_activity", POLL)
    assert host.replica.view["room"]["stage"] == poll
    ada = await hall.join("Ada")
    offset = await ada.command(poll, "cast_vote", {"round": 1, "options": ["o2"]})
    assert ada.replica.offset >= offset
    assert ada.replica.view["activities"][str(poll)]["tally"]["counts"] == {"o1": 0, "o2": 1, "o3": 0}
    assert ada.replica.view["me"]["activities"][str(poll)] == {"round": 1, "options": ["o2"]}


async def test_what_one_says_the_others_read(hall: Hall):
    ada, ben = await hall.join("Ada"), await hall.join("Ben")
    await ada.command(hall.CHAT, "say", {"text": "why not heap?"})
    await ben.changed(lambda view: view["activities"]["2"]["lines"], timeout_s=10)
    assert texts(ben) == ["why not heap?"]


async def test_changed_returns_what_the_condition_found_and_gives_up_in_time(hall: Hall):
    ada = await hall.join("Ada")
    assert await ada.changed(lambda view: view["room"]["title"]) == "Sorting 101"
    with pytest.raises(TimeoutError):
        await ada.changed(lambda view: view["room"]["ended"], timeout_s=0.01)
    with pytest.raises(KeyError):
        await ada.changed(lambda view: view["no such part"])


async def test_a_condition_that_fails_later_tells_whoever_waits(hall: Hall):
    ada = await hall.join("Ada")
    waiting = asyncio.create_task(ada.changed(lambda view: view["activities"]["2"]["lines"] and 1 / 0))
    await ada.command(hall.CHAT, "say", {"text": "now"})
    with pytest.raises(ZeroDivisionError):
        await waiting


async def test_a_refusal_is_its_exception_and_the_connection_goes_on(hall: Hall):
    ada = await hall.join("Ada")
    with pytest.raises(EmptyText):
        await ada.command(hall.CHAT, "say", {"text": "\u200b"})
    with pytest.raises(UnknownActivity):
        await ada.command(99, "cast_vote", {"round": 1, "options": ["o1"]})
    await ada.command(hall.CHAT, "say", {"text": "still here"})
    assert texts(ada) == ["still here"]
    assert ada.unanswered == 0


async def test_a_command_too_large_for_the_server_is_refused_before_it_would_end_the_connection(hall: Hall):
    ada = await hall.join("Ada")
    with pytest.raises(BadCommand, match="at most 16384"):
        await ada.command(hall.CHAT, "say", {"text": "x" * 20_000})
    assert ada.status is Status.LIVE


async def test_a_token_makes_the_same_person_again(hall: Hall):
    ada = await hall.join("Ada")
    await ada.close()
    again = await hall.join("Somebody else", token=ada.token)
    assert again.actor == ada.actor
    assert again.replica.view["me"]["name"] == "Ada"
    assert again.replica.view["people"]["count"] == 1


async def test_a_room_that_cannot_be_joined_says_so_and_leaves_nothing_running(server: Server):
    stranger = Connection(server.url, "NOSUCH")
    with pytest.raises(RoomUnavailable):
        await stranger.open()
    assert stranger.status is Status.ENDED
    with pytest.raises(ConnectionEnded):
        await stranger.command(2, "say", {"text": "hello?"})
    assert_nothing_runs()


async def test_a_wrong_key_or_token_is_named(hall: Hall):
    with pytest.raises(WrongHostKey):
        await hall.connection(role=Role.HOST, token="hk_wrong").open()
    with pytest.raises(InvalidToken):
        await hall.connection(token="forged.token").open()


async def test_nobody_listening_is_told_at_once_with_what_to_do(unused_tcp_port: int):
    connection = Connection(f"http://127.0.0.1:{unused_tcp_port}", "K7M2QX")
    with pytest.raises(NotConnected) as told:
        await connection.open(timeout_s=60)
    assert str(told.value) == (
        f"No wslive server answers at http://127.0.0.1:{unused_tcp_port}: connection refused. "
        "Start one with `wslive serve`, or check the address."
    )
    assert_nothing_runs()


@pytest.mark.parametrize("address", ["127.0.0.1:8765", "ftp://127.0.0.1", "http://"])
async def test_what_is_no_address_is_told_as_such(address: str):
    with pytest.raises(NotConnected, match="is not the address of a server"):
        await Connection(address, "K7M2QX").open()


async def test_a_server_of_another_kind_is_told_as_such():
    async def echo(socket):
        await socket.wait_closed()

    async with serve(echo, "127.0.0.1", 0) as other:
        url = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
        with pytest.raises(NotConnected, match=r"does not speak wslive\.v1"):
            await Connection(url, "K7M2QX").open()


async def test_an_address_below_the_server_is_told_as_such(server: Server):
    with pytest.raises(NotConnected, match="HTTP 404"):
        await Connection(f"{server.url}/not/here", "K7M2QX").open()


async def test_a_silent_server_is_given_up_in_time_and_nothing_is_left():
    silent = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    held: list[asyncio.StreamWriter] = []
    mute = await asyncio.start_server(lambda reader, writer: held.append(writer), "127.0.0.1", 0)
    for listening in (silent, mute):
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(NotConnected):
            await Connection(f"http://127.0.0.1:{port}", "K7M2QX").open(timeout_s=0.2)
        listening.close()
    for writer in held:
        writer.transport.abort()


async def test_an_opening_that_is_cancelled_leaves_nothing_behind(hall: Hall):
    connection = hall.connection(name="Ada")
    opening = asyncio.create_task(connection.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert connection.status is Status.ENDED
    # It may be opened after all.
    await connection.open()
    assert connection.status is Status.LIVE


async def test_closing_leaves_no_task_and_no_warning_behind(server: Server, hall: Hall):
    before = asyncio.all_tasks()
    ada = await hall.join("Ada")
    await ada.close()
    await ada.close()
    assert ada.status is Status.ENDED
    del ada
    gc.collect()  # a socket left open would warn, and warnings are errors
    # The server's own task for this connection may need a moment; one of ours would stay.
    left = asyncio.all_tasks() - before
    if left:
        await asyncio.wait(left, timeout=5)
    assert asyncio.all_tasks() <= before


async def test_a_connection_that_was_never_opened_says_so(hall: Hall):
    with pytest.raises(NotConnected, match="open"):
        await hall.connection().command(2, "say", {"text": "hello?"})


async def test_a_cut_connection_comes_back_with_what_it_missed(hall: Hall):
    seen: list[Status] = []
    async with Wire(hall.server.port) as wire:
        ada = await hall.join("Ada", wire.url, on_status=seen.append)
        ben = await hall.join("Ben")
        wire.cut()
        await ben.command(hall.CHAT, "say", {"text": "missed"})
        await ada.changed(lambda view: "missed" in texts(ada), timeout_s=10)
        assert seen == [Status.LIVE, Status.AWAY, Status.LIVE]
        assert ada.replica.view == {**ben.replica.view, "me": ada.replica.view["me"]}
        await ada.close()


async def test_a_command_given_while_away_is_counted_once_after_coming_back(hall: Hall):
    async with Wire(hall.server.port) as wire:
        ada = await hall.join("Ada", wire.url)
        wire.cut()
        await ada.command(hall.CHAT, "say", {"text": "once"})
        assert texts(ada) == ["once"]
        await ada.close()


async def away(hall: Hall, wire: Wire) -> Connection:
    """Somebody whose next try is due tomorrow."""
    gone = asyncio.Event()
    ada = await hall.join(
        "Ada", wire.url, rng=Never(), on_status=lambda status: gone.set() if status is Status.AWAY else None
    )
    wire.cut()
    await gone.wait()
    return ada


async def test_a_command_given_while_away_does_not_wait_for_the_next_try(hall: Hall):
    async with Wire(hall.server.port) as wire:
        ada = await away(hall, wire)
        await ada.command(hall.CHAT, "say", {"text": "now"})
        assert (ada.status, texts(ada)) == (Status.LIVE, ["now"])
        await ada.close()


async def test_waiting_for_a_change_while_away_does_not_wait_for_the_next_try(hall: Hall):
    ben = await hall.join("Ben")
    async with Wire(hall.server.port) as wire:
        ada = await away(hall, wire)
        await ben.command(hall.CHAT, "say", {"text": "missed"})
        assert await ada.changed(lambda view: texts(ada), timeout_s=10) == ["missed"]
        await ada.close()


async def test_retrying_now_returns_once_it_is_known_what_came_of_it(hall: Hall):
    async with Wire(hall.server.port) as wire:
        ada = await away(hall, wire)
        tries = wire.accepted
        await ada.retry_now(10)
        assert (ada.status, wire.accepted) == (Status.LIVE, tries + 1)
        await ada.retry_now(10)  # nothing to do
        assert wire.accepted == tries + 1
        ada = await away(hall, wire)
    await ada.retry_now(10)  # nobody listens there any more
    assert ada.status is Status.AWAY
    assert "connection refused" in str(ada.last_error)
    await ada.close()


async def test_a_command_whose_ack_was_lost_is_counted_once(hall: Hall):
    ben = await hall.join("Ben")
    async with Wire(hall.server.port) as wire:
        ada = await hall.join("Ada", wire.url)
        wire.swallows_answers = True
        with pytest.raises(Unconfirmed, match="stays queued"):
            await ada.command(hall.CHAT, "say", {"text": "once"}, timeout_s=0.05, ref="my-ref")
        await ben.changed(lambda view: texts(ben), timeout_s=10)
        assert ada.unanswered == 1
        wire.swallows_answers = False
        wire.cut()
        offset = await ada.command(hall.CHAT, "say", {"text": "once"}, ref="my-ref")
        assert texts(ada) == texts(ben) == ["once"]
        assert str(offset) in ada.replica.view["activities"]["2"]["lines"]
        await ada.close()


async def test_a_caller_who_gives_up_does_not_take_the_command_back(hall: Hall):
    ada = await hall.join("Ada")
    saying = asyncio.create_task(ada.command(hall.CHAT, "say", {"text": "said"}))
    await asyncio.sleep(0)
    saying.cancel()
    await ada.changed(lambda view: texts(ada) == ["said"], timeout_s=10)
    assert ada.unanswered == 0


async def test_the_end_of_the_room_ends_the_connection_and_all_waiting(hall: Hall):
    host, ada = await hall.host(), await hall.join("Ada")
    waiting = asyncio.create_task(ada.changed(lambda view: view["room"]["stage"]))
    await host.command(0, "end_room", {})
    with pytest.raises(ConnectionEnded, match="The host has ended this room"):
        await waiting
    assert ada.status is Status.ENDED
    with pytest.raises(ConnectionEnded, match="The host has ended this room"):
        await ada.command(hall.CHAT, "say", {"text": "hello?"})
    with pytest.raises(ConnectionEnded):
        await ada.changed(lambda view: view["room"]["stage"])


async def test_presence_is_told(hall: Hall):
    ben_is_here = asyncio.Event()

    def hear(presence: Presence) -> None:
        if any(notice.name == "Ben" and notice.what == "joined" for notice in presence.notices):
            ben_is_here.set()

    ada = await hall.join("Ada", on_presence=hear)
    ben = await hall.join("Ben")
    await ben_is_here.wait()
    assert ada.presence == Presence(2, [ada.actor, ben.actor], ada.presence.notices)


async def test_older_lines_are_read_on_demand(hall: Hall):
    ada = await hall.join("Ada")
    offsets = [await ada.command(hall.CHAT, "say", {"text": f"line {i}"}) for i in range(4)]
    entries = await ada.older(hall.CHAT, before=offsets[3], limit=2)
    assert [entry["text"] for entry in entries] == ["line 1", "line 2"]
    with pytest.raises(UnknownActivity):
        await ada.older(99, before=5)


async def test_a_ticket_opens_another_connection_of_the_same_person(hall: Hall):
    ada = await hall.join("Ada")
    ticket, expires_in_s = await ada.ticket()
    assert expires_in_s > 60
    url = f"ws{hall.server.url[4:]}/ws"
    async with websocket(url, subprotocols=[Subprotocol(SUBPROTOCOL), Subprotocol(TICKET_PREFIX + ticket)]) as other:
        await other.send(encode(Hello()).decode())
        message = decode_server(await other.recv())
        assert isinstance(message, Welcome)
        assert message.actor == ada.actor


async def test_a_callback_that_fails_does_not_take_the_connection_with_it(hall: Hall, caplog):
    def fail() -> None:
        raise ValueError("a mistake in a callback")

    ada = await hall.join("Ada", on_change=fail)
    await ada.command(hall.CHAT, "say", {"text": "still here"})
    assert texts(ada) == ["still here"]
    assert "a mistake in a callback" in caplog.text


def assert_nothing_runs() -> None:
    """The opening that failed has left no task of its own."""
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("wslive connection")] == []
