"""Socket.IO clients whose connection breaks: who they are afterwards, and what they are told of what they missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.end_to_end.socketio_hall import Client, Clients, SocketIoHall, socketio_hall
from wslive.core.view import View
from wslive.server.settings import Rate
from wslive.socketio.programs import POSITION

TRANSPORTS = {"polling, then WebSocket": ["polling", "websocket"], "polling alone": ["polling"]}


@pytest.fixture
def hall(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SocketIoHall]:
    """A room; who is gone for half a second has left. The host may talk as fast as a test does. Takes settings."""
    hurried = {"host_rate": Rate(per_s=1000, burst=1000), "tick_interval_s": 0.005}
    settings = {**hurried, **getattr(request, "param", {})}
    with socketio_hall(tmp_path, away_after_s=0.5, sweep_interval_s=0.1, **settings) as hall:
        yield hall


@pytest.fixture(params=TRANSPORTS.values(), ids=TRANSPORTS)
def clients(hall: SocketIoHall, request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Starts client programs in that room."""
    clients = Clients(hall.url)

    def start(script: str, *args: Any, **options: Any) -> Client:
        return clients(script, *args, transports=request.param, **options)

    yield start
    clients.close()


def shown_token(hall: SocketIoHall) -> dict[str, Any]:
    return {"auth": {"token": "a secret that only Ann knows"}}


def shown_cookie(hall: SocketIoHall) -> dict[str, Any]:
    with urlopen(f"{hall.url}/socket.io/?EIO=4&transport=polling") as answer:
        cookie = answer.headers["Set-Cookie"]
    assert "; HttpOnly" in cookie
    assert "; SameSite=Lax" in cookie
    return {"extraHeaders": {"Cookie": cookie.partition(";")[0]}}


def shown_nothing(hall: SocketIoHall) -> dict[str, Any]:
    return {}


IDENTITIES = {"auth.token": shown_token, "cookie": shown_cookie, "connection": shown_nothing}

identities = pytest.mark.parametrize("shown", IDENTITIES.values(), ids=IDENTITIES)


def names(view: View) -> list[str]:
    return [person["name"] for person in view["people"]["names"].values()]


def wait_until_named(hall: SocketIoHall, name: str) -> None:
    """Wait until the room knows a name: one that is still on its way is lost with the connection."""
    hall.host.wait_for(lambda view: name in names(view))


@identities
def test_a_client_that_comes_back_is_the_same_person_and_has_missed_nothing(
    hall: SocketIoHall, clients: Callable[..., Client], shown: Callable[[SocketIoHall], dict[str, Any]]
) -> None:
    poll = hall.ask_languages()
    options = shown(hall)
    ann = clients("named_chat.js", "Ann", **options)
    ben = clients("named_chat.js", "Ben")
    ann.wait_told("user-connected", "Ben")
    ann.ask("send-message", "before")
    assert ann.ask("vote", 0)["ok"] is True
    first_id = ann.id

    ann.do("goAway")
    ann.wait_for(lambda entry: entry[0] == "disconnect")
    ben.wait_told("user-disconnected", "Ann")
    told_before = len(ann.entries)
    ben.ask("send-message", "one")
    hall.host.say("two", "three")
    ben.ask("vote", 0)
    ann.do("comeBack")

    # The same person, who had left and is here again; all that was said meanwhile, once and in order.
    _, id, recovered = ann.wait_for(lambda entry: entry[0] == "connect", since=told_before)
    assert recovered is True
    assert id != first_id
    ben.wait_told("user-connected", "Ann")
    hall.host.say("four")
    ann.wait_told("get-message", {"message": "four", "name": "Host"})
    assert [entry[2] for entry in ann.entries[told_before:] if entry[:2] == ["event", "get-message"]] == [
        {"message": "one", "name": "Ben"},
        {"message": "two", "name": "Host"},
        {"message": "three", "name": "Host"},
        {"message": "four", "name": "Host"},
    ]
    updates = [entry[2]["0"]["votes"] for entry in ann.entries[told_before:] if entry[:2] == ["event", "update"]]
    assert updates == [2]

    # One person has one ballot, whenever it is cast.
    assert ann.ask("vote", 1)["ok"] is True
    hall.host.wait_for_tally(poll, {"o1": 1, "o2": 1, "o3": 0, "o4": 0, "o5": 0})
    assert names(hall.host.view) == ["Ann", "Ben"]
    ann.ask("send-message", "after")
    ben.wait_told("get-message", {"message": "after", "name": "Ann"})
    assert "after" not in [event[1]["message"] for event in ann.told("get-message")]


@identities
def test_another_program_is_the_same_person_if_it_shows_the_same(
    hall: SocketIoHall, clients: Callable[..., Client], shown: Callable[[SocketIoHall], dict[str, Any]]
) -> None:
    poll = hall.ask_languages()
    options = shown(hall)
    first = clients("named_chat.js", "Ann", **options)
    assert first.ask("vote", 0)["ok"] is True
    first.close()
    second = clients("live_vote.js", **options)
    assert second.wait_for(lambda entry: entry[0] == "connect")[2] is False
    assert second.ask("vote", 1)["ok"] is True
    if shown is shown_nothing:  # the connection was all that told who it was
        hall.host.wait_for_tally(poll, {"o1": 1, "o2": 1, "o3": 0, "o4": 0, "o5": 0})
        assert names(hall.host.view) == ["Ann", "Guest 2"]
    else:
        hall.host.wait_for_tally(poll, {"o1": 0, "o2": 1, "o3": 0, "o4": 0, "o5": 0})
        assert names(hall.host.view) == ["Ann"]


# A client that loses its WebSocket while it changes over from polling sits still until it misses a ping.
@pytest.mark.parametrize("hall", [{"ping_interval_s": 3.0}], indirect=True, ids=["pings"])
@identities
def test_connections_that_are_cut_again_and_again_lose_and_repeat_no_line(
    hall: SocketIoHall, clients: Callable[..., Client], shown: Callable[[SocketIoHall], dict[str, Any]]
) -> None:
    wire = hall.wire()
    ann = clients("named_chat.js", "Ann", url=wire.url, **shown(hall))
    wait_until_named(hall, "Ann")
    said = []
    for round in range(8):
        for number in range(10):
            said.append(f"line {round}.{number}")
            hall.host.say(said[-1])
            if number == 4:  # with what was said on its way
                hall.cut(wire)
        ann.wait_told("get-message", {"message": said[-1], "name": "Host"})
        seen = len(ann.entries)
        while not any(entry[0] == "disconnect" for entry in ann.entries[seen:]):
            hall.cut(wire)  # and while all is quiet: between two polls there is nothing to cut
    assert [event[1]["message"] for event in ann.told("get-message")] == said
    connects = [entry for entry in ann.entries if entry[0] == "connect"]
    assert len(connects) >= 8
    assert all(recovered for _, _, recovered in connects[1:])
    assert names(hall.host.view) == ["Ann"]


def test_after_a_restart_of_the_server_a_client_goes_on_where_it_was(
    hall: SocketIoHall, clients: Callable[..., Client]
) -> None:
    ann = clients("named_chat.js", "Ann")
    wait_until_named(hall, "Ann")
    hall.host.say("before")
    ann.wait_told("get-message", {"message": "before", "name": "Host"})
    seen = len(ann.entries)
    hall.stop()
    ann.wait_for(lambda entry: entry[0] == "disconnect", since=seen)
    hall.start()
    hall.host.say("right after")
    assert ann.wait_for(lambda entry: entry[0] == "connect", since=seen)[2] is True
    ann.wait_told("get-message", {"message": "right after", "name": "Host"})
    assert [event[1]["message"] for event in ann.told("get-message")] == ["before", "right after"]
    assert ann.ask("send-message", "me too")["ok"] is True
    hall.host.wait_for(lambda view: list(view["activities"]["2"]["lines"].values())[-1]["name"] == "Ann")


def test_what_is_too_much_to_tell_is_not_told_and_the_client_knows(
    hall: SocketIoHall, clients: Callable[..., Client]
) -> None:
    ann = clients("named_chat.js", "Ann")
    ann.do("goAway")
    ann.wait_for(lambda entry: entry[0] == "disconnect")
    seen = len(ann.entries)
    for start in range(0, 250, 50):
        hall.host.say(*(f"line {number}" for number in range(start, start + 50)))
    ann.do("comeBack")
    assert ann.wait_for(lambda entry: entry[0] == "connect", since=seen)[2] is False
    hall.host.say("and on")
    ann.wait_told("get-message", {"message": "and on", "name": "Host"})
    assert [event[1]["message"] for event in ann.told("get-message")] == ["and on"]


def test_every_position_comes_after_what_it_covers(hall: SocketIoHall, clients: Callable[..., Client]) -> None:
    ann = clients("broadcast_chat.js")
    for number in range(5):
        hall.host.say(f"line {number}")
        ann.wait_told("get-message", {"message": f"line {number}", "name": "Host"})
    hall.host.say("end")
    ann.wait_told("message", "ho said end")
    last = ann.entries.index(["event", "message", "ho said end"])
    ann.wait_for(lambda entry: entry[:2] == ["event", POSITION], since=last)
    # A client keeps the last text that came as a last argument: that has to be a position, or nothing is recovered.
    events = ann.told("message", POSITION)
    offsets = [int(text.split(".")[1]) for name, text in events if name == POSITION]
    assert offsets == sorted(set(offsets))
    assert events[-1][0] == POSITION
