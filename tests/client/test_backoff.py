"""When a client comes back."""

import random

from tests.client.rooms import Soon
from wslive.client.backoff import Backoff


def test_the_first_try_comes_within_a_second_and_later_ones_within_at_most_thirty():
    rng = Soon()
    backoff = Backoff(rng)
    for _ in range(2000):
        backoff.delay_s()
    assert rng.ranges[:8] == [(0, 1), (0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (0, 30), (0, 30)]
    assert set(rng.ranges[8:]) == {(0, 30)}


def test_a_server_that_says_when_is_believed_however_often_and_that_is_no_failed_try():
    rng = Soon()
    backoff = Backoff(rng)
    for _ in range(3):
        backoff.delay_s(spread_s=20)
    backoff.delay_s()
    assert rng.ranges == [(0, 20), (0, 20), (0, 20), (0, 1)]


def test_a_welcome_starts_the_count_anew():
    rng = Soon()
    backoff = Backoff(rng)
    for _ in range(5):
        backoff.delay_s()
    backoff.succeeded()
    backoff.delay_s()
    assert rng.ranges[-2:] == [(0, 8), (0, 1)]


def test_the_delays_follow_the_seed():
    first, second = (Backoff(random.Random(7)) for _ in range(2))
    assert [first.delay_s() for _ in range(5)] == [second.delay_s() for _ in range(5)]
