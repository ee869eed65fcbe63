"""What a batch of commands comes to, without a log."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from wslive.activities import activities
from wslive.activities.poll.model import Poll
from wslive.core.commands import Command
from wslive.core.errors import PollClosed, Refused, TooFast
from wslive.core.roles import HOST_ACTOR, Role, Who
from wslive.core.room import ROOM, Room
from wslive.server.rooms.batch import Broken, Outcome, Pending, decide, filed
from wslive.server.rooms.told import ToldAnswers

HOST = Who(HOST_ACTOR, Role.HOST)
ADA = Who("p_ada", Role.PARTICIPANT)
BOB = Who("p_bob", Role.PARTICIPANT)


def pending(who: Who, ref: str, wish: str, activity: int = ROOM, /, objection: Refused | None = None, **body: Any):
    command = Command(ref, activity, wish, msgspec.Raw(msgspec.json.encode(body)))
    return Pending((who.actor, ref), who, command, print, objection)


@pytest.fixture
def room() -> Room:
    """With an open poll, offset 4, and two people."""
    made = Room("e1", activities())
    decide(made, [pending(HOST, "h1", "open_room", title="Sorting")], {}, ToldAnswers())
    decide(made, [pending(ADA, "h2", "join"), pending(BOB, "h3", "join")], {}, ToldAnswers())
    poll = {"question": "Which?", "options": ["quick", "merge"]}
    decide(made, [pending(HOST, "h4", "open_activity", kind="poll", body=poll)], {}, ToldAnswers())
    return made


def vote(who: Who, ref: str, option: str = "o1", objection: Refused | None = None) -> Pending:
    return pending(who, ref, "cast_vote", 4, objection=objection, round=1, options=[option])


def plain(outcomes: list[Outcome]) -> list[object]:
    return [type(outcome) if isinstance(outcome, Refused) else outcome for outcome in outcomes]


def test_each_is_judged_by_what_those_before_have_done(room: Room):
    close = pending(HOST, "h5", "close", 4)
    events, outcomes, erased = decide(room, [vote(ADA, "r1"), close, vote(BOB, "r2")], {}, ToldAnswers())
    assert plain(outcomes) == [5, 6, PollClosed]
    assert [event.offset for event in events] == [5, 6]
    assert room.head.offset == 6
    assert erased == []


def test_what_the_log_has_gets_its_offset_and_a_retry_in_the_batch_joins_the_first(room: Room):
    batch = [vote(ADA, "old"), vote(ADA, "r1"), vote(ADA, "r1"), vote(BOB, "r1")]
    events, outcomes, _ = decide(room, batch, {("p_ada", "old"): 3}, ToldAnswers())
    assert outcomes == [3, 5, 5, 6]
    assert [(event.actor, event.ref) for event in events] == [("p_ada", "r1"), ("p_bob", "r1")]


def test_an_objection_refuses_only_what_the_log_does_not_have(room: Room):
    too_fast = TooFast(retry_after_s=1.0)
    batch = [vote(ADA, "old", objection=too_fast), vote(ADA, "new", objection=too_fast)]
    events, outcomes, _ = decide(room, batch, {("p_ada", "old"): 3}, ToldAnswers())
    assert plain(outcomes) == [3, TooFast]
    assert events == []


def test_what_was_told_of_late_is_told_again(room: Room):
    told = ToldAnswers()
    told.tell(("p_ada", "r1"), PollClosed(), 0.0)
    told.tell(("p_ada", "r2"), 3, 0.0)
    _, outcomes, _ = decide(room, [vote(ADA, "r1"), vote(ADA, "r2")], {}, told)
    assert plain(outcomes) == [PollClosed, 3]


def test_a_copy_of_what_is_refused_in_the_batch_is_refused_like_it(room: Room):
    batch = [pending(HOST, "h5", "close", 4), vote(ADA, "r1"), pending(HOST, "h6", "reopen", 4), vote(ADA, "r1")]
    _, outcomes, _ = decide(room, batch, {}, ToldAnswers())
    assert plain(outcomes) == [5, PollClosed, 6, PollClosed]


def test_where_the_rules_fail_the_place_is_told(room: Room, monkeypatch: pytest.MonkeyPatch):
    def fails(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Poll, "apply", fails)
    with pytest.raises(Broken) as broken:
        decide(room, [pending(ADA, "r0", "rename", name="Ada"), vote(ADA, "r1")], {}, ToldAnswers())
    assert broken.value.args == (1,)


def test_while_no_box_is_open_everything_is_filed_as_it_came(room: Room):
    assert filed(room, [vote(ADA, "r1")]) == {}
