import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.votes import audit, measure

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


def test_a_run_counts_as_many_acks_as_votes_and_the_log_agrees():
    run = measure(people=20, rate_per_s=200, seconds=0.5)
    assert run.problems == []
    assert run.votes == 100
    assert run.frames > 20
    assert run.server_us_per_vote > 0
    assert run.ack_p50_ms <= run.ack_p99_ms
    assert run.stale_p99_ms <= run.stale_max_ms


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
