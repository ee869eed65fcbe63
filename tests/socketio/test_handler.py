"""The HTTP side, as any client sees it; who may connect is asked in tests/end_to_end/test_socketio_errors.py too."""

from __future__ import annotations

import asyncio
import json
from http.cookies import SimpleCookie
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.server.hall import HANG_S, UNHURRIED
from tests.socketio.client import Client
from tests.socketio.conftest import OpenHall, SocketIoHall
from wslive.server.settings import Rate
from wslive.server.websocket.carrier import READ_BYTES
from wslive.socketio.handler import MAX_PAYLOAD_BYTES, MAX_UNREAD, OTHER_VERSION, UNKNOWN_CONNECTION
from wslive.socketio.identity import COOKIE, kept_cookie
from wslive.wire.close_codes import CloseCode


async def handshake(hall: SocketIoHall, query: str = "EIO=4&transport=polling", **options: Any) -> HTTPResponse:
    return await hall.http(f"/socket.io/?{query}", **options)


def opened(response: HTTPResponse) -> dict[str, Any]:
    assert response.code == 200, response.body
    assert response.body.startswith(b"0")
    found: dict[str, Any] = json.loads(response.body[1:])
    return found


def cookie(response: HTTPResponse) -> Any:
    return SimpleCookie(response.headers.get("Set-Cookie", "")).get(COOKIE)


async def test_a_handshake_says_how_to_go_on(hall: SocketIoHall):
    found = opened(await handshake(hall))
    assert found["upgrades"] == ["websocket"]
    assert found["pingInterval"] == 25_000
    assert found["pingTimeout"] == 20_000
    assert found["maxPayload"] < 64 * 1024


async def test_a_silent_client_is_gone_after_twice_the_time_between_pings_at_most(open_hall: OpenHall):
    found = opened(await handshake(await open_hall(ping_interval_s=3.0)))
    assert found["pingInterval"] == found["pingTimeout"] == 3_000


async def test_a_body_that_cannot_be_read_is_refused_without_a_word_in_the_log(
    hall: SocketIoHall, caplog: pytest.LogCaptureFixture
):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = await handshake(hall, method="POST", body="no part", headers=headers)
    assert response.code == 400
    assert caplog.text == ""


async def test_a_handshake_sets_a_cookie_that_scripts_cannot_read(hall: SocketIoHall):
    found = cookie(await handshake(hall))
    assert kept_cookie(found.value) == found.value
    assert found["httponly"]
    assert found["samesite"] == "Lax"
    assert found["path"] == "/"
    assert not found["secure"]  # the address is plain http
    assert cookie(await handshake(hall)).value != found.value


async def test_a_cookie_that_is_shown_is_kept(hall: SocketIoHall):
    value = cookie(await handshake(hall)).value
    assert cookie(await handshake(hall, headers={"Cookie": f"{COOKIE}={value}"})) is None
    assert cookie(await handshake(hall, headers={"Cookie": f"{COOKIE}=made up"})) is not None


async def test_a_websockets_handshake_sets_the_cookie_too(hall: SocketIoHall):
    client = await hall.client()
    assert client.socket.response is not None
    assert COOKIE in client.socket.response.headers["Set-Cookie"]


async def test_a_browser_that_shows_the_cookie_later_is_known_by_it(hall: SocketIoHall):
    response = await handshake(hall)
    sid, value = opened(response)["sid"], cookie(response).value
    transport = hall.gateway.transports[sid]
    assert transport.cookie is None
    shown = {"Cookie": f"{COOKIE}={value}"}
    await handshake(hall, f"EIO=4&transport=polling&sid={sid}", method="POST", body="40", headers=shown)
    assert transport.cookie == value
    # Nobody becomes somebody else on the way.
    other = {"Cookie": f"{COOKIE}={'x' * 32}"}
    await handshake(hall, f"EIO=4&transport=polling&sid={sid}", method="POST", body="1", headers=other)
    assert transport.cookie == value


@pytest.mark.parametrize("query", ["EIO=3&transport=websocket", "EIO=5&transport=polling", "transport=polling", ""])
async def test_other_versions_are_told_which_are_spoken(hall: SocketIoHall, query: str):
    response = await handshake(hall, query)
    assert response.code == 400
    assert json.loads(response.body) == {"code": 5, "message": OTHER_VERSION}


async def test_version_2_gets_it_as_an_event(hall: SocketIoHall):
    response = await handshake(hall, "EIO=3&transport=polling")
    text, packets = response.body.decode(), []
    while text:
        size, _, rest = text.partition(":")
        packets.append(rest[: int(size)])
        text = rest[int(size) :]
    assert packets[1:] == [f"44{json.dumps(OTHER_VERSION)}", "41"]
    assert json.loads(packets[0][1:])["upgrades"] == []
    assert hall.gateway.transports == {}


@pytest.mark.parametrize(
    "query", ["EIO=4&transport=flash", "EIO=4&transport=polling&sid=nobody", "EIO=4&transport=polling&j=1"]
)
async def test_what_no_client_asks_for_is_refused(hall: SocketIoHall, query: str):
    assert (await handshake(hall, query)).code == 400
    assert hall.gateway.transports == {}


@pytest.mark.parametrize("method", ["BREW", "get"])
async def test_a_method_that_http_does_not_know_leaves_no_trace(
    method: str, hall: SocketIoHall, caplog: pytest.LogCaptureFixture
):
    answer = await hall.http("/socket.io/?EIO=4", method=method, allow_nonstandard_methods=True)
    assert answer.code == 405
    assert caplog.text == ""


async def test_answers_are_stored_nowhere(hall: SocketIoHall):
    response = await handshake(hall)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_nothing_is_compressed(hall: SocketIoHall):
    client = await Client.open(hall.server.url, room=hall.code)
    assert client.socket.response is not None
    assert "Sec-WebSocket-Extensions" not in client.socket.response.headers
    await client.close()


async def test_a_flood_makes_its_sender_wait_and_fills_no_memory(open_hall: OpenHall):
    hall = await open_hall(hello_timeout_s=0.1, sweep_interval_s=0.02)
    client = await hall.guest()
    [transport] = hall.gateway.transports.values()
    for _ in range(20 * MAX_UNREAD):
        await client.socket.send("4x")
    assert transport.websocket.receive_queue.qsize() <= MAX_UNREAD + READ_BYTES // 6  # what was read with the last one
    assert (await client.ended())[0] is not None  # so much nonsense has an end


async def test_who_floods_waits_and_loses_nothing(open_hall: OpenHall):
    hall = await open_hall(receive_rate=Rate(per_s=20_000, burst=2_000), line_rate=UNHURRIED)
    host, client = await hall.host(), await hall.guest()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(20):  # a message counts as 256 bytes more
        await client.emit("message", f"line {number}")
    await host.until(lambda view: len(view["activities"]["2"]["lines"]) == 20)  # perhaps read at once
    await client.emit("message", "line 20")
    await host.until(lambda view: len(view["activities"]["2"]["lines"]) == 21)
    assert loop.time() - began_s > (20 * 256 - 2_000) / 20_000


async def test_who_floods_by_requests_waits_too(open_hall: OpenHall):
    hall = await open_hall(receive_rate=Rate(per_s=20_000, burst=2_000))
    sid = opened(await handshake(hall))["sid"]
    query = f"EIO=4&transport=polling&sid={sid}"
    await handshake(hall, query, method="POST", body="40")
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    packets = "\x1e".join(['42["vote",0]'] * 20)
    assert (await handshake(hall, query, method="POST", body=packets)).body == b"OK"
    assert loop.time() - began_s > (20 * 256 - 2_000) / 20_000


async def test_what_was_sent_right_before_the_end_is_carried_out(open_hall: OpenHall):
    hall = await open_hall()
    host = await hall.host()
    client = await hall.guest()
    await client.emit("message", "Hello and goodbye")
    await client.close()
    await host.until(lambda view: view["activities"]["2"]["lines"])


async def test_requests_of_a_polling_client_may_hold_many_events(open_hall: OpenHall):
    hall = await open_hall()
    sid = opened(await handshake(hall))["sid"]
    query = f"EIO=4&transport=polling&sid={sid}"
    assert (await handshake(hall, query, method="POST", body="40")).body == b"OK"
    answers = ""
    post = "\x1e".join(f'42{number}["vote",0]' for number in range(1000))
    assert (await handshake(hall, query, method="POST", body=post)).body == b"OK"
    async with asyncio.timeout(HANG_S):
        while "43999[" not in answers:
            answers += (await handshake(hall, query)).body.decode() + "\x1e"
    assert len([packet for packet in answers.split("\x1e") if packet.startswith("43")]) == 1000


async def test_a_request_that_is_too_large_ends_the_connection(hall: SocketIoHall):
    sid = opened(await handshake(hall))["sid"]
    query = f"EIO=4&transport=polling&sid={sid}"
    response = await handshake(hall, query, method="POST", body="4" + "x" * MAX_PAYLOAD_BYTES)
    assert (response.code, response.body) == (413, b"At most 61440 bytes a request.")
    async with asyncio.timeout(HANG_S):
        while hall.gateway.transports:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("body", ["0", "8", "9x", "\x1e"])
async def test_a_request_that_makes_no_sense_is_answered_though_nobody_polls(hall: SocketIoHall, body: str):
    sid = opened(await handshake(hall))["sid"]
    response = await handshake(hall, f"EIO=4&transport=polling&sid={sid}", method="POST", body=body)
    assert response.code in (200, 400)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", CloseCode.PROTOCOL_ERROR),
        ("x", CloseCode.PROTOCOL_ERROR),
        ("²", CloseCode.PROTOCOL_ERROR),
        ("0{}", CloseCode.PROTOCOL_ERROR),
        ("4" + "x" * MAX_PAYLOAD_BYTES, CloseCode.FRAME_TOO_BIG),
        (b"x" * (MAX_PAYLOAD_BYTES + 1), CloseCode.FRAME_TOO_BIG),
    ],
    ids=["empty", "letter", "number", "open", "large text", "large bytes"],
)
async def test_what_is_not_even_engine_io_ends_the_connection_with_a_code(
    hall: SocketIoHall, caplog: pytest.LogCaptureFixture, message: str | bytes, code: CloseCode
):
    client = await hall.guest()
    await client.socket.send(message)
    ended = await client.ended()
    assert ended[0] == code
    assert ended[1] == code.sentence or code is CloseCode.FRAME_TOO_BIG  # there the limit is named
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("first", "frame"),
    [(b"", b"\x89\x80\0\0\0\0"), (b"\x01\x81\0\0\0\x004", b"\x00\x80\0\0\0\0")],
    ids=["pings", "fragments"],
)
async def test_frames_that_bring_nothing_make_their_sender_wait_too(open_hall: OpenHall, first: bytes, frame: bytes):
    hall = await open_hall(receive_rate=Rate(per_s=20_000, burst=2_000))
    loop = asyncio.get_running_loop()
    began_s = loop.time()  # from its coming on a client has so much a second
    client = await hall.guest()
    client.socket.transport.write(first + 40 * frame)
    for _ in range(2):  # the first one may be read with them
        await (await client.socket.ping())
    assert loop.time() - began_s > (40 * 256 - 2_000) / 20_000


async def test_who_breaks_off_a_poll_has_left(hall: SocketIoHall):
    sid = opened(await handshake(hall))["sid"]
    query = f"EIO=4&transport=polling&sid={sid}"
    await handshake(hall, query, method="POST", body="40")
    async with asyncio.timeout(HANG_S):
        while sid in hall.gateway.transports:  # the first one or two are answered before they are broken off
            _, writer = await asyncio.open_connection("127.0.0.1", hall.server.port)
            writer.write(f"GET /socket.io/?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            await asyncio.sleep(0.05)
            writer.close()
            await writer.wait_closed()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("query", ["transport=websocket&sid=nobody", "transport=polling&sid=nobody"])
async def test_a_connection_that_is_not_there_is_refused_before_the_upgrade(hall: SocketIoHall, query: str):
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws{hall.server.url[4:]}/socket.io/?EIO=4&{query}", proxy=None):
            pass
    assert refused.value.response.status_code == 400
    assert json.loads(refused.value.response.body or b"") == {"code": 1, "message": UNKNOWN_CONNECTION}


@pytest.mark.parametrize("first", ["2probe", "5", "4hello", "2"])
async def test_an_upgrade_that_is_none_leaves_no_websocket_open(
    hall: SocketIoHall, caplog: pytest.LogCaptureFixture, first: str
):
    sid = opened(await handshake(hall))["sid"]
    address = f"ws{hall.server.url[4:]}/socket.io/?EIO=4&transport=websocket&sid={sid}"
    async with connect(address, proxy=None) as socket:
        await socket.send(first)
        await socket.send("4x")
        await socket.wait_closed()
        assert socket.close_code == CloseCode.PROTOCOL_ERROR
    assert caplog.text == ""


async def test_a_connection_has_one_websocket_at_a_time(hall: SocketIoHall):
    sid = opened(await handshake(hall))["sid"]
    address = f"ws{hall.server.url[4:]}/socket.io/?EIO=4&transport=websocket&sid={sid}"
    async with connect(address, proxy=None) as first:
        for _ in range(3):
            async with connect(address, proxy=None) as another:
                await another.wait_closed()
                assert another.close_code == CloseCode.PROTOCOL_ERROR
        await first.send("2probe")
        assert await first.recv() == "3probe"


async def test_after_an_upgrade_that_was_cut_polling_goes_on(hall: SocketIoHall):
    sid = opened(await handshake(hall))["sid"]
    query = f"EIO=4&transport=polling&sid={sid}"
    [transport] = hall.gateway.transports.values()
    async with connect(f"ws{hall.server.url[4:]}/socket.io/?EIO=4&transport=websocket&sid={sid}", proxy=None):
        assert transport.websocket is not None
    async with asyncio.timeout(HANG_S):
        while transport.websocket is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await handshake(hall, query, method="POST", body="40")
    assert (await handshake(hall, query)).body.startswith(b"40")
    transport.close(CloseCode.HELLO_TIMEOUT)  # not lost with the WebSocket
    async with asyncio.timeout(HANG_S):
        while hall.gateway.transports:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_websocket_in_place_of_polling_leaves_none_open(hall: SocketIoHall):
    async with connect(f"ws{hall.server.url[4:]}/socket.io/?EIO=4&transport=flash", proxy=None) as socket:
        await socket.wait_closed()
        assert socket.close_code == CloseCode.PROTOCOL_ERROR
    assert hall.gateway.transports == {}
