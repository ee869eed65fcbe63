from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.server.faulty_log import FaultyLog
from wslive.core.errors import NotAppended
from wslive.eventlog.memory import MemoryLog
from wslive.server.http import ready
from wslive.server.http.ready import Readiness


async def test_the_store_is_asked_once_however_many_ask():
    log: Any = FaultyLog(MemoryLog())
    readiness = Readiness(log)
    assert await asyncio.gather(*(readiness.trouble() for _ in range(20))) == [None] * 20
    assert log.calls["probe"] == 1


async def test_an_answer_is_good_for_a_while_and_no_longer(monkeypatch: pytest.MonkeyPatch):
    log: Any = FaultyLog(MemoryLog())
    readiness = Readiness(log)
    log.fail("probe", NotAppended("Nothing was stored: the disk is full"))
    assert await readiness.trouble() == "Nothing was stored: the disk is full"
    assert await readiness.trouble() == "Nothing was stored: the disk is full"
    monkeypatch.setattr(ready, "KEPT_S", 0.0)
    assert await readiness.trouble() is None
    assert log.calls["probe"] == 2


async def test_a_store_that_hangs_is_not_waited_for_and_not_asked_again_meanwhile(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ready, "TIMEOUT_S", 0.01)
    monkeypatch.setattr(ready, "KEPT_S", 0.0)
    log: Any = FaultyLog(MemoryLog())
    readiness = Readiness(log)
    with log.held("probe"):
        for _ in range(3):
            assert await readiness.trouble() == "The store has not answered for 0.01 seconds."
        assert log.calls["probe"] == 1
    monkeypatch.setattr(ready, "TIMEOUT_S", 10.0)
    assert await readiness.trouble() is None


async def test_a_server_that_stops_is_not_ready():
    readiness = Readiness(MemoryLog())
    readiness.is_stopping = True
    assert await readiness.trouble() == "The server is stopping."
