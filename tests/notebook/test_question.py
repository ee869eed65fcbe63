import threading

import plotly.graph_objects as go
import plotly.io as pio
import pytest

import wslive
from tests.notebook.conftest import follow
from wslive.notebook.question import Question, tally
from wslive.notebook.room import HostRoom

OPTIONS = ["quick", "merge", "heap"]


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


def test_a_participant_reads_the_tally_only_when_it_is_due(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS, results="after_vote")
    me = wslive.join(room.link, name="Ada")
    assert me.poll.tally() is None
    me.vote("heap")
    assert me.poll.tally() == {"quick": 0, "merge": 0, "heap": 1}
    follow(room, me)
    assert poll.tally() == me.poll.tally()


def test_the_figure_says_question_count_and_time_and_has_the_default_template(room: HostRoom) -> None:
    poll = room.poll("Which sort is stable?", OPTIONS)
    figure = poll.figure()
    assert isinstance(figure, go.Figure)
    assert figure.layout.title.text == "Which sort is stable?"
    assert "0 answers" in figure.layout.title.subtitle.text
    assert "UTC" in figure.layout.title.subtitle.text
    assert list(figure.data[0].y) == [0, 0, 0]
    assert figure.layout.template == pio.templates[pio.templates.default]


def test_a_callback_gets_the_poll_at_once_and_after_each_change(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS)
    me = wslive.join(room.link, name="Ada")
    seen: list[dict[str, int] | None] = []
    called = threading.Semaphore(0)

    @poll.on_change
    def note(changed: Question) -> None:
        assert changed is poll
        seen.append(changed.tally())
        called.release()

    assert called.acquire(timeout=20)
    me.vote("heap")
    assert called.acquire(timeout=20)
    assert seen == [{"quick": 0, "merge": 0, "heap": 0}, {"quick": 0, "merge": 0, "heap": 1}]


def test_the_widgets_traits_can_be_observed(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS)
    me = wslive.join(room.link, name="Ada")
    counted, closed = threading.Event(), threading.Event()
    widget = poll.widget
    assert poll.widget is widget
    widget.observe(lambda change: change["new"] == {"quick": 0, "merge": 0, "heap": 1} and counted.set(), "tally")
    widget.observe(lambda change: not change["new"] and closed.set(), "is_open")
    me.vote("heap")
    assert counted.wait(20)
    poll.close()
    assert closed.wait(20)
    assert "tally" not in widget.get_state(), "what the host sees stays in the kernel"


def test_a_representation_says_question_state_and_count(room: HostRoom) -> None:
    poll = room.poll("Which?", OPTIONS)
    assert repr(poll) == "<Poll 'Which?': open, 0 answers>"
    poll.close()
    assert repr(poll) == "<Poll 'Which?': closed, 0 answers>"


def test_counts_that_are_not_shown_are_no_tally() -> None:
    assert tally({"tally": {"answered": 3, "counts": None, "earlier": []}}, None) is None
