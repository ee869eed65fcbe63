import stat
from pathlib import Path

import pytest

import wslive
from tests.notebook.conftest import follow, forget_all
from wslive.core.errors import BadCommand, ConnectionEnded, NotAllowed, RoomUnavailable
from wslive.notebook import keys
from wslive.notebook.invitations import Invitation, Invitations
from wslive.notebook.room import HostRoom

LINK = "https://live.example.org/r/K7M2QX"
MADE = [Invitation("1-ABCDEFGHJK", False), Invitation("2-BCDEFGHJKM", True)]


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


def test_each_lets_one_person_into_a_locked_room_once(room: HostRoom) -> None:
    first, second = room.invitations(2)
    room.lock()
    with pytest.raises((RoomUnavailable, ConnectionEnded)):
        wslive.join(room.link, name="Eve")
    ada = wslive.join(first, name="Ada")
    follow(room, ada)
    assert [(person.name, person.level) for person in room.people] == [("Ada", 2)]
    # Somebody else, elsewhere, with the same sheet of paper.
    forget_all()
    keys.forget_token(room.at.name, room.code, "Ada")
    with pytest.raises((NotAllowed, ConnectionEnded), match="has been used already"):
        wslive.join(first, name="Ada")
    wslive.join(second, name="Bo")
    again = wslive.host("Sorting 101").invitations(3)
    assert list(again)[:2] == [first, second]
    assert (again.used, len(again)) == (2, 3)


def test_who_came_by_one_comes_back_without_it(room: HostRoom) -> None:
    (link,) = room.invitations(1)
    before = wslive.join(link, name="Ada").connection.actor
    forget_all()
    assert wslive.join(link, name="Ada").connection.actor == before
    assert wslive.join(room.link, name="Ada").connection.actor == before


def test_there_is_one_at_least_and_not_more_than_people(room: HostRoom) -> None:
    with pytest.raises(ValueError, match="One invitation at least"):
        room.invitations(0)
    with pytest.raises(BadCommand, match="at most 2500 people"):
        room.invitations(2501)


def test_a_cell_shows_how_many_there_are_and_no_link() -> None:
    made = Invitations("Sorting 101", LINK, MADE)
    assert repr(made) == "<Invitations: 2 for 'Sorting 101', 1 used, links ••••>"
    assert not hasattr(made, "_repr_html_")
    assert made[0] == f"{LINK}#1-ABCDEFGHJK"
    assert made.to_frame().to_dict("list") == {"number": [1, 2], "link": made.links, "used": [False, True]}


def test_the_page_to_print_has_a_card_for_each_that_is_left_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = Invitations("<b>Sorting</b>", LINK, MADE).save(tmp_path / "cards.html")
    page = path.read_text()
    assert page.count("<section>") == page.count("<svg") == 1
    assert "1-ABCDEFGHJK" in page
    assert "2-BCDEFGHJKM" not in page
    assert "&lt;b&gt;Sorting" in page
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_links_to_this_computer_are_not_printed(room: HostRoom, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match="Only this computer can join"):
        room.invitations(3).save(tmp_path / "cards.html")
