"""Waiting for a condition on a view."""

import asyncio

import pytest

from wslive.client.watchers import Watchers, tell
from wslive.core.errors import ConnectionEnded


async def test_whoever_waits_gets_what_the_condition_found():
    watchers = Watchers()
    waiting = asyncio.create_task(watchers.wait(lambda view: view.get("n"), None))
    await asyncio.sleep(0)
    watchers.look({})
    watchers.look({"n": 5})
    watchers.look({"n": 6})
    assert await waiting == 5


async def test_a_time_out_and_a_cancelled_wait_leave_nobody_behind():
    watchers = Watchers()
    looked: list[object] = []
    with pytest.raises(TimeoutError):
        await watchers.wait(lambda view: looked.append(view), 0.01)
    waiting = asyncio.create_task(watchers.wait(lambda view: looked.append(view), None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    watchers.look({})
    assert looked == []


async def test_one_condition_that_fails_does_not_disturb_the_others():
    watchers = Watchers()
    failing = asyncio.create_task(watchers.wait(lambda view: view["none"], None))
    waiting = asyncio.create_task(watchers.wait(lambda view: view["n"], None))
    await asyncio.sleep(0)
    watchers.look({"n": 1})
    with pytest.raises(KeyError):
        await failing
    assert await waiting == 1


async def test_the_end_is_told_to_all():
    watchers = Watchers()
    waiting = [asyncio.create_task(watchers.wait(lambda view: False, None)) for _ in range(3)]
    await asyncio.sleep(0)
    watchers.fail_all(ConnectionEnded("over"))
    for task in waiting:
        with pytest.raises(ConnectionEnded):
            await task


def test_a_mistake_in_what_is_called_is_logged_and_goes_no_further(caplog: pytest.LogCaptureFixture):
    told: list[int] = []
    tell(None, 1)
    tell(told.append, 2)
    tell(told.append, 3, 4)
    assert told == [2]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [TypeError]
