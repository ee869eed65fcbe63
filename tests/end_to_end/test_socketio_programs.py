"""The three programs with the official Socket.IO client in Node.js, beside a notebook and a page in the same room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.hall import CHAT, Person
from tests.end_to_end.socketio_hall import LANGUAGES, Client, Clients, RawClient, SocketIoHall, socketio_hall
from wslive.core.view import View
from wslive.socketio.programs import color

# As a client is by itself: it begins with requests and goes on with a WebSocket. And requests alone.
TRANSPORTS = {"polling, then WebSocket": ["polling", "websocket"], "polling alone": ["polling"]}


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[SocketIoHall]:
    """A room for all programs; who is gone for half a second has left."""
    with socketio_hall(tmp_path, away_after_s=0.5, sweep_interval_s=0.1) as hall:
        yield hall


@pytest.fixture(params=TRANSPORTS.values(), ids=TRANSPORTS)
def clients(hall: SocketIoHall, request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Starts client programs in that room."""
    clients = Clients(hall.url)

    def start(script: str, *args: Any, **options: Any) -> Client:
        return clients(script, *args, transports=request.param, **options)

    yield start
    clients.close()


@pytest.fixture
def page(hall: SocketIoHall) -> Iterator[RawClient]:
    """Somebody at a page."""
    client = RawClient(hall, "Paul at a page")
    yield client
    client.close()


@pytest.fixture
def notebook(hall: SocketIoHall) -> Person:
    """Somebody at a notebook."""
    return hall.connect(name="Nora at a notebook")


def names(view: View) -> set[str]:
    return {person["name"] for person in view["people"]["names"].values()}


def lines(view: View) -> list[tuple[str, str]]:
    return [(line["name"], line["text"]) for line in view["activities"][str(CHAT)]["lines"].values()]


def candidates(*votes: int | None) -> dict[str, Any]:
    """What `update` carries."""
    return {
        str(index): {"votes": count, "label": label, "color": color(f"o{index + 1}")}
        for index, (label, count) in enumerate(zip(LANGUAGES, votes, strict=True))
    }


def test_in_the_broadcast_chat_everyone_gets_what_anyone_says(
    hall: SocketIoHall, clients: Callable[..., Client], notebook: Person, page: RawClient
) -> None:
    ann, ben, eve = (clients("broadcast_chat.js") for _ in range(3))
    assert ann.ask("message", "Hello") == {"ok": True, "offset": hall.events()[-1]["offset"]}
    ben.emit("message", "<b>Hi</b> & bye")
    notebook.wait_for(lambda view: len(lines(view)) == 2)
    notebook.say("From a notebook")
    page.command(CHAT, "say", text="From a page")
    hall.host.say("From the host")

    said = [
        ["message", f"{ann.id[:2]} said Hello"],
        ["message", f"{ben.id[:2]} said <b>Hi</b> & bye"],
        ["message", f"{notebook.actor[2:4]} said From a notebook"],
        ["message", f"{page.actor[2:4]} said From a page"],
        ["message", "ho said From the host"],
    ]
    for client in (ann, ben, eve):
        client.wait_shown(said[-1][1])
        assert client.told("message") == said
        assert client.shown() == [text for _, text in said]
    notebook.wait_for(lambda view: len(lines(view)) == 5)
    guest, other = (name for name, _ in lines(notebook.view)[:2])
    assert {guest, other} <= names(notebook.view)
    assert lines(notebook.view) == [
        (guest, "Hello"),
        (other, "<b>Hi</b> & bye"),
        ("Nora at a notebook", "From a notebook"),
        ("Paul at a page", "From a page"),
        ("Host", "From the host"),
    ]
    # Who only listens is nobody in the room; who said nothing did not join.
    assert len(names(notebook.view)) == 4


def test_in_the_named_chat_the_others_get_names_lines_and_leavings(
    hall: SocketIoHall, clients: Callable[..., Client], notebook: Person
) -> None:
    people = []
    for name in ("Ann", "Ben", "Eve"):
        people.append(clients("named_chat.js", name))
        notebook.wait_for(lambda view, name=name: name in names(view))  # type: ignore[misc]
    ann, ben, eve = people
    ann.ask("send-message", "Hello")
    page = RawClient(hall, "Paul at a page")
    page.command(CHAT, "say", text="From a page")
    notebook.say("From a notebook")
    for client in people:
        client.wait_told("message", f"{notebook.actor[2:4]} said From a notebook")
    ben.do("leave")
    for client in (ann, eve):
        client.wait_told("user-disconnected", "Ben")
    page.close()
    for client in (ann, eve):
        client.wait_shown("Paul at a page disconnected")

    chat = ("user-connected", "get-message", "user-disconnected")
    from_page = ["get-message", {"message": "From a page", "name": "Paul at a page"}]
    from_notebook = ["get-message", {"message": "From a notebook", "name": "Nora at a notebook"}]
    from_ann = ["get-message", {"message": "Hello", "name": "Ann"}]
    page_came = ["user-connected", "Paul at a page"]
    left = [["user-disconnected", "Ben"], ["user-disconnected", "Paul at a page"]]
    assert ann.told(*chat) == [
        ["user-connected", "Ben"],
        ["user-connected", "Eve"],
        page_came,
        from_page,
        from_notebook,
        *left,
    ]
    assert ben.told(*chat) == [["user-connected", "Eve"], from_ann, page_came, from_page, from_notebook]
    assert eve.told(*chat) == [from_ann, page_came, from_page, from_notebook, *left]
    assert eve.shown() == [
        "You joined",
        "Ann: Hello",
        "Paul at a page connected",
        "Paul at a page: From a page",
        "Nora at a notebook: From a notebook",
        "Ben disconnected",
        "Paul at a page disconnected",
    ]
    assert lines(notebook.view)[0] == ("Ann", "Hello")


def test_a_name_given_with_lines_right_behind_it_comes_first(
    hall: SocketIoHall, clients: Callable[..., Client], notebook: Person
) -> None:
    listening = clients("broadcast_chat.js")
    talking = clients("broadcast_chat.js")
    talking.emit("new-user", "Ann")
    for number in range(5):
        talking.emit("send-message", f"line {number}")
    listening.wait_told("get-message", {"message": "line 4", "name": "Ann"})
    assert listening.told("user-connected", "get-message") == [
        ["user-connected", "Ann"],
        *(["get-message", {"message": f"line {number}", "name": "Ann"}] for number in range(5)),
    ]
    assert talking.told("user-connected", "get-message") == []


@pytest.mark.parametrize("name", [None, "", "   "], ids=["cancelled", "empty", "spaces"])
def test_a_prompt_without_a_name_makes_a_guest(
    hall: SocketIoHall, clients: Callable[..., Client], notebook: Person, name: str | None
) -> None:
    listening = clients("broadcast_chat.js")
    client = clients("named_chat.js", name)
    listening.wait_told("user-connected", "Guest 2")
    client.emit("send-message", "Hello")
    listening.wait_told("get-message", {"message": "Hello", "name": "Guest 2"})


def test_a_name_that_is_too_long_is_refused_and_another_one_may_follow(
    hall: SocketIoHall, clients: Callable[..., Client], notebook: Person
) -> None:
    listening = clients("broadcast_chat.js")
    client = clients("broadcast_chat.js")
    answer = client.ask("new-user", "A" * 41)
    assert answer["ok"] is False
    assert answer["error"]["code"] == "text_too_long"
    assert "41 characters; at most 40" in answer["error"]["message"]
    assert client.ask("new-user", "Ann")["ok"] is True
    assert client.ask("new-user", "Ann")["ok"] is True  # the name that she has
    assert client.ask("new-user", "Anna")["ok"] is True
    listening.wait_told("user-connected", "Anna")
    assert listening.told("user-connected", "user-disconnected") == [
        ["user-connected", "Ann"],
        ["user-disconnected", "Ann"],
        ["user-connected", "Anna"],
    ]
    notebook.wait_for(lambda view: names(view) == {"Nora at a notebook", "Anna"})


def test_in_the_live_vote_everyone_sees_every_change(
    hall: SocketIoHall, clients: Callable[..., Client], notebook: Person, page: RawClient
) -> None:
    poll = hall.ask_languages()
    ann, ben, eve = (clients("live_vote.js") for _ in range(3))
    for client in (ann, ben, eve):
        assert client.wait_for(lambda entry: entry[:2] == ["event", "update"])[2] == candidates(0, 0, 0, 0, 0)
    assert ann.ask("vote", 3)["ok"] is True
    assert ben.ask("vote", "4")["ok"] is True  # a text from a page's attribute is the same key
    notebook.vote(poll, "o4")
    page.command(poll, "cast_vote", round=1, options=["o1"])
    for client in (ann, ben, eve):
        client.wait_told("update", candidates(1, 0, 0, 2, 1))
    notebook.wait_for_tally(poll, {"o1": 1, "o2": 0, "o3": 0, "o4": 2, "o5": 1})
    # A second vote moves the ballot: one client, one ballot.
    assert ann.ask("vote", 0)["ok"] is True
    colors = [color(f"o{number}") for number in range(1, 6)]
    for client in (ann, ben, eve):
        client.wait_shown(LANGUAGES, [2, 0, 0, 1, 1], colors)
        assert client.told("update")[-1] == ["update", candidates(2, 0, 0, 1, 1)]
    hall.host.wait_for_tally(poll, {"o1": 2, "o2": 0, "o3": 0, "o4": 1, "o5": 1})
    # Eve has only looked on.
    assert len(names(notebook.view)) == 4


def test_the_vote_follows_the_stage_and_what_the_host_shows(
    hall: SocketIoHall, clients: Callable[..., Client], notebook: Person
) -> None:
    ann, ben = clients("live_vote.js"), clients("live_vote.js")
    assert ann.wait_for(lambda entry: entry[:2] == ["event", "update"])[2] == {}
    refusal = ann.ask("vote", 0)
    assert refusal["error"]["code"] == "poll_closed"
    first = hall.ask_languages()
    ann.wait_told("update", candidates(0, 0, 0, 0, 0))
    assert ann.ask("vote", 0)["ok"] is True
    second = hall.poll("Tea?", ["yes", "no"], results="after_close")
    hidden = {
        "0": {"votes": None, "label": "yes", "color": color("o1")},
        "1": {"votes": None, "label": "no", "color": color("o2")},
    }
    ann.wait_told("update", hidden)
    assert ann.ask("vote", 1)["ok"] is True
    ben.wait_told("update", hidden)
    assert ben.ask("vote", 1)["ok"] is True
    hall.host.command(second, "close")
    shown = {**hidden, "0": {**hidden["0"], "votes": 0}, "1": {**hidden["1"], "votes": 2}}
    for client in (ann, ben):
        client.wait_told("update", shown)
    assert ann.ask("vote", 0)["error"] == {
        "code": "poll_closed",
        "message": "Not counted: the poll closed before your answer arrived.",
    }
    # While the results were hidden nobody was told them.
    for client in (ann, ben):
        votes = [[c["votes"] for c in update.values()] for _, update in client.told("update") if len(update) == 2]
        assert votes == [[None, None], [0, 2]]
    hall.host.command(second, "discard")
    for client in (ann, ben):
        client.wait_told("update", {})
    hall.host.command(0, "set_stage", {"activity": first})
    for client in (ann, ben):
        client.wait_told("update", candidates(1, 0, 0, 0, 0))


def test_what_the_host_decides_holds_for_socketio_clients_too(
    hall: SocketIoHall, clients: Callable[..., Client], notebook: Person
) -> None:
    ann, ben = clients("named_chat.js", "Ann"), clients("named_chat.js", "Ben")
    notebook.wait_for(lambda view: {"Ann", "Ben"} <= names(view))
    actors = {person["name"]: actor for actor, person in notebook.view["people"]["names"].items()}
    hall.host.command(CHAT, "set_chat", {"mode": "on", "paused": True})
    assert ann.ask("message", "Hello")["error"]["code"] == "chat_paused"
    hall.host.command(CHAT, "set_chat", {"mode": "on", "paused": False})
    hall.host.command(0, "mute", {"person": actors["Ann"]})
    assert ann.ask("message", "Hello")["error"]["code"] == "muted"
    hall.host.command(0, "rename", {"person": actors["Ann"], "name": "Anna"})
    ben.wait_told("user-connected", "Anna")
    assert ["user-disconnected", "Ann"] in ben.told()
    hall.host.command(0, "remove_person", {"person": actors["Ann"]})
    assert ann.wait_for(lambda entry: entry[0] == "disconnect") == ["disconnect", "io server disconnect"]
    assert ann.told("error") == [["error", {"code": "removed", "message": "The host has sent you out of this room."}]]
    ben.wait_told("user-disconnected", "Anna")
    hall.host.command(0, "lock", {"locked": True})
    assert ben.ask("message", "Still here")["ok"] is True
    hall.host.command(0, "end_room")
    assert ben.wait_for(lambda entry: entry[0] == "disconnect") == ["disconnect", "io server disconnect"]
    assert ben.told("error") == [["error", {"code": "room_ended", "message": "The host has ended this room."}]]


def test_clients_are_in_the_room_that_their_address_names(hall: SocketIoHall, clients: Callable[..., Client]) -> None:
    other = hall.another_room("The other room")
    here = clients("named_chat.js", "Ann")
    there = clients("named_chat.js", "Ben", url=f"{hall.url}?room={other.lower()}")
    witness = clients("named_chat.js", "Eve", url=f"{hall.url}?room={other}")
    there.ask("message", "Over here")
    witness.wait_told("message", f"{there.id[:2]} said Over here")
    here.ask("message", "And here")
    here.wait_told("message", f"{here.id[:2]} said And here")
    assert here.told("message", "user-connected") == [["message", f"{here.id[:2]} said And here"]]
    assert witness.told("message", "user-connected") == [["message", f"{there.id[:2]} said Over here"]]
