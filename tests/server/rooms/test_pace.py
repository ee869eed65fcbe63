"""When commands gather, on a clock of the test's own."""

from __future__ import annotations

import pytest

from wslive.server.rooms.pace import AT_ONCE, SPAN_S, Pace


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
