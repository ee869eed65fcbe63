"""Opening: how long the first person waits for a room with a million votes after the server has started.

The store is filled through a server, once, with a thousand votes of each of a thousand people, and kept in build/bench/
until the code of the log, the rooms or the server changes. It is opened three times: as a server left it that was
stopped, as one left it that was killed (with the checkpoint before, up to half of the log behind), and without any
checkpoint, as after an update of wslive.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec

from benchmarks import servers
from benchmarks.load import Load, Sent, frame
from benchmarks.machine import BUILD, REPOSITORY, rss_bytes
from benchmarks.people import Hall, connect, new_ref
from benchmarks.report import Row, Run, Setup, repeat, spread
from benchmarks.votes import OPTIONS, TEXTS, Views
from wslive.wire.messages import SUBPROTOCOL

VOTES = 1_000_000
_PEOPLE = 1000
_AT_ONCE = 50_000
_RATE_PER_S = 20_000.0


def opened(setup: Setup) -> list[Row]:
    """The first and the second person after a start."""
    store = _filled(setup)
    repeated = repeat(setup, {"wslive": lambda: _open_each_way(setup, store)})
    row = repeated.row(
        "opening",
        f"opening a room of {VOTES:,} votes from SQLite, s",
        "first s",
        aim="≤ 5 s (0.5 s)",
        note=f"the second person: {spread(repeated.figures('wslive', 'second s'))} s; after a kill: "
        f"{spread(repeated.figures('wslive', 'killed s'))} s; without a checkpoint: "
        f"{spread(repeated.figures('wslive', 'whole s'))} s; server "
        f"{spread(repeated.figures('wslive', 'MB'))} MB afterwards; the file has {store.stat().st_size / 1e6:,.0f} MB",
    )
    row.is_reached = repeated.median("wslive", "first s") <= 5
    return [row]


def _open_each_way(setup: Setup, store: Path) -> Run:
    stopped = _open(setup, store)
    with closing(sqlite3.connect(store)) as db, db:
        values = msgspec.msgpack.decode(_checkpoint_before(store).read_bytes())
        db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    killed = _open(setup, store)
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("DELETE FROM checkpoints")
    whole = _open(setup, store)  # and keeps a checkpoint again
    return Run(stopped.figures | {"killed s": killed.figures["first s"], "whole s": whole.figures["first s"]})


def _checkpoint_before(store: Path) -> Path:
    """Where the last checkpoint before the server was stopped is."""
    return store.with_suffix(".checkpoint")


def _open(setup: Setup, store: Path) -> Run:
    code = store.with_suffix(".code").read_text()
    with servers.wslive(setup.server_core, store=store) as server:
        waited_s = []
        for number in range(2):
            began_s = time.perf_counter()
            connected, came = connect(server.url, "/ws", SUBPROTOCOL)
            hello = {"type": "hello", "room": code, "ref": new_ref(), "name": f"Late {number}"}
            connected.sendall(frame(json.dumps(hello).encode()))
            load = Load([(connected, came)])
            load.until(lambda load=load: any(b'"welcome"' in p for p in load.payloads), "a welcome", 120)  # type: ignore[misc]
            waited_s.append((int(load.records["at_ns"][0]) / 1e9) - began_s)
            load.close()
        return Run({"first s": waited_s[0], "second s": waited_s[1], "MB": rss_bytes(server.pid) / 1e6})


def _filled(setup: Setup) -> Path:
    """The store; it is made where there is none for this code."""
    digest = hashlib.sha256()
    for part in ("core", "eventlog", "activities", "server"):
        for path in sorted((REPOSITORY / "wslive" / part).rglob("*.py")):
            digest.update(path.read_bytes())
    store = BUILD / f"million-{digest.hexdigest()[:12]}.db"
    if store.with_suffix(".code").exists():
        return store
    for old in BUILD.glob("million-*"):
        old.unlink()
    setup.console.print(f"  filling a store with {VOTES:,} votes, once")
    BUILD.mkdir(parents=True, exist_ok=True)
    with servers.wslive(setup.server_core, store=store) as server:
        hall = Hall(server, _PEOPLE)
        poll = hall.open_poll(TEXTS)
        for first in range(0, VOTES, _AT_ONCE):
            hall.load.restart()
            votes = range(first, first + _AT_ONCE)
            hall.load.run(
                Sent(
                    [1 + number % _PEOPLE for number in votes],
                    [
                        b'{"type":"command","ref":"%s","activity":%d,"kind":"cast_vote",'
                        b'"body":{"round":1,"options":["%s"]}}'
                        % (new_ref().encode(), poll, OPTIONS[(number * 7 // _PEOPLE + number) % 5].encode())
                        for number in votes
                    ],
                    _RATE_PER_S,
                )
            )
            views = Views(hall.load)
            hall.load.until(lambda views=views: views.have_all(_AT_ONCE), "every vote is acked", 120)  # type: ignore[misc]
            assert not views.refused, views.refused[0]
        code = hall.code
        hall.close()
        with closing(sqlite3.connect(store)) as db:
            (values,) = db.execute("SELECT * FROM checkpoints").fetchall()
        _checkpoint_before(store).write_bytes(msgspec.msgpack.encode(values))
    store.with_suffix(".code").write_text(code)
    return store
