import threading
from typing import Any

import plotly.graph_objects as go
import pytest

import wslive
from tests.notebook.conftest import follow
from wslive.core.errors import UnknownActivity
from wslive.notebook.charts import as_json
from wslive.notebook.participant import Participant
from wslive.notebook.room import HostRoom


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


@pytest.fixture
def me(room: HostRoom) -> Participant:
    ada = wslive.join(room.link, name="Ada")
    follow(room, ada)
    return ada


def test_votes_over_time_have_a_line_an_option_that_ends_at_the_tally(room: HostRoom, me: Participant) -> None:
    with pytest.raises(UnknownActivity):
        room.votes_over_time()
    poll = room.poll("Which?", ["a", "b"])
    follow(me, room)
    me.vote("b")
    follow(room, me)
    made = room.votes_over_time().figure
    assert [trace["name"] for trace in made["data"]] == ["a", "b"]
    assert [trace["y"][-1] for trace in made["data"]] == list(poll.tally().values())
    assert all(len(trace["x"]) == len(trace["y"]) for trace in made["data"])
    legend = made["layout"]["legend"]
    assert (legend["yanchor"], legend["y"] < 0) == ("top", True)  # out of the title's way


def test_chat_activity_counts_all_lines(room: HostRoom) -> None:
    assert room.chat_activity().figure["data"][0]["y"] == []
    room.chat.say("one")
    room.chat.say("two")
    assert sum(room.chat_activity().figure["data"][0]["y"]) == 2


def test_presence_ends_with_who_is_here_now(room: HostRoom, me: Participant) -> None:
    made = room.presence().figure
    assert made["data"][0]["y"][-1] == room.online


def test_a_chart_of_ones_own_is_drawn_again_when_something_changes(room: HostRoom) -> None:
    drawn = threading.Semaphore(0)

    @room.chart
    def lines(of: HostRoom) -> go.Figure:
        drawn.release()
        return go.Figure(go.Bar(y=[len(of.chat)]))

    assert drawn.acquire(timeout=20)
    changed = threading.Event()
    lines.widget.observe(lambda change: change["new"]["data"][0]["y"] == [1] and changed.set(), "figure")
    room.chat.say("hello")
    assert changed.wait(20)
    assert repr(lines) == "<LiveChart lines>"


def test_a_figure_or_its_dictionary_will_do() -> None:
    plain: dict[str, Any] = {"data": [{"type": "bar", "y": [1]}], "layout": {}}
    assert as_json(plain) == plain
    assert as_json(go.Figure(plain))["data"][0]["type"] == "bar"


def test_what_is_saved_of_a_chart_says_that_it_was_live(room: HostRoom) -> None:
    assert "votes over time" not in room.presence().saved_html()
    assert "run the cell" in room.presence().saved_html()


def test_a_legend_shows_options_as_they_are_and_no_markup(room: HostRoom, me: Participant) -> None:
    poll = room.poll("Which?", ['<a href="https://elsewhere.example">this one</a>', "$n^2$ & <b>b</b>"])
    names = [trace["name"] for trace in room.votes_over_time(poll).figure["data"]]
    assert names == [
        '&lt;a href="https://elsewhere.example"&gt;this one&lt;/a&gt;',
        "n² &amp; &lt;b&gt;b&lt;/b&gt;",
    ]
