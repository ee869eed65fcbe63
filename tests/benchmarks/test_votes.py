import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.report import Setup
from benchmarks.votes import audit, measure, staleness_ms

COUNTS = {"o1": 1, "o2": 1, "o3": 0, "o4": 0, "o5": 0}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two people's votes; the first is the one from before the clock starts, and the same person's second counts."""
    path = tmp_path / "votes.db"
    rows = [("r0", 10, "ada", "o3"), ("r1", 11, "ada", "o1"), ("r2", 12, "bob", "o2")]
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE events (room, activity, kind, ref, offset, actor, body)")
        db.executemany(
            "INSERT INTO events VALUES ('room', 3, 'vote_cast', ?, ?, ?, ?)",
            [(ref, offset, actor, f'{{"round":1,"options":["{option}"]}}') for ref, offset, actor, option in rows],
        )
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="the load is made of epoll")
def test_in_a_run_every_vote_is_acked_and_the_log_agrees():
    setup = Setup(Console(quiet=True), repeats=1, seconds=0.5, server_core=None, load_core=None)
    run = measure(setup, people=20, rate_per_s=200)
    assert run.problems == []
    figures = run.figures
    assert figures["frames"] > 20
    assert 0 < figures["acked/s"] < 250
    assert figures["us/vote"] > 0
    assert figures["ack p50 ms"] <= figures["ack p99 ms"]
    assert figures["stale p99 ms"] <= figures["stale max ms"]


def test_a_frame_is_as_stale_as_the_oldest_vote_that_it_brings():
    offsets, due_ns = np.array([11, 12, 14]), np.array([1e6, 2e6, 3e6])
    deltas = np.array([(5e6, 10, 12), (6e6, 12, 13), (9e6, 11, 14), (9e6, 14, 15)], dtype="i8")
    assert staleness_ms(deltas, offsets, due_ns).tolist() == [4.0, 7.0]


def test_a_log_that_holds_what_was_acked_and_shown_is_sound(store: Path):
    assert audit(store, "room", 3, [("r1", 11), ("r2", 12)], [COUNTS, COUNTS]) == []


@pytest.mark.parametrize(
    "acks",
    [
        pytest.param([("r1", 11)], id="a vote that nobody was told of"),
        pytest.param([("r1", 11), ("r2", 12), ("r3", 13)], id="an ack without a vote"),
        pytest.param([("r1", 11), ("r2", 13)], id="another offset"),
        pytest.param([("r1", 11), ("r2", 12), ("r2", 12)], id="two acks of one vote"),
    ],
)
def test_acks_that_are_not_what_the_log_holds_are_told(store: Path, acks: list[tuple[str, int]]):
    (problem,) = audit(store, "room", 3, acks, [COUNTS])
    assert f"{len(acks)} acks" in problem


def test_a_view_that_does_not_show_the_tally_of_the_log_is_told(store: Path):
    (problem,) = audit(store, "room", 3, [("r1", 11), ("r2", 12)], [COUNTS, {**COUNTS, "o1": 2}])
    assert problem.startswith("1 of 2 views")
