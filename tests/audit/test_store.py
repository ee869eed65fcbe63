"""A sound store is found sound, and whatever is done to one behind its back is found, with its place."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.audit.stores import CODE, ROOM, alter, forge, forget_indexes, keep, stored
from tests.recorded import a_lecture, a_secret_lecture
from tests.small_room import EPOCH, HOST, SmallRoom
from wslive.activities.poll.state import Round
from wslive.audit.store import verify
from wslive.core.checkpoint import can_be_packed
from wslive.core.errors import StoreCorrupt, StoreTooNew, StoreUnwritable
from wslive.core.events import Head
from wslive.eventlog.sqlite import SqliteLog

FIRST_POLL = 7
"""Where the lecture's first poll begins; event 8 is Ada's vote for o1, event 9 Bob's for o2."""


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with a room in which everything has happened."""
    return await stored(a_lecture(), tmp_path / "wslive.db")


def problems(store: Path) -> list[str]:
    """All that `verify` finds."""
    report = verify(store)
    return [*report.problems, *(problem for room in report.rooms for problem in room.problems)]


def test_a_sound_store_is_found_sound_and_every_poll_is_counted(store: Path):
    report = verify(store)
    assert report.is_sound
    (room,) = report.rooms
    small = a_lecture()
    assert (room.code, room.events, room.erased) == (CODE, len(small.log), 0)
    assert room.head == small.room.head.position.chain
    assert room.recount.title == "Sorting 101 – Łódź"
    assert list(room.recount.tallies(FIRST_POLL)) == [(1, 2, {"o2": 1, "o3": 1}), (2, 1, {"o2": 1})]
    assert room.recount.polls[FIRST_POLL].votes == 5


def test_a_store_is_left_as_it_is_and_nothing_beside_it(store: Path):
    before = {path: path.read_bytes() for path in store.parent.iterdir()}
    verify(store)
    assert {path: path.read_bytes() for path in store.parent.iterdir()} == before


async def test_what_a_killed_server_left_in_the_write_ahead_log_is_counted_and_stays_there(store: Path, tmp_path: Path):
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("UPDATE rooms SET code = 'BBBBBB'")
        left = tmp_path / "left.db"
        for suffix in ("", "-wal"):
            left.with_name(left.name + suffix).write_bytes(store.with_name(store.name + suffix).read_bytes())
    wal = left.with_name("left.db-wal")
    before = left.read_bytes(), wal.read_bytes()
    assert verify(left).rooms[0].code == "BBBBBB"
    assert (left.read_bytes(), wal.read_bytes()) == before


async def test_a_store_is_checked_while_a_server_uses_it(tmp_path: Path):
    small = SmallRoom()
    path = await stored(small, tmp_path / "wslive.db")
    log = await SqliteLog.open(path)
    head = Head(EPOCH, small.room.head.offset, small.room.head.chain)
    ada = small.join("p_ada")
    small.vote(ada, small.poll(), "o1")
    await log.append(ROOM, head, small.log[head.offset :])
    report = await asyncio.to_thread(verify, path)
    await log.close()
    assert report.is_sound
    assert report.rooms[0].events == small.room.head.offset


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (
            """UPDATE events SET body = CAST('{"round":1,"options":["o3"]}' AS BLOB) WHERE offset = 9""",
            "event 9, vote_cast by p_bob: its body was altered",
        ),
        ("UPDATE events SET actor = 'p_eve' WHERE offset = 9", "event 9, vote_cast by p_eve: the chain breaks here"),
        ("UPDATE events SET at_ms = at_ms + 1 WHERE offset = 9", "event 9, vote_cast by p_bob: the chain breaks here"),
        ("UPDATE events SET chain = zeroblob(32) WHERE offset = 9", "event 9, vote_cast by p_bob: the chain breaks"),
        ("UPDATE events SET body_hash = zeroblob(32) WHERE offset = 9", "its body was altered"),
        ("DELETE FROM events WHERE offset = 9", "it follows event 8; what was between is missing"),
        ("DELETE FROM events WHERE offset = 1", "it follows event 0; what was between is missing"),
        ("UPDATE events SET at_ms = 'noon' WHERE offset = 9", "event 9: a column has another type"),
        ("UPDATE events SET body = x'' WHERE offset = 9", "its body was erased, so it cannot be counted"),
        ("UPDATE events SET room = 'room-2' WHERE offset > 9", "belong to a room room-2 that is not there"),
    ],
)
def test_what_was_altered_is_found_with_its_place(store: Path, sql: str, told: str):
    alter(store, sql)
    found = problems(store)
    assert any(told in problem for problem in found), found


@pytest.mark.parametrize(
    ("offset", "body", "told"),
    [
        (9, {"round": 1, "options": ["o9"]}, "it chooses o9, which the poll does not have"),
        (9, {"round": 2, "options": ["o1"]}, "it is a vote in round 2, and round 1 was open"),
        (9, {"round": 1, "options": ["o1", "o2"]}, "it chooses 2 options of at most 1"),
        (9, {"round": 1, "options": []}, "it chooses 0 options"),
        (9, {"vote": "o1"}, "its body is none of its kind"),
        (9, "o1", "its body is none of its kind"),
    ],
)
def test_a_vote_that_no_rule_would_have_taken_is_found_though_the_chain_was_written_anew(
    store: Path, offset: int, body: object, told: str
):
    forge(store, offset, body)
    found = problems(store)
    assert any(f"event {offset}, vote_cast by p_bob: {told}" in problem for problem in found), found


async def test_a_command_that_is_there_twice_is_found(tmp_path: Path):
    small = SmallRoom()
    ada = small.join("p_ada")
    poll = small.poll()
    first = small.vote(ada, poll, "o1")
    store = await stored(small, tmp_path / "wslive.db")
    # The store itself refuses a second one, so its index has to go first.
    forget_indexes(store)
    again = small.log[-1]
    second = SmallRoom.of(list(small.log)).vote(ada, poll, "o1")
    fields = ["offset", "at_ms", "actor", "ref", "activity", "kind", "version", "body", "body_hash", "chain"]
    values = [getattr(again, name) for name in fields]
    values[0] = second
    alter(store, f"INSERT INTO events (room, {', '.join(fields)}) VALUES (?,?,?,?,?,?,?,?,?,?,?)", ROOM, *values)
    assert any(f"its ref is the one of event {first}" in problem for problem in problems(store))


def test_a_page_that_the_disk_spoiled_is_told_in_a_sentence(store: Path):
    content = bytearray(store.read_bytes())
    content[8192 : 8192 + 2048] = b"\xa5" * 2048
    store.write_bytes(content)
    try:
        found = problems(store)
    except StoreCorrupt as error:
        found = [str(error)]
    assert any("SQLite finds" in text or "cannot be read" in text for text in found)


def test_a_body_that_is_missing_without_an_erasure_is_told_and_the_chain_is_sound_all_the_same(store: Path):
    alter(store, "UPDATE events SET body = x'' WHERE kind = 'line_said' AND offset = 6")
    (room,) = verify(store).rooms
    assert room.erased == 1
    (problem,) = room.problems
    assert problem.startswith("event 6, line_said by ")
    assert problem.endswith("its body is missing, and nobody erased that person")


async def test_a_person_who_was_erased_is_no_damage_and_the_ballots_stay_counted(tmp_path: Path):
    small = a_lecture()
    line = small.log[5]
    assert line.kind == "line_said"
    counted = verify(await stored(small, tmp_path / "before.db")).rooms[0].recount
    if not small.room.has_ended:
        small.send(HOST, "end_room")
    small.send(HOST, "erase_person", person=line.actor)  # long after the end, as it may be
    gone = {e.offset for e in small.log if e.actor == line.actor and e.kind in ("joined", "line_said", "renamed")}
    assert gone == {e.offset for e in small.log if e.body == b""}
    report = verify(await stored(small, tmp_path / "after.db"))
    (room,) = report.rooms
    assert report.is_sound, room.problems
    assert (room.erased, room.people_erased) == (len(gone), 1)
    assert {poll: [*room.recount.tallies(poll)] for poll in room.recount.polls} == {
        poll: [*counted.tallies(poll)] for poll in counted.polls
    }


def test_more_problems_than_anybody_reads_are_only_counted(store: Path):
    alter(store, "UPDATE events SET body_hash = zeroblob(32)")
    (room,) = verify(store).rooms
    assert len(room.problems) == 21
    assert room.problems[-1].startswith("and ")


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path):
    with pytest.raises(StoreUnwritable, match="There is no store"):
        verify(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_told_from_a_damaged_one(tmp_path: Path, store: Path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be looked at as if it were one" * 20)
    with pytest.raises(StoreCorrupt, match="is no database"):
        verify(text)
    alter(store, "UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    with pytest.raises(StoreTooNew, match="version 99"):
        verify(store)
    alter(store, "DELETE FROM meta")
    with pytest.raises(StoreCorrupt, match="not a store of wslive"):
        verify(store)


async def test_where_rules_and_recount_differ_both_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    small = SmallRoom()
    poll = small.poll()
    for name in ("p_ada", "p_bob"):
        small.vote(small.join(name), poll, "o1")
    store = await stored(small, tmp_path / "wslive.db")
    put = Round.put

    def counts_twice(self: Round, actor: str, ballot: object, offset: int) -> None:
        put(self, actor, ballot, offset)  # type: ignore[arg-type]
        self.counts["o1"] += 1

    monkeypatch.setattr(Round, "put", counts_twice)
    (found,) = problems(store)
    assert found == (
        f"poll {poll}, round 1: the votes give 2 answers, {{'o1': 2}}; the server would show 2, {{'o1': 4}}"
    )


async def test_an_event_that_no_server_could_take_up_is_found(tmp_path: Path):
    small = SmallRoom()
    small.send(HOST, "lock")
    store = await stored(small, tmp_path / "wslive.db")
    forge(store, small.room.head.offset, {"locked": "perhaps"})
    (found,) = problems(store)
    assert "a server could not take up the room here" in found


# ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_checkpoint_is_what_the_log_comes_to(store: Path):
    await keep(store, a_lecture().room)
    assert problems(store) == []
    (room,) = verify(store).rooms
    assert room.checkpoint_at == room.events


async def test_so_is_one_of_a_server_that_could_read_secret_votes(tmp_path: Path):
    small = a_secret_lecture()
    store = await stored(small, tmp_path / "secret.db")
    assert can_be_packed(small.room)
    await keep(store, small.room)
    assert problems(store) == []
    assert verify(store).rooms[0].checkpoint_at == small.room.head.offset


async def test_a_checkpoint_that_a_server_would_show_something_else_by_is_found(store: Path):
    room = a_lecture().room
    room.activities[FIRST_POLL].state.rounds[0].counts["o1"] += 1
    await keep(store, room)
    (told,) = problems(store)
    assert f"event {room.head.offset}, " in told
    assert "the checkpoint that was kept after it is not what the events up to it come to" in told


async def rekeep(store: Path, **changes: bytes) -> None:
    """Keep the checkpoint once more, with something else in it."""
    log = await SqliteLog.open(store)
    kept = await log.kept(ROOM)
    assert kept is not None
    await log.keep(ROOM, msgspec.structs.replace(kept, **changes))
    await log.close()


async def test_a_checkpoint_by_other_rules_is_not_believed_and_so_not_looked_at(store: Path):
    room = a_lecture().room
    room.title = "Another"
    await keep(store, room)
    await rekeep(store, rules=b"of another version")
    assert problems(store) == []
    assert verify(store).rooms[0].checkpoint_at == 0


async def test_a_checkpoint_that_cannot_be_read_is_told(store: Path):
    await keep(store, a_lecture().room)
    await rekeep(store, body=b"nothing")
    (told,) = problems(store)
    assert "the checkpoint that was kept after it cannot be read, and is of no use" in told


def test_a_store_of_before_checkpoints_is_checked_too(store: Path):
    with closing(sqlite3.connect(store)) as db:
        db.executescript("DROP TABLE checkpoints; DROP TRIGGER an_event_was_changed; DROP TRIGGER a_room_was_deleted;")
    assert problems(store) == []
