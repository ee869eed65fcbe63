from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from tests.server.conftest import OpenHall
from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, Hall, lines
from wslive.core.commands import Command
from wslive.core.errors import (
    EmptyText,
    InDoubt,
    NotAppended,
    RoomUnavailable,
    StoreUnwritable,
    TemporarilyUnavailable,
    TextTooLong,
)
from wslive.core.room import ROOM
from wslive.eventlog.base import CodeTaken, EventLog, RoomRecord
from wslive.eventlog.memory import MemoryLog
from wslive.server.rooms.node import HOST, LiveRoom, Node
from wslive.server.settings import ServerSettings
from wslive.wire.close_codes import CloseCode

OUT_OF_REACH = StoreUnwritable("out of reach")

OpenNode = Callable[..., Node]


@pytest.fixture
def log() -> FaultyLog:
    return FaultyLog(MemoryLog())


@pytest.fixture
async def open_node() -> AsyncIterator[OpenNode]:
    nodes: list[Node] = []

    def open(log: EventLog, **settings: Any) -> Node:
        nodes.append(Node(log, ServerSettings(**settings)))
        return nodes[-1]

    yield open
    for node in nodes:
        await node.close()


@pytest.fixture
def node(log: FaultyLog, open_node: OpenNode) -> Node:
    return open_node(log)


def command(ref: str, kind: str, **body: Any) -> Command:
    return Command(ref, ROOM, kind, msgspec.Raw(msgspec.json.encode(body)))


async def title(live: LiveRoom) -> str:
    return await live.task.look(lambda room: room.title)


# ── making ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_room_has_its_title_and_its_chat_from_one_append(node: Node, log: FaultyLog):
    made = await node.create("Sorting 101")
    live = await node.find(made.record.code)
    assert await title(live) == "Sorting 101"
    assert await live.task.look(lambda room: list(room.of_kind("chat"))) == [CHAT]
    assert log.calls["append"] == 1


async def test_a_host_key_is_told_once_and_kept_nowhere(node: Node, log: FaultyLog):
    made = await node.create("Sorting 101")
    assert made.host_key.startswith("hk_")
    assert made.host_key.encode() not in msgspec.json.encode(await log.rooms())
    assert made.host_key.encode() not in msgspec.json.encode(await log.read(made.record.room))


@pytest.mark.parametrize(("title", "error"), [("", EmptyText), ("\u200b", EmptyText), ("x" * 1000, TextTooLong)])
async def test_a_room_whose_title_is_refused_leaves_nothing_behind(
    title: str, error: type[Exception], node: Node, log: FaultyLog
):
    with pytest.raises(error):
        await node.create(title)
    assert await log.rooms() == []
    assert node.live == {}


@pytest.mark.parametrize("method", ["create", "read", "append"])
async def test_a_room_that_the_store_does_not_take_leaves_nothing_behind(method: str, node: Node, log: FaultyLog):
    log.fail(method, NotAppended("the disk is full"))
    with pytest.raises(TemporarilyUnavailable):
        await node.create("Sorting 101")
    assert await log.rooms() == []
    assert node.live == {}
    assert await node.create("Sorting 101")


async def test_a_room_whose_making_was_cut_short_is_none(node: Node, log: FaultyLog):
    log.fail("append", NotAppended("the disk is full"))
    log.fail("delete", OUT_OF_REACH)
    with pytest.raises(TemporarilyUnavailable):
        await node.create("Sorting 101")
    (record,) = await log.rooms()
    with pytest.raises(RoomUnavailable):
        await node.find(record.code)
    assert node.live == {}


async def test_a_room_whose_making_was_in_doubt_is_there_or_not_and_never_half(node: Node, log: FaultyLog):
    log.fail("append", InDoubt("the line broke"), but_do_it=True)
    made = await node.create("Sorting 101")
    assert await title(await node.find(made.record.code)) == "Sorting 101"


async def test_a_code_that_is_taken_is_not_given_again(node: Node, log: FaultyLog):
    log.fail("create", CodeTaken("K7M2QX"))
    log.fail("create", CodeTaken("K7M2QX"))
    made = await node.create("Sorting 101")
    assert log.calls["create"] == 3
    assert await node.find(made.record.code)


# ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_however_many_come_at_once_a_room_is_opened_once(node: Node, log: FaultyLog, open_node: OpenNode):
    made = await node.create("Sorting 101")
    await node.close()
    again = open_node(log)
    before = log.calls["read"]
    with log.held("read") as reached:
        finding = [asyncio.create_task(again.find(made.record.code)) for _ in range(20)]
        finding += [asyncio.create_task(again.find_id(made.record.room)) for _ in range(20)]
        await reached()
    found = await asyncio.gather(*finding)
    assert len({id(live) for live in found}) == 1
    assert log.calls["read"] == before + 1


async def test_somebody_who_gives_up_waiting_does_not_keep_the_others_out(
    node: Node, log: FaultyLog, open_node: OpenNode
):
    made = await node.create("Sorting 101")
    await node.close()
    again = open_node(log)
    with log.held("read") as reached:
        impatient = asyncio.create_task(again.find(made.record.code))
        await reached()
        patient = asyncio.create_task(again.find(made.record.code))
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
    assert await title(await patient) == "Sorting 101"


async def test_codes_that_people_guess_leave_nothing_in_memory(node: Node):
    for i in range(100):
        with pytest.raises(RoomUnavailable):
            await node.find(f"GUESS{i}")
    with pytest.raises(RoomUnavailable):
        await node.find_id("nowhere")
    gc.collect()
    assert node.live == {}
    assert len(node._locks) == 0


@pytest.mark.parametrize("method", ["record", "read", "rooms"])
async def test_where_the_store_is_out_of_reach_a_room_is_not_there_just_now(
    method: str, node: Node, log: FaultyLog, open_node: OpenNode
):
    made = await node.create("Sorting 101")
    await node.close()
    again = open_node(log)
    log.fail(method, OUT_OF_REACH)
    with pytest.raises(TemporarilyUnavailable):
        await again.find_id(made.record.room)
    assert await again.find_id(made.record.room)


async def test_a_node_that_is_closed_opens_and_makes_nothing(node: Node, log: FaultyLog, open_node: OpenNode):
    made = await node.create("Sorting 101")
    await node.close()
    other = open_node(log)
    with log.held("read") as reached:
        finding = asyncio.create_task(other.find(made.record.code))
        await reached()
        await other.close()
    with pytest.raises(TemporarilyUnavailable):
        await finding
    with pytest.raises(TemporarilyUnavailable):
        await other.create("Another")


# ── putting away ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_room_that_nobody_is_in_leaves_the_memory_and_comes_back_when_asked_for(
    log: FaultyLog, open_node: OpenNode
):
    node = open_node(log, room_idle_s=-1.0)
    made = await node.create("Sorting 101")
    await node.sweep()
    assert node.live == {}
    assert await title(await node.find(made.record.code)) == "Sorting 101"


async def test_a_room_with_people_stays(open_hall: OpenHall):
    hall = await open_hall(room_idle_s=-1.0, sweep_interval_s=3600)
    node = hall.server.context.node
    ada = await hall.join("Ada")
    await node.sweep()
    assert await ada.done(CHAT, "say", {"text": "hello"})
    await ada.leave()
    while hall.server.connections:  # noqa: ASYNC110 - the server hears of it in a moment
        await asyncio.sleep(0.001)
    await node.sweep()
    assert list(node.live) == [hall.code]  # she may come back: a reload is not a leave


async def test_whoever_comes_while_the_room_is_put_away_gets_the_next_one(log: FaultyLog, open_node: OpenNode):
    node = open_node(log, room_idle_s=-1.0)
    made = await node.create("Sorting 101")
    before = await node.find(made.record.code)
    with log.held("append") as reached:
        locking = before.task.ask(HOST, command("r1", "lock"))
        await reached()
        sweeping = asyncio.create_task(node.sweep())
        await asyncio.sleep(0)
        finding = asyncio.create_task(node.find(made.record.code))
        await asyncio.sleep(0)
        with pytest.raises(TemporarilyUnavailable):
            await before.task.look(lambda room: room.title)
    await locking
    await sweeping
    after = await finding
    assert after is not before
    assert await after.task.look(lambda room: room.is_locked)


async def test_a_room_that_was_found_a_moment_ago_is_not_put_away(log: FaultyLog, open_node: OpenNode):
    node = open_node(log, room_idle_s=3600.0)
    made = await node.create("Sorting 101")
    live = await node.find(made.record.code)
    live.idle_since_s -= 7200
    assert await node.find(made.record.code) is live
    await node.sweep()
    assert node.live == {made.record.code: live}


async def test_closing_waits_for_rooms_that_are_just_put_away(log: FaultyLog, open_node: OpenNode):
    node = open_node(log, room_idle_s=-1.0)
    made = await node.create("Sorting 101")
    live = await node.find(made.record.code)
    with log.held("append") as reached:
        locking = live.task.ask(HOST, command("r1", "lock"))
        await reached()
        sweeping = asyncio.create_task(node.sweep())
        await asyncio.sleep(0)
        sweeping.cancel()
        closing = asyncio.create_task(node.close())
        await asyncio.sleep(0)
        assert not closing.done()
    await closing
    assert locking.done()


# ── ending and deleting ───────────────────────────────────────────────────────────────────────────────────────────


async def record_of(log: FaultyLog, code: str) -> RoomRecord:
    record: RoomRecord = await log.record(code)
    return record


async def test_the_end_of_a_room_is_noted_in_its_record(node: Node, log: FaultyLog, open_node: OpenNode):
    made = await node.create("Sorting 101")
    live = await node.find(made.record.code)
    await live.task.ask(HOST, command("r1", "end_room"))
    log.fail("end", OUT_OF_REACH)
    await node.sweep()
    assert (await record_of(log, made.record.code)).ended_at_ms is None
    await node.sweep()
    noted = (await record_of(log, made.record.code)).ended_at_ms
    assert noted is not None
    await node.sweep()
    assert log.calls["end"] == 2


async def test_an_end_that_was_not_noted_before_a_crash_is_noted_later(log: FaultyLog, open_node: OpenNode):
    crashed = open_node(log)
    made = await crashed.create("Sorting 101")
    await (await crashed.find(made.record.code)).task.ask(HOST, command("r1", "end_room"))
    node = open_node(log)
    await node.find(made.record.code)
    await node.sweep()
    assert (await record_of(log, made.record.code)).ended_at_ms is not None


async def test_deleting_a_room_closes_its_people_for_good_and_leaves_nothing(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    node = hall.server.context.node
    ada, host = await hall.join("Ada"), await hall.host()
    await node.delete(await node.find(hall.code))
    for member in (ada, host):
        assert (await member.closed())[0] == CloseCode.ROOM_DELETED
    assert await log.rooms() == []
    assert await log.read(hall.room) == []
    with pytest.raises(RoomUnavailable):
        await node.find(hall.code)


async def test_a_room_that_could_not_be_deleted_is_still_there(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    node = hall.server.context.node
    ada = await hall.join("Ada")
    await ada.done(CHAT, "say", {"text": "hello"})
    log.fail("delete", OUT_OF_REACH)
    with pytest.raises(TemporarilyUnavailable):
        await node.delete(await node.find(hall.code))
    assert (await ada.closed())[0] == CloseCode.STORE_TROUBLE
    again = await hall.back(ada)
    assert lines(again.view) == ["hello"]
    assert await again.done(CHAT, "say", {"text": "hello again"})


async def test_whoever_comes_while_the_room_is_deleted_finds_none(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    node = hall.server.context.node
    with log.held("delete") as reached:
        deleting = asyncio.create_task(node.delete(await node.find(hall.code)))
        await reached()
        late = await hall.connect()
        await late.send({"type": "hello", "room": hall.code, "name": "Late"})
        await late.since_now()
    await deleting
    assert (await late.closed())[0] == CloseCode.ROOM_UNAVAILABLE
    assert node.live == {}


async def test_whoever_is_coming_in_when_the_room_is_deleted_does_not_stay_in_a_room_that_is_none(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    node = hall.server.context.node
    late = await hall.connect()
    with log.held("append") as reached:
        await late.send({"type": "hello", "room": hall.code, "name": "Late"})
        await reached()
        deleting = asyncio.create_task(node.delete(await node.find(hall.code)))
        await late.since_now()
    await deleting
    assert (await late.closed())[0] in (CloseCode.STORE_TROUBLE, CloseCode.ROOM_DELETED)
    assert await log.rooms() == []


async def test_two_who_delete_at_once_do_no_harm(node: Node, log: FaultyLog):
    made = await node.create("Sorting 101")
    live = await node.find(made.record.code)
    await asyncio.gather(node.delete(live), node.delete(live))
    assert await log.rooms() == []
    other = await node.create("Another")
    assert await title(await node.find(other.record.code)) == "Another"


async def test_deleting_reaches_the_room_that_was_opened_again_meanwhile(log: FaultyLog, open_node: OpenNode):
    node = open_node(log, room_idle_s=-1.0)
    made = await node.create("Sorting 101")
    before = await node.find(made.record.code)
    await node.sweep()
    after = await node.find(made.record.code)
    await node.delete(before)
    assert node.live == {}
    with pytest.raises(TemporarilyUnavailable):
        await title(after)


async def test_a_room_that_is_not_the_one_meant_is_not_opened(hall: Hall):
    node = hall.server.context.node
    code = hall.code
    await node._put_away(node.live[code])
    with pytest.raises(RoomUnavailable):
        await node.find(code, only=lambda record: False)
    assert code not in node.live
    assert (await node.find(code, only=lambda record: record.code == code)).record.room == hall.room
    with pytest.raises(RoomUnavailable):
        await node.find(code, only=lambda record: False)


async def test_a_wrong_host_key_opens_no_room(hall: Hall):
    node = hall.server.context.node
    await node._put_away(node.live[hall.code])
    assert (await hall.http(f"/api/rooms/{hall.code}/events", bearer="hk_guessed")).code == 403
    assert hall.code not in node.live
    assert (await hall.http(f"/api/rooms/{hall.code}/events", bearer=hall.host_key)).code == 200
