"""How often a trouble is told, on a clock of the test's own."""

from __future__ import annotations

import logging

import pytest

from wslive.core.errors import NotAppended, StoreUnwritable
from wslive.server.rooms.complaints import AGAIN_S, Complaints

FULL = "Nothing was stored: the disk is full."


@pytest.fixture
def complaints(caplog: pytest.LogCaptureFixture) -> Complaints:
    caplog.set_level(logging.WARNING, logger="wslive.room")
    return Complaints("room1")


def test_a_trouble_is_told_at_once_and_the_same_again_at_times(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    for hundredth in range(1500):
        complaints.tell("a batch was not stored", NotAppended(FULL), hundredth / 100)
    first, again = caplog.messages
    assert first == f"room room1: a batch was not stored: {FULL}"
    assert again == f"{first} ({round(AGAIN_S * 100)} more since it was last told)"


def test_another_trouble_is_told_at_once(complaints: Complaints, caplog: pytest.LogCaptureFixture) -> None:
    complaints.tell("a batch was not stored", NotAppended(FULL), 0.0)
    complaints.tell("the log cannot be read", NotAppended(FULL), 0.1)
    complaints.tell("a batch was not stored", StoreUnwritable("The disk is gone."), 0.2)
    complaints.tell("a batch was not stored", NotAppended(FULL), 0.3)
    assert len(caplog.messages) == 4


def test_the_same_after_a_long_time_is_told_again(complaints: Complaints, caplog: pytest.LogCaptureFixture) -> None:
    complaints.tell("a batch was not stored", NotAppended(FULL), 0.0)
    complaints.tell("a batch was not stored", NotAppended(FULL), 3600.0)
    assert caplog.messages[1] == f"{caplog.messages[0]} (1 more since it was last told)"


def test_a_mistake_of_ours_is_told_each_time_with_where_it_was_made(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        complaints.tell("a batch was not stored", ZeroDivisionError("oh"), 0.0)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert all(record.exc_info for record in caplog.records)
