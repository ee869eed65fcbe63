import threading

import pytest

import wslive
from tests.notebook.conftest import follow
from wslive.core.errors import ConnectionEnded, InvalidToken, Muted, UnknownPerson
from wslive.notebook.participant import Participant
from wslive.notebook.people import People, person_id
from wslive.notebook.room import HostRoom
from wslive.wire.messages import Arrivals


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


@pytest.fixture
def me(room: HostRoom) -> Participant:
    ada = wslive.join(room.link, name="Ada")
    follow(room, ada)
    return ada


def test_muting_hides_all_lines_of_a_person(room: HostRoom, me: Participant) -> None:
    me.say("hello")
    room.people.mute("Ada")
    assert list(wslive.join(room.link, name="Bo").chat) == []
    with pytest.raises(Muted):
        me.say("hello?")
    room.people.unmute("Ada")
    me.say("thank you")
    assert [person.muted for person in room.people] == [False, False]


def test_a_person_is_renamed_by_the_host(room: HostRoom, me: Participant) -> None:
    (ada,) = room.people
    room.people.rename(ada, "Ada L.")
    assert [person.name for person in room.people] == ["Ada L."]


def test_a_person_is_sent_out_for_good(room: HostRoom, me: Participant) -> None:
    room.people.remove(me.connection.actor)
    assert len(room.people) == 0
    with pytest.raises((ConnectionEnded, InvalidToken)):
        me.say("hello?")


def test_somebody_who_comes_in_meanwhile_is_found(room: HostRoom) -> None:
    joining = threading.Timer(0.2, lambda: wslive.join(room.link, name="Bo"))
    joining.start()
    room.people.remove("Bo")
    joining.join()
    assert len(room.people) == 0
    with pytest.raises(UnknownPerson, match="Nobody called 'Bo'"):
        room.people.remove("Bo", timeout_s=0.05)


def test_presence_tells_who_is_here(room: HostRoom, me: Participant) -> None:
    both = threading.Event()
    room.people.on_change(lambda people: people.online == 2 and both.set())
    follow(room, wslive.join(room.link, name="Bo"))
    assert both.wait(20)
    assert [person.here for person in room.people] == [True, True]
    frame = room.people.to_frame()
    assert frame["name"].tolist() == ["Ada", "Bo"]
    assert list(frame.columns) == ["participant", "name", "joined_at", "muted", "here"]


def test_nobody_and_several_of_a_name_are_told_apart() -> None:
    names = {"p_1": {"name": "Ada"}, "p_2": {"name": "Ada"}, "p_3": {"name": "Bo"}}
    assert person_id(names, "Bo") == "p_3"
    assert person_id(names, "p_1") == "p_1"
    with pytest.raises(UnknownPerson, match="2 people are called 'Ada'; say whom by id: p_1, p_2"):
        person_id(names, "Ada")
    with pytest.raises(UnknownPerson, match="Nobody called 'Cy'"):
        person_id(names, "Cy")


def test_neither_representation_nor_saved_page_has_a_name(room: HostRoom, me: Participant) -> None:
    assert "Ada" not in repr(room.people)
    assert "Ada" not in room.people.saved_html()
    assert "1 person" in room.people.saved_html()


def test_the_host_is_told_how_many_new_people_came(room: HostRoom, me: Participant) -> None:
    heard = threading.Event()

    @room.people.on_change
    def note(people: People) -> None:
        if people.arrivals.last_minute == 2:
            heard.set()

    wslive.join(room.link, name="Bo")
    assert heard.wait(30)
    assert room.people.arrivals == Arrivals(2, 1, 2)
    assert me.people.arrivals == Arrivals()
