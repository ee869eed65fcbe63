"""When commands gather, on a clock of the test's own."""

from __future__ import annotations

import pytest

from wslive.server.rooms.pace import AT_ONCE, GATHER_S, MUCH_PER_S, SPAN_S, Pace


def test_the_first_commands_wait_for_nothing():
    pace = Pace()
    for _ in range(AT_ONCE):
        assert pace.rest_s(100.0) == 0
        pace.took(1, 100.0)
    assert pace.rest_s(100.0) == pytest.approx(SPAN_S)


def test_what_comes_in_the_rest_of_a_span_waits_for_its_end():
    pace = Pace()
    pace.took(200, 100.0)
    assert pace.rest_s(100.0 + SPAN_S / 4) == pytest.approx(SPAN_S * 3 / 4)
    assert pace.rest_s(100.0 + SPAN_S) == pytest.approx(0, abs=1e-9)
    assert pace.rest_s(200.0) == 0


def test_a_batch_begins_the_next_span():
    pace = Pace()
    pace.took(200, 100.0)
    pace.took(200, 101.0)
    assert pace.rest_s(101.0) == pytest.approx(SPAN_S)
    pace.took(1, 102.0)
    assert pace.rest_s(102.0) == 0


def test_a_commit_that_takes_longer_than_a_span_is_followed_at_once():
    pace = Pace()
    pace.took(200, 100.0)
    assert pace.rest_s(100.0 + 3 * SPAN_S) == 0


def paced(per_s: float) -> Pace:
    """One that has taken so many commands a second for a while, up to 101.0."""
    pace = Pace()
    for number in range(101):
        pace.took(round(per_s / 100), 100 + number / 100)
    return pace


def test_where_much_comes_commands_gather_for_longer():
    assert paced(2 * MUCH_PER_S).rest_s(101.0, tick_due_s=200.0) == pytest.approx(GATHER_S)
    assert paced(2 * MUCH_PER_S).rest_s(101.01, tick_due_s=200.0) == pytest.approx(GATHER_S - 0.01)


@pytest.mark.parametrize("due_s", [0.3 * GATHER_S, GATHER_S, 1.3 * GATHER_S])
def test_and_the_last_batch_before_a_tick_is_taken_right_before_it(due_s: float):
    due_s += SPAN_S
    assert paced(2 * MUCH_PER_S).rest_s(101.0, tick_due_s=101.0 + due_s) == pytest.approx(due_s - SPAN_S)


@pytest.mark.parametrize("due_s", [float("-inf"), -1.0, 0.0, SPAN_S])
def test_what_comes_too_late_for_a_tick_is_for_the_next(due_s: float):
    assert paced(2 * MUCH_PER_S).rest_s(101.0, tick_due_s=101.0 + due_s) == pytest.approx(GATHER_S)


def test_answers_are_held_for_the_tick_where_much_comes():
    assert paced(2 * MUCH_PER_S).holds(101.0, tick_due_s=101.04)
    assert not paced(2 * MUCH_PER_S).holds(101.04, tick_due_s=101.04)
    assert not paced(MUCH_PER_S / 2).holds(101.0, tick_due_s=101.04)
    assert not Pace().holds(101.0, tick_due_s=101.04)


def test_where_less_comes_nobody_waits_for_the_tick():
    assert paced(MUCH_PER_S / 2).rest_s(101.0, tick_due_s=101.04) == pytest.approx(SPAN_S)


def test_what_is_refused_is_not_much():
    pace = Pace()
    for number in range(101):
        pace.took(1000, 100 + number / 100, refused=990)
    assert pace.rest_s(101.0, tick_due_s=101.04) == pytest.approx(SPAN_S)


def test_one_large_batch_among_others_is_not_much():
    pace = paced(MUCH_PER_S / 2)
    pace.took(300, 101.01)
    assert pace.rest_s(101.01, tick_due_s=101.04) == pytest.approx(SPAN_S)


def test_nor_is_a_full_queue_after_a_pause():
    pace = paced(MUCH_PER_S / 2)
    pace.took(1000, 102.0)
    assert pace.rest_s(102.0, tick_due_s=102.04) == pytest.approx(SPAN_S)
