"""What every event log guarantees (see wslive.eventlog.base), as one suite that runs over each engine."""

import asyncio
import threading

import msgspec
import pytest

from tests.eventlog.events import a_batch, a_record, append_all, refs_of
from wslive.core.errors import AppendConflict, NotAppended
from wslive.core.events import CHAIN_START, Head, head_after
from wslive.eventlog.base import Checkpoint, CodeTaken, EventLog

WRITERS = 16
EVENTS_EACH = 12


class EventLogContract:
    """A subclass gives the fixture `log`, an empty log."""

    # ── one writer ────────────────────────────────────────────────────────────────────────────────────────────

    async def test_a_new_room_stands_before_its_first_event(self, log: EventLog) -> None:
        await log.create(a_record(epoch="e7"))
        assert await log.head("room-1") == Head("e7", 0, CHAIN_START)
        assert await log.read("room-1") == []

    async def test_what_was_appended_is_read_back_in_order(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        first = a_batch(start, "a", "b")
        middle = await log.append("room-1", start, first)
        second = a_batch(middle, "c", body='{"text":"żółć 🎉"}'.encode())
        end = await log.append("room-1", middle, second)
        assert middle == head_after(start, first[-1])
        assert end == head_after(middle, second[-1]) == await log.head("room-1")
        assert await log.read("room-1") == first + second

    async def test_reading_begins_after_an_offset_and_ends_at_the_limit(self, log: EventLog) -> None:
        await log.create(a_record())
        batch = a_batch(await log.head("room-1"), *"abcde")
        await log.append("room-1", await log.head("room-1"), batch)
        assert await log.read("room-1", 1, 2) == batch[1:3]
        assert await log.read("room-1", 4, 10) == batch[4:]
        assert await log.read("room-1", 5, 10) == []
        assert await log.read("room-1", 77, 10) == []

    async def test_bodies_are_erased_together_with_the_batch_that_says_so_and_the_chain_goes_on(
        self, log: EventLog
    ) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        first = a_batch(start, "a", "b", "c")
        middle = await log.append("room-1", start, first)
        second = a_batch(middle, "d", "e")
        end = await log.append("room-1", middle, second, [1, 3, 4])  # one of them comes with the batch itself
        found = await log.read("room-1")
        assert [event.body == b"" for event in found] == [True, False, True, True, False]
        assert [event.body_hash for event in found] == [event.body_hash for event in first + second]
        assert await log.append("room-1", end, a_batch(end, "f")) == await log.head("room-1")
        assert await log.find("room-1", [("p_1", "a")]) == {("p_1", "a"): 1}

    async def test_a_batch_that_is_not_stored_erases_nothing(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        await log.append("room-1", start, a_batch(start, "a", "b"))
        with pytest.raises(AppendConflict):
            await log.append("room-1", start, a_batch(start, "c"), [1])
        head = await log.head("room-1")
        with pytest.raises(NotAppended):
            await log.append("room-1", head, a_batch(head, "a"), [1])
        assert all(event.body for event in await log.read("room-1"))

    async def test_a_probe_leaves_nothing_in_any_room(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        await log.append("room-1", start, a_batch(start, "a"))
        head, rooms = await log.head("room-1"), await log.rooms()
        for _ in range(3):
            await log.probe()
        assert (await log.head("room-1"), await log.rooms()) == (head, rooms)
        assert [event.offset for event in await log.read("room-1")] == [1]

    async def test_rooms_do_not_know_of_each_other(self, log: EventLog) -> None:
        await log.create(a_record("room-1", "AAAAAA"))
        await log.create(a_record("room-2", "BBBBBB"))
        for room in ("room-1", "room-2"):
            head = await log.head(room)
            await log.append(room, head, a_batch(head, "same ref"))
        assert (await log.head("room-1")).offset == 1
        assert (await log.head("room-2")).offset == 1
        assert await log.find("room-2", [("p_1", "same ref")]) == {("p_1", "same ref"): 1}

    async def test_a_batch_of_no_events_changes_nothing_and_is_no_error(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        assert await log.append("room-1", start, []) == start
        assert await log.head("room-1") == start

    async def test_events_that_do_not_follow_are_a_bug_of_the_caller(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        first, second = a_batch(start, "a", "b")
        altered = msgspec.structs.replace(first, at_ms=2)
        for wrong in ([second], [first, first], [second, first], [altered]):
            with pytest.raises(ValueError, match=r"do(es)? not follow"):
                await log.append("room-1", start, wrong)
        assert await log.read("room-1") == []

    async def test_a_room_that_is_not_there_is_a_key_error_or_empty(self, log: EventLog) -> None:
        start = Head("e1")
        with pytest.raises(KeyError, match="nowhere"):
            await log.append("nowhere", start, a_batch(start, "a"))
        with pytest.raises(KeyError, match="nowhere"):
            await log.head("nowhere")
        with pytest.raises(KeyError, match="nowhere"):
            await log.end("nowhere", 5)
        assert await log.read("nowhere") == []
        assert await log.find("nowhere", [("p_1", "a")]) == {}

    # ── several writers ───────────────────────────────────────────────────────────────────────────────────────

    async def test_an_append_behind_the_head_stores_nothing_and_carries_what_was_missed(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        theirs = a_batch(start, "x", "y")
        await log.append("room-1", start, theirs)
        with pytest.raises(AppendConflict) as caught:
            await log.append("room-1", start, a_batch(start, "mine"))
        assert caught.value.missed == theirs
        assert await refs_of(log, "room-1") == ["x", "y"]
        with pytest.raises(AppendConflict):
            await log.append("room-1", start, [])

    async def test_after_a_conflict_the_writer_goes_on_from_what_it_missed(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        await log.append("room-1", start, a_batch(start, "x", "y"))
        assert await append_all(log, "room-1", ["mine"], actor="p_2", known=start) == [3]

    async def test_a_head_that_was_never_on_this_log_is_no_conflict_that_could_be_caught_up(
        self, log: EventLog
    ) -> None:
        await log.create(a_record(epoch="e1"))
        start = await log.head("room-1")
        await log.append("room-1", start, a_batch(start, "a", "b"))
        other_life = Head("e2")
        other_past = head_after(start, a_batch(start, "not a")[0])
        beyond = head_after(start, a_batch(start, "a", "b", "c")[-1])
        for head in (other_life, other_past, beyond):
            with pytest.raises(NotAppended) as caught:
                await log.append("room-1", head, a_batch(head, "z"))
            assert type(caught.value) is NotAppended
        assert await refs_of(log, "room-1") == ["a", "b"]

    async def test_of_writers_that_expect_the_same_head_exactly_one_wins(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        results = await asyncio.gather(
            *(log.append("room-1", start, a_batch(start, f"w{i}", f"v{i}")) for i in range(WRITERS)),
            return_exceptions=True,
        )
        winners = [i for i, result in enumerate(results) if isinstance(result, Head)]
        assert len(winners) == 1
        assert all(isinstance(r, AppendConflict) for i, r in enumerate(results) if i not in winners)
        assert await refs_of(log, "room-1") == [f"w{winners[0]}", f"v{winners[0]}"]

    async def test_sixteen_writers_leave_no_gap_and_store_each_ref_once(self, log: EventLog) -> None:
        await log.create(a_record())
        told = await asyncio.gather(
            *(append_all(log, "room-1", _refs(writer), actor=f"p_{writer}") for writer in range(WRITERS))
        )
        await _check_writers(log, dict(enumerate(told)))

    async def test_sixteen_threads_with_event_loops_of_their_own_do_so_too(self, log: EventLog) -> None:
        await log.create(a_record())
        told: dict[int, list[int]] = {}

        def write(writer: int) -> None:
            told[writer] = asyncio.run(append_all(log, "room-1", _refs(writer), actor=f"p_{writer}"))

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        await _check_writers(log, told)

    async def test_whoever_reads_while_sixteen_write_sees_a_prefix(self, log: EventLog) -> None:
        await log.create(a_record())
        writing = asyncio.gather(
            *(append_all(log, "room-1", _refs(writer), actor=f"p_{writer}") for writer in range(WRITERS))
        )
        seen: list[list[int]] = []
        while not writing.done():
            await asyncio.sleep(0)
            head = await log.head("room-1")
            events = await log.read("room-1", 0, 1_000_000)
            assert len(events) >= head.offset  # what a head promises is there
            seen.append([event.offset for event in events])
            tail = await log.read("room-1", head.offset, 1_000_000)
            assert [event.offset for event in tail] == list(range(head.offset + 1, head.offset + 1 + len(tail)))
        await writing
        assert all(offsets == list(range(1, len(offsets) + 1)) for offsets in seen)
        assert [len(offsets) for offsets in seen] == sorted(len(offsets) for offsets in seen)

    # ── refs ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_a_ref_is_stored_once_for_ever(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        head = await log.append("room-1", start, a_batch(start, "a", "b"))
        with pytest.raises(NotAppended) as caught:
            await log.append("room-1", head, a_batch(head, "c", "a", "d"))
        assert type(caught.value) is NotAppended
        assert await refs_of(log, "room-1") == ["a", "b"]
        assert await log.append("room-1", head, a_batch(head, "c"))

    async def test_a_ref_twice_in_one_batch_stores_nothing_of_it(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        with pytest.raises(NotAppended):
            await log.append("room-1", start, a_batch(start, "a", "b", "a"))
        assert await refs_of(log, "room-1") == []

    async def test_two_people_may_choose_the_same_ref(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        head = await log.append("room-1", start, a_batch(start, "a", actor="p_1"))
        await log.append("room-1", head, a_batch(head, "a", actor="p_2"))
        assert await log.find("room-1", [("p_1", "a"), ("p_2", "a")]) == {("p_1", "a"): 1, ("p_2", "a"): 2}

    async def test_find_gives_the_offsets_of_what_is_there_and_nothing_else(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        odd = ["'; DROP TABLE events; --", '"', "\\", "ü", "🎉", "  ", "null", "0"]
        await log.append("room-1", start, a_batch(start, *odd))
        asked = [("p_1", ref) for ref in odd]
        found = await log.find("room-1", [*asked, ("p_1", "missing"), ("p_2", "ü"), ("ü", "p_1")])
        assert found == {pair: offset for offset, pair in enumerate(asked, 1)}
        assert await log.find("room-1", []) == {}

    # ── callers that go away ──────────────────────────────────────────────────────────────────────────────────

    async def test_a_cancelled_caller_leaves_a_whole_batch_or_none(self, log: EventLog) -> None:
        await log.create(a_record())
        for attempt in range(20):
            head = await log.head("room-1")
            batch = a_batch(head, f"{attempt}a", f"{attempt}b", f"{attempt}c")
            task = asyncio.ensure_future(log.append("room-1", head, batch))
            for _ in range(attempt % 3):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            # The next one finds out what became of it, and is not disturbed.
            await append_all(log, "room-1", [f"{attempt}d"], actor="p_2", known=head)
        refs = await refs_of(log, "room-1")
        for attempt in range(20):
            stored = [ref for ref in refs if ref[:-1] == str(attempt)]
            assert stored in ([f"{attempt}{x}" for x in "abcd"], [f"{attempt}d"])
        assert (await log.head("room-1")).offset == len(refs)

    # ── rooms ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_a_record_is_found_by_its_code_and_kept_whole(self, log: EventLog) -> None:
        record = a_record()
        await log.create(record)
        assert await log.record("AAAAAA") == record
        assert await log.record("ZZZZZZ") is None
        assert await log.rooms() == [record]

    async def test_rooms_are_listed_oldest_first(self, log: EventLog) -> None:
        for number, created_at_ms in enumerate([30, 10, 20]):
            await log.create(a_record(f"room-{number}", f"CODE{number}", created_at_ms=created_at_ms))
        assert [record.created_at_ms for record in await log.rooms()] == [10, 20, 30]

    async def test_a_code_belongs_to_one_room(self, log: EventLog) -> None:
        await log.create(a_record("room-1", "AAAAAA"))
        with pytest.raises(CodeTaken):
            await log.create(a_record("room-2", "AAAAAA"))
        assert [record.room for record in await log.rooms()] == ["room-1"]

    async def test_a_room_is_registered_once(self, log: EventLog) -> None:
        await log.create(a_record("room-1", "AAAAAA"))
        with pytest.raises(NotAppended, match="room-1"):
            await log.create(a_record("room-1", "BBBBBB"))

    async def test_a_room_that_has_ended_keeps_its_code_and_its_events(self, log: EventLog) -> None:
        await log.create(a_record())
        start = await log.head("room-1")
        await log.append("room-1", start, a_batch(start, "a"))
        await log.end("room-1", 99)
        assert await log.record("AAAAAA") == msgspec.structs.replace(a_record(), ended_at_ms=99)
        with pytest.raises(CodeTaken):
            await log.create(a_record("room-2", "AAAAAA"))
        assert await refs_of(log, "room-1") == ["a"]

    async def test_a_deleted_room_leaves_nothing_behind_and_lets_go_of_its_code(self, log: EventLog) -> None:
        await log.create(a_record("room-1", "AAAAAA"))
        await log.create(a_record("room-2", "BBBBBB"))
        for room in ("room-1", "room-2"):
            head = await log.head(room)
            await log.append(room, head, a_batch(head, "a", "b"))
        await log.delete("room-1")
        assert await log.record("AAAAAA") is None
        assert await log.read("room-1") == []
        assert await log.find("room-1", [("p_1", "a")]) == {}
        with pytest.raises(KeyError):
            await log.head("room-1")
        assert await refs_of(log, "room-2") == ["a", "b"]
        await log.create(a_record("room-1", "AAAAAA", epoch="e2"))
        assert await log.head("room-1") == Head("e2")
        await log.append("room-1", Head("e2"), a_batch(Head("e2"), "a"))

    # ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────

    async def test_a_checkpoint_is_kept_until_the_next_one_however_the_log_goes_on(self, log: EventLog) -> None:
        start = await _two_rooms(log)
        assert await log.kept("room-1") is None
        head = await log.append("room-1", start, a_batch(start, "a", "b"))
        first = Checkpoint(head, b"rules", b"state")
        await log.keep("room-1", first)
        assert await log.kept("room-1") == first
        head = await log.append("room-1", head, a_batch(head, "c"))
        assert await log.kept("room-1") == first
        second = Checkpoint(head, b"other rules", b"another state" * 100_000)
        await log.keep("room-1", second)
        assert await log.kept("room-1") == second
        assert await log.kept("room-2") is None

    async def test_a_checkpoint_of_another_end_than_the_logs_is_not_kept(self, log: EventLog) -> None:
        start = await _two_rooms(log)
        head = await log.append("room-1", start, a_batch(start, "a"))
        end = await log.append("room-1", head, a_batch(head, "b"))
        for other in (start, head, msgspec.structs.replace(end, epoch="e2"), msgspec.structs.replace(end, offset=3)):
            with pytest.raises(NotAppended):
                await log.keep("room-1", Checkpoint(other, b"rules", b"state"))
        with pytest.raises(NotAppended):
            await log.keep("nowhere", Checkpoint(end, b"rules", b"state"))
        assert await log.kept("room-1") is None
        assert await log.kept("nowhere") is None

    async def test_a_checkpoint_goes_with_a_body_that_is_erased_and_no_other_rooms(self, log: EventLog) -> None:
        start = await _two_rooms(log)
        ends = [await log.append(room, start, a_batch(start, "a", "b")) for room in ("room-1", "room-2")]
        for room, end in zip(("room-1", "room-2"), ends, strict=True):
            await log.keep(room, Checkpoint(end, b"rules", b"state"))
        await log.append("room-1", ends[0], a_batch(ends[0], "c"), [1])
        assert await log.kept("room-1") is None
        assert await log.kept("room-2") is not None

    async def test_a_checkpoint_goes_with_its_room(self, log: EventLog) -> None:
        start = await _two_rooms(log)
        end = await log.append("room-1", start, a_batch(start, "a"))
        await log.keep("room-1", Checkpoint(end, b"rules", b"state"))
        await log.delete("room-1")
        await log.create(a_record("room-1", "AAAAAA"))
        await log.append("room-1", start, a_batch(start, "a"))
        assert await log.kept("room-1") is None

    async def test_deleting_a_room_that_is_not_there_is_no_error(self, log: EventLog) -> None:
        await log.delete("nowhere")
        assert await log.rooms() == []

    async def test_closing_twice_is_no_error(self, log: EventLog) -> None:
        await log.close()
        await log.close()


async def _two_rooms(log: EventLog) -> Head:
    """The head at which both of them begin."""
    await log.create(a_record("room-1", "AAAAAA"))
    await log.create(a_record("room-2", "BBBBBB"))
    return await log.head("room-1")


def _refs(writer: int) -> list[str]:
    return [f"{writer}-{i}" for i in range(EVENTS_EACH)]


async def _check_writers(log: EventLog, told: dict[int, list[int]]) -> None:
    events = await log.read("room-1", 0, 1_000_000)
    assert [event.offset for event in events] == list(range(1, WRITERS * EVENTS_EACH + 1))
    by_ref = {event.ref: event.offset for event in events}
    assert len(by_ref) == len(events)
    assert told == {writer: [by_ref[ref] for ref in _refs(writer)] for writer in range(WRITERS)}
    assert (await log.head("room-1")).chain == events[-1].chain
