import threading
import time

import pytest

import wslive
from tests.client.rooms import Never
from tests.notebook.conftest import ServerThread
from wslive.client.backoff import Backoff
from wslive.client.connection import Status
from wslive.client.link import Down
from wslive.core.errors import ConnectionEnded, NotConnected, Unconfirmed
from wslive.notebook.calls import look
from wslive.notebook.live import StaleWarning, shown_time


def test_a_tally_read_without_a_connection_warns_with_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = ServerThread()
    monkeypatch.setenv("WSLIVE_SERVER", thread.server.url)
    monkeypatch.setenv("WSLIVE_HOST_TOKEN", thread.server.hosting_token)
    room = wslive.host("Sorting 101")
    poll = room.poll("Which?", ["a", "b"])
    away = threading.Event()
    is_away = lambda: room.connection.status is Status.AWAY and away.set()  # noqa: E731
    room.reactions.add("away", is_away, lambda: room.connection.status)
    thread.stop()
    assert away.wait(20)
    with pytest.warns(StaleWarning, match=r"This is as of \d\d:\d\d:\d\d, \d+ s ago: .+\."):
        assert poll.tally() == {"a": 0, "b": 0}
    with pytest.raises(Unconfirmed, match="stays queued"):
        poll.close(timeout_s=0.05)
    room.close()
    with pytest.raises(ConnectionEnded):
        poll.close()


def test_a_reading_while_away_comes_back_first(server: str) -> None:
    room = wslive.host("Sorting 101")
    poll = room.poll("Which?", ["a", "b"])
    away = threading.Event()
    room.reactions.add(
        "away", lambda: room.connection.status is Status.AWAY and away.set(), lambda: room.connection.status
    )
    link = room.connection._link
    link._backoff = Backoff(Never())
    look(lambda: link.drop(Down(NotConnected("The network is gone."))))
    assert away.wait(20)
    assert poll.tally() == {"a": 0, "b": 0}  # a warning that this is old would be an error
    assert room.connection.status is Status.LIVE


def test_whoever_plays_both_sides_sees_at_once_what_they_have_done_on_the_other(server: str) -> None:
    room = wslive.host("Sorting 101")
    first = room.poll("Which?", ["a", "b"])
    me = wslive.join(room.link, name="Ada")
    assert len(room.people) == 1
    for number in range(8):
        me.vote(number % 2)
        assert list(first.tally().values()) == [(number + 1) % 2, number % 2]
    assert len(first.to_frame()) == 1
    for number in range(8):
        room.poll(f"Question {number}?", [f"yes {number}", f"no {number}"])
        me.vote(f"yes {number}")
        assert me.poll.question == f"Question {number}?"


def test_a_replica_that_cannot_catch_up_is_read_as_it_is(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room = wslive.host("Sorting 101")
    poll = room.poll("Which?", ["a", "b"])
    room._has_reached(room.connection.replica.offset + 1)
    monkeypatch.setattr("wslive.notebook.live.READ_WAIT_S", 0.01)
    assert poll.tally() == {"a": 0, "b": 0}


def test_the_same_part_of_a_room_is_the_same_object(server: str) -> None:
    room = wslive.host("Sorting 101")
    assert room.chat is room.chat
    assert room.people is room.people
    assert room.poll("Which?", ["a", "b"]) is room.polls[0]


def test_a_room_knows_title_link_and_who_is_online(server: str) -> None:
    room = wslive.host("Sorting 101")
    assert room.title == "Sorting 101"
    assert room.link == f"{server}/r/{room.code}"
    assert room.online == 0


def test_a_day_other_than_today_is_named() -> None:
    assert len(shown_time(time.time() * 1000)) == len("10:42")
    assert "Jan" in shown_time(86_400_000)
