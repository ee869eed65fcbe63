"""The keys of secret polls on a server: there while a box is open, and on no disk afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.server.faulty_log import FaultyLog
from wslive.activities import activities
from wslive.core.commands import Command
from wslive.core.errors import InDoubt, SecretPollClosed, StoreCorrupt, StoreUnwritable, TemporarilyUnavailable
from wslive.core.events import Event
from wslive.core.roles import HOST_ACTOR, Role, Who
from wslive.core.room import ROOM, Room
from wslive.core.secrecy import BoxId, BoxKey
from wslive.core.view import View
from wslive.eventlog.base import RoomRecord
from wslive.eventlog.memory import MemoryLog
from wslive.server.rooms.box_keys import BoxKeys
from wslive.server.rooms.node import Node
from wslive.server.rooms.room_task import RoomTask
from wslive.server.settings import ServerSettings

HOST = Who(HOST_ACTOR, Role.HOST)
ADA = Who("p_ada", Role.PARTICIPANT)
BOB = Who("p_bob", Role.PARTICIPANT)
RECORD = RoomRecord("room1", "K7M2QX", "e1", b"", 0)
POLL = 4
OPENING = {"kind": "poll", "body": {"question": "Which?", "options": ["quick", "merge"], "secret": True}}

OpenTask = Callable[..., Awaitable[RoomTask]]


def command(ref: str, kind: str, activity: int = ROOM, /, **body: Any) -> Command:
    return Command(ref, activity, kind, msgspec.Raw(msgspec.json.encode(body)))


def vote(ref: str, option: str = "o1", round: int = 1) -> Command:
    return command(ref, "cast_vote", POLL, round=round, options=[option])


def tally(room: Room) -> dict[str, int]:
    return dict(room.activities[POLL].state.current.counts)


class StubbornKeys(BoxKeys):
    """A disk that does not do what it is told while `is_stubborn`."""

    is_stubborn = False

    def make(self, room: str, box: BoxId) -> BoxKey:
        if self.is_stubborn:
            raise OSError(28, "No space left on device")
        return super().make(room, box)

    def destroy(self, room: str, box: BoxId) -> None:
        if self.is_stubborn:
            raise OSError(30, "Read-only file system")
        super().destroy(room, box)


@pytest.fixture
def log() -> FaultyLog:
    return FaultyLog(MemoryLog())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "wslive.db.boxes"


@pytest.fixture
def keys(folder: Path) -> StubbornKeys:
    return StubbornKeys(folder)


@pytest.fixture
async def open_task(log: FaultyLog, keys: StubbornKeys) -> AsyncIterator[OpenTask]:
    tasks: list[RoomTask] = []

    async def open() -> RoomTask:
        task = RoomTask(RECORD, log, activities(), keys, retry_after_s=0.01)
        await task.open()
        tasks.append(task)
        return task

    yield open
    for task in tasks:
        await task.close()


@pytest.fixture
async def task(log: FaultyLog, open_task: OpenTask) -> RoomTask:
    await log.create(RECORD)
    task = await open_task()
    await task.ask(HOST, command("m1", "open_room", title="Sorting 101"))
    await task.ask(ADA, command("m2", "join", name="Ada"))
    await task.ask(BOB, command("m3", "join", name="Bob"))
    assert await task.ask(HOST, command("m4", "open_activity", **OPENING)) == POLL
    return task


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_key_is_there_before_anybody_hears_of_the_poll(task: RoomTask, folder: Path):
    assert files(folder) == ["room1.4.1"]


async def test_the_key_is_gone_before_anybody_hears_that_the_poll_has_closed(task: RoomTask, folder: Path):
    await task.ask(ADA, vote("r1"))
    await task.ask(HOST, command("r2", "close", POLL))
    assert files(folder) == []
    assert await task.look(tally) == {"o1": 1, "o2": 0}


@pytest.mark.parametrize("kind", ["discard", "end_room", "open_activity"])
async def test_the_key_goes_whatever_closes_the_poll(task: RoomTask, folder: Path, kind: str):
    await task.ask(ADA, vote("r1"))
    other = {"kind": "poll", "body": {"question": "Another?", "options": ["yes", "no"]}}
    body = other if kind == "open_activity" else {}
    await task.ask(HOST, command("r2", kind, POLL if kind == "discard" else ROOM, **body))
    assert files(folder) == []


async def test_a_new_round_has_a_new_key(task: RoomTask, folder: Path):
    before = (folder / "room1.4.1").read_bytes()
    await task.ask(HOST, command("r1", "start_round", POLL))
    assert files(folder) == ["room1.4.2"]
    assert (folder / "room1.4.2").read_bytes() != before
    await task.ask(ADA, vote("r2", round=2))


async def test_after_a_restart_one_person_still_has_one_ballot(task: RoomTask, open_task: OpenTask, folder: Path):
    offset = await task.ask(ADA, vote("r1"))
    await task.close()
    again = await open_task()
    assert await again.ask(ADA, vote("r1")) == offset  # the same ack
    await again.ask(ADA, vote("r2", "o2"))
    await again.ask(BOB, vote("r1", "o2"))  # the ref belongs to a person
    await again.ask(HOST, command("r3", "close", POLL))
    assert await again.look(tally) == {"o1": 0, "o2": 2}
    assert files(folder) == []


async def test_what_a_kill_left_of_a_key_goes_when_the_room_is_opened(
    task: RoomTask, open_task: OpenTask, folder: Path
):
    secret = (folder / "room1.4.1").read_bytes()
    await task.ask(ADA, vote("r1"))
    await task.ask(HOST, command("r2", "close", POLL))
    await task.close()
    (folder / "room1.4.1").write_bytes(secret)  # as if killed between the commit and this
    again = await open_task()
    assert files(folder) == []
    assert await again.look(tally) == {"o1": 1, "o2": 0}


async def test_a_poll_that_was_opened_in_the_moment_of_a_kill_gets_its_key_then(
    task: RoomTask, open_task: OpenTask, folder: Path
):
    await task.close()
    (folder / "room1.4.1").unlink()
    again = await open_task()
    assert files(folder) == ["room1.4.1"]
    await again.ask(ADA, vote("r1"))


async def test_a_close_in_doubt_answers_the_votes_before_it_as_the_log_has_them(task: RoomTask, log: FaultyLog):
    with log.held("append") as reached:
        asked = [task.ask(BOB, vote("r0"))]
        await reached()
        asked += [task.ask(ADA, vote("r1")), task.ask(HOST, command("r2", "close", POLL))]
        log.spare("append", 1)
        log.fail("append", InDoubt("power"), but_do_it=True)
    assert await asyncio.gather(*asked) == [5, 6, 7]
    assert await task.look(tally) == {"o1": 2, "o2": 0}


async def test_a_retry_in_the_batch_that_closes_the_poll_joins_its_ack(task: RoomTask, log: FaultyLog):
    first = await task.ask(ADA, vote("r1"))
    with log.held("append") as reached:
        asked = [task.ask(BOB, vote("r0"))]
        await reached()
        asked += [task.ask(HOST, command("r2", "close", POLL)), task.ask(ADA, vote("r1"))]
    assert (await asyncio.gather(*asked))[2] == first


async def test_a_retry_after_the_poll_has_closed_gets_the_same_ack_and_after_a_restart_nobody_knows(
    task: RoomTask, log: FaultyLog, open_task: OpenTask
):
    with log.held("append") as reached:  # one whose answer was found in the log, one that was stored as ever
        doubted = task.ask(ADA, vote("r1"))
        await reached()
        log.fail("append", InDoubt("power"), but_do_it=True)
    offsets = [await doubted, await task.ask(BOB, vote("r2"))]
    await task.ask(HOST, command("r3", "close", POLL))
    head = await task.look(lambda room: room.head)
    assert [await task.ask(ADA, vote("r1")), await task.ask(BOB, vote("r2"))] == offsets
    with pytest.raises(SecretPollClosed):
        await task.ask(ADA, vote("r2"))  # a ref belongs to a person
    assert await task.look(lambda room: room.head) == head
    await task.close()
    again = await open_task()
    for who, ref in ((ADA, "r1"), (BOB, "r2")):
        with pytest.raises(SecretPollClosed):
            await again.ask(who, vote(ref))
    assert await again.look(tally) == {"o1": 2, "o2": 0}


async def test_without_a_key_votes_come_back_until_there_is_one(
    task: RoomTask, keys: StubbornKeys, folder: Path, caplog: pytest.LogCaptureFixture
):
    keys.is_stubborn = True
    await task.ask(HOST, command("r1", "start_round", POLL))
    with pytest.raises(TemporarilyUnavailable):
        await task.ask(ADA, vote("r2", round=2))
    keys.is_stubborn = False
    with pytest.raises(TemporarilyUnavailable):
        await task.ask(ADA, vote("r2", round=2))  # sees to it
    await task.ask(ADA, vote("r2", round=2))
    assert files(folder) == ["room1.4.2"]
    assert "No space left" in caplog.text


async def test_a_key_that_cannot_be_destroyed_is_tried_again(
    task: RoomTask, keys: StubbornKeys, folder: Path, caplog: pytest.LogCaptureFixture
):
    keys.is_stubborn = True
    await task.ask(HOST, command("r1", "close", POLL))
    assert files(folder) == ["room1.4.1"]
    assert "is still there" in caplog.text
    keys.is_stubborn = False
    await task.ask(ADA, command("r2", "rename", name="Countess"))
    assert files(folder) == []


async def test_a_room_whose_keys_cannot_be_read_is_not_opened_without_them(
    task: RoomTask, log: FaultyLog, open_task: OpenTask, folder: Path
):
    await task.ask(ADA, vote("r1"))
    await task.close()
    key = folder / "room1.4.1"
    secret = key.read_bytes()
    key.unlink()
    key.mkdir()  # as root nothing is unreadable, but for this
    with pytest.raises(StoreUnwritable):
        await open_task()
    key.rmdir()
    key.write_bytes(secret)
    await (await open_task()).ask(BOB, vote("r2"))


# ── a whole node ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(MemoryLog(), ServerSettings(secret_path=tmp_path / "wslive.db.key"))
    yield node
    await node.close()


async def test_a_deleted_room_leaves_no_key(node: Node, folder: Path):
    made = await node.create("Sorting 101")
    live = await node.find(made.record.code)
    await live.task.ask(HOST, command("r1", "open_activity", **OPENING))
    assert len(files(folder)) == 1
    await node.delete(live)
    assert files(folder) == []


async def test_at_its_start_a_node_sees_to_keys_that_were_left(node: Node, folder: Path):
    made = await node.create("Sorting 101")
    live = await node.find(made.record.code)
    poll = await live.task.ask(HOST, command("r1", "open_activity", **OPENING))
    await live.task.ask(HOST, command("r2", "close", poll))
    left = BoxKeys(folder)
    left.make(made.record.room, (poll, "1"))
    left.make("a-room-that-is-gone", (4, "1"))
    again = Node(node.log, node.settings)
    await again.tend_boxes()
    assert files(folder) == []
    await again.close()


async def test_a_room_that_cannot_be_opened_does_not_keep_the_keys_of_others(
    node: Node, folder: Path, caplog: pytest.LogCaptureFixture
):
    made = [(await node.create(title)).record for title in ("Broken", "Sound")]
    for record in made:
        live = await node.find(record.code)
        poll = await live.task.ask(HOST, command("r1", "open_activity", **OPENING))
        await live.task.ask(HOST, command("r2", "close", poll))
        BoxKeys(folder).make(record.room, (poll, "1"))
    broken, _ = made

    class SpoiledLog(FaultyLog):
        async def read(self, room: str, after: int = 0, limit: int = 1000) -> list[Event]:
            if room == broken.room:
                raise StoreCorrupt("a page is spoiled")
            return await self.inner.read(room, after, limit)

    again = Node(SpoiledLog(node.log), node.settings)
    await again.tend_boxes()
    assert [name.partition(".")[0] for name in files(folder)] == [broken.room]
    assert f"room {broken.room}: keys of secret polls may be left" in caplog.text
    await again.close()


async def test_the_host_and_others_hear_of_it_when_it_is_over(node: Node):
    made = await node.create("Sorting 101")
    live = await node.find(made.record.code)
    poll = await live.task.ask(HOST, command("r1", "open_activity", **OPENING))
    await live.task.ask(HOST, command("r2", "close", poll))
    view: View = await live.task.look(lambda room: {"boxes": dict(room.boxes), "keys": dict(room.keys)})
    assert view == {"boxes": {}, "keys": {}}
