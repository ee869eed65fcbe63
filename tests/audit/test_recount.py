"""The recount agrees with the rules on whatever the rules let through, and names what they never would."""

from __future__ import annotations

import random

import msgspec
import pytest

from tests.recorded import a_lecture, a_secret_lecture
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


def test_secret_polls_count_alike_once_they_are_over():
    small = a_secret_lecture()
    assert_agrees(small)
    assert list(recounted(small).uncounted()) == []


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
                    fields["secret"] = rng.random() < 0.4
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
    for poll, state in small.room.of_kind("poll").items():
        if state.secret and state.is_open:  # only then is there something to compare
            small.send(HOST, "close", poll)
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


SEALED = {"box": "1", "content": "AAAA"}
COUNT = {"round": 1, "answered": 1, "counts": {"o1": 1}, "unread": 0}


def test_what_a_secret_poll_never_has_is_objected_to():
    secret = a_poll(secret=True)
    assert secret.add(4, "p_ada", 3, "vote_cast", VOTE) == "it is a vote under a name in a secret poll"
    assert secret.add(4, "p_ada", 3, "sealed", SEALED) == "it is a secret vote under a name"
    assert a_poll().add(4, "s_1", 3, "sealed", SEALED) == "it is sealed, and the poll is not secret"
    assert a_poll().add(4, "s_1", 9, "sealed", SEALED) == "it is a vote in no poll"
    assert a_poll(secret=True).add(4, "s_1", 3, "sealed", {**SEALED, "box": "2"}) == "it is in box 2, and 1 was open"
    too_early = "it counts a box that was not to be counted"
    assert a_poll(secret=True).add(4, "server", 3, "ballots_counted", COUNT) == too_early

    closed = a_poll(secret=True)
    assert closed.add(4, "host", 3, "voting_ended", {}) is None
    assert list(closed.uncounted()) == ["poll 3, round 1: it is over, and its box was never counted"]
    assert closed.add(5, "s_1", 3, "sealed", SEALED) == "it is a vote in a poll that was closed"


@pytest.mark.parametrize(
    ("count", "objection"),
    [
        ({**COUNT, "answered": 2, "counts": {"o1": 2}}, "it counts 2 answers, and 1 people gave any"),
        ({**COUNT, "unread": 1}, "it counts 1 answers, and 1 people gave any"),
        ({**COUNT, "counts": {"o1": 1, "o2": 1}}, "it counts 2 votes of 1 people, who have up to 1 each"),
        ({**COUNT, "counts": {"o1": 0}}, "it counts 0 votes of 1 people, who have up to 1 each"),
        (COUNT, None),
    ],
)
def test_a_count_that_so_many_people_cannot_have_made_is_objected_to(count: dict[str, object], objection: str | None):
    recount = a_poll(secret=True)
    assert recount.add(4, "s_1", 3, "sealed", SEALED) is None
    assert recount.add(5, "host", 3, "voting_ended", {}) is None
    assert recount.add(6, "server", 3, "ballots_counted", count) == objection


def test_where_an_activity_of_another_kind_may_have_closed_a_poll_its_votes_are_taken():
    recount = a_poll()
    assert recount.add(4, "host", 0, "activity_opened", {"kind": "quiz", "body": {}, "keep_open": False}) is None
    assert recount.polls[3].is_open is None
    assert recount.add(5, "p_ada", 3, "vote_cast", VOTE) is None
