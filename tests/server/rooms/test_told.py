from __future__ import annotations

import gc
import weakref

import pytest

from wslive.core.errors import PollClosed, Refused, TooFast, refusal
from wslive.server.rooms import told as module
from wslive.server.rooms.told import KEPT_S, ToldAnswers

ADA = ("p_ada", "r1")


def test_the_sender_of_a_refused_command_is_told_the_same_again():
    told = ToldAnswers()
    assert told.get(ADA) is None
    told.tell(ADA, PollClosed("The poll is closed already."), 0.0)
    again = told.get(ADA)
    assert isinstance(again, PollClosed)
    assert (again.code, again.message) == ("poll_closed", "The poll is closed already.")
    assert told.get(("p_bob", "r1")) is None
    assert told.get(("p_ada", "r2")) is None


def test_an_ack_is_told_again_and_the_first_answer_stays():
    told = ToldAnswers()
    told.tell(ADA, 7, 0.0)
    told.tell(ADA, PollClosed(), 1.0)
    assert told.get(ADA) == 7


def test_what_time_may_cure_is_not_final():
    told = ToldAnswers()
    told.tell(ADA, TooFast(retry_after_s=0.5), 0.0)
    assert told.get(ADA) is None
    assert len(told) == 0


def test_they_are_kept_for_longer_than_a_silent_connection_lives_and_no_longer():
    told = ToldAnswers()
    told.tell(ADA, PollClosed(), 0.0)
    told.tell(("p_bob", "r1"), PollClosed(), KEPT_S)
    assert told.get(ADA) is not None
    told.tell(("p_bob", "r2"), PollClosed(), KEPT_S + 1)
    assert told.get(ADA) is None
    assert len(told) == 2


def test_a_flood_drops_the_oldest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_KEPT", 10)
    told = ToldAnswers()
    for number in range(25):
        told.tell(("p_eve", str(number)), PollClosed(), 0.0)
    assert len(told) == 10
    assert told.get(("p_eve", "14")) is None
    assert told.get(("p_eve", "15")) is not None


class State:
    """Whatever a rule looked at when it refused."""


def raised(state: State) -> Refused:
    try:
        raise refusal("poll_closed", "The poll is closed.")
    except Refused as refused:
        return refused


def test_what_the_refusal_was_raised_in_is_not_held_on_to():
    told, state = ToldAnswers(), State()
    told.tell(ADA, raised(state), 0.0)
    gone = weakref.ref(state)
    del state
    gc.collect()
    assert gone() is None
