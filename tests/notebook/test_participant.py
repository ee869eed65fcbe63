from typing import Any

import pytest

import wslive
from tests.notebook.conftest import follow, forget_all
from wslive.core.errors import (
    AlreadyVoted,
    ConnectionEnded,
    NothingToRetract,
    QuestionChanged,
    RoomHasEnded,
    UnknownActivity,
    UnknownOption,
)
from wslive.notebook.participant import option_ids
from wslive.notebook.room import HostRoom

OPTIONS = ["quick", "merge", "heap"]


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


def test_an_option_is_named_by_text_or_index(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS)
    me = wslive.join(room.link, name="Ada")
    me.vote("merge")
    assert me.answer() == ["merge"]
    me.vote(2)
    assert me.answer() == ["heap"]
    follow(room, me)
    assert poll.tally() == {"quick": 0, "merge": 0, "heap": 1}


@pytest.mark.parametrize("wrong", ["bubble", 3, -1, True, "Merge", None])
def test_an_option_that_is_not_there_is_told_with_those_that_are(wrong: Any) -> None:
    definition = {"options": [{"id": "o1", "text": "quick"}, {"id": "o2", "text": "merge"}]}
    with pytest.raises(UnknownOption, match="'quick', 'merge'"):
        option_ids(definition, wrong)


def test_voting_the_same_again_stores_nothing(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS, changeable=False)
    me = wslive.join(room.link, name="Ada")
    me.vote("merge")
    me.vote("merge")  # the cell runs again: that ballot is counted already
    assert len(poll.to_frame(history=True)) == 1
    with pytest.raises(AlreadyVoted):
        me.vote("heap")
    poll.close()
    follow(me, room)
    me.vote("merge")
    assert poll.tally()["merge"] == 1


def test_an_answer_can_be_taken_back_once(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS)
    me = wslive.join(room.link, name="Ada")
    with pytest.raises(NothingToRetract):
        me.retract()
    me.vote("merge")
    me.retract()
    assert me.answer() == []
    follow(room, me)
    assert sum(poll.tally().values()) == 0


def test_a_question_that_was_pushed_off_the_stage_takes_no_votes(room: HostRoom) -> None:
    room.poll("First?", OPTIONS)
    me = wslive.join(room.link, name="Ada")
    first = me.poll
    room.poll("Second?", ["yes", "no"])
    follow(me, room)
    with pytest.raises(QuestionChanged):
        me.vote("merge", poll=first)
    me.wait_for_question(timeout_s=20)
    me.vote("yes")
    assert [poll.answered for poll in me.polls] == [0, 1]


def test_voting_in_a_room_that_has_ended_is_refused_also_with_the_same_answer(room: HostRoom) -> None:
    room.poll("Which?", OPTIONS)
    me = wslive.join(room.link, name="Ada")
    me.vote("merge")
    room.end()
    follow(me, room)
    with pytest.raises((RoomHasEnded, ConnectionEnded)):
        me.vote("merge")


def test_nothing_asked_yet_is_said_so(room: HostRoom) -> None:
    me = wslive.join(room.link, name="Ada")
    with pytest.raises(UnknownActivity, match="Nothing has been asked"):
        me.vote("merge")
    with pytest.raises(TimeoutError):
        me.wait_for_question(timeout_s=0.05)


def test_people_can_change_their_name(room: HostRoom) -> None:
    me = wslive.join(room.link, name="Ada")
    me.rename("Ada Lovelace")
    assert me.name == "Ada Lovelace"
    follow(room, me)
    assert [person.name for person in room.people] == ["Ada Lovelace"]


def test_without_a_name_one_is_a_guest(room: HostRoom) -> None:
    assert wslive.join(room.link).name == "Guest 1"


def test_the_same_name_is_the_same_person_also_in_a_new_kernel(room: HostRoom) -> None:
    me = wslive.join(room.link, name="Ada")
    assert wslive.join(room.link, name="Ada") is me
    actor = me.connection.actor
    forget_all()
    assert wslive.join(room.link, name="Ada").connection.actor == actor
    assert len(wslive.host("Sorting 101").people) == 1


def test_another_notebook_with_that_name_is_another_person(room: HostRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/one.ipynb")
    first = wslive.join(room.link, name="Ada").connection.actor
    forget_all()
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/two.ipynb")
    assert wslive.join(room.link, name="Ada").connection.actor != first


def test_an_onlooker_sees_the_question_and_has_no_voice(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS)
    viewer = wslive.watch(room.link)
    assert viewer.poll.question == "Which?"
    assert len(room.people) == 0
    with pytest.raises(wslive.errors.NotAllowed):
        viewer.chat.say("hello")
    poll.close()
    follow(viewer, room)
    assert not viewer.poll.is_open


def test_leaving_lets_go(room: HostRoom) -> None:
    with wslive.join(room.link, name="Ada") as me:
        pass
    with pytest.raises(ConnectionEnded):
        me.say("hello")


def test_ones_own_name_is_in_no_representation(room: HostRoom) -> None:
    me = wslive.join(room.link, name="Zacharias")
    assert "Zacharias" not in repr(me)
    assert "Zacharias" not in me.saved_html()
