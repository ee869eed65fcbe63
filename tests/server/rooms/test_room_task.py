from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.server.faulty_log import FaultyLog
from wslive.activities import activities
from wslive.activities.poll.model import Poll
from wslive.core.commands import Command
from wslive.core.errors import (
    InDoubt,
    LogError,
    NotAppended,
    NothingToRetract,
    PollClosed,
    QuestionChanged,
    Refused,
    RoomUnavailable,
    StoreCorrupt,
    StoreTooNew,
    StoreUnwritable,
    TemporarilyUnavailable,
    TooFast,
)
from wslive.core.events import next_event
from wslive.core.roles import HOST_ACTOR, Role, Who
from wslive.core.room import ROOM, Room
from wslive.eventlog.base import EventLog, RoomRecord
from wslive.eventlog.memory import MemoryLog
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.meter import Meter
from wslive.server.rooms import folding, pace, room_task
from wslive.server.rooms.room_task import RoomTask

HOST = Who(HOST_ACTOR, Role.HOST)
ADA = Who("p_ada", Role.PARTICIPANT)
BOB = Who("p_bob", Role.PARTICIPANT)
RECORD = RoomRecord("room1", "K7M2QX", "e1", b"", 0)
POLL = 4
"""The poll's id in every room made here."""


def command(ref: str, kind: str, activity: int = ROOM, /, **body: Any) -> Command:
    return Command(ref, activity, kind, msgspec.Raw(msgspec.json.encode(body)))


def vote(ref: str, option: str = "o1") -> Command:
    return command(ref, "cast_vote", POLL, round=1, options=[option])


def tally(room: Room) -> dict[str, int]:
    return dict(room.activities[POLL].state.current.counts)


def recorder(answers: list[Any]) -> Callable[[str, Any], None]:
    """Refusals are noted by their class."""
    return lambda ref, outcome: answers.append(type(outcome) if isinstance(outcome, Refused) else outcome)


async def furnish(task: RoomTask) -> None:
    """Ada, Bob and a poll."""
    await task.ask(HOST, command("m1", "open_room", title="Sorting 101"))
    await task.ask(ADA, command("m2", "join", name="Ada"))
    await task.ask(BOB, command("m3", "join", name="Bob"))
    poll = {"question": "Which?", "options": ["quick", "merge"]}
    assert await task.ask(HOST, command("m4", "open_activity", kind="poll", body=poll)) == POLL


@pytest.fixture
def log() -> FaultyLog:
    return FaultyLog(MemoryLog())


OpenTask = Callable[..., Awaitable[RoomTask]]


@pytest.fixture
async def open_task() -> AsyncIterator[OpenTask]:
    """Opens writers of the room and closes them at the end."""
    tasks: list[RoomTask] = []

    async def open(log: EventLog, registry: Any = None, *, retry_after_s: float = 0.01) -> RoomTask:
        task = RoomTask(RECORD, log, registry or activities(), retry_after_s=retry_after_s)
        await task.open()
        tasks.append(task)
        return task

    yield open
    for task in tasks:
        await task.close()


@pytest.fixture
async def task(log: FaultyLog, open_task: OpenTask) -> RoomTask:
    await log.create(RECORD)
    task = await open_task(log)
    await furnish(task)
    return task


# ── acks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_ack_is_the_offset_of_the_commands_event(task: RoomTask, log: FaultyLog):
    offset = await task.ask(ADA, vote("r1"))
    (event,) = await log.read("room1", offset - 1)
    assert (event.offset, event.actor, event.ref, event.kind) == (5, "p_ada", "r1", "vote_cast")


async def test_nobody_gets_an_ack_before_the_append_has_returned(task: RoomTask, log: FaultyLog):
    answers: list[Any] = []
    with log.held("append") as reached:
        task.submit(ADA, vote("r1"), recorder(answers))
        await reached()
        assert answers == []
    await task.ask(BOB, vote("r2"))
    assert answers == [5]


async def test_a_refusal_waits_for_what_it_rests_on(task: RoomTask, log: FaultyLog):
    answers: list[Any] = []
    with log.held("append") as reached:
        task.submit(HOST, command("r1", "close", POLL), recorder(answers))
        task.submit(ADA, vote("r2"), recorder(answers))
        await reached()
        assert answers == []
    await asyncio.wait_for(task.look(tally), 10)
    assert answers == [5, PollClosed]


async def test_what_gathers_while_a_batch_is_stored_is_one_append(task: RoomTask, log: FaultyLog):
    before = log.calls["append"]
    answers: list[Any] = []
    with log.held("append") as reached:
        task.submit(ADA, vote("r1"), recorder(answers))
        await reached()
        for i in range(50):
            task.submit(BOB, vote(f"s{i}"), recorder(answers))
    await task.ask(ADA, vote("r2"))
    assert answers == list(range(5, 56))
    assert log.calls["append"] == before + 2


async def test_a_batch_is_no_larger_than_its_bound(task: RoomTask, log: FaultyLog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room_task, "MAX_BATCH", 10)
    before = log.calls["append"]
    answers: list[Any] = []
    for i in range(35):
        task.submit(BOB, vote(f"s{i}"), recorder(answers))
    await task.ask(ADA, vote("r1"))
    assert answers == list(range(5, 40))
    assert log.calls["append"] == before + 4


async def test_acks_come_before_the_fan_out_hears_of_the_commit(task: RoomTask):
    seen: list[Any] = []
    task.on_commit = lambda room: seen.append(("commit", room.head.offset))
    task.submit(ADA, vote("r1"), lambda ref, outcome: seen.append(("ack", outcome)))
    await task.look(tally)
    await task.close()
    assert seen == [("ack", 5), ("commit", 5)]


# ── retries ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_retry_in_the_same_batch_joins_the_ack(task: RoomTask, log: FaultyLog):
    answers: list[Any] = []
    for _ in range(3):
        task.submit(ADA, vote("r1"), recorder(answers))
    await task.ask(BOB, vote("r2"))
    assert answers == [5, 5, 5]
    assert (await log.head("room1")).offset == 6


async def test_a_retry_of_a_command_in_flight_gets_the_same_ack(task: RoomTask, log: FaultyLog):
    answers: list[Any] = []
    with log.held("append") as reached:
        task.submit(ADA, vote("r1"), recorder(answers))
        await reached()
        task.submit(ADA, vote("r1"), recorder(answers))
    await task.ask(BOB, vote("r2"))
    assert answers == [5, 5]
    assert (await log.head("room1")).offset == 6


async def test_a_retry_of_a_committed_command_gets_the_same_ack(task: RoomTask):
    assert await task.ask(ADA, vote("r1")) == 5
    await task.ask(ADA, vote("r2", "o2"))
    assert await task.ask(ADA, vote("r1")) == 5
    assert await task.look(tally) == {"o1": 0, "o2": 1}


async def test_a_retry_gets_its_ack_even_where_the_command_would_now_be_refused(task: RoomTask):
    assert await task.ask(ADA, vote("r1")) == 5
    await task.ask(HOST, command("r2", "close", POLL))
    assert await task.ask(ADA, vote("r1")) == 5
    with pytest.raises(PollClosed):
        await task.ask(ADA, vote("r3"))


async def test_two_people_may_use_the_same_ref(task: RoomTask):
    assert await task.ask(ADA, vote("r1")) == 5
    assert await task.ask(BOB, vote("r1")) == 6


async def test_a_refusal_is_final_also_for_a_copy_that_comes_when_the_room_has_changed(task: RoomTask):
    await task.ask(HOST, command("r1", "close", POLL))
    with pytest.raises(PollClosed):
        await task.ask(ADA, vote("r2"))
    await task.ask(HOST, command("r3", "reopen", POLL))
    with pytest.raises(PollClosed):
        await task.ask(ADA, vote("r2"))
    assert await task.ask(BOB, vote("r2")) == 7  # somebody else's ref of that name
    assert await task.ask(ADA, vote("r4")) == 8


async def test_a_refusal_is_final_also_for_a_copy_in_the_same_batch(task: RoomTask):
    answers: list[Any] = []
    task.submit(ADA, command("r1", "retract_vote", POLL, round=1), recorder(answers))
    task.submit(ADA, vote("r2"), recorder(answers))
    task.submit(ADA, command("r1", "retract_vote", POLL, round=1), recorder(answers))
    await task.ask(BOB, vote("r3"))
    assert answers == [NothingToRetract, 5, NothingToRetract]
    assert await task.look(tally) == {"o1": 2, "o2": 0}


async def test_a_refusal_that_nobody_was_told_is_not_final(task: RoomTask, log: FaultyLog):
    answers: list[Any] = []
    log.fail("append", NotAppended("the disk is full"))
    task.submit(HOST, command("r1", "close", POLL), recorder(answers))
    task.submit(ADA, command("r2", "retract_vote", POLL, round=1), recorder(answers))
    with pytest.raises(TemporarilyUnavailable):
        await task.ask(ADA, vote("r3"))
    assert answers == [TemporarilyUnavailable, TemporarilyUnavailable]
    assert await task.ask(ADA, vote("r3")) == 5
    assert await task.ask(ADA, command("r2", "retract_vote", POLL, round=1)) == 6


async def test_who_came_too_fast_may_come_again_by_the_same_name(task: RoomTask):
    answers: list[Any] = []
    task.submit(ADA, vote("r1"), recorder(answers), objection=TooFast(retry_after_s=1.0))
    assert await task.ask(BOB, vote("r2")) == 5
    assert answers == [TooFast]
    assert await task.ask(ADA, vote("r1")) == 6


async def test_who_found_the_door_locked_may_knock_again_by_the_same_name(task: RoomTask):
    eve = Who("p_eve", Role.PARTICIPANT)
    await task.ask(HOST, command("r1", "lock", locked=True))
    with pytest.raises(RoomUnavailable):
        await task.ask(eve, command("r2", "join", name="Eve"))
    await task.ask(HOST, command("r3", "lock", locked=False))
    assert await task.ask(eve, command("r2", "join", name="Eve")) == 7


async def test_a_retry_after_a_restart_gets_the_same_ack(open_task: OpenTask, tmp_path: Path):
    log = await SqliteLog.open(tmp_path / "store.db")
    await log.create(RECORD)
    task = await open_task(log)
    await furnish(task)
    assert await task.ask(ADA, vote("r1")) == 5
    await task.close()
    await log.close()

    log = await SqliteLog.open(tmp_path / "store.db")
    task = await open_task(log)
    assert await task.ask(ADA, vote("r1")) == 5
    assert await task.look(tally) == {"o1": 1, "o2": 0}
    await task.close()
    await log.close()


# ── who sees the state, and when ──────────────────────────────────────────────────────────────────────────────────


async def test_readers_see_what_is_committed_and_nothing_before(task: RoomTask, log: FaultyLog):
    seen: list[Any] = []
    with log.held("append") as reached:
        task.submit(ADA, vote("r1"), lambda ref, outcome: seen.append(outcome))
        await reached()
        task.read(lambda room: seen.append(tally(room)))
        looking = asyncio.create_task(task.look(tally))
        await asyncio.sleep(0)
        assert seen == []
    assert await looking == {"o1": 1, "o2": 0}
    assert seen == [5, {"o1": 1, "o2": 0}]


async def test_a_look_between_two_batches_does_not_see_the_second(task: RoomTask, log: FaultyLog):
    with log.held("append") as reached:
        first = task.ask(ADA, vote("r1"))
        await reached()
        looking = asyncio.create_task(task.look(lambda room: room.head.offset))
        second = task.ask(BOB, vote("r2"))
        await asyncio.sleep(0)
        log.spare("append", 1)
        log.fail("append", NotAppended("no"))
    # This log answers `find` without a pause: the second batch is decided before anybody else has a turn.
    assert await looking == await first == 5
    with pytest.raises(TemporarilyUnavailable):
        await second


async def test_what_was_decided_and_not_stored_is_seen_by_nobody(task: RoomTask, log: FaultyLog):
    seen: list[dict[str, int]] = []
    task.on_commit = lambda room: seen.append(tally(room))
    with log.held("append") as reached:
        log.fail("append", NotAppended("the disk is full"))
        voting = task.ask(ADA, vote("r1"))
        await reached()
        task.read(lambda room: seen.append(tally(room)))
    with pytest.raises(TemporarilyUnavailable):
        await voting
    assert await task.look(tally) == {"o1": 0, "o2": 0}
    assert seen == [{"o1": 0, "o2": 0}, {"o1": 0, "o2": 0}]


async def test_a_look_that_refuses_tells_its_caller(task: RoomTask):
    def refuse(room: Room) -> None:
        raise PollClosed

    with pytest.raises(PollClosed):
        await task.look(refuse)


@pytest.mark.parametrize("who", ["reader", "fan-out", "reply"])
async def test_the_writer_outlives_whoever_fails_on_hearing_from_it(
    who: str, task: RoomTask, log: FaultyLog, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    answers: list[Any] = []
    if who == "fan-out":
        task.on_commit = fail
    with log.held("append") as reached:
        task.submit(ADA, vote("r1"), fail if who == "reply" else recorder(answers))
        task.submit(BOB, vote("r2"), recorder(answers))
        await reached()
        if who == "reader":
            task.read(fail)
        looking = asyncio.create_task(task.look(tally))
        await asyncio.sleep(0)
    assert await looking == {"o1": 2, "o2": 0}
    assert answers == ([6] if who == "reply" else [5, 6])
    assert await task.ask(ADA, vote("r3", "o2")) == 7
    assert "ZeroDivisionError" in caplog.text


# ── failures ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def by_another_node(log: FaultyLog, kind: str, body: bytes) -> None:
    """Another process appends to the room."""
    event = next_event(
        await log.head("room1"),
        at_ms=1,
        actor="host",
        ref=f"elsewhere-{kind}",
        activity=POLL,
        kind=kind,
        version=1,
        body=body,
    )
    await log.inner.append("room1", await log.head("room1"), [event])


async def test_after_a_conflict_the_batch_is_decided_again_on_the_new_state(task: RoomTask, log: FaultyLog):
    answers: list[Any] = []
    await by_another_node(log, "voting_ended", b"{}")
    task.submit(ADA, vote("r1"), recorder(answers))
    task.submit(HOST, command("r2", "reopen", POLL), recorder(answers))
    task.submit(ADA, vote("r3"), recorder(answers))
    assert await task.look(tally) == {"o1": 0, "o2": 0}
    assert await task.ask(BOB, vote("r4")) == 8
    assert answers == [PollClosed, 6, 7]
    assert await task.look(tally) == {"o1": 2, "o2": 0}


async def test_what_is_certainly_not_appended_is_refused_for_now_and_can_be_sent_again(task: RoomTask, log: FaultyLog):
    log.fail("append", NotAppended("the disk is full"))
    with pytest.raises(TemporarilyUnavailable) as refused:
        await task.ask(ADA, vote("r1"))
    assert refused.value.retry_after_s is not None
    assert await task.ask(ADA, vote("r1")) == 5
    assert await task.look(tally) == {"o1": 1, "o2": 0}


async def test_in_doubt_the_log_says_that_it_was_stored(task: RoomTask, log: FaultyLog):
    log.fail("append", InDoubt("the line broke"), but_do_it=True)
    assert await task.ask(ADA, vote("r1")) == 5
    assert await task.look(tally) == {"o1": 1, "o2": 0}
    assert await task.ask(BOB, vote("r2")) == 6


async def test_in_doubt_the_log_says_that_it_was_not_stored(task: RoomTask, log: FaultyLog):
    log.fail("append", InDoubt("the line broke"))
    with pytest.raises(TemporarilyUnavailable):
        await task.ask(ADA, vote("r1"))
    assert await task.ask(BOB, vote("r2")) == 5
    assert await task.ask(ADA, vote("r1")) == 6


@pytest.mark.parametrize("method", ["read", "find"])
async def test_while_nobody_can_say_what_is_stored_nobody_is_told(method: str, task: RoomTask, log: FaultyLog):
    log.fail("append", InDoubt("the line broke"), but_do_it=True)
    with log.broken(StoreUnwritable("out of reach"), method):
        with log.held("append") as reached:
            voting = task.ask(ADA, vote("r1"))
            await reached()
        with pytest.raises(TemporarilyUnavailable):
            await task.ask(BOB, vote("r2"))
        with pytest.raises(TemporarilyUnavailable):
            await task.look(tally)
        assert not voting.done()
    assert await voting == 5
    assert await task.ask(BOB, vote("r2")) == 6
    assert await task.look(tally) == {"o1": 2, "o2": 0}


@pytest.mark.parametrize("error", [LogError("?"), KeyError("room1"), OSError("?"), ZeroDivisionError()])
@pytest.mark.parametrize("stored", [True, False])
async def test_any_other_error_of_an_append_is_a_doubt(stored: bool, error: Exception, task: RoomTask, log: FaultyLog):
    log.fail("append", error, but_do_it=stored)
    voting = task.ask(ADA, vote("r1"))
    if stored:
        assert await voting == 5
    else:
        with pytest.raises(TemporarilyUnavailable):
            await voting
    assert await task.ask(BOB, vote("r2")) == (6 if stored else 5)


async def test_a_log_that_cannot_be_asked_refuses_for_now(task: RoomTask, log: FaultyLog):
    assert await task.ask(ADA, vote("r1")) == 5
    log.fail("find", StoreUnwritable("out of reach"))
    again, new = task.ask(ADA, vote("r1")), task.ask(ADA, vote("r2"))
    assert await again == 5
    with pytest.raises(TemporarilyUnavailable):
        await new
    assert await task.ask(ADA, vote("r2")) == 6


async def test_commands_that_come_close_together_are_stored_together(
    task: RoomTask, log: FaultyLog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pace, "SPAN_S", 0.2)
    await asyncio.gather(*(task.ask(ADA, vote(f"a{number}")) for number in range(pace.AT_ONCE)))
    appends = log.calls["append"]
    voting = []
    for number in range(10):
        voting.append(task.ask(BOB, vote(f"b{number}")))
        await asyncio.sleep(0)
    await asyncio.gather(*voting)
    assert log.calls["append"] == appends + 1


@pytest.fixture
async def busy_task(task: RoomTask, monkeypatch: pytest.MonkeyPatch) -> RoomTask:
    """One for which whatever comes is much, and whose next tick is far away."""
    monkeypatch.setattr(pace, "MUCH_PER_S", 0.0)
    monkeypatch.setattr(pace, "COUNTED_OVER_S", 0.0)
    monkeypatch.setattr(room_task, "LONGEST_S", 1000.0)
    task.tick_due_s = lambda: asyncio.get_running_loop().time() + 1000
    return task


async def stored(task: RoomTask, offset: int) -> None:
    """Wait until so much is stored, without reading."""
    done = asyncio.Event()
    task.on_commit = lambda room: done.set() if room.head.offset >= offset else None
    await done.wait()


async def test_where_much_comes_answers_are_held_until_somebody_reads(busy_task: RoomTask, log: FaultyLog):
    seen: list[tuple[str, Any]] = []

    def see(ref: str, outcome: Any) -> None:
        seen.append((ref, type(outcome) if isinstance(outcome, Refused) else outcome))

    busy_task.submit(ADA, vote("r1"), see)
    busy_task.submit(ADA, command("r2", "retract_vote", POLL, round=9), see)
    await stored(busy_task, 5)
    assert (await log.head("room1")).offset == 5
    assert seen == []
    busy_task.submit(BOB, vote("r3"), see)
    await stored(busy_task, 6)
    assert seen == []
    assert await busy_task.look(tally) == {"o1": 2, "o2": 0}
    assert seen == [("r1", 5), ("r2", QuestionChanged), ("r3", 6)]


async def test_or_until_the_next_tick_is_due(busy_task: RoomTask):
    busy_task.tick_due_s = lambda: float("-inf")
    assert await busy_task.ask(ADA, vote("r1")) == 5


async def test_or_for_as_long_as_people_may_wait(busy_task: RoomTask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room_task, "LONGEST_S", 0.01)
    assert await busy_task.ask(ADA, vote("r1")) == 5
    assert await busy_task.ask(ADA, vote("r2")) == 6


async def test_a_copy_of_what_is_held_gets_the_same_answer(busy_task: RoomTask):
    answers: list[Any] = []
    busy_task.submit(ADA, vote("r1"), recorder(answers))
    busy_task.submit(ADA, command("r2", "retract_vote", POLL, round=9), recorder(answers))
    await stored(busy_task, 5)
    busy_task.submit(ADA, vote("r1"), recorder(answers))
    busy_task.submit(ADA, command("r2", "retract_vote", POLL, round=9), recorder(answers))
    assert await busy_task.look(tally) == {"o1": 1, "o2": 0}
    await busy_task.close()
    assert answers == [5, QuestionChanged, 5, QuestionChanged]


async def test_what_is_held_is_answered_when_the_next_batch_fails(busy_task: RoomTask, log: FaultyLog):
    answers: list[Any] = []
    busy_task.submit(ADA, vote("r1"), recorder(answers))
    await stored(busy_task, 5)
    log.fail("append", NotAppended("full"))
    with pytest.raises(TemporarilyUnavailable):
        await busy_task.ask(BOB, vote("r2"))
    assert answers == [5]


async def test_closing_answers_what_is_held(busy_task: RoomTask):
    answers: list[Any] = []
    busy_task.submit(ADA, vote("r1"), recorder(answers))
    await stored(busy_task, 5)
    await busy_task.close()
    assert answers == [5]


async def test_a_log_is_not_asked_about_refs_that_were_never_in_it(task: RoomTask, log: FaultyLog):
    with log.broken(StoreUnwritable("out of reach"), "find"):
        assert await asyncio.gather(*(task.ask(ADA, vote(f"r{i}")) for i in range(5))) == [5, 6, 7, 8, 9]
    assert log.calls["find"] == 0
    assert await task.ask(ADA, vote("r2")) == 7
    assert log.calls["find"] == 1


class Fragile(Poll):
    """A poll whose rules have a mistake."""

    breaks_in = ""

    def decide(self, state: Any, command: Any, context: Any) -> msgspec.Struct:
        if self.breaks_in == "decide" and context.actor == "p_bob":
            raise ZeroDivisionError
        return super().decide(state, command, context)

    def apply(self, state: Any, event: Any, meta: Any) -> None:
        super().apply(state, event, meta)
        if self.breaks_in == "apply" and meta.actor == "p_bob":
            raise ZeroDivisionError


@pytest.mark.parametrize("place", ["decide", "apply"])
async def test_a_command_that_breaks_the_rules_harms_nobody_else_and_leaves_no_trace(
    place: str, log: FaultyLog, open_task: OpenTask, caplog: pytest.LogCaptureFixture
):
    fragile = Fragile()
    await log.create(RECORD)
    task = await open_task(log, {**activities(), "poll": fragile})
    await furnish(task)
    fragile.breaks_in = place
    answers: list[Any] = []
    task.submit(ADA, vote("r1"), recorder(answers))
    task.submit(BOB, vote("r2"), recorder(answers))
    task.submit(ADA, vote("r3", "o2"), recorder(answers))
    assert await task.ask(ADA, vote("r4")) == 7
    assert answers == [Refused, 5, 6]
    assert await task.look(tally) == {"o1": 1, "o2": 0}
    assert "ZeroDivisionError" in caplog.text


async def test_a_queue_that_is_full_refuses_for_now(task: RoomTask, log: FaultyLog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room_task, "MAX_QUEUED", 2)
    answers: list[Any] = []
    with log.held("append") as reached:
        task.submit(ADA, vote("r1"), recorder(answers))
        await reached()
        for i in range(4):
            task.submit(BOB, vote(f"s{i}"), recorder(answers))
        assert answers == [TemporarilyUnavailable, TemporarilyUnavailable]
    assert await task.look(tally) == {"o1": 1, "o2": 0}
    await task.ask(BOB, vote("s9"))
    assert answers[2:] == [5, 6, 7]


# ── opening and closing ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_long_log_is_folded_in_parts(task: RoomTask, log: FaultyLog, open_task: OpenTask, monkeypatch: Any):
    for i in range(20):
        await task.ask(ADA, vote(f"r{i}", f"o{1 + i % 2}"))
    await task.close()
    monkeypatch.setattr(folding, "_READ_EVENTS", 6)
    before = log.calls["read"]
    again = await open_task(log)
    assert await again.look(tally) == {"o1": 0, "o2": 1}
    assert await again.look(lambda room: room.head) == await log.head("room1")
    assert log.calls["read"] == before + 5


async def test_a_log_that_cannot_be_read_opens_no_room(log: FaultyLog, open_task: OpenTask):
    await log.create(RECORD)
    log.fail("read", StoreUnwritable("out of reach"))
    with pytest.raises(StoreUnwritable):
        await open_task(log)


async def test_an_event_of_a_later_version_opens_no_room(task: RoomTask, log: FaultyLog, open_task: OpenTask):
    await by_another_node(log, "voting_by_dice", b"{}")
    with pytest.raises(StoreTooNew):
        await open_task(log)


async def test_an_event_that_makes_no_sense_opens_no_room(task: RoomTask, log: FaultyLog, open_task: OpenTask):
    await by_another_node(log, "vote_cast", b'{"round":9,"options":[]}')
    with pytest.raises(StoreCorrupt, match="event 5 cannot be understood"):
        await open_task(log)


async def test_closing_stores_what_is_queued_and_takes_nothing_new(task: RoomTask, log: FaultyLog):
    answers: list[Any] = []
    with log.held("append") as reached:
        task.submit(ADA, vote("r1"), recorder(answers))
        await reached()
        task.submit(BOB, vote("r2"), recorder(answers))
        closing = asyncio.create_task(task.close())
        await asyncio.sleep(0)
        task.submit(ADA, vote("r3"), recorder(answers))
        assert answers == [TemporarilyUnavailable]
    await closing
    assert answers == [TemporarilyUnavailable, 5, 6]
    assert (await log.head("room1")).offset == 6


async def test_whoever_wants_to_begin_something_in_a_closed_room_is_refused(task: RoomTask):
    await task.close()
    refused: list[Refused] = []
    task.read(lambda room: pytest.fail("this room is closed"), refused.append)
    assert [type(r) for r in refused] == [TemporarilyUnavailable]
    with pytest.raises(TemporarilyUnavailable):
        await task.look(tally)


async def test_whoever_was_about_to_begin_something_when_a_room_was_closed_is_refused(task: RoomTask, log: FaultyLog):
    seen: list[str] = []
    with log.held("append") as reached:
        task.submit(ADA, vote("r1"), lambda ref, outcome: seen.append("an ack"))
        await reached()
        task.read(lambda room: seen.append("welcomed"), lambda refused: seen.append(refused.code))
        task.read(lambda room: seen.append("told"))
        closing = asyncio.create_task(task.close())
        await asyncio.sleep(0)
    await closing
    assert seen == ["an ack", "temporarily_unavailable", "told"]


async def test_closing_ends_where_the_log_is_out_of_reach(log: FaultyLog, open_task: OpenTask):
    await log.create(RECORD)
    task = await open_task(log, retry_after_s=3600)
    await furnish(task)
    refused: list[Refused] = []
    with log.broken(StoreUnwritable("out of reach"), "read"):
        log.fail("append", InDoubt("the line broke"))
        with log.held("append") as reached:
            doubtful = task.ask(ADA, vote("r1"))
            await reached()
            queued = task.ask(BOB, vote("r2"))
        with pytest.raises(TemporarilyUnavailable):
            await queued
        late = task.ask(BOB, vote("r3"))
        task.read(lambda room: pytest.fail("nobody knows the state"), refused.append)
        await task.close()
    with pytest.raises(TemporarilyUnavailable):
        await late
    assert [type(r) for r in refused] == [TemporarilyUnavailable]
    assert not doubtful.done()  # whether it is stored nobody knows


async def test_a_room_that_was_never_opened_can_be_closed(log: FaultyLog):
    await RoomTask(RECORD, log, activities()).close()


class BrokenMeter(Meter):
    def answered(self, seconds: float) -> None:
        raise ZeroDivisionError


async def test_nobody_waits_for_a_writer_that_has_failed(task: RoomTask, caplog: pytest.LogCaptureFixture):
    task.meter = BrokenMeter()
    await task.ask(ADA, vote("r1"))
    with pytest.raises(TemporarilyUnavailable):
        await task.ask(ADA, vote("r2"))
    with pytest.raises(TemporarilyUnavailable):
        await task.look(tally)
    assert "its writer has failed" in caplog.text
