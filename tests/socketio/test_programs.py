from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.small_room import HOST, VIEWER, SmallRoom, person
from tests.socketio.seat import Seat
from wslive.core.activity import HISTORY_ENTRIES
from wslive.core.errors import BadCommand, PollClosed, UnknownCommand, UnknownOption
from wslive.core.events import Position
from wslive.core.room import NAMES_SHOWN_UP_TO, ROOM
from wslive.socketio.programs import Author, Do, Hole, Name, color, parse_position

CHAT = 2


@pytest.fixture
def small() -> SmallRoom:
    """A room with a chat, and Ada in it."""
    small = SmallRoom()
    small.join("p_ada", "Ada")
    return small


ADA = person("p_ada")


def say(small: SmallRoom, text: str, who: Any = ADA) -> int:
    return small.send(who, "say", CHAT, text=text)


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_line_is_told_to_both_chats(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    say(small, "Hello")
    assert seat.tick() == [
        ("message", "ad said Hello"),
        ("get-message", {"message": "Hello", "name": "Ada"}),
    ]


def test_a_line_of_a_socketio_client_shows_that_clients_id(small: SmallRoom) -> None:
    authors: dict[int, Author] = {}
    seat = Seat(small, VIEWER, authors=authors)
    authors[say(small, "Hello")] = Author("Xy12345", "another")
    assert seat.tick()[0] == ("message", "Xy said Hello")


def test_who_said_a_line_is_not_sent_it_as_the_others_are(small: SmallRoom) -> None:
    authors: dict[int, Author] = {}
    seat = Seat(small, ADA, lineage="mine", authors=authors)
    authors[say(small, "Hello")] = Author("Xy12345", "mine")
    assert seat.tick() == [("message", "Xy said Hello")]


def test_what_was_said_before_a_client_came_is_not_told(small: SmallRoom) -> None:
    say(small, "before")
    seat = Seat(small, VIEWER)
    assert seat.of("message") == []
    say(small, "after")
    seat.tick()
    assert seat.of("message") == ["ad said after"]


def test_a_line_that_is_hidden_shown_or_renamed_is_not_told_again(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    line = say(small, "Hello")
    seat.tick()
    small.send(HOST, "hide_line", CHAT, line=line, hidden=True)
    assert seat.tick() == []
    small.send(HOST, "hide_line", CHAT, line=line, hidden=False)
    assert seat.tick() == []
    small.send(HOST, "mute", ROOM, person="p_ada")
    small.send(HOST, "mute", ROOM, person="p_ada", muted=False)
    assert seat.tick() == []
    assert seat.catch_up() == []


def test_a_line_hidden_before_it_was_told_is_never_told(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    line = say(small, "Hello")
    small.send(HOST, "hide_line", CHAT, line=line, hidden=True)
    assert seat.tick() == []


def test_lines_to_the_host_alone_are_told_to_nobody(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    small.send(HOST, "set_chat", CHAT, mode="to_host", paused=False)
    say(small, "in confidence")
    say(small, "from the host", HOST)
    seat.tick()
    small.send(HOST, "set_chat", CHAT, mode="on", paused=False)
    seat.tick()
    assert seat.of("message") == ["ho said from the host"]


@given(st.lists(st.sampled_from(["say", "tick", "catch up", "hide", "become"]), max_size=40))
def test_every_line_is_told_once_and_in_order_however_it_travels(steps: list[str]) -> None:
    small = SmallRoom()
    small.join("p_ada", "Ada")
    small.join("p_bob", "Bob")
    seat = Seat(small, VIEWER)
    said: list[str] = []
    hidden: set[str] = set()
    waiting: list[tuple[int, str]] = []
    for step in steps:
        match step:
            case "say":
                text = f"line {len(said)}"
                waiting.append((say(small, text), text))
                said.append(text)
            case "hide" if waiting:
                line, text = waiting.pop()
                small.send(HOST, "hide_line", CHAT, line=line, hidden=True)
                hidden.add(text)
            case "tick":
                seat.tick()
                waiting.clear()
            case "catch up":
                seat.catch_up()
                waiting.clear()
            case "become":
                seat.come_in(person("p_bob"))
                waiting.clear()
    seat.tick()
    assert seat.of("message") == [f"ad said {text}" for text in said if text not in hidden]


# ── coming back ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_client_that_comes_back_is_told_what_was_said_since_its_position(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    say(small, "one")
    seat.tick()
    position = parse_position(seat.positions[-1])
    assert position == small.room.head.position
    say(small, "two")
    say(small, "three")
    back = Seat(small, VIEWER, told_to=position.offset)
    assert back.programs.recovered
    assert back.of("message") == ["ad said two", "ad said three"]
    assert parse_position(back.positions[-1]) == small.room.head.position


def test_a_client_that_begins_has_nothing_to_recover(small: SmallRoom) -> None:
    assert not Seat(small, VIEWER).programs.recovered


def test_more_lines_than_a_view_has_are_not_told_in_part(small: SmallRoom) -> None:
    before = small.room.head.offset
    for number in range(HISTORY_ENTRIES + 1):
        say(small, f"line {number}")
    back = Seat(small, VIEWER, told_to=before)
    assert not back.programs.recovered
    assert back.of("message") == []
    say(small, "and on")
    assert back.tick()[0] == ("message", "ad said and on")


def test_a_client_so_slow_that_lines_would_be_missing_has_to_begin_anew(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    for number in range(HISTORY_ENTRIES + 1):
        say(small, f"line {number}")
    with pytest.raises(Hole):
        seat.catch_up()


def test_what_changes_for_all_is_followed_by_a_position_and_tallies_need_none(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    poll = small.poll("yes", "no")
    seat.tick()
    small.vote(ADA, poll, "o1")
    seat.tick()
    assert len(seat.positions) == 1  # the welcome's
    say(small, "Hello")
    seat.tick()
    assert len(seat.positions) == 2


@pytest.mark.parametrize(
    "text", [None, 7, "", "Ada said hi", "e1.x.00", "e1.1", "e1.²." + "0" * 16, "a.b.c.d", "e1.-1.0"]
)
def test_what_is_no_position_is_none(text: object) -> None:
    assert parse_position(text) is None


def test_a_position_survives_its_journey() -> None:
    assert parse_position("e1.12.00ff") == Position("e1", 12, "00ff")


# ── people ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_comes_in_is_told_once_and_before_their_lines(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    say(small, "zero")
    bob = small.join("p_bob", "Bob")
    say(small, "one", bob)
    assert [event for event in seat.tick() if event[0] != "message"] == [
        ("get-message", {"message": "zero", "name": "Ada"}),
        ("user-connected", "Bob"),
        ("get-message", {"message": "one", "name": "Bob"}),
    ]
    assert seat.see("p_ada", "p_bob") == [("user-connected", "Ada")]  # she was there before, and nobody saw her
    assert seat.see("p_ada", "p_bob") == []


def test_whoever_was_there_before_is_not_told(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER, here=["p_ada"])
    assert seat.told == [("update", {})]
    assert seat.see("p_ada") == []


def test_leaving_and_coming_back_is_told(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER, here=["p_ada"])
    assert seat.see() == [("user-disconnected", "Ada")]
    assert seat.see("p_ada") == [("user-connected", "Ada")]


def test_nobody_is_told_of_their_own_coming(small: SmallRoom) -> None:
    seat = Seat(small, person("p_bob"))
    small.join("p_bob", "Bob")
    seat.tick()
    seat.come_in(person("p_bob"), here=["p_bob"])
    seat.see("p_bob")
    seat.see()
    assert seat.of("user-connected", "user-disconnected") == []


def test_another_name_is_a_leaving_and_a_coming(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER, here=["p_ada"])
    small.send(ADA, "rename", ROOM, name="Ada L.")
    assert seat.tick() == [("user-disconnected", "Ada"), ("user-connected", "Ada L.")]


def test_a_new_name_of_somebody_away_is_told_when_they_come_back(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    small.send(HOST, "rename", ROOM, person="p_ada", name="Ada L.")
    assert seat.tick() == []
    assert seat.see("p_ada") == [("user-connected", "Ada L.")]


def test_whoever_is_sent_out_has_left(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER, here=["p_ada"])
    small.send(HOST, "remove_person", ROOM, person="p_ada")
    assert seat.tick() == [("user-disconnected", "Ada")]
    assert seat.see() == []


def test_in_a_large_room_comings_and_goings_are_not_told(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER, here=["p_ada"])
    for number in range(NAMES_SHOWN_UP_TO):
        small.join(f"p_{number}")
    assert seat.tick() == []
    assert seat.see("p_ada") == []
    small.send(HOST, "remove_person", ROOM, person="p_0")
    assert seat.tick() == []  # names are told again, and nobody has come for that
    assert seat.see("p_ada", "p_1") == []
    assert seat.see("p_1") == [("user-disconnected", "Ada")]


# ── the vote ──────────────────────────────────────────────────────────────────────────────────────────────────────


def candidate(votes: int | None, label: str, option: str) -> dict[str, Any]:
    return {"votes": votes, "label": label, "color": color(option)}


def test_the_tally_of_the_poll_on_stage_is_told_at_once_and_when_it_changes(small: SmallRoom) -> None:
    poll = small.poll("yes", "no")
    seat = Seat(small, VIEWER)
    assert seat.told == [("update", {"0": candidate(0, "yes", "o1"), "1": candidate(0, "no", "o2")})]
    small.vote(ADA, poll, "o2")
    assert seat.tick() == [("update", {"0": candidate(0, "yes", "o1"), "1": candidate(1, "no", "o2")})]
    small.vote(ADA, poll, "o2")
    assert seat.tick() == []  # nothing has changed


def test_without_a_poll_there_are_no_candidates(small: SmallRoom) -> None:
    seat = Seat(small, VIEWER)
    assert seat.told == [("update", {})]
    poll = small.poll("yes", "no")
    seat.tick()
    small.send(HOST, "discard", poll)
    assert seat.tick() == [("update", {})]


def test_votes_that_are_not_shown_are_nothing_and_not_nought(small: SmallRoom) -> None:
    poll = small.poll("yes", "no", results="after_vote")
    seat = Seat(small, ADA)
    hidden = {"0": candidate(None, "yes", "o1"), "1": candidate(None, "no", "o2")}
    assert seat.told == [("update", hidden)]
    small.vote(ADA, poll, "o1")
    assert seat.tick() == [("update", {"0": candidate(1, "yes", "o1"), "1": candidate(0, "no", "o2")})]


def test_a_vote_is_for_what_the_client_was_shown(small: SmallRoom) -> None:
    poll = small.poll("yes", "no")
    seat = Seat(small, ADA)
    assert seat.programs.wish("vote", 1) == Do(poll, "cast_vote", {"round": 1, "options": ["o2"]})
    another = small.poll("tea", "coffee")
    assert seat.programs.wish("vote", 1) == Do(poll, "cast_vote", {"round": 1, "options": ["o2"]})
    seat.tick()
    small.send(HOST, "start_round", another)
    seat.tick()
    assert seat.programs.wish("vote", "0") == Do(another, "cast_vote", {"round": 2, "options": ["o1"]})


def test_the_colour_of_an_option_is_always_the_same_and_neighbours_differ() -> None:
    colors = [color(f"o{number}") for number in range(1, 51)]
    assert len(set(colors)) == 50
    assert color("o1") == colors[0] == "rgb(209, 71, 86)"
    assert color("anything") == color("anything") != color("anything else")


# ── wishes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("event", ["message", "send-message"])
def test_both_chats_say_a_line(small: SmallRoom, event: str) -> None:
    assert Seat(small, ADA).programs.wish(event, " Hello ") == Do(CHAT, "say", {"text": " Hello "})


@pytest.mark.parametrize("name", ["Ada", "", None])
def test_a_name_is_left_to_the_room(small: SmallRoom, name: str | None) -> None:
    assert Seat(small, ADA).programs.wish("new-user", name) == Name(name)


@pytest.mark.parametrize(
    ("event", "payload", "error", "sentence"),
    [
        ("message", 7, BadCommand, '"message" takes a text, not a number.'),
        ("message", None, BadCommand, "not nothing"),
        ("new-user", False, BadCommand, "not true or false"),
        ("new-user", {}, BadCommand, "not an object"),
        ("vote", [], BadCommand, "not a list"),
        ("vote", "12345", BadCommand, "not the text '12345'"),
        ("vote", "²", BadCommand, "not the text '²'"),
        ("vote", True, BadCommand, "not true or false"),
        ("vote", 0.0, BadCommand, "not a number"),
        ("vote", 2, UnknownOption, "There is no option 2; they go from 0 to 1."),
        ("vote", -1, UnknownOption, "There is no option -1"),
        ("typing", None, UnknownCommand, "It knows message, new-user, send-message, vote."),
        ("x" * 100, None, UnknownCommand, repr("x" * 40)),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    small: SmallRoom, event: str, payload: Any, error: type[Exception], sentence: str
) -> None:
    small.poll("yes", "no")
    with pytest.raises(error) as refused:
        Seat(small, ADA).programs.wish(event, payload)
    assert sentence in str(refused.value)


def test_without_a_question_there_is_nothing_to_vote_for(small: SmallRoom) -> None:
    with pytest.raises(PollClosed, match="there is no question just now"):
        Seat(small, ADA).programs.wish("vote", 0)


def test_a_room_without_a_chat_says_so() -> None:
    small = SmallRoom(chat=False)
    with pytest.raises(Exception, match="This room has no chat"):
        Seat(small, VIEWER).programs.wish("message", "Hello")


def test_its_name_is_that_of_the_room(small: SmallRoom) -> None:
    assert Seat(small, VIEWER).programs.name == ""
    assert Seat(small, ADA).programs.name == "Ada"
