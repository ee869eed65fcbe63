"""Stores on disk with a room in which everything has happened, and somebody who tampers with them."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from tests.small_room import EPOCH, SmallRoom
from wslive.activities.fingerprint import fingerprint
from wslive.core.checkpoint import pack, pack_activity
from wslive.core.events import CHAIN_START, Event, Head, chain_hash
from wslive.core.room import Room
from wslive.eventlog.base import Checkpoint, RoomRecord
from wslive.eventlog.sqlite import SqliteLog

ROOM, CODE = "room-1", "AAAAAA"


async def stored(small: SmallRoom, path: Path) -> Path:
    """A store with this room in it."""
    log = await SqliteLog.open(path)
    await log.create(RoomRecord(ROOM, CODE, EPOCH, b"hash of a key", 1))
    await log.append(ROOM, Head(EPOCH), small.log)
    await log.close()
    return path


async def keep(store: Path, room: Room) -> None:
    """Keep a checkpoint that says that this is what the room in the store has come to."""
    log = await SqliteLog.open(store)
    rules = fingerprint(frozenset(room.registry.values()))
    assert rules is not None
    packed = pack(room, [pack_activity(room, activity) for activity in room.activities])
    await log.keep(ROOM, Checkpoint(room.head, rules, packed))
    await log.close()


def alter(store: Path, sql: str, *values: object) -> None:
    """Change a store behind its back."""
    with closing(sqlite3.connect(store)) as db, db:
        assert db.execute(sql, values).rowcount > 0


def forge(store: Path, offset: int, body: object) -> None:
    """Give an event another body, and write hashes and chain anew from there on: only what it says can be wrong."""
    with closing(sqlite3.connect(store)) as db, db:
        columns = ", ".join(Event.__struct_fields__)
        chain = CHAIN_START
        for row in db.execute(f"SELECT {columns} FROM events ORDER BY offset").fetchall():
            event = Event(*row)
            content = msgspec.json.encode(body) if event.offset == offset else event.body
            body_hash = hashlib.sha256(content).digest()
            fields = (event.at_ms, event.actor, event.ref, event.activity, event.kind, event.version)
            chain = chain_hash(chain, event.offset, *fields, body_hash)
            db.execute(
                "UPDATE events SET body = ?, body_hash = ?, chain = ? WHERE offset = ?",
                (content, body_hash, chain, event.offset),
            )


def forget_indexes(store: Path) -> None:
    """Make the table of events anew, without what keeps offsets and refs apart."""
    with closing(sqlite3.connect(store)) as db:
        db.executescript(
            "CREATE TABLE loose AS SELECT * FROM events; DROP TABLE events; ALTER TABLE loose RENAME TO events;"
        )
