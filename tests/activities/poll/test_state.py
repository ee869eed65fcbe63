import random

import pytest

from wslive.activities.poll.messages import Option, PollOpened, Results
from wslive.activities.poll.state import Ballot, PollState, Round
from wslive.core.activity import Meta

OPTIONS = (Option("o1", "a"), Option("o2", "b"), Option("o3", "c"))


@pytest.fixture
def round() -> Round:
    return Round.of(OPTIONS)


def test_a_ballot_counts_for_each_of_its_options_and_once_as_an_answer(round: Round) -> None:
    round.put("p_1", Ballot(("o1", "o3"), 5), 1)
    assert (round.answered, round.counts) == (1, {"o1": 1, "o2": 0, "o3": 1})


def test_taking_away_what_is_not_there_changes_no_count(round: Round) -> None:
    round.put("p_1", None, 1)
    assert (round.answered, round.counts) == (0, {"o1": 0, "o2": 0, "o3": 0})
    assert round.ballots.offset_of("p_1") == 1  # but readers behind hear of it


def test_counts_that_are_kept_are_counts_that_are_counted(round: Round) -> None:
    chance = random.Random(20261123)
    for offset in range(1, 2000):
        actor = f"p_{chance.randrange(50)}"
        chosen = tuple(sorted(chance.sample(["o1", "o2", "o3"], chance.randrange(1, 4))))
        round.put(actor, Ballot(chosen, 0) if chance.random() < 0.8 else None, offset)
    ballots = [ballot for _, ballot in round.ballots.items()]
    assert round.answered == len(ballots) > 0
    assert round.counts == {id: sum(id in ballot.options for ballot in ballots) for id in ("o1", "o2", "o3")}


def test_a_poll_knows_every_id_that_an_option_ever_had() -> None:
    state = PollState.of(PollOpened("?", OPTIONS[:2], 1, Results.LIVE, True), Meta(3, 0, "host"))
    state.word("?", OPTIONS[2:])
    assert state.options == OPTIONS[2:]
    assert state.option_ids == {"o1", "o2", "o3"}
    assert (state.round, state.current) == (1, state.rounds[0])


def test_a_settled_round_keeps_what_it_came_to_and_no_ballot(round: Round) -> None:
    round.put("s_1", Ballot(("o1",), 5), 1)
    round.unread.add("s_2")
    round.settle(1, {"o1": 1, "o2": 0, "o3": 0}, 1)
    assert (round.answered, round.counts, round.lost) == (1, {"o1": 1, "o2": 0, "o3": 0}, 1)
    assert (list(round.ballots.items()), list(round.ballots.after(0)), round.unread) == ([], [], set())
