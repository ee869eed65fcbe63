"""Rooms in a bad world, from seeds. A failure says its seed: `WSLIVE_SEEDS=417 pytest tests/simulation` runs it again.

    WSLIVE_SEEDS=0-9999    the long form: these seeds

A seed that failed once goes into seeds.txt, with what was wrong; those are run always.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulation import clock
from tests.simulation.invariants import broken
from tests.simulation.lecture import Lecture
from wslive.client.requests import Requests
from wslive.core.view import Keyed
from wslive.eventlog.memory import MemoryLog
from wslive.server.fanout import Fanout
from wslive.server.room_task import RoomTask

REGRESSIONS = Path(__file__).with_name("seeds.txt")
USUAL = "0-499"


def seeds() -> list[int]:
    """Those that are asked for, and those that failed once."""
    chosen: list[int] = []
    for part in os.environ.get("WSLIVE_SEEDS", USUAL).split(","):
        first, _, last = part.partition("-")
        chosen += range(int(first), int(last or first) + 1)
    known = [int(line.split("#")[0]) for line in REGRESSIONS.read_text().splitlines() if line.split("#")[0].strip()]
    return [*known, *chosen]


def simulate(seed: int, *, secret: bool = False) -> tuple[Lecture, list[str]]:
    """One run, and what does not hold after it."""

    async def main() -> tuple[Lecture, list[str]]:
        lecture = Lecture(seed, secret=secret)
        try:
            await lecture.run()
        except TimeoutError:
            waiting = [f"{r.who} {r.connection.status} at {r.connection.replica.offset}" for r in lecture.readers]
            return lecture, [f"not everybody came to rest: {waiting}", *await broken(lecture)]
        return lecture, await broken(lecture)

    return clock.run(seed, main)


def test_whatever_goes_wrong_nothing_acked_is_lost_and_everybody_sees_what_is_due():
    failed = {}
    for seed in seeds():
        lecture, problems = simulate(seed)
        if problems:
            failed[seed] = [*(problem[:600] for problem in problems[:3]), *lecture.happened]
    assert not failed, f"seeds {[*failed]} fail; the first: {next(iter(failed.values()))}"


def test_the_same_holds_where_votes_are_secret():
    failed, sealed = {}, 0
    for seed in seeds()[::4]:
        lecture, problems = simulate(seed, secret=True)
        sealed += len(lecture.keys.ever)
        if problems:
            failed[seed] = [*(problem[:600] for problem in problems[:3]), *lecture.happened]
    assert not failed, f"seeds {[*failed]} fail; the first: {next(iter(failed.values()))}"
    assert sealed


@pytest.mark.parametrize("seed", [0, 4, 5])
def test_a_seed_is_the_same_run_each_time(seed: int):
    first, second = (simulate(seed)[0] for _ in range(2))
    assert first.happened == second.happened != []
    assert [reader.acks for reader in first.readers] == [reader.acks for reader in second.readers]
    assert [reader.seen for reader in first.readers] == [reader.seen for reader in second.readers]


# What nobody has done, but somebody might one day: each has to be found, or the simulation proves nothing.


def no_ref_is_known(_: Any) -> Callable[..., Any]:
    async def find(self: MemoryLog, room: str, refs: object) -> dict[tuple[str, str], int]:
        return {}

    return find


def acks_do_not_wait_for_the_log(original: Any) -> Callable[..., Any]:
    def decide(self: RoomTask, batch: list[Any], known: dict[tuple[str, str], int]) -> Any:
        events, outcomes = original(self, batch, known)
        for pending, outcome in zip(batch, outcomes, strict=True):
            self._answer(pending, outcome)
        return events, outcomes

    return decide


def a_resume_leaves_nothing_to_do(original: Any) -> Callable[..., Any]:
    def resume(self: Fanout, room: Any, who: Any, known: Any) -> Any:
        mode, ops = original(self, room, who, known)
        return mode, ops and []

    return resume


def a_slow_reader_is_taken_for_up_to_date(original: Any) -> Callable[..., Any]:
    def catch_up(self: Fanout, room: Any, member: Any) -> None:
        member.position = room.head.offset
        original(self, room, member)

    return catch_up


def nothing_is_sent_again(_: Any) -> Callable[..., Any]:
    return lambda self: iter(())


def removals_are_forgotten(original: Any) -> Callable[..., Any]:
    def after(self: Keyed[Any], offset: int) -> Any:
        return ((key, value) for key, value in original(self, offset) if value is not None)

    return after


@pytest.mark.parametrize(
    ("owner", "name", "mutant"),
    [
        (RoomTask, "_decide", acks_do_not_wait_for_the_log),
        (Fanout, "_resume", a_resume_leaves_nothing_to_do),
        (Fanout, "_catch_up", a_slow_reader_is_taken_for_up_to_date),
        (Requests, "unanswered", nothing_is_sent_again),
        (Keyed, "after", removals_are_forgotten),
        (MemoryLog, "find", no_ref_is_known),
    ],
)
def test_a_mistake_in_the_guarantees_is_found_within_a_hundred_seeds(
    owner: type, name: str, mutant: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(owner, name, mutant(getattr(owner, name)))
    assert any(simulate(seed)[1] for seed in range(100))
