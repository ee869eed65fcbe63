"""A server's HTTP interface from Python."""

import pytest

from tests.client.rooms import Hall
from wslive.client.http import fetch, fetch_json
from wslive.core.errors import HostingNotAllowed, NotConnected, RoomUnavailable, WrongHostKey
from wslive.server.app import Server


async def test_a_room_is_made_with_the_hosting_token(server: Server):
    made = await fetch_json(
        server.url, "/api/rooms", method="POST", body={"title": "Sorting 101"}, bearer=server.hosting_token
    )
    assert made["link"] == f"{server.url}/r/{made['code']}"


@pytest.mark.parametrize("token", [None, "ht_wrong"])
async def test_a_refusal_is_its_exception(server: Server, token: str | None):
    with pytest.raises(HostingNotAllowed, match="WSLIVE_HOST_TOKEN"):
        await fetch_json(server.url, "/api/rooms", method="POST", body={"title": "Sorting 101"}, bearer=token)
    with pytest.raises(RoomUnavailable):
        await fetch_json(server.url, "/r/NOSUCH/about")


async def test_a_room_is_deleted_with_its_host_key(server: Server, hall: Hall):
    path = f"/api/rooms/{hall.code}"
    assert b"room_opened" in await fetch(server.url, f"{path}/events", bearer=hall.host_key)
    await fetch_json(server.url, path, method="DELETE", bearer=hall.host_key)
    with pytest.raises(WrongHostKey):
        await fetch(server.url, f"{path}/events", bearer=hall.host_key)


async def test_nobody_listening_is_told_with_what_to_do(unused_tcp_port: int):
    with pytest.raises(NotConnected, match=r"connection refused\. Start one with `wslive serve`"):
        await fetch_json(f"http://127.0.0.1:{unused_tcp_port}", "/api/server")


async def test_what_is_no_wslive_server_is_told_as_such(server: Server):
    with pytest.raises(NotConnected, match="is no wslive server"):
        await fetch_json(server.url, "/")
    with pytest.raises(NotConnected, match="HTTP 404"):
        await fetch_json(server.url, "/no/such/page")
