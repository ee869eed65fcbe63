"""A load test against a real server."""

from __future__ import annotations

import pytest

from tests.crowd.lecture import Lecture
from wslive.crowd.load_test import LoadTest, delays_ms


async def test_each_step_adds_people_and_counts_what_came(lecture: Lecture):
    test = LoadTest(lecture.server.url, lecture.server.hosting_token)
    await test.open()
    done: list[float] = []
    first = await test.step(4, 1.0, done.append)
    second = await test.step(10, 1.0, done.append)
    assert (first.tried, first.here, second.tried, second.here) == (4, 4, 6, 10)
    assert (first.votes, first.acked, second.votes, second.acked) == (1, 1, 2, 2)
    for step in (first, second):
        assert (step.failed, step.lost, step.refused, step.behind) == ({}, {}, {}, 0)
    # Everybody sees every change; two votes may come in one.
    assert len(first.delivery_ms) == 4
    assert 10 <= len(second.delivery_ms) <= 20
    assert min(second.delivery_ms) > 0
    assert all(0 <= share <= 1 for share in done)
    rooms = await lecture.server.context.node.log.rooms()
    [room] = [record.room for record in rooms if record.room != lecture.room]
    events = await lecture.server.context.node.log.read(room)
    opened, *votes = [event for event in events if event.kind in ("poll_opened", "activity_opened", "vote_cast")][-4:]
    # As those of real clients do: what is new lies side by side in the index of refs.
    assert all(int(vote.ref[:8], 16) >= opened.offset for vote in votes)
    assert await test.close()
    # Deleted: nobody hosts it any more.
    assert not await test.close()


async def test_whoever_does_not_get_in_is_counted_by_reason_and_the_rest_is_not_tried(lecture: Lecture):
    test = LoadTest(lecture.server.url, lecture.server.hosting_token)
    await test.open()
    code, test.code = test.code, "AAAAAA"
    step = await test.step(100, 1.0, lambda done: None)
    test.code = code
    assert step.here == step.votes == 0
    assert 20 <= step.tried < 100
    assert list(step.failed.values()) == [step.tried]
    assert await test.close()


def test_a_delivery_is_as_old_as_the_oldest_vote_in_it():
    voted = [(11, 1.0), (12, 2.0), (14, 3.0)]
    deltas = [(5.0, 10, 12), (6.0, 12, 13), (9.0, 11, 14), (9.0, 14, 15)]
    assert delays_ms(voted, deltas) == pytest.approx([4000.0, 7000.0])
