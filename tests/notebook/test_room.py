import json
from pathlib import Path

import pytest

import wslive
from tests.notebook.conftest import follow, forget_all
from wslive.core.errors import DuplicateOption, NotAllowed, PollHasBallots, TooFewOptions
from wslive.notebook.participant import Participant
from wslive.notebook.room import HostRoom

OPTIONS = ["quick", "merge", "heap"]


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


@pytest.fixture
def me(room: HostRoom) -> Participant:
    return wslive.join(room.link, name="Ada")


def test_the_same_question_is_the_same_poll_with_its_ballots(room: HostRoom, me: Participant) -> None:
    poll = room.poll("Which sort is stable?", OPTIONS)
    follow(me, room)
    me.vote("merge")
    follow(room, me)
    again = room.poll("Which  sort is stable? ", OPTIONS)  # spaces are no difference to people either
    assert again is poll
    assert again.tally() == {"quick": 0, "merge": 1, "heap": 0}
    assert room.polls == [poll]


def test_another_option_or_setting_makes_another_poll(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS)
    assert room.poll("Which?", [*OPTIONS, "bubble"]).id != poll.id
    assert room.poll("Which?", OPTIONS, results="after_close").id != poll.id
    assert room.poll("Which?", OPTIONS, multiple=True).id != poll.id
    assert len(room.polls) == 4


def test_a_key_finds_its_poll_and_edits_it_in_place_while_nobody_has_answered(room: HostRoom) -> None:
    poll = room.poll("Which sort is stabel?", OPTIONS, key="q1")
    again = room.poll("Which sort is stable?", [*OPTIONS, "bubble"], key="q1")
    assert again is poll
    assert (poll.question, poll.options) == ("Which sort is stable?", [*OPTIONS, "bubble"])
    assert len(room.polls) == 1


def test_a_key_with_another_text_is_refused_once_there_are_ballots(room: HostRoom, me: Participant) -> None:
    room.poll("Which sort is stabel?", OPTIONS, key="q1")
    follow(me, room)
    me.vote(0)
    follow(room, me)
    with pytest.raises(
        PollHasBallots, match=r"poll\.edit\(\).*poll\.new_round\(\).*poll\.discard\(\).*choose another key"
    ):
        room.poll("Which sort is stable?", OPTIONS, key="q1")
    assert room.poll("Which sort is stabel?", OPTIONS, key="q1") is room.polls[0]


def test_a_key_with_other_settings_asks_anew_while_nobody_has_answered(room: HostRoom) -> None:
    room.poll("Which?", OPTIONS, key="q1")
    again = room.poll("Which?", OPTIONS, key="q1", results="host_only")
    assert again.results == "host_only"
    assert room.polls == [again]


def test_ballots_of_an_earlier_round_count_as_ballots(room: HostRoom, me: Participant) -> None:
    poll = room.poll("Which?", OPTIONS, key="q1")
    follow(me, room)
    me.vote(0)
    follow(room, me)
    poll.new_round()
    with pytest.raises(PollHasBallots):
        room.poll("Which one?", OPTIONS, key="q1")


def test_bad_texts_are_told_without_frames_of_another_thread(room: HostRoom) -> None:
    with pytest.raises(TooFewOptions) as caught:
        room.poll("Which?", ["only"])
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    files = {frame.path.name for frame in caught.traceback}
    assert files <= {"test_room.py", "calls.py"}
    with pytest.raises(DuplicateOption):
        room.poll("Which?", ["a", "a"])


def test_the_poll_on_stage_is_the_one_opened_last_or_shown(room: HostRoom) -> None:
    assert room.stage is None
    first = room.poll("First?", OPTIONS)
    second = room.poll("Second?", OPTIONS, keep_open=True)
    assert room.stage is second
    assert first.is_open
    first.show()
    assert room.stage is first
    third = room.poll("Third?", OPTIONS)
    assert room.stage is third
    assert not first.is_open, "the one before is closed, unless it is kept open"


def test_locking_lets_nobody_new_in(room: HostRoom) -> None:
    room.lock()
    with pytest.raises(wslive.errors.RoomUnavailable):
        wslive.join(room.link, name="Bo")
    room.unlock()
    assert wslive.join(room.link, name="Bo").name == "Bo"


def test_saving_writes_everything_that_happened(room: HostRoom, me: Participant, tmp_path: Path) -> None:
    room.poll("Which?", OPTIONS)
    follow(me, room)
    me.vote("heap")
    lines = [json.loads(line) for line in room.save(tmp_path / "room.jsonl").read_text().splitlines()]
    assert lines[0] == {"room": room.code, "title": "Sorting 101", "events": len(lines) - 1}
    assert [line["offset"] for line in lines[1:]] == list(range(1, len(lines)))
    assert lines[-1]["kind"] == "vote_cast"


def test_ending_ends_it_for_everybody_and_can_be_said_twice(room: HostRoom, me: Participant) -> None:
    room.end()
    room.end()
    with pytest.raises((wslive.errors.RoomHasEnded, wslive.errors.ConnectionEnded)):
        me.say("hello?")


def test_closing_lets_go_and_ends_nothing(room: HostRoom, me: Participant) -> None:
    with room:
        room.poll("Which?", OPTIONS)
    follow(me, room)
    me.vote("heap")
    again = wslive.host("Sorting 101")
    assert again is not room
    assert again.polls[0].tally()["heap"] == 1


def test_erasing_a_person_takes_their_texts_away_and_keeps_their_ballots(room: HostRoom, me: Participant) -> None:
    poll = room.poll("Which?", OPTIONS)
    follow(me, room)
    me.vote("heap")
    me.say("my telephone is 0123")
    room.erase(me.name)
    assert [person.name for person in room.people] == ["Erased"]
    assert "0123" not in str(room.connection.replica.view)
    assert poll.tally()["heap"] == 1
    with pytest.raises(wslive.errors.UnknownPerson):
        room.erase("Nobody")


def test_erasing_works_for_somebody_who_was_sent_out(room: HostRoom, me: Participant, tmp_path: Path) -> None:
    (person,) = room.people
    room.people.remove(person)
    assert person.name in room.save(tmp_path / "before.jsonl").read_text("utf-8")
    room.erase(person.id)
    assert person.name not in room.save(tmp_path / "after.jsonl").read_text("utf-8")


def test_deleting_removes_the_room_from_the_server(room: HostRoom) -> None:
    link = room.link
    room.delete()
    assert wslive.rooms() == []
    with pytest.raises(wslive.errors.RoomUnavailable):
        wslive.join(link, name="Bo")


def test_the_host_key_is_in_no_representation(room: HostRoom) -> None:
    assert room._host_key not in repr(room)
    assert "••••" in repr(room)
    assert room._host_key not in str(room._repr_mimebundle_())


def test_a_rehearsal_is_synthetic_and_keeps_away_from_people(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS)
    room.rehearse(5, seconds=2)
    assert {person.name.endswith("(synthetic)") for person in room.people} == {True}
    assert sum(poll.tally().values()) > 0
    wslive.join(room.link, name="Ada")
    with pytest.raises(NotAllowed, match="1 person is in this room"):
        room.rehearse(5, seconds=2)


def test_letting_nobody_but_this_computer_in_gives_no_link_for_others(room: HostRoom) -> None:
    assert room.links == []
    with pytest.raises(wslive.errors.BadCommand, match="this_computer"):
        room.let_in("everywhere")


def test_a_room_is_found_again_by_a_new_kernel(room: HostRoom, me: Participant) -> None:
    room.poll("Which?", OPTIONS)
    follow(me, room)
    me.vote("heap")
    forget_all()
    again = wslive.host("Sorting 101")
    assert again.code == room.code
    assert again.resumed.endswith("1 person, 1 poll")
    assert again.poll("Which?", OPTIONS).tally()["heap"] == 1
