"""The gateway between python-socketio and the guests; what programs see is in tests/end_to_end/test_socketio_*.py."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

import pytest
from tornado.simple_httpclient import HTTPTimeoutError

from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, HANG_S
from tests.socketio.conftest import OpenHall, SocketIoHall
from wslive.core.errors import LogError
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings
from wslive.socketio.gateway import WHICH_ROOM, Gateway
from wslive.socketio.guest import Guest
from wslive.wire.close_codes import CloseCode


async def until_gone(hall: SocketIoHall, left: int = 0) -> None:
    """Wait until that many connections are left."""
    async with asyncio.timeout(HANG_S):
        while len(hall.gateway.transports) > left or hall.server.connections > left:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_client_comes_into_the_room_that_it_names_or_the_usual_one(hall: SocketIoHall):
    usual = hall.code
    await hall.make_room("Another")
    here, there = await hall.client(), await hall.client(room=hall.code.lower())
    assert await here.connect() == await there.connect() == {}
    host = await hall.host()
    await host.done(CHAT, "say", {"text": "Over here"})
    await there.told("message", "ho said Over here")
    hall.code = usual
    assert here.of("message") == []


async def test_without_any_room_it_is_asked_for_one(hall: SocketIoHall):
    hall.gateway.default_code = None
    client = await hall.client()
    assert await client.connect() == {
        "message": WHICH_ROOM,
        "data": {"code": "room_unavailable", "message": WHICH_ROOM},
    }


async def test_a_namespace_is_refused_with_a_sentence(hall: SocketIoHall):
    client = await hall.client()
    answer = await client.connect(namespace="/admin,")
    assert answer["data"]["code"] == "unknown_namespace"
    assert await client.connect() == {}  # and the connection is good for more


async def test_connections_count_and_are_counted_out(hall: SocketIoHall):
    first, second = await hall.guest(), await hall.client()
    assert hall.server.connections == 2
    await first.close()
    await second.close()
    await until_gone(hall)


async def test_who_leaves_may_come_in_again_by_the_same_connection(hall: SocketIoHall):
    guest = await hall.guest()
    await guest.ask("new-user", "Ada")
    await guest.socket.send("41")
    assert await guest.connect() == {}
    assert (await guest.ask("message", "Hello"))["ok"] is True


async def test_who_has_left_and_does_not_come_in_again_is_closed(open_hall: OpenHall):
    hall = await open_hall(hello_timeout_s=0.1, sweep_interval_s=0.02)
    guest = await hall.guest()
    await guest.socket.send("41")
    assert await guest.ended() == (CloseCode.HELLO_TIMEOUT, CloseCode.HELLO_TIMEOUT.sentence)
    await until_gone(hall)


@pytest.mark.parametrize("by", ["WebSocket", "polling"])
async def test_whoever_goes_while_coming_in_is_nowhere_afterwards(open_hall: OpenHall, by: str):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    host = await hall.host()
    secret = {"token": "a secret of Ada's own"}
    ada = await hall.guest(secret)
    await ada.ask("new-user", "Ada")
    await ada.close()
    await until_gone(hall, 1)
    with log.held("append") as reached:
        await host.ask(CHAT, "say", {"text": "Hello"})
        await reached()
        connect = f"40{json.dumps(secret)}"  # to be answered when the line is stored
        if by == "WebSocket":
            client = await hall.client()
            await client.socket.send(connect)
            client.socket.transport.abort()
        else:
            path = "/socket.io/?EIO=4&transport=polling"
            sid = json.loads((await hall.http(path)).body[1:])["sid"]
            posting = asyncio.ensure_future(hall.http(f"{path}&sid={sid}", method="POST", body=connect))
            polling = asyncio.ensure_future(hall.http(f"{path}&sid={sid}", request_timeout=0.1))
            with suppress(HTTPTimeoutError):
                await polling  # broken off
            await until_gone(hall, 1)
    if by == "polling":
        assert (await posting).code == 200
    await until_gone(hall, 1)  # the host stays
    await host.until(lambda _: host.presence["online"] == 0)
    [live] = hall.gateway.context.node.live.values()
    assert len(live.fanout.members) == 1


async def test_whoever_goes_while_becoming_a_participant_is_nowhere_afterwards(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log, away_after_s=0.05, sweep_interval_s=0.02)
    host, guest = await hall.host(), await hall.guest()
    with log.held("append") as reached:
        await guest.emit("new-user", "Ada")
        await guest.emit("message", "Hello")
        await reached()
        guest.socket.transport.abort()
        await until_gone(hall, 1)
    await host.until(lambda view: view["people"]["names"] and host.presence["online"] == 0)
    [live] = hall.gateway.context.node.live.values()
    assert len(live.fanout.members) == 1
    assert [task for task in asyncio.all_tasks() if "_emitted" in repr(task)] == []  # nobody waits for ever


async def test_with_the_store_out_of_reach_clients_come_back_by_themselves(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    client = await hall.client(room="K7M2QX")
    with log.broken(LogError("the disk is gone"), "record"):
        await client.socket.send("40")
        assert (await client.ended())[0] == CloseCode.STORE_TROUBLE


async def test_a_mistake_of_ours_is_logged_and_is_one_clients_trouble(
    hall: SocketIoHall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    other = await hall.guest()

    async def fail(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(Guest, "open", fail)
        client = await hall.client()
        await client.socket.send("40")
        assert (await client.ended())[0] == CloseCode.STORE_TROUBLE
    with monkeypatch.context() as patched:
        patched.setattr(Guest, "take", fail)
        await other.emit("message", "lost")
        async with asyncio.timeout(HANG_S):
            while "an event of a client failed" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert (await other.ask("message", "Hello"))["ok"] is True
    assert "a client could not be let in" in caplog.text


async def test_what_clients_do_wrong_is_no_news_for_the_log(hall: SocketIoHall, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    client = await hall.client()
    for packet in ("4", "4x", "40[", "42", '42["vote"]', '451-["message",{}]', "6", "3"):
        await client.socket.send(packet)
    await client.socket.send(b"bytes")
    await client.connect()
    await client.emit("nonsense")
    await client.told("error")
    assert (await hall.http("/socket.io/?EIO=4&transport=polling&sid=nobody")).code == 400
    records = [record for record in caplog.records if record.name.startswith(("wslive", "socketio", "engineio"))]
    assert [record.getMessage() for record in records if record.levelno > logging.DEBUG] == []


async def test_two_gateways_in_one_process_do_not_know_each_other(open_hall: OpenHall):
    first, second = await open_hall(), await open_hall()
    ada, bob = await first.guest(), await second.guest()
    await ada.ask("message", "Hello")
    await bob.ask("message", "Hi")
    await ada.told("message", f"{ada.sid[:2]} said Hello")
    assert bob.of("message") in ([], [f"{bob.sid[:2]} said Hi"])


async def test_a_server_that_nobody_came_to_ends_all_the_same():
    server = Server(ServerSettings(port=0), MemoryLog(), [Gateway()])
    await server.start()
    await server.stop()
