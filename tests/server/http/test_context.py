from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.http.context import Context
from wslive.server.settings import ServerSettings
from wslive.wire.close_codes import CloseCode


class Visitor:
    """Something that is connected."""

    def __init__(self, opened_at_s: float, *, has_said_hello: bool = False) -> None:
        self.opened_at_s = opened_at_s
        self.is_waiting_for_hello = not has_said_hello
        self.closed_with: CloseCode | None = None

    def close(self, code: CloseCode) -> None:
        self.closed_with = code

    def say_bye(self, spread_s: float) -> None: ...

    def abort(self) -> None: ...


class Clock:
    """The monotonic clock, set by hand."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("wslive.server.http.context.time", clock)
    return clock


@pytest.fixture
async def context(clock: Clock) -> Context:
    return Server(ServerSettings(hello_timeout_s=10.0), MemoryLog()).context


async def test_all_are_gone_when_the_last_one_is(context: Context):
    first: Any = Visitor(1000.0)
    second: Any = Visitor(1000.0)
    assert context.all_gone.is_set()
    context.connected(first)
    context.connected(second)
    context.disconnected(first)
    context.disconnected(first)  # told twice
    assert not context.all_gone.is_set()
    waiting = asyncio.create_task(context.all_gone.wait())
    context.disconnected(second)
    assert await waiting
    context.connected(first)
    assert not context.all_gone.is_set()


async def test_whoever_says_no_hello_in_time_is_closed(context: Context, clock: Clock):
    early: Any = Visitor(1000.0)
    late: Any = Visitor(1005.0)
    known: Any = Visitor(1000.0, has_said_hello=True)
    for visitor in (early, late, known):
        context.connected(visitor)
    clock.now_s = 1010.0
    await context.sweep()
    assert early.closed_with is None
    clock.now_s = 1010.5
    await context.sweep()
    assert (early.closed_with, late.closed_with, known.closed_with) == (CloseCode.HELLO_TIMEOUT, None, None)


async def test_somebody_was_here_last_when_the_last_sweep_saw_them(context: Context, clock: Clock):
    visitor: Any = Visitor(1000.0, has_said_hello=True)
    context.connected(visitor)
    clock.now_s = 1500.0
    await context.sweep()
    assert context.busy_at_s == 1500.0
    context.disconnected(visitor)
    clock.now_s = 2000.0
    await context.sweep()
    assert context.busy_at_s == 1500.0


async def test_one_line_says_how_many_were_turned_away(context: Context, caplog: pytest.LogCaptureFixture):
    context.turned_away = 417
    await context.sweep()
    await context.sweep()
    assert [record.message for record in caplog.records] == ["417 connections were told to come back later"]
