from wslive.activities.poll import shown
from wslive.activities.poll.messages import Option, PollOpened, Results
from wslive.activities.poll.state import Ballot, PollState
from wslive.core.activity import Meta


def a_poll(*, secret: bool = False) -> PollState:
    opened = PollOpened("Why $x$?", (Option("o1", "a"), Option("o2", "b")), 1, Results.AFTER_CLOSE, True, None, secret)
    state = PollState.of(opened, Meta(4, 99, "host"))
    state.current.put("p_1", Ballot(("o2",), 7), 5)
    return state


def test_formulas_are_told_where_there_are_any() -> None:
    definition = shown.definition(a_poll())
    assert "question_math" in definition
    assert definition["options"] == [{"id": "o1", "text": "a"}, {"id": "o2", "text": "b"}]


def test_a_poll_says_that_it_is_secret_and_others_nothing() -> None:
    assert "secret" not in shown.definition(a_poll())
    assert shown.definition(a_poll(secret=True))["secret"] is True


def test_the_turnout_is_a_number_and_nothing_more() -> None:
    assert shown.tally(a_poll(), "turnout") == {"answered": 1, "counts": None, "earlier": []}
    assert shown.tally(a_poll(), "sealed") == {"answered": 1, "counts": None, "earlier": []}
    assert shown.tally(a_poll(), "results") == {"answered": 1, "counts": {"o1": 0, "o2": 1}, "earlier": []}


def test_answers_that_cannot_be_read_are_told_to_be_lost() -> None:
    poll = a_poll(secret=True)
    assert "lost" not in shown.status(poll)
    poll.current.unread.add("s_1")
    assert shown.status(poll)["lost"] is True
    poll.current.settle(0, {"o1": 0, "o2": 0}, 1)
    assert shown.status(poll)["lost"] is True


def test_a_ballot_is_its_options_and_its_time() -> None:
    assert shown.ballot(Ballot(("o1", "o2"), 7)) == {"options": ["o1", "o2"], "at_ms": 7}
