import asyncio
import collections
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.eventlog.contract import EventLogContract
from tests.eventlog.events import a_batch, a_record, append_all, refs_of
from wslive.core.errors import (
    AppendConflict,
    InDoubt,
    LogError,
    NotAppended,
    StoreCorrupt,
    StoreInUse,
    StoreUnwritable,
)
from wslive.core.events import Event, Head, head_after
from wslive.eventlog import sqlite_store
from wslive.eventlog.sqlite import SqliteLog

ROOT = Path(__file__).resolve().parents[2]
SEED = 20261123


class TestSqliteLog(EventLogContract):
    @pytest.fixture
    async def log(self, tmp_path: Path) -> AsyncIterator[SqliteLog]:
        log = await SqliteLog.open(tmp_path / "wslive.db")
        yield log
        await log.close()


class TestSqliteLogOfAnOlderStore(EventLogContract):
    """The same in a store whose index of refs begins with the actor, as all had at first."""

    @pytest.fixture
    async def log(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteLog]:
        path = tmp_path / "wslive.db"
        older = sqlite_store.SCHEMA.replace("UNIQUE (room, ref, actor)", "UNIQUE (room, actor, ref)")
        with monkeypatch.context() as patched:
            patched.setattr(sqlite_store, "SCHEMA", older)
            await (await SqliteLog.open(path)).close()
        with closing(sqlite3.connect(path)) as db:
            columns = [name for *_, name in db.execute("PRAGMA index_info(sqlite_autoindex_events_2)")]
        assert columns == ["room", "actor", "ref"]
        log = await SqliteLog.open(path)
        yield log
        await log.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wslive.db"


class HeldLog(SqliteLog):
    """Each commit waits until it is let go, on the writer's thread."""

    gate: threading.Semaphore
    commits: list[int]
    at_commit: threading.Semaphore

    def _commit(self, db: sqlite3.Connection) -> None:
        self.at_commit.release()
        assert self.gate.acquire(timeout=60)
        super()._commit(db)
        self.commits.append(db.total_changes)


class FailingLog(SqliteLog):
    """The next commit fails as `fail` says."""

    fail: Callable[[sqlite3.Connection], None] | None = None

    def _commit(self, db: sqlite3.Connection) -> None:
        fail, self.fail = self.fail, None
        if fail is not None:
            fail(db)
        super()._commit(db)


@pytest.fixture
async def held(path: Path) -> AsyncIterator[HeldLog]:
    """A log with two rooms whose commits wait."""
    async with opened(path) as log:
        for number in (1, 2, 3):
            await log.create(a_record(f"room-{number}", f"CODE{number}"))
    log = await HeldLog.open(path)
    log.gate, log.at_commit, log.commits = threading.Semaphore(0), threading.Semaphore(0), []
    yield log
    log.gate.release(1000)
    await log.close()


@pytest.fixture
async def failing(path: Path) -> AsyncIterator[FailingLog]:
    """A log with a room of one event."""
    log = await FailingLog.open(path)
    await log.create(a_record())
    await append_all(log, "room-1", ["before"], actor="p_1")
    yield log
    await log.close()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteLog]:
    log = await SqliteLog.open(path)
    yield log
    await log.close()


def an_error(code: int, text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


# ── what is on disk ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_was_appended_is_there_after_reopening(path: Path) -> None:
    async with opened(path) as log:
        await log.create(a_record())
        start = await log.head("room-1")
        head = await log.append("room-1", start, a_batch(start, "a", "b", "c"))
        events = await log.read("room-1")
        await log.end("room-1", 77)
    async with opened(path) as log:
        assert await log.head("room-1") == head
        assert await log.read("room-1") == events
        assert await log.find("room-1", [("p_1", "b")]) == {("p_1", "b"): 2}
        assert [(r.room, r.ended_at_ms) for r in await log.rooms()] == [("room-1", 77)]
        await append_all(log, "room-1", ["d"], actor="p_1", known=head)


async def test_a_closed_store_is_one_file_to_copy(path: Path) -> None:
    async with opened(path) as log:
        await log.create(a_record())
    assert {found.name for found in path.parent.iterdir()} == {"wslive.db", "wslive.db.lock"}


async def test_store_and_side_files_are_readable_by_their_owner_alone(path: Path) -> None:
    async with opened(path) as log:
        await log.create(a_record())
        modes = {found.name: oct(found.stat().st_mode & 0o777) for found in path.parent.iterdir()}
    assert modes == dict.fromkeys(["wslive.db", "wslive.db-wal", "wslive.db-shm", "wslive.db.lock"], "0o600")


async def test_each_event_is_a_row_that_sql_can_count(path: Path) -> None:
    async with opened(path) as log:
        await log.create(a_record())
        start = await log.head("room-1")
        await log.append("room-1", start, a_batch(start, "a", "b"))
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute(
            "SELECT offset, actor, ref, kind, json_extract(CAST(body AS TEXT), '$.text') FROM events ORDER BY offset"
        ).fetchall()
    assert rows == [(1, "p_1", "a", "line_said", "hello"), (2, "p_1", "b", "line_said", "hello")]


async def test_the_bytes_of_a_deleted_room_are_gone_from_the_disk(path: Path) -> None:
    async with opened(path) as log:
        await log.create(a_record())
        start = await log.head("room-1")
        secret = b'{"text":"nobody may read this again"}'
        await log.append("room-1", start, a_batch(start, *map(str, range(200)), body=secret))
        assert secret in b"".join(found.read_bytes() for found in path.parent.iterdir())
        await log.delete("room-1")
        assert secret not in b"".join(found.read_bytes() for found in path.parent.iterdir())


async def test_the_bytes_of_what_was_erased_are_gone_from_the_disk(path: Path) -> None:
    def found(text: bytes) -> bool:
        return text in b"".join(file.read_bytes() for file in path.parent.iterdir())

    async with opened(path) as log:
        await log.create(a_record())
        head = await log.head("room-1")
        secret, other = b'{"text":"nobody may read this again"}', b'{"text":"but this"}'
        for number in range(100):
            head = await log.append("room-1", head, a_batch(head, f"s{number}", body=secret))
            head = await log.append("room-1", head, a_batch(head, f"o{number}", body=other))
        assert found(secret)
        head = await log.append("room-1", head, a_batch(head, "erased", body=other), range(1, 200, 2))
        assert not found(secret)
        assert found(other)


async def test_what_was_erased_while_somebody_reads_the_store_is_gone_after_the_next_try(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wslive.eventlog.sqlite_cleaner.AGAIN_S", 0.0)  # with the next batch

    def found(text: bytes) -> bool:
        return text in b"".join(file.read_bytes() for file in path.parent.iterdir())

    async with opened(path) as log:
        await log.create(a_record())
        head = await log.head("room-1")
        secret = b'{"text":"nobody may read this again"}'
        head = await log.append("room-1", head, a_batch(head, "a", body=secret))
        with closing(sqlite3.connect(path, isolation_level=None)) as reading:
            reading.execute("BEGIN")
            assert reading.execute("SELECT count(*) FROM events").fetchone() == (1,)
            head = await log.append("room-1", head, a_batch(head, "b"), [1])
            assert found(secret)
            assert (await log.read("room-1"))[0].body == b""
        await log.append("room-1", head, a_batch(head, "c"))
        assert not found(secret)


async def test_every_connection_syncs_each_commit(path: Path) -> None:
    async with opened(path) as log:
        assert log._db is not None
        for db in (log._db, log._reading):
            assert db.execute("PRAGMA synchronous").fetchone() == (2,)
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# ── kill -9 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_a_killed_process_had_reported_is_there_exactly_once(path: Path) -> None:
    chance = random.Random(SEED)
    reported: dict[tuple[str, str, str], int] = {}
    for life in range(4):
        with _crash_writer(path, str(life)) as writer:
            assert writer.stdout is not None
            for _ in range(chance.randrange(1, 200)):
                _note(reported, writer.stdout.readline())
            writer.kill()
            # What was in the pipe at that moment had been reported too; the last line may be torn.
            for line in writer.stdout.read().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    _note(reported, line)
        assert writer.returncode == -signal.SIGKILL
        async with opened(path) as log:
            stored: list[tuple[tuple[str, str, str], int]] = []
            for room in ("room-1", "room-2"):
                events = await log.read(room, 0, 1_000_000)  # verifies offsets and chain
                assert (await log.head(room)).offset == len(events)
                _check_batches_are_whole(events)
                stored += [((room, event.actor, event.ref), event.offset) for event in events]
        assert len(dict(stored)) == len(stored)
        assert reported.items() <= dict(stored).items()
    assert len(reported) > 100


def _crash_writer(path: Path, life: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.eventlog.crash_writer", str(path), life]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)


def _note(reported: dict[tuple[str, str, str], int], line: bytes) -> None:
    room, actor, ref, offset = line.decode().split()
    reported[room, actor, ref] = int(offset)


def _check_batches_are_whole(events: list[Event]) -> None:
    sizes = collections.Counter((event.actor, int(event.ref.split(".")[0])) for event in events)
    assert sizes == {(actor, number): 1 + number % 3 for actor, number in sizes}


async def test_a_store_is_free_as_soon_as_its_holder_was_killed(path: Path) -> None:
    with _crash_writer(path, "0") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        with pytest.raises(StoreInUse) as caught:
            await SqliteLog.open(path)
        writer.kill()
    assert f"process {writer.pid}" in str(caught.value)
    assert str(path) in str(caught.value)
    async with opened(path) as log:
        assert await log.rooms()


# ── one commit for all that waits ─────────────────────────────────────────────────────────────────────────────────────


async def test_what_comes_while_a_commit_is_in_flight_shares_the_next_one(held: HeldLog) -> None:
    first = asyncio.ensure_future(append_all(held, "room-1", ["first"], actor="p_1"))
    await _at_commit(held)
    others = [
        asyncio.ensure_future(held.append(room, Head("e1"), a_batch(Head("e1"), *"abc")))
        for room in ("room-2", "room-3")
    ]
    await asyncio.sleep(0)  # they are in the queue
    held.gate.release(2)
    await asyncio.gather(first, *others)
    assert len(held.commits) == 2


async def test_nobody_hears_of_an_append_before_its_commit(held: HeldLog) -> None:
    mine = asyncio.ensure_future(held.append("room-1", Head("e1"), a_batch(Head("e1"), "mine")))
    await _at_commit(held)
    late = asyncio.ensure_future(held.append("room-1", Head("e1"), a_batch(Head("e1"), "late")))
    await asyncio.sleep(0)
    assert not mine.done()
    held.gate.release(1)
    assert (await mine).offset == 1
    await _at_commit(held)
    assert not late.done()  # nor of a conflict: what it rests on is not on disk yet
    held.gate.release(1)
    with pytest.raises(AppendConflict):
        await late


async def test_reading_does_not_wait_for_a_commit(held: HeldLog) -> None:
    held.gate.release(1)
    await append_all(held, "room-1", ["there"], actor="p_1")
    await _at_commit(held)
    head = await held.head("room-1")
    writing = asyncio.ensure_future(held.append("room-1", head, a_batch(head, "coming")))
    await _at_commit(held)
    assert await held.find("room-1", [("p_1", "there"), ("p_1", "coming")]) == {("p_1", "there"): 1}
    assert await refs_of(held, "room-1") == ["there"]
    assert await held.head("room-1") == head
    assert not writing.done()
    held.gate.release(1)
    await writing


async def test_a_failing_append_does_not_harm_those_that_share_its_commit(held: HeldLog) -> None:
    holding = asyncio.ensure_future(append_all(held, "room-1", ["first"], actor="p_1"))
    await _at_commit(held)
    start = Head("e1")
    shared = [
        asyncio.ensure_future(held.append("room-2", start, a_batch(start, "a", "b"))),
        asyncio.ensure_future(held.append("room-2", start, a_batch(start, "too late"))),
        asyncio.ensure_future(held.append("nowhere", start, a_batch(start, "a"))),
        asyncio.ensure_future(held.append("room-3", start, a_batch(start, "a", "a"))),
        asyncio.ensure_future(held.append("room-3", start, a_batch(start, "c"))),
    ]
    await asyncio.sleep(0)
    held.gate.release(2)
    await holding
    results = await asyncio.gather(*shared, return_exceptions=True)
    assert [type(result) for result in results] == [Head, AppendConflict, KeyError, NotAppended, Head]
    assert len(held.commits) == 2
    assert await refs_of(held, "room-2") == ["a", "b"]
    assert await refs_of(held, "room-3") == ["c"]


@pytest.mark.parametrize("size", [1, 99, 100, 101, 250])
async def test_a_batch_of_any_size_is_stored_whole_and_in_order(path: Path, size: int) -> None:
    refs = [f"ref-{number}" for number in range(size)]
    async with opened(path) as log:
        await log.create(a_record())
        start = Head("e1")
        batch = a_batch(start, *refs)
        assert await log.append("room-1", start, batch) == head_after(start, batch[-1])
        assert await log.read("room-1") == batch


@pytest.mark.parametrize("shared", [False, True])
async def test_of_a_long_batch_with_a_bad_event_nothing_is_stored(held: HeldLog, shared: bool) -> None:
    holding = asyncio.ensure_future(append_all(held, "room-1", ["first"], actor="p_1"))
    await _at_commit(held)
    start = Head("e1")
    refs = [f"ref-{number}" for number in range(249)]
    waiting = [asyncio.ensure_future(held.append("room-2", start, a_batch(start, *refs, "ref-0")))]
    if shared:
        waiting.append(asyncio.ensure_future(held.append("room-3", start, a_batch(start, *refs))))
    await asyncio.sleep(0)
    held.gate.release(2)
    await holding
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [NotAppended, Head][: len(waiting)]
    assert await refs_of(held, "room-2") == []
    assert await refs_of(held, "room-3") == (refs if shared else [])


async def test_closing_finishes_what_is_in_flight(path: Path, held: HeldLog) -> None:
    first = asyncio.ensure_future(append_all(held, "room-1", ["first"], actor="p_1"))
    await _at_commit(held)
    second = asyncio.ensure_future(held.append("room-2", Head("e1"), a_batch(Head("e1"), "second")))
    await asyncio.sleep(0)
    closing_it = asyncio.ensure_future(held.close())
    held.gate.release(2)
    await closing_it
    assert (await first, (await second).offset) == ([1], 1)
    async with opened(path) as log:
        assert await refs_of(log, "room-1") == ["first"]
        assert await refs_of(log, "room-2") == ["second"]


async def test_a_cancelled_close_lets_go_of_the_store_all_the_same(path: Path, held: HeldLog) -> None:
    writing = asyncio.ensure_future(append_all(held, "room-1", ["first"], actor="p_1"))
    await _at_commit(held)
    closing_it = asyncio.ensure_future(held.close())
    await asyncio.sleep(0)
    closing_it.cancel()
    held.gate.release(1)
    await writing
    await held.close()
    await (await SqliteLog.open(path)).close()


async def test_a_caller_whose_event_loop_is_gone_holds_nobody_up(held: HeldLog) -> None:
    def leave() -> None:
        async def ask_and_go() -> None:
            asyncio.ensure_future(held.append("room-1", Head("e1"), a_batch(Head("e1"), "left")))  # noqa: RUF006
            await asyncio.sleep(0)

        asyncio.run(ask_and_go())

    await asyncio.to_thread(leave)
    held.gate.release(10)
    assert await append_all(held, "room-1", ["stays"], actor="p_2") == [2]
    assert await refs_of(held, "room-1") == ["left", "stays"]


async def test_a_closed_log_says_so(path: Path) -> None:
    log = await SqliteLog.open(path)
    await log.create(a_record())
    await log.close()
    for call in (log.rooms(), log.head("room-1"), log.append("room-1", Head("e1"), a_batch(Head("e1"), "a"))):
        with pytest.raises(LogError, match="closed"):
            await call


async def _at_commit(log: HeldLog) -> None:
    assert await asyncio.to_thread(log.at_commit.acquire, timeout=60)


# ── when the disk fails ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY])
async def test_a_commit_that_certainly_failed_stored_nothing(failing: FailingLog, code: int) -> None:
    def fail(db: sqlite3.Connection) -> None:
        raise an_error(code, "no")

    failing.fail = fail
    head = await failing.head("room-1")
    with pytest.raises(NotAppended):
        await failing.append("room-1", head, a_batch(head, "lost"))
    assert await failing.head("room-1") == head
    assert (await failing.append("room-1", head, a_batch(head, "next"))).offset == 2


async def test_in_doubt_the_head_tells_that_the_batch_is_there(failing: FailingLog) -> None:
    def fail(db: sqlite3.Connection) -> None:
        db.execute("COMMIT")
        raise an_error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")

    failing.fail = fail
    head = await failing.head("room-1")
    batch = a_batch(head, "a", "b")
    with pytest.raises(InDoubt):
        await failing.append("room-1", head, batch)
    assert await failing.head("room-1") == head_after(head, batch[-1])
    assert await failing.read("room-1", head.offset) == batch


async def test_in_doubt_the_head_tells_that_the_batch_is_not_there(failing: FailingLog) -> None:
    def fail(db: sqlite3.Connection) -> None:
        raise an_error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")

    failing.fail = fail
    head = await failing.head("room-1")
    with pytest.raises(InDoubt):
        await failing.append("room-1", head, a_batch(head, "lost"))
    assert await failing.head("room-1") == head
    assert (await failing.append("room-1", head, a_batch(head, "next"))).offset == 2
    assert await refs_of(failing, "room-1") == ["before", "next"]


async def test_all_that_share_a_doubtful_commit_are_in_doubt(held: HeldLog, monkeypatch: pytest.MonkeyPatch) -> None:
    holding = asyncio.ensure_future(append_all(held, "room-1", ["first"], actor="p_1"))
    await _at_commit(held)
    shared = [
        asyncio.ensure_future(held.append(room, Head("e1"), a_batch(Head("e1"), "a"))) for room in ("room-2", "room-3")
    ]
    await asyncio.sleep(0)

    def fail(db: sqlite3.Connection) -> None:
        raise an_error(sqlite3.SQLITE_IOERR_WRITE, "disk I/O error")

    monkeypatch.setattr(held, "_commit", fail)
    held.gate.release(1)
    await holding
    results = await asyncio.gather(*shared, return_exceptions=True)
    assert [type(result) for result in results] == [InDoubt, InDoubt]


async def test_while_in_doubt_nothing_is_read_and_then_the_store_heals_by_itself(
    failing: FailingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(db: sqlite3.Connection) -> None:
        raise an_error(sqlite3.SQLITE_IOERR_WRITE, "disk I/O error")

    def no_connection(*, writing: bool) -> sqlite3.Connection:
        raise an_error(sqlite3.SQLITE_CANTOPEN, "unable to open database file")

    head = await failing.head("room-1")
    failing.fail = fail
    with monkeypatch.context() as patched:
        patched.setattr(failing._store, "connect", no_connection)
        with pytest.raises(InDoubt):
            await failing.append("room-1", head, a_batch(head, "lost"))
        for call in (failing.head("room-1"), failing.read("room-1"), failing.find("room-1", [("p_1", "lost")])):
            with pytest.raises(StoreUnwritable, match="unable to open"):
                await call
        with pytest.raises(NotAppended, match="unable to open"):
            await failing.append("room-1", head, a_batch(head, "also lost"))
    assert await failing.head("room-1") == head
    assert await append_all(failing, "room-1", ["next"], actor="p_1") == [2]


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Lets this process write no file beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_disk_that_takes_no_more_loses_nothing_and_recovers(
    path: Path, small_files: Callable[[int], None]
) -> None:
    async with opened(path) as log:
        await log.create(a_record())
        await append_all(log, "room-1", ["before"], actor="p_1")
        head = await log.head("room-1")
        wal = path.with_name("wslive.db-wal").stat().st_size
        small_files(wal + 5000)
        with pytest.raises((NotAppended, InDoubt)):
            await log.append("room-1", head, a_batch(head, *map(str, range(300))))
        small_files(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        assert await log.head("room-1") == head
        assert await append_all(log, "room-1", ["after"], actor="p_1") == [2]
    async with opened(path) as log:
        assert await refs_of(log, "room-1") == ["before", "after"]


async def test_another_program_that_holds_the_file_delays_appends_and_loses_none(
    failing: FailingLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failing._db is not None
    failing._db.execute("PRAGMA busy_timeout = 20")
    head = await failing.head("room-1")
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotAppended, match="locked"):
            await failing.append("room-1", head, a_batch(head, "a"))
        shell.execute("ROLLBACK")
    assert (await failing.append("room-1", head, a_batch(head, "a"))).offset == 2


# ── when the file was damaged ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET body = x'7b7d' WHERE offset = 5",
        "UPDATE events SET body = 'text where bytes belong' WHERE offset = 5",
        "UPDATE events SET actor = 'somebody else' WHERE offset = 5",
        "UPDATE events SET at_ms = at_ms + 1 WHERE offset = 5",
        "UPDATE events SET chain = zeroblob(32) WHERE offset = 5",
        "DELETE FROM events WHERE offset = 5",
        "DELETE FROM events WHERE offset < 6",
    ],
)
async def test_an_event_that_was_altered_or_taken_out_is_never_passed_over(path: Path, damage: str) -> None:
    async with opened(path) as log:
        await log.create(a_record())
        await append_all(log, "room-1", [str(i) for i in range(1, 11)], actor="p_1")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(damage)
    async with opened(path) as log:
        with pytest.raises(StoreCorrupt, match="Restore"):
            await log.read("room-1")
        with pytest.raises(StoreCorrupt):
            await log.read("room-1", 4)
        assert len(await log.read("room-1", 6)) == 4  # the rest is in order


async def test_an_erased_body_is_no_damage(path: Path) -> None:
    async with opened(path) as log:
        await log.create(a_record())
        await append_all(log, "room-1", ["a", "b", "c"], actor="p_1")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE events SET body = x'' WHERE offset = 2")
    async with opened(path) as log:
        assert [event.body for event in await log.read("room-1")] == [b'{"text":"hello"}', b"", b'{"text":"hello"}']


async def test_damaged_pages_are_a_named_error_and_left_as_they_are(path: Path) -> None:
    async with opened(path) as log:
        await log.create(a_record())
        start = await log.head("room-1")
        await log.append("room-1", start, a_batch(start, *map(str, range(2000))))
    damaged = _damage_pages(path)
    async with opened(path) as log:
        with pytest.raises(StoreCorrupt, match="backup"):
            await log.read("room-1", 0, 1_000_000)
    assert await asyncio.to_thread(path.read_bytes) == damaged


def _damage_pages(path: Path) -> bytes:
    noise = random.Random(SEED)
    with path.open("r+b") as file:
        for page in range(8, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(noise.randbytes(512))
    return path.read_bytes()
