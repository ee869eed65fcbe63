"""The recount agrees with the rules on whatever the rules let through, and names what they never would."""

from __future__ import annotations

import random

import msgspec
import pytest

from tests.recorded import a_lecture
from tests.small_room import HOST, SmallRoom
from wslive.audit.recount import Recount
from wslive.core.errors import Refused


def recounted(small: SmallRoom) -> Recount:
    """A room counted again; nothing in it may be objected to."""
    recount = Recount()
    for e in small.log:
        assert recount.add(e.offset, e.actor, e.activity, e.kind, msgspec.json.decode(e.body)) is None, e
    return recount


def assert_agrees(small: SmallRoom) -> None:
    recount = recounted(small)
    polls = small.room.of_kind("poll")
    assert recount.polls.keys() == polls.keys()
    for poll, state in polls.items():
        shown = [
            (number, round.answered, {o: n for o, n in round.counts.items() if n})
            for number, round in enumerate(state.rounds, 1)
        ]
        assert list(recount.tallies(poll)) == shown
        assert recount.polls[poll].is_open is state.is_open


def test_a_lecture_in_which_everything_happens_counts_alike():
    assert_agrees(a_lecture())


@pytest.mark.parametrize("seed", range(20))
def test_random_rooms_count_alike(seed: int):
    rng = random.Random(seed)
    small = SmallRoom()
    people = [small.join(f"p_{n}") for n in range(5)]
    small.poll()
    for _ in range(150):
        polls = list(small.room.of_kind("poll"))
        poll = rng.choice(polls)
        options = [option.id for option in small.state(poll).options]
        try:
            match rng.randrange(14):
                case 0:
                    fields = {"max_choices": rng.randint(1, 3), "changeable": rng.random() < 0.7}
                    small.poll(keep_open=rng.random() < 0.5, **fields)
                case 1:
                    small.send(HOST, rng.choice(["close", "reopen", "start_round"]), poll)
                case 2:
                    small.send(HOST, "edit", poll, question="Which?", options=["a", "b", "c"][: rng.randint(2, 3)])
                case 3:
                    small.send(HOST, "set_stage", activity=rng.choice([0, *polls]))
                case 4 if rng.random() < 0.2:
                    small.send(HOST, "discard", poll)
                case 5 if rng.random() < 0.1:
                    small.send(HOST, "remove_person", person=rng.choice(people).actor)
                case 6 | 7:
                    small.send(rng.choice(people), "retract_vote", poll, round=small.state(poll).round)
                case _:
                    small.vote(rng.choice(people), poll, *rng.sample(options, rng.randint(1, len(options))))
        except Refused:
            continue
    assert_agrees(small)


def a_poll(**fields: object) -> Recount:
    """A room with Ada in it and a poll, activity 3."""
    small = SmallRoom(chat=False)
    small.join("p_ada")
    small.poll(**fields)
    return recounted(small)


VOTE = {"round": 1, "options": ["o1"]}


def test_votes_that_the_rules_would_refuse_are_objected_to():
    assert a_poll().add(4, "p_eve", 3, "vote_cast", VOTE) == "it is a vote of somebody who was not in the room"
    assert a_poll().add(4, "p_ada", 9, "vote_cast", VOTE) == "it is a vote in no poll"
    assert a_poll().add(4, "p_ada", 3, "vote_retracted", VOTE) == "it takes back a ballot that was not there"
    assert a_poll().add(4, "host", 3, "round_started", {"round": 3}) == "it starts round 3 after round 1"

    closed = a_poll()
    assert closed.add(4, "host", 3, "voting_ended", {}) is None
    assert closed.add(5, "p_ada", 3, "vote_cast", VOTE) == "it is a vote in a poll that was closed"

    fixed = a_poll(changeable=False)
    assert fixed.add(4, "p_ada", 3, "vote_cast", VOTE) is None
    assert fixed.add(5, "p_ada", 3, "vote_cast", VOTE) == "it changes a ballot that could not be changed"

    ended = a_poll()
    assert ended.add(4, "host", 0, "room_ended", {}) is None
    assert ended.add(5, "p_ada", 3, "vote_cast", VOTE) == "it comes after the end of the room"


def test_where_an_activity_of_another_kind_may_have_closed_a_poll_its_votes_are_taken():
    recount = a_poll()
    assert recount.add(4, "host", 0, "activity_opened", {"kind": "quiz", "body": {}, "keep_open": False}) is None
    assert recount.polls[3].is_open is None
    assert recount.add(5, "p_ada", 3, "vote_cast", VOTE) is None
