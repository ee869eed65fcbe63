from __future__ import annotations

import itertools

import pytest

from wslive.core.errors import TooFast
from wslive.server.access import guesses
from wslive.server.access.guesses import ANSWER_STEP_S, Guesses, wait_s
from wslive.server.access.tokens import new_code
from wslive.server.settings import Rate, ServerSettings

HALL, HOTEL = b"hall", b"hotel"


def budget(**settings: Rate) -> Guesses:
    return Guesses(ServerSettings(**settings), 0.0)


def tried(guesses: Guesses, network: bytes | None, until_s: float, per_s: int) -> int:
    """How many different codes are looked up for somebody who tries `per_s` a second from the beginning."""
    looked_up = 0
    for i in range(int(until_s * per_s)):
        try:
            guesses.check(network, i / per_s)
        except TooFast:
            continue
        guesses.wrong(network, f"CODE{i}", i / per_s)
        looked_up += 1
    return looked_up


def test_a_network_tries_twenty_and_then_one_a_second():
    assert tried(budget(), HALL, until_s=600, per_s=50) == 20 + 600 - 1


def test_whoever_is_too_fast_learns_when_to_come_back():
    ours = budget()
    for i in range(20):
        ours.wrong(HALL, f"CODE{i}", 0.0)
    with pytest.raises(TooFast, match=r"Check yours, and try again in 1 seconds\.") as caught:
        ours.check(HALL, 0.0)
    assert caught.value.retry_after_s == 1.0
    ours.check(HALL, 1.0)


def test_another_network_does_not_pay_for_it():
    ours = budget()
    tried(ours, HALL, until_s=10, per_s=50)
    ours.check(HOTEL, 10.0)


def test_the_same_wrong_code_costs_once():
    ours = budget()
    for _ in range(2000):
        ours.check(HALL, 0.0)
        ours.wrong(HALL, "MISPRN", 0.0)
    ours.check(HALL, 0.0)


def test_many_networks_together_try_fifty_a_second():
    ours = budget()
    looked_up = 0
    for i in range(60 * 200):
        network = f"bot {i % 5000}".encode()
        try:
            ours.check(network, i / 200)
        except TooFast:
            continue
        ours.wrong(network, f"CODE{i}", i / 200)
        looked_up += 1
    assert looked_up == pytest.approx(200 + 60 * 50, abs=2)


def test_behind_a_proxy_that_nobody_named_the_server_s_budget_counts_alone():
    ours = budget()
    assert tried(ours, None, until_s=60, per_s=100) == pytest.approx(200 + 60 * 50, abs=2)


def test_networks_are_forgotten_when_their_budget_is_full_again():
    ours = budget()
    ours.wrong(HALL, "CODE1", 0.0)
    tried(ours, HOTEL, until_s=10, per_s=50)
    ours.forget(10.0)
    assert len(ours) == 1
    ours.forget(40.0)
    assert len(ours) == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guesses, "MAX_NETWORKS", 10)
    monkeypatch.setattr(guesses, "MAX_CODES", 10)
    ours = budget()
    for i, code in itertools.product(range(50), range(50)):
        ours.wrong(f"bot {i}".encode(), f"{new_code()}{code}", 0.0)
    assert len(ours) == 10
    assert {len(network.codes) for network in ours._networks.values()} == {10}


@pytest.mark.parametrize("took_s", [0.0, 0.0001, 0.03, 0.0999])
def test_an_answer_comes_after_the_same_time_whatever_it_took(took_s: float):
    assert took_s + wait_s(7.0, 7.0 + took_s) == pytest.approx(ANSWER_STEP_S)


def test_what_took_longer_waits_for_the_next_step():
    assert 0.13 + wait_s(7.0, 7.13) == pytest.approx(2 * ANSWER_STEP_S)
