"""Handshakes come in slices, and who has to wait is told when it is their turn."""

from wslive.server.access.turns import LONGEST_WAIT_S, Turns
from wslive.server.settings import Rate


def test_so_many_at_once_and_so_many_a_second():
    turns = Turns(Rate(per_s=10, burst=20))
    assert [turns.take(0.0) for _ in range(20)] == [0] * 20
    assert turns.take(0.0) == 1
    assert [turns.take(1.0) for _ in range(10)] == [0] * 10
    assert turns.take(1.0) > 0


def test_whoever_is_beyond_is_given_a_time_of_their_own():
    turns = Turns(Rate(per_s=10, burst=1))
    told = [turns.take(0.0) for _ in range(31)]
    assert told[0] == 0
    assert told[1:] == sorted(told[1:])
    assert {told.count(second) for second in (1, 2, 3)} <= {9, 10}


def test_a_hall_that_comes_back_as_told_is_in_after_one_wait():
    turns = Turns(Rate(per_s=100, burst=100))
    due = {number: turns.take(0.0) for number in range(500)}
    refused = 0
    for tick in range(0, 700):
        now_s = tick / 100
        # Each comes back within the second after the one they were told.
        for number, told_s in list(due.items()):
            if told_s and now_s >= told_s + (number * 37 % 100) / 100:
                due[number] = 0
                refused += turns.take(now_s) > 0
    assert not any(due.values())
    assert refused < 50


def test_nobody_is_told_to_wait_for_long():
    turns = Turns(Rate(per_s=1, burst=1))
    assert max(turns.take(0.0) for _ in range(1000)) == LONGEST_WAIT_S


def test_a_clock_that_stands_still_or_goes_back_gives_no_turns():
    turns = Turns(Rate(per_s=10, burst=1))
    assert turns.take(5.0) == 0
    assert turns.take(4.0) > 0
