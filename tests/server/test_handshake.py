"""What every handshake is asked; tests/server/test_socket.py asks more of the one for rooms."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.typing import Origin

from tests.server.conftest import OpenHall
from tests.server.hall import Hall

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
