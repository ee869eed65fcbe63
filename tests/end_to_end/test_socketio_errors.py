"""What Socket.IO clients do wrong, or may not do: each gets a sentence, and nobody else notices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.end_to_end.socketio_hall import CLIENT_FILE, Client, Clients, SocketIoHall, socketio_hall
from wslive.server.settings import Rate
from wslive.socketio.gateway import WHICH_ROOM
from wslive.socketio.handler import NO_CLIENT, OTHER_VERSION
from wslive.socketio.programs import POSITION

PAGES = "http://pages.example"


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[SocketIoHall]:
    """A room with a question; pages of one other origin may connect."""
    with socketio_hall(tmp_path, allow_origins=(PAGES,), tick_interval_s=0.005) as hall:
        hall.ask_languages()
        yield hall


@pytest.fixture
def clients(hall: SocketIoHall) -> Iterator[Clients]:
    """Starts client programs in that room."""
    clients = Clients(hall.url)
    yield clients
    clients.close()


def request(url: str, **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an answer."""
    method = headers.pop("method", "GET")
    try:
        with urlopen(Request(url, headers=headers, method=method)) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read().decode()


def handshake(hall: SocketIoHall, query: str = "EIO=4&transport=polling", **headers: str) -> tuple[int, Any, str]:
    return request(f"{hall.url}/socket.io/?{query}", **headers)


# ── clients of other versions ─────────────────────────────────────────────────────────────────────────────────────


def test_a_client_of_version_2_gets_an_error_event_and_stays_away(clients: Clients) -> None:
    client = clients.start("older.js")
    assert client.wait_for(lambda entry: entry[0] == "disconnect") == ["disconnect", "io server disconnect"]
    assert client.told() == [["error", OTHER_VERSION]]


def test_a_client_of_version_2_that_begins_with_a_websocket_is_told_so_too(hall: SocketIoHall) -> None:
    status, _, body = handshake(hall, "EIO=3&transport=websocket", Connection="Upgrade", Upgrade="websocket")
    assert (status, json.loads(body)) == (400, {"code": 5, "message": OTHER_VERSION})


def test_a_client_of_a_version_to_come_is_told_so(hall: SocketIoHall) -> None:
    status, _, body = handshake(hall, "EIO=5&transport=polling")
    assert (status, json.loads(body)) == (400, {"code": 5, "message": OTHER_VERSION})


def test_the_first_client_of_version_4_votes(clients: Clients) -> None:
    first, now = clients("first.js"), clients("live_vote.js")
    assert first.ask("vote", 2)["ok"] is True
    assert now.ask("vote", 2)["ok"] is True
    first.wait_shown([0, 0, 2, 0, 0])


# ── rooms and namespaces ──────────────────────────────────────────────────────────────────────────────────────────


def refused(client: Client) -> list[Any]:
    return client.wait_for(lambda entry: entry[0] == "connect_error")[1:]


def test_a_room_that_is_not_there_and_one_that_is_locked_are_refused_alike(
    hall: SocketIoHall, clients: Clients
) -> None:
    unknown = refused(clients.start("live_vote.js", url=f"{hall.url}?room=NOSUCH"))
    hall.host.command(0, "lock", {"locked": True})
    locked = refused(clients.start("live_vote.js", url=f"{hall.url}?room={hall.code}"))
    assert unknown == locked
    assert unknown[0] == "This room cannot be joined. Check the code, or ask the host whether the room is open."
    assert unknown[1]["code"] == "room_unavailable"


def test_without_a_room_a_client_is_asked_for_one(hall: SocketIoHall, clients: Clients) -> None:
    hall.gateway.default_code = None
    assert refused(clients.start("live_vote.js"))[0] == WHICH_ROOM


def test_a_namespace_is_refused_with_a_sentence(hall: SocketIoHall, clients: Clients) -> None:
    message, data = refused(clients.start("live_vote.js", url=f"{hall.url}/admin"))
    assert message == "There is no namespace '/admin' here. Connect without one."
    assert data["code"] == "unknown_namespace"


def test_a_token_that_is_no_secret_is_refused(clients: Clients) -> None:
    message, data = refused(clients.start("live_vote.js", auth={"token": "Ann"}))
    assert "at least 16 characters" in message
    assert data["code"] == "invalid_token"


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("event", "payload", "code", "sentence"),
    [
        (
            "typing",
            True,
            "unknown_command",
            "This server does not know the event 'typing'. It knows message, new-user,",
        ),
        ("disconnect", "", "unknown_command", "This server does not know the event 'disconnect'."),
        ("message", 7, "bad_command", '"message" takes a text, not a number.'),
        ("send-message", {"message": "Hello"}, "bad_command", '"send-message" takes a text, not an object.'),
        ("send-message", None, "bad_command", '"send-message" takes a text, not nothing.'),
        ("new-user", ["Ann"], "bad_command", '"new-user" takes a name as text, not a list.'),
        ("vote", "Python", "bad_command", "not the text 'Python'."),
        ("vote", 1.5, "bad_command", "a number from 0 on, not a number."),
        ("vote", True, "bad_command", "not true or false."),
        ("vote", 5, "unknown_option", "There is no option 5; they go from 0 to 4."),
        ("vote", -1, "unknown_option", "There is no option -1; they go from 0 to 4."),
        ("message", "", "empty_text", "The line is empty."),
        ("message", "x" * 501, "text_too_long", "The line has 501 characters; at most 500 are allowed."),
        ("message", "x" * 20_000, "bad_command", "this server takes at most 16384"),
    ],
)
def test_what_a_client_may_not_emit_is_refused_with_a_sentence(
    clients: Clients, event: str, payload: Any, code: str, sentence: str
) -> None:
    client = clients("broadcast_chat.js")
    if event == "disconnect":  # the official client keeps this name for itself
        client.do("raw", '420["disconnect",""]')
        client.wait_for(lambda entry: entry[0] == "event")
    else:
        answer = client.ask(event, payload)
        assert answer["ok"] is False
        assert answer["error"]["code"] == code
        assert sentence in answer["error"]["message"]
        client.emit(event, payload)  # nobody waits for an answer: then it is an event
        error = client.wait_for(lambda entry: entry[:2] == ["event", "error"])[2]
        assert error["code"] == code
        assert sentence in error["message"]
    assert client.ask("message", "still here")["ok"] is True


def test_a_binary_payload_is_refused(clients: Clients) -> None:
    client = clients("broadcast_chat.js")
    client.do("emitBinary", "message", "Hello")
    error = client.wait_for(lambda entry: entry[:2] == ["event", "error"])[2]
    assert error == {"code": "bad_command", "message": '"message" takes a text, not an object.'}
    assert client.ask("message", "still here")["ok"] is True


@pytest.mark.parametrize("packet", ["9", '42{"a":1}', "42", '42["message"', "42[[]]", "451-", "nonsense"])
def test_what_is_no_packet_is_answered_and_the_connection_stays(clients: Clients, packet: str) -> None:
    client = clients("broadcast_chat.js", transports=["websocket"])
    client.do("raw", packet[1:] if packet.startswith("4") else packet)
    error = client.wait_for(lambda entry: entry[:2] == ["event", "error"])[2]
    assert error["code"] == "bad_command"
    assert "no packet" in error["message"]
    assert client.ask("message", "still here")["ok"] is True


def test_who_sends_nothing_but_nonsense_is_sent_away(clients: Clients) -> None:
    client = clients("broadcast_chat.js", transports=["websocket"])
    for _ in range(30):
        client.do("raw", "nonsense")
    assert client.wait_for(lambda entry: entry[0] == "disconnect") == ["disconnect", "io server disconnect"]
    assert client.told("error")[-1][1]["code"] == "too_many_errors"


def test_the_rates_are_those_of_every_participant(tmp_path: Path) -> None:
    with socketio_hall(tmp_path, line_rate=Rate(per_s=0.001, burst=5)) as hall, closing(Clients(hall.url)) as clients:
        hall.ask_languages()
        client = clients("broadcast_chat.js")
        answers = [client.ask("message", f"line {number}") for number in range(6)]
        assert [answer["ok"] for answer in answers] == [True] * 5 + [False]
        assert answers[5]["error"]["code"] == "too_fast"
        assert answers[5]["error"]["retry_after_s"] > 0
        assert client.ask("vote", 1)["ok"] is True  # another rate


def test_a_slow_reader_does_not_hold_up_the_others(hall: SocketIoHall, clients: Clients) -> None:
    # A client that polled once and never again: nothing takes what is sent to it.
    _, _, body = handshake(hall)
    sid = json.loads(body[1:])["sid"]
    post = Request(f"{hall.url}/socket.io/?EIO=4&transport=polling&sid={sid}", data=b"40")
    with urlopen(post) as answer:
        assert answer.read() == b"OK"
    client = clients("broadcast_chat.js")
    for number in range(100):
        hall.host.say(f"line {number}")
    client.wait_told("message", "ho said line 99")
    # It took nothing, so nothing was piled up for it: when it polls again it gets what it missed, once and in order.
    told = ""
    while "line 99" not in told:
        told += handshake(hall, f"EIO=4&transport=polling&sid={sid}")[2] + "\x1e"
    events = [json.loads(packet[2:]) for packet in told.split("\x1e") if packet.startswith("42")]
    assert [event[1] for event in events if event[0] == "message"] == [f"ho said line {n}" for n in range(100)]
    assert len([event for event in events if event[0] == POSITION]) <= 3


# ── who may connect ───────────────────────────────────────────────────────────────────────────────────────────────


def test_pages_of_an_allowed_origin_may_read_the_answers_with_cookies(hall: SocketIoHall) -> None:
    status, headers, _ = handshake(hall, Origin=PAGES)
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == PAGES
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert headers["Vary"] == "Origin"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    status, headers, _ = handshake(hall, method="OPTIONS", Origin=PAGES, **asked)
    assert status == 204
    assert headers["Access-Control-Allow-Headers"] == "content-type"
    assert "POST" in headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null"])
def test_pages_of_other_origins_are_refused(hall: SocketIoHall, origin: str) -> None:
    status, headers, body = handshake(hall, Origin=origin)
    assert status == 403
    assert "may not connect" in body
    assert "Access-Control-Allow-Origin" not in headers
    assert "Set-Cookie" not in headers


def test_a_page_of_another_origin_cannot_use_a_connection_that_is_there(hall: SocketIoHall) -> None:
    _, _, body = handshake(hall)
    sid = json.loads(body[1:])["sid"]
    assert handshake(hall, f"EIO=4&transport=polling&sid={sid}", Origin="http://elsewhere.example")[0] == 403


def test_a_name_that_is_not_ours_is_refused(hall: SocketIoHall) -> None:
    status, _, body = handshake(hall, Host="rebound.example")
    assert status == 403
    assert "--public-url" in body


def test_scripts_of_any_page_get_no_jsonp(hall: SocketIoHall) -> None:
    assert handshake(hall, "EIO=4&transport=polling&j=0")[0] == 400


def test_a_connection_that_nobody_comes_in_by_is_closed(tmp_path: Path) -> None:
    with socketio_hall(tmp_path, hello_timeout_s=0.2, sweep_interval_s=0.05) as hall:
        status, polled = 400, ""
        while status == 400:  # so is a poll answered that came when the connection was closed already
            _, _, body = handshake(hall)
            sid = json.loads(body[1:])["sid"]
            status, _, polled = handshake(hall, f"EIO=4&transport=polling&sid={sid}")
        # The poll is answered when the connection is closed: 1 is Engine.IO's word for that.
        assert (status, polled) == (200, "1")


def test_a_server_that_is_full_says_so(tmp_path: Path) -> None:
    # The host is one connection, and the client is the other.
    with socketio_hall(tmp_path, max_connections=2) as hall:
        assert handshake(hall)[0] == 200
        status, headers, body = handshake(hall)
        assert (status, headers["Retry-After"]) == (503, "10")
        assert "as many connections as it takes" in body


# ── the client's script ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["socket.io.js", "socket.io.min.js"])
def test_the_clients_script_is_served(hall: SocketIoHall, name: str) -> None:
    status, headers, body = request(f"{hall.url}/socket.io/{name}")
    assert status == 200
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert body == CLIENT_FILE.read_text("utf-8")


def test_without_a_copy_the_server_says_how_to_get_the_clients_script(tmp_path: Path) -> None:
    with socketio_hall(tmp_path, client_file=None) as hall:
        status, _, body = request(f"{hall.url}/socket.io/socket.io.js")
        assert (status, body) == (404, NO_CLIENT)
