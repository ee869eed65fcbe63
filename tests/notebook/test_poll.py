import asyncio
import threading
from pathlib import Path

import pytest

import wslive
from tests.notebook.conftest import follow
from wslive.core.errors import PollHasBallots
from wslive.notebook.participant import Participant
from wslive.notebook.poll import Poll, opening
from wslive.notebook.room import HostRoom

OPTIONS = ["quick", "merge", "heap"]


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


@pytest.fixture
def poll(room: HostRoom) -> Poll:
    return room.poll("Which sort is stable?", OPTIONS)


@pytest.fixture
def me(room: HostRoom, poll: Poll) -> Participant:
    return wslive.join(room.link, name="Ada")


def test_closing_and_reopening_can_be_said_twice(poll: Poll, me: Participant) -> None:
    poll.close()
    poll.close()
    assert not poll.is_open
    with pytest.raises(wslive.errors.PollClosed):
        me.vote("heap")
    poll.reopen()
    poll.reopen()
    assert poll.is_open
    follow(me, poll.live)
    me.vote("heap")
    follow(poll.live, me)
    assert poll.tally()["heap"] == 1


def test_a_new_round_keeps_the_ballots_of_the_one_before(poll: Poll, me: Participant) -> None:
    me.vote("quick")
    poll.new_round()
    assert poll.round == 2
    assert poll.tally() == {"quick": 0, "merge": 0, "heap": 0}
    follow(me, poll.live)
    me.vote("merge")
    follow(poll.live, me)
    assert poll.tally(1) == {"quick": 1, "merge": 0, "heap": 0}
    assert poll.tally() == {"quick": 0, "merge": 1, "heap": 0}
    with pytest.raises(ValueError, match="Round 3"):
        poll.tally(3)


def test_an_edit_changes_the_words_and_keeps_the_ballots(poll: Poll, me: Participant) -> None:
    me.vote("merge")
    poll.edit(options=["Quicksort", "Mergesort", "Heapsort"])
    assert poll.tally() == {"Quicksort": 0, "Mergesort": 1, "Heapsort": 0}
    with pytest.raises(PollHasBallots):
        poll.edit(options=["a", "b"])


def test_a_discarded_poll_is_gone(room: HostRoom, poll: Poll) -> None:
    poll.discard()
    poll.discard()
    assert room.polls == []
    assert "discarded" in repr(poll)
    assert room.poll("Which sort is stable?", OPTIONS).id != poll.id


def test_the_frame_has_a_row_a_ballot_with_all_options_as_ordered_categories(poll: Poll, me: Participant) -> None:
    me.vote("heap")
    follow(poll.live, me)
    frame = poll.to_frame()
    assert list(frame.columns) == ["participant", "choice", "round", "cast_at"]
    assert frame["choice"].dtype.ordered
    assert list(frame["choice"].cat.categories) == OPTIONS
    assert frame["choice"].value_counts(sort=False).tolist() == [0, 0, 1]
    assert str(frame["cast_at"].dt.tz) == "UTC"
    assert frame["participant"].tolist() == [me.connection.actor]


def test_the_frame_of_a_poll_without_ballots_has_its_columns(poll: Poll) -> None:
    frame = poll.to_frame(names=True)
    assert list(frame.columns) == ["participant", "name", "choice", "round", "cast_at"]
    assert len(frame) == 0
    assert list(frame["choice"].cat.categories) == OPTIONS


def test_multiple_choice_has_a_row_a_chosen_option(room: HostRoom) -> None:
    poll = room.poll("Which ones?", OPTIONS, multiple=2)
    me = wslive.join(room.link, name="Ada")
    me.vote(["heap", "quick"])
    follow(room, me)
    assert poll.to_frame(names=True)[["name", "choice"]].values.tolist() == [["Ada", "quick"], ["Ada", "heap"]]
    with pytest.raises(wslive.errors.TooManyChoices):
        me.vote(OPTIONS)


def test_the_history_has_every_vote_and_every_retraction(poll: Poll, me: Participant) -> None:
    me.vote("quick")
    me.vote("merge")
    me.retract()
    me.vote("heap")
    follow(poll.live, me)
    history = poll.to_frame(history=True, names=True)
    assert history["choice"].astype(object).fillna("-").tolist() == ["quick", "merge", "-", "heap"]
    assert set(history["name"]) == {"Ada"}
    assert len(poll.to_frame()) == 1


def test_the_twins_under_aio_do_the_same_on_any_loop(room: HostRoom, poll: Poll, me: Participant) -> None:
    async def cell() -> None:
        await me.aio.vote("merge")
        waiting = asyncio.ensure_future(poll.aio.wait_closed(timeout_s=20))
        assert not waiting.done()
        await poll.aio.close()
        await waiting
        frame = await poll.aio.to_frame()
        assert frame["choice"].tolist() == ["merge"]

    asyncio.run(cell())


def test_waiting_for_the_end_has_an_end(poll: Poll) -> None:
    with pytest.raises(TimeoutError):
        poll.wait_closed(timeout_s=0.05)


def test_the_live_figure_widget_follows_the_tally(poll: Poll, me: Participant) -> None:
    widget = poll.figure_widget()
    shown = threading.Event()
    widget.data[0].on_change(lambda trace, y: list(y) == [0, 1, 0] and shown.set(), "y")
    me.vote("merge")
    assert shown.wait(20)


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"results": "never"}, ValueError, "'never' is none of 'live', 'after_vote', 'after_close', 'host_only'"),
        ({"multiple": "yes"}, TypeError, "multiple is True, False, or how many options .* not 'yes'"),
        ({"multiple": 9}, ValueError, "multiple=9: there are 3 options; multiple=True"),
        ({"multiple": -1}, ValueError, "multiple=-1: there are 3 options"),
        ({"options": "yes"}, TypeError, r"options is a list of texts, like \[.yes., .no.\], not 'yes'"),
        ({"options": None}, TypeError, "options is a list of texts, .* not None"),
        ({"options": ["yes", None]}, TypeError, "Option 2 is a text, not None"),
        ({"question": None}, TypeError, "The question is a text, not None"),
        ({"key": 5}, TypeError, "The key is a text, not 5"),
    ],
)
def test_a_wrong_argument_is_told_in_the_words_of_the_call(
    room: HostRoom, wrong: dict[str, object], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        room.poll(**{"question": "Which?", "options": OPTIONS, **wrong})  # type: ignore[arg-type]
    assert room.polls == []


def test_options_may_be_numbers_and_how_many_to_choose_is_kept(room: HostRoom) -> None:
    assert room.poll("How many?", range(3)).options == ["0", "1", "2"]  # type: ignore[arg-type]
    two = opening("Which?", OPTIONS, 2, "live", True, None)
    assert two["max_choices"] == 2
    assert opening("Which?", OPTIONS, True, "live", True, None)["max_choices"] == 3
    assert opening("Which?", OPTIONS, False, "live", True, None)["max_choices"] == 1


def test_ballots_go_to_a_file_for_a_spreadsheet(server: str, tmp_path: Path) -> None:
    room = wslive.host("Sorting 101")
    poll = room.poll("Which?", ["=1+1", "merge"])
    me = wslive.join(room.link, name="@Ada")
    me.vote("=1+1")
    me.say("+A1")
    follow(room, me)
    votes = poll.to_csv(tmp_path / "votes.csv", names=True).read_text("utf-8-sig").splitlines()
    assert votes[0] == '"participant","name","choice","round","cast_at"'
    assert votes[1].startswith(f'"{me.connection.actor}","\'@Ada","\'=1+1","1","')
    assert len(poll.to_csv(tmp_path / "all.csv", history=True).read_text("utf-8-sig").splitlines()) == 2
    lines = room.chat.to_csv(tmp_path / "lines.csv").read_text("utf-8-sig").splitlines()
    assert ',"\'@Ada","\'+A1","' in lines[1]
    assert '"\'@Ada"' in room.people.to_csv(tmp_path / "people.csv").read_text("utf-8-sig")


# ── secret polls ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_secret_poll_shows_its_result_and_no_ballot_once_it_is_closed(room: HostRoom, tmp_path: Path) -> None:
    poll = room.poll("Who?", ["Ada", "Bob"], secret=True)
    assert (poll.secret, poll.results) == (True, "after_close")
    assert room.poll("Who?", ["Ada", "Bob"], secret=True) is poll
    me = wslive.join(room.link, name="Ada")
    me.vote("Bob")
    assert me.answer() == ["Bob"]
    follow(room, me)
    assert (poll.answered, poll.tally(), len(poll.to_frame())) == (1, {}, 0)
    assert not poll.figure().data
    poll.close()
    assert poll.tally() == {"Ada": 0, "Bob": 1}
    frame = poll.to_frame()
    assert (frame["choice"].tolist(), frame["round"].tolist()) == (["Bob"], [1])
    assert frame[["participant", "cast_at"]].isna().all(axis=None)
    assert poll.to_csv(tmp_path / "votes.csv").read_text("utf-8-sig").splitlines()[1] == '"","Bob","1",""'
    follow(me, room)
    assert me.answer() == []
    with pytest.raises(wslive.errors.SecretPollClosed):
        me.vote("Ada")


@pytest.mark.parametrize("more", [{"history": True}, {"names": True}])
def test_a_secret_poll_has_no_history_and_no_names(room: HostRoom, more: dict[str, bool]) -> None:
    poll = room.poll("Who?", ["Ada", "Bob"], secret=True)
    with pytest.raises(ValueError, match="no single votes"):
        poll.to_frame(**more)
    with pytest.raises(ValueError, match="nothing to show over time"):
        room.votes_over_time(poll)


@pytest.mark.parametrize("results", ["live", "after_vote"])
def test_a_secret_poll_with_bars_that_move_is_refused_before_it_is_asked(room: HostRoom, results: str) -> None:
    with pytest.raises(ValueError, match="'after_close' or 'host_only'"):
        room.poll("Who?", ["Ada", "Bob"], secret=True, results=results)  # type: ignore[arg-type]
    assert room.polls == []


def test_a_secret_poll_goes_on_in_a_new_round(room: HostRoom) -> None:
    poll = room.poll("Who?", ["Ada", "Bob"], secret=True)
    me = wslive.join(room.link, name="Ada")
    me.vote("Bob")
    poll.close()
    poll.reopen()
    assert (poll.round, poll.is_open) == (2, True)
    assert (poll.tally(), poll.tally(1)) == ({}, {"Ada": 0, "Bob": 1})
    assert poll.to_frame()["choice"].tolist() == ["Bob"]
    follow(me, room)
    me.vote("Ada")
    follow(room, me)
    poll.close()
    assert (poll.tally(1), poll.tally(2)) == ({"Ada": 0, "Bob": 1}, {"Ada": 1, "Bob": 0})
    assert poll.to_frame()["round"].tolist() == [1, 2]


def test_a_secret_poll_in_its_second_round_is_not_thrown_away_for_another_text(room: HostRoom) -> None:
    poll = room.poll("Who?", ["Ada", "Bob"], secret=True, key="speaker")
    wslive.join(room.link, name="Ada").vote("Bob")
    poll.new_round()
    with pytest.raises(PollHasBallots):
        room.poll("Who?", ["Ada", "Bob", "Eve"], secret=True, key="speaker", multiple=True)
    assert room.polls == [poll]


def test_the_same_words_in_secret_are_another_poll(room: HostRoom) -> None:
    assert room.poll("Who?", ["Ada", "Bob"], secret=True) is not room.poll("Who?", ["Ada", "Bob"])
    body = opening("Who?", ["a", "b"], False, None, True, None)
    assert (body["results"], body["secret"]) == ("live", False)


def test_saved_notebooks_say_that_a_poll_was_secret(room: HostRoom) -> None:
    poll = room.poll("Who?", ["Ada", "Bob"], secret=True)
    assert " · secret · open" in poll.saved_html()
    assert "secret" not in room.poll("Which?", ["Ada", "Bob"]).saved_html()
