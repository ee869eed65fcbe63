import gzip
import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import wslive
from wslive.notebook import widget
from wslive.notebook.participant import Participant
from wslive.notebook.room import HostRoom
from wslive.notebook.widget import RoomWidget, invitation
from wslive.server.http.cells import cells

PACKAGE = Path(wslive.__file__).parent


class Page:
    """The other end of a widget's comm: what the page is sent, and what it says."""

    def __init__(self, shown: RoomWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown = shown
        self.received: list[tuple[dict[str, Any], Any]] = []
        self._arrived = threading.Condition()
        monkeypatch.setattr(shown, "send", self._take)

    def _take(self, content: dict[str, Any], buffers: Any = None) -> None:
        with self._arrived:
            self.received.append((content, buffers))
            self._arrived.notify_all()

    def say(self, **content: Any) -> None:
        self.shown._heard(self.shown, content, [])

    def wait(self, type: str, where: Any = lambda content: True) -> tuple[dict[str, Any], Any]:
        def found() -> Any:
            return next((r for r in self.received if r[0]["type"] == type and where(r[0])), None)

        with self._arrived:
            assert self._arrived.wait_for(found, 20), self.received
            return found()  # type: ignore[no-any-return]


@pytest.fixture
def room(server: str) -> HostRoom:
    return wslive.host("Sorting 101")


@pytest.fixture
def page(room: HostRoom, monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(room.poll("Which?", ["a", "b"]).widget, monkeypatch)


def test_no_trait_and_no_output_holds_anything_that_opens_something(room: HostRoom) -> None:
    poll = room.poll("Which?", ["a", "b"])
    me = wslive.join(room.link, name="Zacharias")
    for shown in (room, poll, room.chat, room.people, me):
        state = {k: v for k, v in shown.widget.get_state().items() if k != "_esm"}
        text = json.dumps(state, default=str) + json.dumps(shown._repr_mimebundle_()) + json.dumps(shown.widget.mimes())
        for secret in (room._host_key, me.connection.token, "Zacharias"):
            assert secret not in text


def test_a_page_that_asks_is_given_a_ticket_that_works(page: Page, room: HostRoom) -> None:
    page.say(type="ticket")
    content, _ = page.wait("ticket")
    assert content["expires_in_s"] > 0
    assert content["ticket"] != room._host_key


def test_a_page_that_cannot_ask_is_given_one_unasked(room: HostRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(room.widget, monkeypatch)
    page.shown.get_state()  # what a reloaded page asks for first
    page.wait("ticket")


def test_the_bridge_carries_a_connection_through_the_kernel(page: Page, room: HostRoom) -> None:
    page.say(type="frame", frame=json.dumps({"type": "hello", "ref": "x"}))
    content, _ = page.wait("frame", lambda content: '"welcome"' in content["frame"])
    welcome = json.loads(content["frame"])
    assert (welcome["role"], welcome["actor"]) == ("host", "host")
    poll_id = str(room.polls[0].id)
    assert "ballots" not in welcome["view"]["activities"][poll_id], "single ballots are not for pages"
    command = {"type": "command", "ref": "ref-1", "activity": int(poll_id), "kind": "close", "body": {}}
    page.say(type="frame", frame=json.dumps(command))
    page.wait("frame", lambda content: '"ack"' in content["frame"])
    room.polls[0].wait_closed(timeout_s=20)


def test_plotly_js_comes_compressed_where_the_page_cannot_fetch_it(page: Page) -> None:
    page.say(type="plotly")
    _, buffers = page.wait("plotly")
    assert b"plotly.js v" in gzip.decompress(buffers[0])[:400]


def test_letting_phones_in_is_done_by_the_kernel_and_its_outcome_told(page: Page, room: HostRoom) -> None:
    object.__setattr__(room.at, "hosting_token", "ht_wrong")
    page.say(type="let_in")
    content, _ = page.wait("told")
    assert "WSLIVE_HOST_TOKEN" in content["message"]


def test_a_message_that_means_nothing_changes_nothing(page: Page) -> None:
    page.say(type="frame", frame="no json")
    page.wait("frame", lambda content: '"bye"' in content["frame"])
    page.say(type="unknown")
    page.say(type="ticket")
    page.wait("ticket")


def test_an_invitation_has_a_qr_code_only_where_others_can_follow_it() -> None:
    assert invitation([]) == {"links": [], "qr": ""}
    made = invitation(["http://192.168.1.7:8765/r/K7M2QX"])
    assert made["qr"].startswith("<svg")


def test_the_widget_is_one_and_shows_links_that_come_later(room: HostRoom) -> None:
    assert room.widget is room.widget
    room._set_links(["javascript:alert(1)//", "http://192.168.1.7:8765"])
    assert room.widget.invite["links"] == [f"http://192.168.1.7:8765/r/{room.code}"]
    assert room.links == room.widget.invite["links"]


def test_what_each_widget_brings_is_small_and_names_what_draws(room: HostRoom) -> None:
    state = room.poll("Which?", ["a", "b"]).widget.get_state()
    assert len(state["_esm"]) < 3_500
    assert state["cells"] == room.widget.mimes()[widget.MIME]["cells"] == cells().name


def test_a_page_that_cannot_reach_the_server_gets_what_draws_from_the_kernel(page: Page) -> None:
    page.say(type="cells")
    _, (body,) = page.wait("cells")
    assert gzip.decompress(body) == cells().body


def test_the_renderer_that_jupyterlab_loads_is_the_one_in_this_tree() -> None:
    source = PACKAGE / "notebook" / "labextension"
    installed = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "wslive"
    for path in source.rglob("*.*"):
        copy = installed / path.relative_to(source)
        assert copy.read_text() == path.read_text(), "an editable install copies it: touch pyproject.toml; make setup"


def test_a_ticket_is_kept_under_the_same_name_by_both_who_look_for_it() -> None:
    renderer = (PACKAGE / "notebook" / "labextension" / "static" / "remoteEntry.js").read_text()
    cell = (PACKAGE / "notebook" / "cell.js").read_text()
    assert '[...urls, room, actor].join(" ")' in renderer
    assert '[...urls, room, actor].join(" ")' in cell
    assert "wslive.ticket ${" in renderer
    assert 'const TICKET_KEY = "wslive.ticket";' in cell


def test_the_participants_place_is_a_widget_too(room: HostRoom) -> None:
    me: Participant = wslive.join(room.link, name="Ada")
    assert me.widget.part == "me"
    assert me.widget.actor == me.connection.actor
