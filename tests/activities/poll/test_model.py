from typing import Any

import pytest

from tests.activities.contract import ActivityContract
from tests.small_room import HOST, LEDGER, VIEWER, SmallRoom, person
from wslive.activities.poll.model import MAX_OPTIONS
from wslive.core.errors import (
    AlreadyVoted,
    BadCommand,
    DuplicateOption,
    EmptyText,
    NoChoice,
    NothingToRetract,
    PollAlreadyOpen,
    PollClosed,
    PollExists,
    PollHasBallots,
    QuestionChanged,
    Refused,
    TextTooLong,
    TooFewOptions,
    TooManyChoices,
    TooManyOptions,
    UnknownOption,
)
from wslive.core.roles import Who

ADA, BOB, EVE = person("p_ada"), person("p_bob"), person("p_eve")
EVERY_RESULTS = ["live", "after_vote", "after_close", "host_only"]


class TestPollContract(ActivityContract):
    kind = "poll"
    openings = [  # noqa: RUF012
        {"question": "Which?", "options": ["a", "b", "c"], "results": results, **more}
        for results in EVERY_RESULTS
        for more in ({}, {"max_choices": 2, "changeable": False}, {"secret": True})
        if not (more.get("secret") and results in ("live", "after_vote"))
    ]
    endings = frozenset({"discard"})


@pytest.fixture
def small() -> SmallRoom:
    """A room with Ada, Bob and Eve."""
    small = SmallRoom()
    for actor in ("p_ada", "p_bob", "p_eve"):
        small.join(actor)
    return small


def tally(small: SmallRoom, poll: int, who: Who = HOST) -> Any:
    return small.seen(who, poll)["tally"]


# ── opening ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_poll_opens_in_round_one_with_every_option_at_nought(small: SmallRoom) -> None:
    poll = small.poll(question=" Which  sort? ", options=["quick", " merge "])
    assert small.seen(ADA, poll) == {
        "kind": "poll",
        "definition": {
            "question": "Which sort?",
            "options": [{"id": "o1", "text": "quick"}, {"id": "o2", "text": "merge"}],
            "max_choices": 1,
            "results": "live",
            "changeable": True,
            "key": None,
            "edited": False,
            "opened_at_ms": small.log[-1].at_ms,
        },
        "status": {"open": True, "round": 1, "left_stage": False, "discarded": False},
        "tally": {"answered": 0, "counts": {"o1": 0, "o2": 0}, "earlier": []},
    }


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"options": ["a"]}, TooFewOptions),
        ({"options": []}, TooFewOptions),
        ({"options": [str(i) for i in range(MAX_OPTIONS + 1)]}, TooManyOptions),
        ({"options": ["a", "b", " a\u200b "]}, DuplicateOption),
        ({"options": ["a", "  "]}, EmptyText),
        ({"options": ["a", "x" * 201]}, TextTooLong),
        ({"question": ""}, EmptyText),
        ({"question": "x" * 501}, TextTooLong),
        ({"key": " "}, EmptyText),
        ({"key": "k" * 121}, TextTooLong),
        ({"max_choices": 0}, BadCommand),
        ({"max_choices": 4}, BadCommand),
        ({"max_choices": 1.5}, BadCommand),
        ({"results": "never"}, BadCommand),
        ({"changeable": "yes"}, BadCommand),
        ({"options": "abc"}, BadCommand),
    ],
)
def test_a_poll_that_makes_no_sense_is_refused(small: SmallRoom, body: dict[str, Any], error: type[Refused]) -> None:
    opening = {"question": "Which?", "options": ["a", "b", "c"], **body}
    assert type(small.refused(HOST, "open_activity", kind="poll", body=opening)) is error


def test_as_many_options_as_are_allowed_are_allowed(small: SmallRoom) -> None:
    poll = small.poll(options=[str(i) for i in range(MAX_OPTIONS)], max_choices=MAX_OPTIONS)
    small.vote(ADA, poll, *(f"o{i}" for i in range(1, MAX_OPTIONS + 1)))
    assert tally(small, poll)["counts"] == {f"o{i}": 1 for i in range(1, MAX_OPTIONS + 1)}


def test_a_key_names_one_poll_until_that_is_discarded(small: SmallRoom) -> None:
    poll = small.poll(key="sorting")
    again = {"question": "Again?", "options": ["a", "b"], "key": " sorting "}
    assert isinstance(small.refused(HOST, "open_activity", kind="poll", body=again), PollExists)
    small.send(HOST, "discard", poll)
    small.poll(key="sorting")


# ── voting ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_vote_replaces_the_first(small: SmallRoom) -> None:
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    small.vote(BOB, poll, "o1")
    small.vote(ADA, poll, "o2")
    assert tally(small, poll) == {"answered": 2, "counts": {"o1": 1, "o2": 1, "o3": 0}, "earlier": []}
    assert small.mine(ADA, poll) == {"round": 1, "options": ["o2"]}


def test_the_same_vote_again_counts_once(small: SmallRoom) -> None:
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    small.vote(ADA, poll, "o1")
    assert tally(small, poll)["counts"]["o1"] == 1


def test_several_choices_are_kept_in_the_polls_order_each_once(small: SmallRoom) -> None:
    poll = small.poll(max_choices=2)
    small.vote(ADA, poll, "o3", "o1", "o3")
    assert small.mine(ADA, poll)["options"] == ["o1", "o3"]
    assert tally(small, poll) == {"answered": 1, "counts": {"o1": 1, "o2": 0, "o3": 1}, "earlier": []}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], NoChoice),
        (["o4"], UnknownOption),
        (["o1", "merge"], UnknownOption),
        (["quick"], UnknownOption),
        ([""], UnknownOption),
        (["o1", "o2", "o3"], TooManyChoices),
    ],
)
def test_a_ballot_that_does_not_fit_is_refused(small: SmallRoom, options: list[str], error: type[Refused]) -> None:
    poll = small.poll(max_choices=2)
    assert type(small.refused(ADA, "cast_vote", poll, round=1, options=options)) is error


def test_a_frame_full_of_choices_is_one_choice_or_none(small: SmallRoom) -> None:
    poll = small.poll()
    small.vote(ADA, poll, *["o2"] * 3000)
    assert tally(small, poll)["answered"] == 1
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o9"] * 3000), UnknownOption)


def test_an_answer_that_does_not_change_is_given_once(small: SmallRoom) -> None:
    poll = small.poll(changeable=False)
    small.vote(ADA, poll, "o1")
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o2"]), AlreadyVoted)
    assert isinstance(small.refused(ADA, "retract_vote", poll, round=1), AlreadyVoted)
    assert small.mine(ADA, poll)["options"] == ["o1"]
    small.send(HOST, "start_round", poll)
    small.vote(ADA, poll, "o2")


def test_a_retracted_vote_is_gone_and_another_can_be_cast(small: SmallRoom) -> None:
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    small.send(ADA, "retract_vote", poll, round=1)
    assert tally(small, poll) == {"answered": 0, "counts": {"o1": 0, "o2": 0, "o3": 0}, "earlier": []}
    assert small.mine(ADA, poll) == {"round": 1, "options": []}
    assert isinstance(small.refused(ADA, "retract_vote", poll, round=1), NothingToRetract)
    small.vote(ADA, poll, "o3")
    assert tally(small, poll)["answered"] == 1


def test_the_host_does_not_vote(small: SmallRoom) -> None:
    poll = small.poll()
    assert small.refused(HOST, "cast_vote", poll, round=1, options=["o1"]).code == "not_allowed"


# ── closing, reopening, rounds ────────────────────────────────────────────────────────────────────────────────────────


def test_a_closed_poll_takes_no_vote_until_it_is_reopened(small: SmallRoom) -> None:
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    small.send(HOST, "close", poll)
    assert isinstance(small.refused(BOB, "cast_vote", poll, round=1, options=["o1"]), PollClosed)
    assert isinstance(small.refused(ADA, "retract_vote", poll, round=1), PollClosed)
    assert isinstance(small.refused(HOST, "close", poll), PollClosed)
    small.send(HOST, "reopen", poll)
    assert isinstance(small.refused(HOST, "reopen", poll), PollAlreadyOpen)
    small.vote(BOB, poll, "o1")
    assert tally(small, poll)["counts"]["o1"] == 2


def test_a_new_round_asks_again_and_keeps_the_answers_of_the_one_before(small: SmallRoom) -> None:
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    small.vote(BOB, poll, "o2")
    small.send(HOST, "start_round", poll)
    small.vote(ADA, poll, "o3")
    assert tally(small, poll) == {
        "answered": 1,
        "counts": {"o1": 0, "o2": 0, "o3": 1},
        "earlier": [{"answered": 2, "counts": {"o1": 1, "o2": 1, "o3": 0}}],
    }
    assert small.mine(ADA, poll) == {"round": 2, "options": ["o3"]}
    assert small.mine(BOB, poll) == {"round": 1, "options": ["o2"]}
    assert set(small.seen(LEDGER, poll)["ballots"]) == {"1/p_ada", "1/p_bob", "2/p_ada"}


@pytest.mark.parametrize("round", [0, 1, 3, -1])
def test_a_vote_for_another_round_is_refused(small: SmallRoom, round: int) -> None:
    poll = small.poll()
    small.send(HOST, "start_round", poll)
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=round, options=["o1"]), QuestionChanged)
    assert isinstance(small.refused(ADA, "retract_vote", poll, round=round), QuestionChanged)


def test_a_new_round_of_a_closed_poll_opens_it(small: SmallRoom) -> None:
    poll = small.poll()
    small.send(HOST, "close", poll)
    small.send(HOST, "start_round", poll)
    small.vote(ADA, poll, "o1")


@pytest.mark.parametrize("again", ["reopen", "start_round"])
def test_a_poll_that_left_the_stage_takes_votes_when_it_is_asked_again(small: SmallRoom, again: str) -> None:
    poll = small.poll()
    small.poll()
    assert small.seen(ADA, poll)["status"]["left_stage"] is True
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o1"]), QuestionChanged)
    small.send(HOST, again, poll)
    assert small.seen(ADA, poll)["status"]["left_stage"] is False
    small.vote(ADA, poll, "o1")


def test_a_poll_closed_by_the_host_does_not_say_that_the_question_changed(small: SmallRoom) -> None:
    poll = small.poll()
    small.send(HOST, "close", poll)
    small.poll()
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o1"]), PollClosed)


# ── editing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def edit(small: SmallRoom, poll: int, *options: str, question: str = "Which one?") -> int:
    return small.send(HOST, "edit", poll, question=question, options=list(options))


def test_an_edit_with_ballots_keeps_ids_and_counts_and_is_marked(small: SmallRoom) -> None:
    poll = small.poll("quik", "merge")
    small.vote(ADA, poll, "o1")
    edit(small, poll, "quick", "merge", question="Which sort?")
    definition = small.seen(ADA, poll)["definition"]
    assert definition["question"] == "Which sort?"
    assert definition["options"] == [{"id": "o1", "text": "quick"}, {"id": "o2", "text": "merge"}]
    assert definition["edited"] is True
    assert tally(small, poll)["counts"] == {"o1": 1, "o2": 0}
    small.vote(BOB, poll, "o1")  # on its way when the typo was mended: it means what it meant


@pytest.mark.parametrize("options", [("a", "b"), ("a", "b", "c", "d")])
def test_an_edit_with_ballots_cannot_change_the_number_of_options(small: SmallRoom, options: tuple[str, ...]) -> None:
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    small.send(HOST, "start_round", poll)  # ballots of an earlier round count as well
    assert isinstance(small.refused(HOST, "edit", poll, question="?", options=list(options)), PollHasBallots)


def test_an_edit_without_ballots_is_a_new_question(small: SmallRoom) -> None:
    poll = small.poll("quick", "merge", max_choices=2)
    edit(small, poll, "heap", "quick", "bubble")
    definition = small.seen(ADA, poll)["definition"]
    assert [option["text"] for option in definition["options"]] == ["heap", "quick", "bubble"]
    assert definition["edited"] is False
    ids = [option["id"] for option in definition["options"]]
    assert tally(small, poll)["counts"] == dict.fromkeys(ids, 0)
    small.vote(ADA, poll, ids[2])
    assert tally(small, poll)["counts"][ids[2]] == 1


def test_an_answer_to_the_wording_before_an_edit_is_not_counted_for_the_new_one(small: SmallRoom) -> None:
    poll = small.poll("yes", "no")
    edit(small, poll, "no", "yes")
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o1"]), QuestionChanged)
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o1", "o9"]), UnknownOption)


def test_ids_are_never_used_again_after_several_edits(small: SmallRoom) -> None:
    poll = small.poll("a", "b")
    seen: set[str] = set()
    for number in range(5):
        ids = {option["id"] for option in small.seen(ADA, poll)["definition"]["options"]}
        assert not ids & seen
        seen |= ids
        edit(small, poll, *(f"{number}{i}" for i in range(2 + number % 3)))


def test_after_the_last_ballot_was_retracted_an_edit_is_a_new_question_again(small: SmallRoom) -> None:
    poll = small.poll("a", "b", "c")
    small.vote(ADA, poll, "o3")
    small.send(ADA, "retract_vote", poll, round=1)
    edit(small, poll, "x", "y")
    assert small.mine(ADA, poll) == {"round": 1, "options": []}
    assert small.seen(LEDGER, poll)["ballots"] == {}
    ids = [option["id"] for option in small.seen(ADA, poll)["definition"]["options"]]
    small.vote(ADA, poll, ids[0])
    assert tally(small, poll) == {"answered": 1, "counts": {ids[0]: 1, ids[1]: 0}, "earlier": []}


def test_an_edit_to_fewer_options_allows_no_more_choices_than_there_are(small: SmallRoom) -> None:
    poll = small.poll("a", "b", "c", max_choices=3)
    edit(small, poll, "x", "y")
    assert small.seen(ADA, poll)["definition"]["max_choices"] == 2


def test_an_edit_that_makes_no_sense_is_refused(small: SmallRoom) -> None:
    poll = small.poll()
    assert isinstance(small.refused(HOST, "edit", poll, question="?", options=["a"]), TooFewOptions)
    assert isinstance(small.refused(HOST, "edit", poll, question=" ", options=["a", "b"]), EmptyText)


# ── discarding ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_discarded_poll_takes_no_command_and_shows_people_no_counts(small: SmallRoom) -> None:
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    small.send(HOST, "discard", poll)
    wishes: list[tuple[Who, str, dict[str, Any]]] = [
        (ADA, "cast_vote", {"round": 1, "options": ["o1"]}),
        (ADA, "retract_vote", {"round": 1}),
        (HOST, "close", {}),
        (HOST, "reopen", {}),
        (HOST, "start_round", {}),
        (HOST, "edit", {"question": "?", "options": ["a", "b"]}),
        (HOST, "discard", {}),
    ]
    for who, kind, body in wishes:
        assert isinstance(small.refused(who, kind, poll, **body), QuestionChanged)
    assert small.seen(BOB, poll)["status"]["discarded"] is True
    assert tally(small, poll, BOB)["counts"] is None


# ── who sees the tally ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("results", "before", "voted", "closed", "next_round"),
    [
        ("live", True, True, True, True),
        ("after_vote", False, True, True, False),
        ("after_close", False, False, True, False),
        ("host_only", False, False, False, False),
    ],
)
def test_counts_are_shown_when_they_are_due(
    small: SmallRoom, results: str, before: bool, voted: bool, closed: bool, next_round: bool
) -> None:
    def sees_counts(who: Who) -> bool:
        return tally(small, poll, who)["counts"] is not None

    poll = small.poll(results=results)
    small.vote(BOB, poll, "o1")
    assert sees_counts(ADA) == sees_counts(VIEWER) == before
    small.vote(ADA, poll, "o2")
    assert sees_counts(ADA) == sees_counts(BOB) == voted
    assert sees_counts(EVE) == sees_counts(VIEWER) == before
    small.send(HOST, "close", poll)
    assert sees_counts(EVE) == sees_counts(VIEWER) == sees_counts(ADA) == closed
    small.send(HOST, "start_round", poll)
    assert sees_counts(ADA) == sees_counts(EVE) == next_round
    assert sees_counts(HOST)
    assert sees_counts(LEDGER)
    assert tally(small, poll, EVE)["answered"] == 0


def test_taking_the_vote_back_takes_the_counts_away(small: SmallRoom) -> None:
    poll = small.poll(results="after_vote")
    small.vote(ADA, poll, "o1")
    small.send(ADA, "retract_vote", poll, round=1)
    assert tally(small, poll, ADA) == {"answered": 0, "counts": None, "earlier": []}


def test_only_the_hosts_kernel_gets_single_ballots(small: SmallRoom) -> None:
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    assert small.seen(LEDGER, poll)["ballots"] == {"1/p_ada": {"options": ["o1"], "at_ms": small.log[-1].at_ms}}
    for who in (HOST, ADA, BOB, VIEWER):
        assert "ballots" not in small.seen(who, poll)


def test_formulas_are_sent_beside_the_texts(small: SmallRoom) -> None:
    poll = small.poll(question="Is it $n^2$?", options=["$n$", "no"])
    definition = small.seen(ADA, poll)["definition"]
    assert definition["question"] == "Is it $n^2$?"
    assert "question_math" in definition
    assert ["math" in option for option in definition["options"]] == [True, False]
