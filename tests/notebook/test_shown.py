import pytest

import wslive
from wslive.notebook import shown
from wslive.notebook.room import HostRoom
from wslive.notebook.widget import MIME


class FakePublisher:
    def __init__(self) -> None:
        self.published: list[tuple[dict[str, object], dict[str, object], bool]] = []

    def publish(self, data: dict[str, object], transient: dict[str, object], update: bool) -> None:
        self.published.append((data, transient, update))


class FakeShell:
    kernel = object()

    def __init__(self) -> None:
        self.display_pub = FakePublisher()


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> FakePublisher:
    shell = FakeShell()
    monkeypatch.setattr(shown, "ipython", lambda: shell)
    return shell.display_pub


def test_an_output_offers_live_views_first_and_ends_with_plain_text(room: HostRoom, publisher: FakePublisher) -> None:
    poll = room.poll("Which?", ["a", "b"])
    poll._ipython_display_()
    ((data, transient, update),) = publisher.published
    assert set(data) == {MIME, "application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert data["text/plain"] == "Which? (open, 0 answered)\n  a  0\n  b  0"
    assert transient["display_id"]
    assert not update


def test_closing_refreshes_what_is_saved_where_the_poll_is_displayed(room: HostRoom, publisher: FakePublisher) -> None:
    poll = room.poll("Which?", ["a", "b"])
    poll.refresh_saved()
    assert publisher.published == [], "nothing is displayed yet"
    poll._ipython_display_()
    poll.close()
    (_, first, _), (data, second, update) = publisher.published
    assert update
    assert second == first
    assert "closed" in str(data["text/html"])


def test_ending_a_room_refreshes_all_that_is_displayed_of_it(room: HostRoom, publisher: FakePublisher) -> None:
    poll = room.poll("Which?", ["a", "b"])
    for thing in (room, poll, room.chat):
        thing._ipython_display_()
    room.end()
    assert [update for *_, update in publisher.published] == [False] * 3 + [True] * 3


def test_a_terminal_gets_plain_text(room: HostRoom, capsys: pytest.CaptureFixture[str]) -> None:
    room.poll("Which?", ["a", "b"])._ipython_display_()
    assert capsys.readouterr().out == "Which? (open, 0 answered)\n  a  0\n  b  0\n"
    assert room._repr_mimebundle_() == {"text/plain": repr(room)}


def test_completion_offers_what_is_for_people_and_everything_that_is(room: HostRoom) -> None:
    poll = room.poll("Which?", ["a", "b"])
    for thing, offered in (
        (room, {"poll", "polls", "stage", "chat", "people", "lock", "let_in", "save", "end", "link", "links", "aio"}),
        (poll, {"tally", "close", "new_round", "edit", "to_frame", "figure", "widget", "on_change", "answered"}),
        (room.chat, {"say", "mode", "pause", "hide", "to_frame"}),
        (wslive.join(room.link, name="Ada"), {"vote", "retract", "answer", "say", "rename", "poll", "close", "name"}),
    ):
        names = {name for name in dir(thing) if not name.startswith("_")}
        assert offered <= names
        assert not names & {"live", "connection", "reactions", "read", "peek", "command", "part_of", "saved_html"}
