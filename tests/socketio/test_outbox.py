from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from wslive.socketio.outbox import Outbox


class Transport:
    """A way that is clear until something is sent, and again when it is taken."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.in_transit = 0
        self.on_drained: Callable[[], None] = lambda: None

    @property
    def is_clear(self) -> bool:
        return self.in_transit == 0

    async def send(self, packets: Iterable[str]) -> None:
        new = list(packets)
        self.sent += new
        self.in_transit += len(new)

    def take(self) -> None:
        """Everything in transit arrives."""
        self.in_transit = 0
        self.on_drained()

    @property
    def events(self) -> list[Any]:
        return [json.loads(packet[1:])[1] for packet in self.sent]


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def outbox(transport: Transport) -> Outbox:
    """An outbox that holds a thousand characters."""
    way: Any = transport
    return Outbox(way, max_bytes=1000)


async def turn() -> None:
    """Let all that is due happen."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_gathers_before_it_opens_goes_out_then(outbox: Outbox, transport: Transport):
    outbox.event("message", 1)
    await turn()
    assert transport.sent == []
    outbox.open()
    await turn()
    assert transport.events == [1]


async def test_what_gathers_in_one_turn_goes_together_and_in_order(outbox: Outbox, transport: Transport):
    outbox.open()
    outbox.event("message", 1)
    outbox.ack(7, "seven")
    outbox.event("message", 2)
    await turn()
    assert transport.sent == ['2["message",1]', '37["seven"]', '2["message",2]']


async def test_while_the_way_is_not_clear_nothing_is_put_on_top(outbox: Outbox, transport: Transport):
    outbox.open()
    outbox.event("message", 1)
    await turn()
    assert not outbox.is_clear
    outbox.event("message", 2)
    await turn()
    assert transport.events == [1]
    transport.take()
    await turn()
    assert transport.events == [1, 2]


async def test_when_all_is_taken_the_room_may_go_on(outbox: Outbox, transport: Transport):
    drained = []
    outbox.on_drained = lambda: drained.append(transport.events)
    outbox.open()
    outbox.event("message", 1)
    await turn()
    outbox.event("message", 2)
    transport.take()
    assert drained == []  # something still waits
    await turn()
    transport.take()
    assert drained == [[1, 2]]


async def test_it_is_stuck_from_when_something_waits_that_is_not_taken(outbox: Outbox, transport: Transport):
    outbox.open()
    outbox.event("message", 1)
    await turn()
    assert outbox.stuck_since_s is None  # it is on its way
    outbox.event("message", 2)
    first = outbox.stuck_since_s
    assert first is not None
    outbox.event("message", 3)
    assert outbox.stuck_since_s == first
    transport.take()
    await turn()
    transport.take()
    assert outbox.stuck_since_s is None


async def test_too_much_in_waiting_is_told_once_and_the_rest_dropped(outbox: Outbox, transport: Transport):
    full = []
    outbox.on_full = lambda: full.append(True)
    outbox.open()
    outbox.event("message", 0)
    await turn()
    for _ in range(20):
        outbox.event("message", "x" * 100)
    assert full == []  # not in the middle of what somebody is doing
    await turn()
    assert full == [True]
    assert transport.events == [0]


async def test_a_large_answer_is_not_too_much_while_the_way_is_clear(outbox: Outbox, transport: Transport):
    outbox.open()
    outbox.event("message", "x" * 5000)
    await turn()
    assert transport.events == ["x" * 5000]


async def test_at_the_end_what_waits_goes_out_whatever_the_way_and_nothing_after_it(
    outbox: Outbox, transport: Transport
):
    outbox.open()
    outbox.event("message", 1)
    await turn()
    outbox.event("message", 2)
    await outbox.close()
    outbox.event("message", 3)
    await turn()
    assert transport.events == [1, 2]
