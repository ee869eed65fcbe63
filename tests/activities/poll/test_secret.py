"""Secret polls: votes without names, results at closing, and nothing to look up afterwards."""

import msgspec
import pytest

from tests.small_room import HOST, LEDGER, VIEWER, SmallRoom, person
from wslive.core import room_view
from wslive.core.errors import (
    AlreadyVoted,
    BadCommand,
    NothingToRetract,
    PollAlreadyOpen,
    PollClosed,
    PollHasBallots,
    QuestionChanged,
    SecretPollClosed,
)

ADA, BOB, EVE = person("p_ada"), person("p_bob"), person("p_eve")
EVERYBODY = [ADA, BOB, EVE, VIEWER, HOST, LEDGER]
TURNOUT = {"counts": None, "earlier": []}


@pytest.fixture
def small() -> SmallRoom:
    small = SmallRoom()
    for actor in ("p_ada", "p_bob", "p_eve"):
        small.join(actor)
    return small


@pytest.mark.parametrize("results", ["live", "after_vote"])
def test_results_that_would_tell_vote_after_vote_are_refused(small: SmallRoom, results: str) -> None:
    body = {"question": "?", "options": ["a", "b"], "results": results, "secret": True}
    refusal = small.refused(HOST, "open_activity", kind="poll", body=body)
    assert isinstance(refusal, BadCommand)
    assert "'after_close' or 'host_only'" in refusal.message


def test_without_a_word_results_come_at_closing(small: SmallRoom) -> None:
    assert small.seen(HOST, small.poll(secret=True))["definition"]["results"] == "after_close"
    assert small.seen(HOST, small.poll())["definition"]["results"] == "live"


@pytest.mark.parametrize("results", ["after_close", "host_only"])
def test_while_it_is_open_nobody_sees_more_than_the_turnout(small: SmallRoom, results: str) -> None:
    poll = small.poll(secret=True, results=results)
    small.vote(ADA, poll, "o2")
    small.vote(BOB, poll, "o1")
    for who in EVERYBODY:
        seen = small.seen(who, poll)
        assert seen["tally"] == {"answered": 2, **TURNOUT}
        assert "ballots" not in seen


def test_at_closing_everybody_sees_the_tally_and_nobody_a_ballot(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o2")
    small.vote(BOB, poll, "o1")
    small.send(HOST, "close", poll)
    for who in EVERYBODY:
        assert small.seen(who, poll)["tally"] == {"answered": 2, "counts": {"o1": 1, "o2": 1, "o3": 0}, "earlier": []}
    assert small.seen(LEDGER, poll)["ballots"] == {}


def test_a_result_for_the_host_alone_is_shown_to_the_host_at_closing(small: SmallRoom) -> None:
    poll = small.poll(secret=True, results="host_only")
    small.vote(ADA, poll, "o2")
    small.send(HOST, "close", poll)
    assert small.seen(HOST, poll)["tally"]["counts"] == {"o1": 0, "o2": 1, "o3": 0}
    assert small.seen(ADA, poll)["tally"] == {"answered": 1, **TURNOUT}


def test_one_person_has_one_ballot_and_sees_it_while_the_poll_is_open(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o1")
    small.vote(ADA, poll, "o2")
    assert small.mine(ADA, poll) == {"round": 1, "options": ["o2"]}
    assert small.mine(BOB, poll) is None
    small.send(ADA, "retract_vote", poll, round=1)
    assert small.mine(ADA, poll) == {"round": 1, "options": []}
    assert isinstance(small.refused(ADA, "retract_vote", poll, round=1), NothingToRetract)
    small.vote(ADA, poll, "o3")
    small = small.folded()  # a restart, with the key
    assert small.mine(ADA, poll) == {"round": 1, "options": ["o3"]}
    small.send(HOST, "close", poll)
    assert small.seen(HOST, poll)["tally"]["answered"] == 1


def test_an_answer_that_cannot_be_changed_is_still_one_a_person(small: SmallRoom) -> None:
    poll = small.poll(secret=True, changeable=False)
    small.vote(ADA, poll, "o1")
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o2"]), AlreadyVoted)
    small.vote(BOB, poll, "o1")


def test_after_closing_everybody_is_told_the_same_of_their_own_ballot(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o2")
    at_voting = small.room.head.offset
    small.send(HOST, "close", poll)
    assert small.mine(ADA, poll) == small.mine(EVE, poll) == {"round": 1, "options": []}
    for who in (ADA, EVE):
        ops = room_view.personal_changes(small.room, who, at_voting)
        assert msgspec.to_builtins(ops) == [
            {"op": "set", "path": ("me", "activities", str(poll)), "value": {"round": 1, "options": []}}
        ]


def test_a_late_vote_is_told_what_can_be_known(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.send(HOST, "close", poll)
    refusal = small.refused(ADA, "cast_vote", poll, round=1, options=["o1"])
    assert isinstance(refusal, SecretPollClosed)
    assert isinstance(refusal, PollClosed)
    assert "not counted" not in refusal.message.lower()
    small.send(HOST, "start_round", poll)
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o1"]), SecretPollClosed)
    assert type(small.refused(ADA, "cast_vote", poll, round=3, options=["o1"])) is QuestionChanged


def test_a_late_vote_in_a_discarded_poll_is_not_told_that_it_was_not_stored(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o1")
    small.send(HOST, "discard", poll)
    refusal = small.refused(ADA, "cast_vote", poll, round=1, options=["o1"])
    assert isinstance(refusal, SecretPollClosed)
    assert refusal.message == "The host has taken this question away."
    assert type(small.refused(HOST, "close", poll)) is QuestionChanged


def test_going_on_is_a_new_round(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o2")
    assert isinstance(small.refused(HOST, "reopen", poll), PollAlreadyOpen)
    small.send(HOST, "close", poll)
    small.send(HOST, "reopen", poll)
    assert small.seen(HOST, poll)["status"] == {"open": True, "round": 2, "left_stage": False, "discarded": False}
    before = [{"answered": 1, "counts": {"o1": 0, "o2": 1, "o3": 0}}]
    assert small.seen(HOST, poll)["tally"] == {"answered": 0, "counts": None, "earlier": before}
    assert small.seen(ADA, poll)["tally"] == {"answered": 0, **TURNOUT}
    small.vote(ADA, poll, "o1")
    small.send(HOST, "close", poll)
    assert small.seen(ADA, poll)["tally"] == {
        "answered": 1,
        "counts": {"o1": 1, "o2": 0, "o3": 0},
        "earlier": [{"answered": 1, "counts": {"o1": 0, "o2": 1, "o3": 0}}],
    }


def test_another_question_on_stage_closes_and_counts_it(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o2")
    small.poll("yes", "no")
    seen = small.seen(EVE, poll)
    assert seen["status"] == {"open": False, "round": 1, "left_stage": True, "discarded": False}
    assert seen["tally"]["counts"] == {"o1": 0, "o2": 1, "o3": 0}


def test_the_end_of_the_room_closes_and_counts_it(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o2")
    small.send(HOST, "end_room")
    assert small.seen(HOST, poll)["status"]["open"] is False
    assert small.seen(HOST, poll)["tally"]["counts"] == {"o1": 0, "o2": 1, "o3": 0}
    assert small.mine(ADA, poll) == {"round": 1, "options": []}


def test_somebody_who_is_sent_out_leaves_their_ballot_behind(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o2")
    small.send(HOST, "mute", person="p_ada")
    small.send(HOST, "remove_person", person="p_ada")
    small.send(HOST, "close", poll)
    assert small.seen(HOST, poll)["tally"]["answered"] == 1


def test_a_typo_is_mended_without_looking_at_ballots(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o2")
    refusal = small.refused(HOST, "edit", poll, question="?", options=["a", "b"])
    assert isinstance(refusal, PollHasBallots)
    small.send(HOST, "edit", poll, question="Which?", options=["a", "b", "c"])
    small.send(HOST, "close", poll)
    assert small.seen(HOST, poll)["tally"]["counts"] == {"o1": 0, "o2": 1, "o3": 0}


def test_two_logs_that_differ_in_who_chose_what_come_to_the_same(small: SmallRoom) -> None:
    """All that is in the log after closing, but for contents that nobody can read and the hashes over them."""

    def log(ada: str, bob: str) -> list[object]:
        small = SmallRoom()
        small.join("p_ada")
        small.join("p_bob")
        poll = small.poll(secret=True)
        small.vote(ADA, poll, ada)
        small.vote(BOB, poll, bob)
        small.send(HOST, "close", poll)
        hidden = {"body_hash": b"", "chain": b""}
        return [
            msgspec.structs.replace(event, **hidden, **({"body": b""} if event.kind == "sealed" else {}))
            for event in small.log
        ]

    assert log("o1", "o2") == log("o2", "o1")
