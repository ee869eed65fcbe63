"""What every handshake is asked; tests/server/http/test_socket.py asks more of the one for rooms."""

from __future__ import annotations

import socket
import struct

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.typing import Origin

from tests.server.conftest import OpenHall
from tests.server.hall import Hall
from wslive.server.settings import Rate

each_path = pytest.mark.parametrize("path", ["/ws", "/echo"])


async def turned_away(hall: Hall, path: str, *, origin: str | None = None, name: str = "127.0.0.1") -> Response:
    """The answer to a handshake that is refused; under another name as after DNS rebinding."""
    url = f"ws://{name}:{hall.server.port}{path}"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, origin=origin and Origin(origin), host="127.0.0.1", proxy=None):
            pass
    return refused.value.response


@each_path
async def test_a_page_of_a_foreign_origin_is_turned_away_and_told_what_to_do(hall: Hall, path: str):
    response = await turned_away(hall, path, origin="http://elsewhere.example")
    assert response.status_code == 403
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"--allow-origin http://elsewhere.example" in (response.body or b"")


@each_path
async def test_a_name_that_is_not_ours_is_turned_away_and_told_what_to_do(hall: Hall, path: str):
    response = await turned_away(hall, path, name="rebound.example")
    assert response.status_code == 403
    assert b"--public-url" in (response.body or b"")


@each_path
async def test_a_page_whose_origin_is_allowed_is_let_through(open_hall: OpenHall, path: str):
    hall = await open_hall(allow_origins=("http://pages.example",))
    async with connect(f"ws{hall.server.url[4:]}{path}", origin=Origin("http://pages.example"), proxy=None) as socket:
        assert socket.response is not None
        assert socket.response.status_code == 101


@each_path
async def test_a_full_server_says_when_to_come_back(open_hall: OpenHall, path: str):
    hall = await open_hall(max_connections=1)
    async with connect(f"ws{hall.server.url[4:]}/echo", proxy=None):
        response = await turned_away(hall, path)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "10")


@each_path
async def test_who_comes_with_too_many_at_once_is_told_when_it_is_their_turn(
    open_hall: OpenHall, path: str, caplog: pytest.LogCaptureFixture
):
    hall = await open_hall(handshake_rate=Rate(per_s=0.5, burst=1), sweep_interval_s=3600)
    url = f"ws{hall.server.url[4:]}{path}"
    async with connect(url, proxy=None):
        response = await turned_away(hall, path)
    assert response.status_code == 503
    assert b"Many are coming in" in (response.body or b"")
    assert 1 <= int(response.headers["Retry-After"]) <= 10
    assert caplog.records == []  # a thousand of them are one line, see test_context


async def test_a_refused_origin_takes_nobodys_turn(open_hall: OpenHall):
    hall = await open_hall(handshake_rate=Rate(per_s=0.001, burst=1))
    for _ in range(3):
        assert (await turned_away(hall, "/ws", origin="http://elsewhere.example")).status_code == 403
    async with connect(f"ws{hall.server.url[4:]}/ws", proxy=None):
        pass


@each_path
async def test_who_goes_in_the_middle_of_a_handshake_leaves_no_mistake_in_the_log(
    hall: Hall, path: str, caplog: pytest.LogCaptureFixture
):
    handshake = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{hall.server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", hall.server.port)) as theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not closed
            theirs.sendall(handshake.encode())
    async with connect(f"ws{hall.server.url[4:]}{path}", proxy=None):
        assert caplog.records == []
