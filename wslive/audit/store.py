"""A store checked from outside: by SQL, while a server may be using it, and changing nothing.

    the file     SQLite's own check of pages and indexes
    each room    offsets from 1 without a gap; every body hashes to what is noted, or was erased with its person; the
                 chain over all events; no (actor, ref) twice
    each poll    its votes counted again (`recount`), and compared with the tally that the rules would show
    checkpoints  what a room would be opened with is what the events before it come to

What cannot be found from the store alone: events that were cut off at its end, and a log that was written anew from
some event on, chain and all. The head of each room is told, so that it can be compared with one noted before.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from wslive.activities import activities
from wslive.activities.fingerprint import fingerprint
from wslive.audit.recount import Recount
from wslive.core.checkpoint import is_same, unpack
from wslive.core.errors import StoreCorrupt, StoreTooNew, StoreUnwritable
from wslive.core.events import Event
from wslive.core.room import Room, apply
from wslive.eventlog.base import Checkpoint
from wslive.eventlog.sqlite_reads import checkpoint_of
from wslive.eventlog.sqlite_store import SCHEMA_VERSION

FoundT = TypeVar("FoundT")

_COLUMNS = ", ".join(Event.__struct_fields__)
_TYPES = (int, int, str, str, int, str, int, bytes, bytes, bytes)
_MAX_PROBLEMS = 20
"""What one room is told of at most: behind one cause there may be thousands."""


@dataclass
class RoomReport:
    """What was found in one room.

    Attributes:
        room: Its id.
        code: Its join code.
        events: How many events it has.
        erased: How many of them without their body.
        people_erased: How many people's texts and names were erased.
        head: The chain at its end, in hexadecimal.
        checkpoint_at: The offset of the checkpoint that was compared with the log; 0 where there was none to believe.
        recount: Its polls, counted again.
        problems: What does not hold, a sentence each with its place; empty: everything does.
    """

    room: str
    code: str
    events: int = 0
    erased: int = 0
    people_erased: int = 0
    head: str = ""
    checkpoint_at: int = 0
    recount: Recount = field(default_factory=Recount)
    problems: list[str] = field(default_factory=list)


@dataclass
class StoreReport:
    """What was found in a store.

    Attributes:
        rooms: Every room, oldest first.
        problems: What does not hold in the file itself.
    """

    rooms: list[RoomReport]
    problems: list[str]

    @property
    def is_sound(self) -> bool:
        """Whether everything holds."""
        return not self.problems and not any(room.problems for room in self.rooms)


def verify(path: str | os.PathLike[str]) -> StoreReport:
    """Check the store at `path`.

    Raises:
        StoreUnwritable: There is no file, or it cannot be read.
        StoreCorrupt: It is no store of wslive, or too damaged to be read.
        StoreTooNew: A newer version of wslive wrote it.
    """
    return look_into(path, _verify)


def look_into(
    path: str | os.PathLike[str], look: Callable[[sqlite3.Connection], FoundT], *, in_one_state: bool = True
) -> FoundT:
    """What `look` finds in a store by SQL, while a server may be using it, changing nothing.

    Args:
        path: The store.
        look: Is given a connection that only reads.
        in_one_state: Whether all that it asks is answered from one state of the store.

    Raises:
        StoreUnwritable · StoreCorrupt · StoreTooNew: As for `verify`.
    """
    store = Path(path).expanduser().resolve()
    if not store.is_file():
        raise StoreUnwritable(f"There is no store {store}. Give the path of the file that `wslive serve` writes.")
    wal = store.with_name(store.name + "-wal")
    try:
        if not wal.exists():
            # At rest. Read as an ordinary file, for else SQLite would leave side files that belong to whoever checks.
            found = _read(store, "mode=ro&immutable=1", look, in_one_state)
            if not wal.exists():
                return found
        # In use, or left by a server that was killed: not even then is the write-ahead log moved into the store.
        return _read(store, "mode=ro", look, in_one_state)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise StoreCorrupt(
                f"{store} is no database. Give the path of the file that `wslive serve` writes; if this is that file, "
                "it is damaged: restore it from a backup."
            ) from None
        raise StoreCorrupt(f"The store {store} cannot be read ({error}). Restore it from a backup.") from None


def events_of(db: sqlite3.Connection, room: str) -> Iterator[Event]:
    """All events of a room, unchecked."""
    return (Event(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM events WHERE room = ? ORDER BY offset", (room,)))


def _read(store: Path, how: str, look: Callable[[sqlite3.Connection], FoundT], in_one_state: bool) -> FoundT:
    with closing(sqlite3.connect(f"{store.as_uri()}?{how}", uri=True, isolation_level=None)) as db:
        if in_one_state:
            db.execute("BEGIN")
        _check_version(db, store)
        return look(db)


def _check_version(db: sqlite3.Connection, store: Path) -> None:
    try:
        (version,) = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    except (sqlite3.OperationalError, TypeError):
        raise StoreCorrupt(f"{store} is a database, but not a store of wslive.") from None
    if version != SCHEMA_VERSION:
        raise StoreTooNew(f"The store {store} has version {version}; this wslive knows {SCHEMA_VERSION}. Update it.")


def _verify(db: sqlite3.Connection) -> StoreReport:
    said = [text for (text,) in db.execute("PRAGMA integrity_check")]
    problems = [] if said == ["ok"] else [f"SQLite finds: {text}" for text in said]
    strays = db.execute("SELECT room, count(*) FROM events WHERE room NOT IN (SELECT room FROM rooms) GROUP BY room")
    problems += [f"{count} events belong to a room {room} that is not there" for room, count in strays]
    rooms = db.execute("SELECT room, code, epoch FROM rooms ORDER BY created_at_ms, room").fetchall()
    return StoreReport([_verify_room(db, *row) for row in rooms], problems)


def _verify_room(db: sqlite3.Connection, room: str, code: str, epoch: str) -> RoomReport:
    report = RoomReport(room, code)
    rows = db.execute(f"SELECT {_COLUMNS} FROM events WHERE room = ? ORDER BY offset", (room,))
    folded: Room | None = Room(epoch, activities())
    bare: dict[int, tuple[str, str]] = {}  # erased bodies that nothing has explained yet: whose, and what they were
    kept = _believed(db, room)
    before, chain = 0, bytes(32)
    refs: dict[tuple[str, str], int] = {}
    for row in rows:
        report.events += 1
        if not all(isinstance(value, type) for value, type in zip(row, _TYPES, strict=True)):
            report.problems.append(f"event {row[0]}: a column has another type than it was given")
            folded = None
            continue
        event = Event(*row)
        found = list(_check_event(event, before, chain, refs))
        found += _count(report.recount, event)
        if event.body == b"":
            report.erased += 1
            bare[event.offset] = (event.actor, event.kind)
        elif event.kind == "person_erased" and (person := _person_of(event)):
            report.people_erased += 1
            # Whose the name of a renaming was went with it.
            bare = {n: it for n, it in bare.items() if it[0] != person and it[1] != "renamed"}
        if folded is not None:
            try:
                apply(folded, event)
            except Exception as error:
                folded = None
                found.append(f"a server could not take up the room here ({error})")
        if folded is not None and kept is not None and kept.head.offset == event.offset:
            found += _check_checkpoint(kept, folded)
            report.checkpoint_at = event.offset
        report.problems += [f"event {event.offset}, {event.kind} by {event.actor}: {text}" for text in found]
        # What comes after a fault is judged by what is stored, so that one fault is told once.
        before, chain = event.offset, event.chain
    for offset, (actor, kind) in bare.items():
        report.problems.append(f"event {offset}, {kind} by {actor}: its body is missing, and nobody erased that person")
    report.head = chain[:8].hex()
    if folded is not None:
        report.problems += _compare(report.recount, folded)
    more = len(report.problems) - _MAX_PROBLEMS
    if more > 0:
        report.problems[_MAX_PROBLEMS:] = [f"and {more} more"]
    return report


def _check_event(event: Event, before: int, chain: bytes, refs: dict[tuple[str, str], int]) -> Iterator[str]:
    if event.offset != before + 1:
        yield f"it follows event {before}; what was between is missing"
    if event.body and hashlib.sha256(event.body).digest() != event.body_hash:
        yield "its body was altered: it does not hash to what was noted"
    fields = (event.offset, event.at_ms, event.actor, event.ref, event.activity, event.kind, event.version)
    if event.offset == before + 1 and (
        hashlib.sha256(chain + msgspec.json.encode(fields) + event.body_hash).digest() != event.chain
    ):
        yield "the chain breaks here: this event or the one before was altered"
    first = refs.setdefault((event.actor, event.ref), event.offset)
    if first != event.offset:
        yield f"its ref is the one of event {first}"


def _believed(db: sqlite3.Connection, room: str) -> Checkpoint | None:
    """The checkpoint that a server of these rules would open a room with."""
    tables = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'checkpoints'")
    if tables.fetchone() is None:  # no server has opened this store of late
        return None
    kept = checkpoint_of(db, room)
    return kept if kept is not None and kept.rules == fingerprint(frozenset(activities().values())) else None


def _check_checkpoint(kept: Checkpoint, folded: Room) -> Iterator[str]:
    try:
        room = unpack(kept.body, kept.head, folded.registry)
    except Exception as error:  # whatever is wrong with it, everything else is to be checked all the same
        yield f"the checkpoint that was kept after it cannot be read, and is of no use ({error})"
        return
    if not is_same(room, folded):
        yield "the checkpoint that was kept after it is not what the events up to it come to; a server would show it"


def _person_of(event: Event) -> str | None:
    try:
        return str(msgspec.json.decode(event.body)["person"])
    except (msgspec.DecodeError, UnicodeError, KeyError, TypeError):
        return None  # told as a body that is none of its kind


def _count(recount: Recount, event: Event) -> Iterator[str]:
    if event.body == b"":
        if event.kind.startswith(("vote_", "sealed")) or event.kind == "activity_opened":
            yield "its body was erased, so it cannot be counted"
        elif event.kind == "joined":
            recount.people[event.actor] = True  # a name was erased, not a person
        return
    try:
        body: dict[str, Any] = msgspec.json.decode(event.body)
        problem = recount.add(event.offset, event.actor, event.activity, event.kind, body)
    except (msgspec.DecodeError, UnicodeError, KeyError, TypeError, AttributeError) as error:
        yield f"its body is none of its kind ({error!r})"
    else:
        if problem is not None:
            yield problem


def _compare(recount: Recount, room: Room) -> Iterator[str]:
    """The recount and what the rules would show."""
    yield from recount.uncounted()
    ruled = room.of_kind("poll")
    for poll in recount.polls.keys() ^ ruled.keys():
        yield f"poll {poll}: known to the {'rules' if poll in ruled else 'recount'} alone"
    for poll in recount.polls.keys() & ruled.keys():
        rounds = ruled[poll].rounds
        for number, answered, counts in recount.tallies(poll):
            shown = rounds[number - 1] if number <= len(rounds) else None
            told = None if shown is None else {option: n for option, n in shown.counts.items() if n}
            if shown is None or (shown.answered, told) != (answered, counts):
                yield (
                    f"poll {poll}, round {number}: the votes give {answered} answers, {counts}; "
                    f"the server would show {shown and shown.answered}, {told}"
                )
