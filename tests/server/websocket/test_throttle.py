from __future__ import annotations

from wslive.server.settings import Rate
from wslive.server.websocket.throttle import MESSAGE_COST_BYTES, Throttle


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now_s


def test_within_the_burst_nobody_waits_and_nobody_looks_at_the_clock():
    clock = Clock()
    throttle = Throttle(Rate(per_s=100, burst=1000), clock.now_s)
    assert [throttle.pause_s(100, 0, clock) for _ in range(10)] == [0.0] * 10
    assert clock.looks == 0


def test_beyond_it_a_pause_is_as_long_as_it_takes_to_make_up_for_it():
    clock = Clock()
    throttle = Throttle(Rate(per_s=100, burst=1000), clock.now_s)
    assert throttle.pause_s(1200, 0, clock) == 2.0
    clock.now_s += 2.0
    assert throttle.pause_s(50, 0, clock) == 0.5


def test_a_steady_rate_below_it_is_never_paused():
    clock = Clock()
    throttle = Throttle(Rate(per_s=100, burst=1000), clock.now_s)
    for _ in range(1000):
        clock.now_s += 1.0
        assert throttle.pause_s(99, 0, clock) == 0.0


def test_small_messages_cost_more_than_their_bytes():
    clock = Clock()
    throttle = Throttle(Rate(per_s=MESSAGE_COST_BYTES, burst=MESSAGE_COST_BYTES), clock.now_s)
    assert throttle.pause_s(0, 1, clock) == 0.0
    assert throttle.pause_s(0, 3, clock) == 3.0
