from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, HANG_S, UNHURRIED, counts, lines, open_poll
from tests.socketio.client import Client
from tests.socketio.conftest import OpenHall, SocketIoHall
from wslive.core.errors import NotAppended
from wslive.core.view import View
from wslive.eventlog.memory import MemoryLog
from wslive.eventlog.sqlite import SqliteLog
from wslive.socketio.guest import MAX_EARLY
from wslive.socketio.programs import POSITION
from wslive.wire.close_codes import CloseCode
from wslive.wire.session import MAX_ERRORS


def names(view: View) -> list[str]:
    return [person["name"] for person in view["people"]["names"].values()]


# ── who somebody is ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_only_looks_on_is_nobody(hall: SocketIoHall):
    guest = await hall.guest()
    host = await hall.host()
    await host.done(CHAT, "say", {"text": "Hello"})
    await guest.told("message", "ho said Hello")
    assert names(host.view) == []
    assert host.presence["online"] == 0


@pytest.mark.parametrize(
    ("event", "payload", "name"),
    [
        ("new-user", "Ada", "Ada"),
        ("new-user", None, "Guest 1"),
        ("message", "Hello", "Guest 1"),
        ("vote", 0, "Guest 1"),
    ],
)
async def test_whoever_does_something_is_a_participant(hall: SocketIoHall, event: str, payload: Any, name: str):
    host = await hall.host()
    await open_poll(host)
    guest = await hall.guest()
    answer = await guest.ask(event, payload)
    assert answer["ok"] is True
    assert names(await host.at(answer["offset"])) == [name]
    await host.until(lambda _: host.presence["online"] == 1)


async def test_an_answer_comes_after_the_commit(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    guest = await hall.guest()
    await guest.ask("new-user", "Ada")
    with log.held("append") as reached:
        asking = asyncio.create_task(guest.ask("message", "Hello"))
        await reached()
        assert not asking.done()
        assert guest.of("message") == []
    assert (await asking)["ok"] is True


async def test_a_store_out_of_reach_is_an_error_to_come_back_from(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    guest = await hall.guest()
    await guest.ask("new-user", "Ada")
    log.fail("append", NotAppended("the disk is full"))
    answer = await guest.ask("message", "Hello")
    assert answer["ok"] is False
    assert answer["error"]["code"] == "temporarily_unavailable"
    assert answer["error"]["retry_after_s"] > 0
    assert (await guest.ask("message", "Hello"))["ok"] is True


async def test_a_name_that_cannot_be_leaves_one_looking_on(hall: SocketIoHall):
    host, guest = await hall.host(), await hall.guest()
    assert (await guest.ask("new-user", "\u200b"))["error"]["code"] == "empty_text"
    assert names(host.view) == []
    assert (await guest.ask("new-user", "Ada"))["ok"] is True


async def test_events_are_carried_out_in_the_order_in_which_they_came(open_hall: OpenHall):
    hall = await open_hall(line_rate=UNHURRIED)
    host, guest = await hall.host(), await hall.guest()
    await guest.emit("new-user", "Ada")
    for number in range(50):
        await guest.emit("send-message", f"line {number}")
    answer = await guest.ask("send-message", "last")
    view = await host.at(answer["offset"])
    assert lines(view) == [*(f"line {number}" for number in range(50)), "last"]
    assert names(view) == ["Ada"]


async def test_of_what_comes_before_a_client_is_in_only_so_much_waits(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log, line_rate=UNHURRIED)
    host, guest = await hall.host(), await hall.guest()
    with log.held("append") as reached:
        await guest.emit("new-user", "Ada")
        await reached()
        for number in range(MAX_EARLY - 1 + 20):
            await guest.emit("send-message", f"line {number}")
        while len(guest.of("error")) < 20:
            guest.note(await guest.packet())
        assert {error["code"] for error in guest.of("error")} == {"temporarily_unavailable"}
        assert all(error["retry_after_s"] > 0 for error in guest.of("error"))
    answer = await guest.ask("send-message", "last")
    view = await host.at(answer["offset"])
    assert lines(view) == [*(f"line {number}" for number in range(MAX_EARLY - 1)), "last"]
    assert len(guest.of("error")) == 20


async def test_someone_of_wslives_own_is_the_same_person_here(hall: SocketIoHall):
    host, ada = await hall.host(), await hall.join("Ada")
    poll = await open_poll(host)
    await ada.vote(poll, "o1")
    guest = await hall.guest({"token": ada.token})
    answer = await guest.ask("vote", 1)
    view = await host.at(answer["offset"])
    assert counts(view, poll) == {"o1": 0, "o2": 1, "o3": 0}
    assert names(view) == ["Ada"]


async def test_a_token_of_another_room_is_refused(hall: SocketIoHall):
    ada = await hall.join("Ada")
    await hall.make_room("Another")
    for code in (hall.code, "ABCDEF"):  # it tells nothing of which rooms there are
        client = await hall.client(room=code)
        answer = await client.connect({"token": ada.token})
        assert answer["data"]["code"] == "invalid_token", code


async def test_whoever_was_sent_out_stays_out(hall: SocketIoHall):
    secret = {"token": "a secret of Ada's own"}
    host, guest = await hall.host(), await hall.guest(secret)
    answer = await guest.ask("new-user", "Ada")
    await host.at(answer["offset"])
    [actor] = host.view["people"]["names"]
    await host.done(0, "remove_person", {"person": actor})
    assert await guest.told("error") == {"code": "removed", "message": CloseCode.REMOVED.sentence}
    again = await hall.client()
    assert (await again.connect(secret))["data"]["code"] == "removed"


# ── coming back ───────────────────────────────────────────────────────────────────────────────────────────────────


async def cut(client: Client, told_to: int = 0) -> dict[str, Any]:
    """Cut a connection once it was told that far; what the client shows when it comes back."""
    while int((position := await client.told(POSITION)).split(".")[1]) < told_to:
        client.note(await client.packet())
    client.socket.transport.abort()
    return {"pid": client.pid, "offset": position}


async def test_who_comes_back_with_its_position_gets_what_it_missed(hall: SocketIoHall):
    host, guest = await hall.host(), await hall.guest()
    await guest.ask("new-user", "Ada")
    said = await guest.ask("send-message", "mine")
    shown = await cut(guest, said["offset"])
    await host.done(CHAT, "say", {"text": "one"})
    await host.done(CHAT, "say", {"text": "two"})
    back = await hall.guest(shown)
    assert back.pid == guest.pid
    await back.told("message", "ho said two")
    assert back.of("message") == ["ho said one", "ho said two"]
    assert (await back.ask("send-message", "still Ada"))["ok"] is True
    assert names(await hall.view_of(host)) == ["Ada"]


async def test_its_own_line_of_before_does_not_come_back_as_anothers(hall: SocketIoHall):
    host, guest = await hall.host(), await hall.guest()
    await guest.ask("new-user", "Ada")
    offset = await guest.told(POSITION)
    answer = await guest.ask("send-message", "mine")
    await host.at(answer["offset"])
    await guest.close()  # before it was told
    back = await hall.guest({"pid": guest.pid, "offset": offset})
    assert await back.told("message") == f"{guest.sid[:2]} said mine"
    assert back.of("get-message") == []


@pytest.mark.parametrize("offset", [None, "Ada said hi", "e1.1.0000000000000000", "….99999.0000000000000000"])
async def test_who_comes_back_without_a_position_of_this_log_begins_anew(hall: SocketIoHall, offset: str | None):
    host, guest = await hall.host(), await hall.guest()
    await guest.ask("new-user", "Ada")
    shown = {**await cut(guest), "offset": offset}
    await host.done(CHAT, "say", {"text": "missed"})
    back = await hall.guest({k: v for k, v in shown.items() if v is not None})
    assert back.pid != guest.pid  # so the client knows
    await host.done(CHAT, "say", {"text": "and on"})
    await back.told("message", "ho said and on")
    assert back.of("message") == ["ho said and on"]
    # But it is the same person, for that its lineage is enough.
    assert (await back.ask("message", "Hello"))["ok"] is True
    assert names(await hall.view_of(host)) == ["Ada"]


async def test_a_restored_store_is_another_log_and_nothing_is_made_up(open_hall: OpenHall, tmp_path: Path):
    hall = await open_hall(await SqliteLog.open(tmp_path / "store.db"), secret_path=tmp_path / "key")
    guest = await hall.guest()
    await guest.ask("message", "Hello")
    shown = await cut(guest)
    epoch, offset, chain = shown["offset"].split(".")
    back = await hall.guest({**shown, "offset": f"{epoch}.{offset}.{chain[::-1]}"})
    assert back.pid != guest.pid
    back = await hall.guest(shown)
    assert back.pid == guest.pid


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_reads_nothing_is_brought_to_the_head_at_once_later(open_hall: OpenHall):
    hall = await open_hall(host_rate=UNHURRIED)
    guest, host = await hall.guest(), await hall.host()
    guest.socket.transport.pause_reading()
    text = "x" * 400
    refs = [await host.ask(CHAT, "say", {"text": f"{number} {text}"}) for number in range(150)]
    for ref in refs:
        await host.answer(ref)
    guest.socket.transport.resume_reading()
    await guest.told("message", f"ho said 149 {text}")
    assert guest.of("message") == [f"ho said {number} {text}" for number in range(150)]


async def test_who_asks_and_never_reads_is_cut_off(open_hall: OpenHall):
    hall = await open_hall(max_outbox_bytes=2000, receive_rate=UNHURRIED)
    guest = await Client.open(hall.server.url, room=hall.code, receive_buffer_bytes=4096)
    await guest.connect()
    [transport] = hall.gateway.transports.values()

    async def ask() -> None:
        while True:
            await guest.emit("no such event " + "x" * 30)

    with pytest.raises(ConnectionClosed):
        await ask()
    await guest.close()
    async with asyncio.timeout(HANG_S):
        while transport.id in hall.gateway.transports:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_nonsense_is_answered_until_it_is_too_much(hall: SocketIoHall):
    guest = await hall.guest()
    for _ in range(MAX_ERRORS + 5):
        await guest.socket.send("4nonsense")
    assert await guest.told("error", {"code": "too_many_errors", "message": CloseCode.TOO_MANY_ERRORS.sentence})
    assert len(guest.of("error")) == MAX_ERRORS + 1
    assert await guest.packet() == "41"


async def test_at_the_servers_end_clients_are_told_to_come_back(open_hall: OpenHall):
    hall = await open_hall()
    looking, ada = await hall.guest(), await hall.guest()
    await ada.ask("new-user", "Ada")
    unjoined = await hall.client()
    _, *ends = await asyncio.gather(hall.server.stop(), looking.ended(), ada.ended(), unjoined.ended())
    assert [code for code, _ in ends] == [CloseCode.GOING_AWAY] * 3


async def test_a_room_that_is_deleted_dismisses_its_clients(hall: SocketIoHall):
    guest = await hall.guest()
    response = await hall.http(f"/api/rooms/{hall.code}", method="DELETE", bearer=hall.host_key)
    assert response.code == 200
    assert await guest.told("error") == {"code": "room_deleted", "message": CloseCode.ROOM_DELETED.sentence}
    assert await guest.packet() == "41"


# ── levels ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("auth", "headers", "level"),
    [
        (None, None, 0),
        ({"token": "a secret of Ada's own"}, None, None),
        (None, {"Cookie": f"wslive={'c' * 32}"}, None),
    ],
    ids=["connection", "token", "cookie"],
)
async def test_the_host_sees_who_is_known_by_a_connection_alone(
    hall: SocketIoHall, auth: dict[str, Any] | None, headers: dict[str, str] | None, level: int | None
):
    host, bob = await hall.host(), await hall.join("Bob")
    guest = await hall.guest(auth, headers=headers)
    offset = (await guest.ask("new-user", "Ada"))["offset"]
    view = await host.at(offset)
    shown = {person["name"]: person.get("level") for person in view["people"]["names"].values()}
    assert shown == {"Bob": None, "Ada": level}
    # What the host is told, and nobody else.
    assert all("level" not in person for person in (await bob.at(offset))["people"]["names"].values())
    again = await hall.host()
    assert again.view["people"] == view["people"]
