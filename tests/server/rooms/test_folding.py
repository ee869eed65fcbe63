"""How a room is opened from a checkpoint, and when it must not be."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.activities.test_fingerprint import activity_of
from tests.server.faulty_log import FaultyLog
from tests.server.rooms.test_room_task import (
    ADA,
    BOB,
    HOST,
    POLL,
    RECORD,
    OpenTask,
    by_another_node,
    command,
    furnish,
    open_task,
    tally,
    vote,
)
from wslive.activities import BUILT_IN
from wslive.core import checkpoint
from wslive.core.errors import NotAppended, StoreUnwritable
from wslive.core.room import Room
from wslive.eventlog.memory import MemoryLog
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.rooms import folding, room_task
from wslive.server.rooms.room_task import RoomTask

__all__ = ["open_task"]

VOTES = 40
AT_END = {"o1": 0, "o2": 1}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few votes are a long log."""
    monkeypatch.setattr(folding, "CHECKPOINT_EVENTS", 10_000)
    monkeypatch.setattr(folding, "CHECKPOINT_EVENTS_AT_END", 10)
    monkeypatch.setattr(folding, "READ_BEHIND_REST_S", 0)
    monkeypatch.setattr(folding, "READ_BEHIND_RETRY_S", 0)
    monkeypatch.setattr(folding, "_READ_EVENTS", 8)


@pytest.fixture(params=["memory", "sqlite"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FaultyLog]:
    inner = MemoryLog() if request.param == "memory" else await SqliteLog.open(tmp_path / "wslive.db")
    log = FaultyLog(inner)
    await log.create(RECORD)
    yield log
    await inner.close()


async def hold(task: RoomTask, votes: int = VOTES) -> None:
    """A poll with votes; the last is for o2."""
    await furnish(task)
    for number in range(votes):
        await task.ask(ADA, vote(f"r{number}", f"o{1 + number % 2}"))


@pytest.fixture
async def held(log: FaultyLog, open_task: OpenTask) -> FaultyLog:
    """The log of a room that was closed."""
    task = await open_task(log)
    await hold(task)
    await task.close()
    assert await log.kept("room1") is not None
    return log


async def state_of(task: RoomTask) -> Any:
    return await task.look(
        lambda room: ([(id, running.state) for id, running in room.activities.items()], room.head, bytes(room.chains))
    )


async def caught_up() -> None:
    """Until all that lies before a checkpoint was read."""
    reading = [task for task in asyncio.all_tasks() if task.get_name().endswith("its checkpoint")]
    assert reading
    await asyncio.gather(*reading)


# ── opening ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_only_what_came_after_a_checkpoint_is_read_before_a_room_is_open(
    held: FaultyLog, open_task: OpenTask, monkeypatch: pytest.MonkeyPatch
):
    before = held.calls["read"]
    monkeypatch.setattr(folding, "READ_BEHIND_REST_S", 3600)
    task = await open_task(held)
    assert held.calls["read"] == before + 1
    assert await task.look(tally) == AT_END
    assert await task.look(lambda room: room.head) == await held.head("room1")
    await task.ask(BOB, vote("s1", "o1"))
    await task.close()
    again = await open_task(held)
    assert await again.look(tally) == {"o1": 1, "o2": 1}
    assert held.calls["keep"] == 1  # one vote is not worth one


async def test_a_ref_from_before_a_checkpoint_has_its_ack_before_all_are_known(
    held: FaultyLog, open_task: OpenTask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(folding, "READ_BEHIND_RETRY_S", 3600)
    held.spare("read", 1)
    held.fail("read", StoreUnwritable("out of reach"))
    task = await open_task(held)
    assert await task.ask(ADA, vote("r0")) == POLL + 1
    assert await task.look(lambda room: room.head.offset) == POLL + VOTES


async def test_once_all_refs_are_known_the_log_is_asked_about_these_alone(held: FaultyLog, open_task: OpenTask):
    task = await open_task(held)
    await caught_up()
    asked = held.calls["find"]
    await task.ask(ADA, vote("never-seen"))
    assert held.calls["find"] == asked
    assert await task.ask(ADA, vote("r0")) == POLL + 1
    assert held.calls["find"] == asked + 1


async def test_a_log_out_of_reach_is_read_again_behind_an_open_room(held: FaultyLog, open_task: OpenTask):
    held.spare("read", 1)
    for _ in range(5):
        held.fail("read", StoreUnwritable("out of reach"))
    before = held.calls["read"]
    task = await open_task(held)
    assert await task.look(tally) == AT_END
    await caught_up()
    assert held.calls["read"] == before + 1 + 5 + 6
    await task.ask(ADA, vote("never-seen"))
    assert held.calls["find"] == 0


async def test_a_store_that_cannot_be_asked_for_a_checkpoint_is_read_from_the_start(
    held: FaultyLog, open_task: OpenTask, caplog: pytest.LogCaptureFixture
):
    held.fail("kept", StoreUnwritable("out of reach"))
    before = held.calls["read"]
    task = await open_task(held)
    assert held.calls["read"] == before + 6
    assert await task.look(tally) == AT_END
    assert "its checkpoint is of no use: out of reach" in caplog.text


@pytest.mark.parametrize("what", ["rules", "body", "room"])
async def test_a_checkpoint_of_other_rules_or_of_nothing_is_not_believed(
    held: FaultyLog, open_task: OpenTask, what: str
):
    kept = await held.kept("room1")
    others = {
        "rules": msgspec.structs.replace(kept, rules=b"others"),
        "body": msgspec.structs.replace(kept, body=kept.body[:-1]),
        "room": msgspec.structs.replace(kept, body=msgspec.msgpack.encode({"head": kept.head})),
    }
    await held.keep("room1", others[what])
    before = held.calls["read"]
    task = await open_task(held)
    assert held.calls["read"] == before + 6
    assert await task.look(tally) == AT_END


async def test_a_checkpoint_after_which_nothing_makes_sense_is_not_believed(
    held: FaultyLog, open_task: OpenTask, caplog: pytest.LogCaptureFixture
):
    """As if a mistake of ours had packed too little."""
    kept = await held.kept("room1")
    room = Room("e1", {a.kind: a for a in BUILT_IN})
    room.offset, room.chain, room.chains = kept.head.offset, kept.head.chain, bytearray(8 * kept.head.offset)
    await held.keep("room1", msgspec.structs.replace(kept, body=checkpoint.pack(room, [])))
    await by_another_node(held, "vote_cast", b'{"round":1,"options":["o1"]}')
    task = await open_task(held)
    assert await task.look(tally) == {"o1": 1, "o2": 1}
    assert "its checkpoint is of no use" in caplog.text


async def test_damage_before_a_checkpoint_is_told_while_the_room_goes_on(
    tmp_path: Path, open_task: OpenTask, caplog: pytest.LogCaptureFixture
):
    log = FaultyLog(await SqliteLog.open(tmp_path / "wslive.db"))
    await log.create(RECORD)
    task = await open_task(log)
    await hold(task)
    await task.close()
    with closing(sqlite3.connect(tmp_path / "wslive.db", isolation_level=None)) as db:
        db.execute("DROP TRIGGER an_event_was_changed")
        db.execute("UPDATE events SET body = x'00' WHERE offset = 20")
    with caplog.at_level(logging.ERROR):
        again = await open_task(log)
        await caught_up()
    assert "goes on from its checkpoint, but before it: Event 20 of room room1" in caplog.text
    assert await again.look(tally) == AT_END
    assert await again.ask(ADA, vote("r0")) == POLL + 1  # the log is asked about every ref, for ever
    await again.close()
    await log.inner.close()


# ── keeping ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_checkpoint_is_kept_every_so_many_events_and_less_often_in_a_long_log(
    log: FaultyLog, open_task: OpenTask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(folding, "CHECKPOINT_EVENTS", 10)
    task = await open_task(log)
    await hold(task, 200)
    kept = log.calls["keep"]
    assert 10 < kept < 20  # every 10, from 80 on every eighth of the log
    assert (await log.kept("room1")).head.offset > 180
    await task.close()
    assert log.calls["keep"] <= kept + 1
    again = await open_task(log)
    fresh = await open_task(await _copy(log))
    assert await state_of(again) == await state_of(fresh)


async def test_while_commands_wait_a_checkpoint_is_kept_less_often(
    log: FaultyLog, open_task: OpenTask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(folding, "CHECKPOINT_EVENTS", 10)
    monkeypatch.setattr(room_task, "MAX_BATCH", 5)
    task = await open_task(log)
    await furnish(task)
    await asyncio.gather(*(task.ask(ADA, vote(f"v{number}")) for number in range(200)))
    await task.close()
    assert log.calls["keep"] == 5  # every 40 of 204, not every 10
    assert (await log.kept("room1")).head.offset == 204


async def _copy(log: FaultyLog) -> MemoryLog:
    """The same log without a checkpoint."""
    copy = MemoryLog()
    await copy.create(RECORD)
    await copy.append("room1", await copy.head("room1"), await log.read("room1", 0, 1_000_000))
    return copy


async def test_where_a_text_was_erased_there_is_a_new_checkpoint_without_it(held: FaultyLog, open_task: OpenTask):
    assert b"Ada" in (await held.kept("room1")).body
    task = await open_task(held)
    await task.ask(HOST, command("e1", "erase_person", person="p_ada"))
    assert await held.kept("room1") is None
    await task.close()
    kept = await held.kept("room1")
    assert kept.head == await held.head("room1")
    assert b"Ada" not in kept.body


async def test_no_checkpoint_is_kept_while_a_box_is_open(
    log: FaultyLog, open_task: OpenTask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(folding, "CHECKPOINT_EVENTS", 1)
    task = await open_task(log)
    await furnish(task)
    poll = {"question": "Whom?", "options": ["Eve", "Joe"], "secret": True}
    secret = await task.ask(HOST, command("m5", "open_activity", kind="poll", body=poll))
    before = await log.kept("room1")
    assert before.head.offset < secret
    for number in range(5):
        await task.ask(ADA, command(f"v{number}", "cast_vote", secret, round=1, options=["o1"]))
    assert await log.kept("room1") == before
    await task.ask(HOST, command("m6", "close", secret))
    await task.ask(HOST, command("m7", "lock"))
    assert (await log.kept("room1")).head.offset > secret + 5


async def test_a_store_that_takes_no_checkpoint_does_no_harm(
    log: FaultyLog, open_task: OpenTask, caplog: pytest.LogCaptureFixture
):
    with log.broken(NotAppended("The disk is full."), "keep"):
        task = await open_task(log)
        await hold(task)
        await task.close()
    assert "no checkpoint was kept: The disk is full." in caplog.text
    assert await (await open_task(log)).look(tally) == AT_END


async def test_a_mistake_in_packing_does_no_harm(
    log: FaultyLog, open_task: OpenTask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(room: Room, activity: int) -> Any:
        raise TypeError("a state of another shape")

    monkeypatch.setattr(folding, "CHECKPOINT_EVENTS", 10)
    monkeypatch.setattr(folding, "pack_activity", broken)
    task = await open_task(log)
    await hold(task)
    assert await task.look(tally) == AT_END
    assert "no checkpoint was made" in caplog.text
    assert log.calls["keep"] == 0


async def test_rules_whose_code_cannot_be_read_keep_no_checkpoint(tmp_path: Path, open_task: OpenTask):
    hands = activity_of(tmp_path)
    log = FaultyLog(MemoryLog())
    await log.create(RECORD)
    task = await open_task(log, {**{a.kind: a for a in BUILT_IN}, "hands": hands})
    await hold(task)
    await task.close()
    assert log.calls["keep"] == 0
