from __future__ import annotations

import errno
import ipaddress
import json
import socket
from typing import Any

import psutil
import pytest
from websockets.exceptions import InvalidStatus

from tests.server.conftest import OpenHall
from tests.server.hall import CHAT, Hall
from wslive.core.errors import BadCommand, NotAllowed
from wslive.server.access import network
from wslive.server.access.network import Network, addresses, base_url
from wslive.server.access.origins import Gate
from wslive.server.settings import ServerSettings
from wslive.wire.close_codes import CloseCode

# A second address of this computer stands for its network: what counts is that it is not the one of the server.
NETWORK = "127.0.0.2"


@pytest.fixture(autouse=True)
def in_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is in one network, at an address that leads nowhere else."""
    monkeypatch.setattr(network, "addresses", lambda: [NETWORK])


async def let_in(hall: Hall, audience: str, bearer: str | None = None) -> tuple[int, Any]:
    response = await hall.http(
        "/api/audience",
        method="POST",
        body=json.dumps({"audience": audience}),
        bearer=bearer or hall.server.hosting_token,
    )
    return response.code, json.loads(response.body)


# ── addresses ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_addresses_of_this_machine_are_those_that_others_may_reach():
    for address in addresses():
        parsed = ipaddress.ip_address(address)
        assert [parsed.is_loopback, parsed.is_link_local, parsed.is_unspecified] == [False] * 3


def test_the_address_of_the_default_route_comes_first_and_virtual_networks_last(monkeypatch: pytest.MonkeyPatch):
    class Entry:
        family = socket.AF_INET

        def __init__(self, address: str) -> None:
            self.address = address

    class Entry6(Entry):
        family = socket.AF_INET6  # type: ignore[assignment]

    found = {
        "lo": [Entry("127.0.0.1"), Entry6("::1")],
        "docker0": [Entry("172.17.0.1")],
        "wlan0": [Entry("192.168.1.7"), Entry6("fd00::7")],
        "eth0": [Entry("10.0.0.5"), Entry("169.254.3.4")],
        "virbr0": [Entry("192.168.122.1")],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    monkeypatch.setattr(network, "_default_route_address", lambda: "192.168.1.7")
    assert addresses() == ["192.168.1.7", "10.0.0.5", "172.17.0.1", "192.168.122.1"]
    monkeypatch.setattr(network, "_default_route_address", lambda: None)
    assert addresses()[:2] == ["10.0.0.5", "192.168.1.7"]


def test_an_address_of_ipv6_stands_in_brackets():
    assert base_url("192.168.1.7", 80) == "http://192.168.1.7:80"
    assert base_url("fd00::7", 80) == "http://[fd00::7]:80"


# ── listening ─────────────────────────────────────────────────────────────────────────────────────────────────────


def listening(host: str, port: int = 0) -> tuple[set[str], set[int]]:
    """The addresses and ports that are listened on."""
    sockets = network.listen(host, port)
    names = [sock.getsockname() for sock in sockets]
    for sock in sockets:
        assert sock.getblocking() is False
        sock.close()
    return {name[0] for name in names}, {name[1] for name in names}


@pytest.mark.parametrize("host", ["", "::", "0.0.0.0", "127.0.0.1", "localhost"])
def test_all_addresses_of_a_host_share_one_port(host: str):
    found, ports = listening(host)
    assert len(ports) == 1
    assert found & {"0.0.0.0", "127.0.0.1"}
    if host in ("", "::") and socket.has_ipv6:
        assert found <= {"0.0.0.0", "::"}
    if host == "0.0.0.0":
        assert found == {"0.0.0.0"}


def test_a_port_that_is_taken_leaves_no_socket_behind():
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(OSError, match="in use") as taken:
            network.listen("127.0.0.1", other.getsockname()[1])
        assert taken.value.errno == errno.EADDRINUSE


def test_an_address_that_is_not_this_machines_cannot_be_listened_on():
    with pytest.raises(OSError, match="192") as elsewhere:
        network.listen("192.0.2.1", 0)
    assert elsewhere.value.errno == errno.EADDRNOTAVAIL


def urls(**settings: Any) -> list[str]:
    configured = ServerSettings(port=8765, **settings)
    return Network(configured, Gate(configured), lambda: pytest.fail("no listener is needed")).urls


def test_where_a_server_can_be_reached_follows_from_its_settings():
    assert urls() == []
    assert urls(host="localhost") == []
    assert urls(host="::1") == []
    for everywhere in ("", "0.0.0.0", "::"):
        assert urls(host=everywhere) == [f"http://{NETWORK}:8765"]
    assert urls(host="192.168.1.7") == ["http://192.168.1.7:8765"]
    assert urls(host="fd00::7") == ["http://[fd00::7]:8765"]
    assert urls(host="lab.example.org") == ["http://lab.example.org:8765"]
    assert urls(public_url="https://live.example.org/rooms/") == ["https://live.example.org/rooms"]
    assert urls(host="0.0.0.0", public_url="https://live.example.org") == ["https://live.example.org"]
    assert urls(public_url="http://localhost:9000") == []


# ── letting people in ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_by_default_only_this_computer_can_join(hall: Hall):
    with pytest.raises(OSError, match="Connect call failed"):
        await hall.connect(f"http://{NETWORK}:{hall.server.port}")
    assert json.loads((await hall.http("/api/server")).body)["audience"] == []
    assert await let_in(hall, "this_computer") == (200, {"links": []})


async def test_the_network_joins_at_an_address_of_its_own(hall: Hall):
    status, answer = await let_in(hall, "network")
    assert status == 200
    (url,) = answer["links"]
    assert url == f"http://{NETWORK}:{hall.server.port}"  # the same port where it is free
    host = await hall.host()
    ada = await hall.come(url, name="Ada")
    end = await ada.done(CHAT, "say", {"text": "hello from the back row"})
    assert "back row" in str(await host.at(end))
    assert await let_in(hall, "network") == (200, {"links": [url]})
    assert hall.server.audience_urls == [url]


async def test_another_port_is_taken_where_ours_is_not_free(hall: Hall):
    with socket.create_server((NETWORK, hall.server.port)):
        _, answer = await let_in(hall, "network")
        (url,) = answer["links"]
        assert not url.endswith(f":{hall.server.port}")
        assert await hall.come(url)


async def test_at_the_audiences_address_nobody_hosts(hall: Hall):
    host = await hall.host()
    await host.send({"type": "get_ticket", "ref": "t"})
    ticket = (await host.answer("t"))["ticket"]
    _, answer = await let_in(hall, "network")
    (url,) = answer["links"]
    for connect, hello in (
        ({}, {"room": hall.code, "role": "host", "token": hall.host_key}),
        ({"ticket": ticket}, {}),
    ):
        person = await hall.connect(url, **connect)
        assert (await person.hello(**hello))["code"] == "not_allowed"
        assert (await person.closed())[0] == CloseCode.REFUSED
    for method, path in (
        ("GET", "/api/server"),
        ("POST", "/api/rooms"),
        ("POST", "/api/audience"),
        ("DELETE", f"/api/rooms/{hall.code}"),
        ("GET", f"/api/rooms/{hall.code}/events"),
    ):
        body = "{}" if method == "POST" else None
        for bearer in (hall.server.hosting_token, hall.host_key):
            response = await hall.http(path, url=url, method=method, body=body, bearer=bearer)
            assert response.code == 404
    assert await hall.host()  # the room is still there


async def test_the_audiences_address_has_its_pages_and_its_own_host_check(hall: Hall):
    _, answer = await let_in(hall, "network")
    (url,) = answer["links"]
    for path in ("/", f"/r/{hall.code}", f"/r/{hall.code}/screen", f"/r/{hall.code}/about", "/health"):
        assert (await hall.http(path, url=url)).code == 200
        assert (await hall.http(path, url=url, headers={"Host": "evil.example"})).code == 403
    with pytest.raises(InvalidStatus):
        await hall.connect(url, origin="http://evil.example")
    assert await hall.connect(url, origin=url)


async def test_the_door_can_be_closed_again_and_whoever_is_in_stays(hall: Hall):
    _, answer = await let_in(hall, "network")
    (url,) = answer["links"]
    ada = await hall.come(url, name="Ada")
    assert await let_in(hall, "this_computer") == (200, {"links": []})
    with pytest.raises(OSError, match="Connect call failed"):
        await hall.connect(url)
    assert await ada.done(CHAT, "say", {"text": "still here"})
    _, again = await let_in(hall, "network")
    assert again["links"] == [url]
    assert await hall.come(url)


async def test_a_public_address_is_let_in_by_its_name(hall: Hall):
    tunnel = {"url": f"http://abc.tunnel.example:{hall.server.port}", "host": "127.0.0.1", "port": hall.server.port}
    with pytest.raises(InvalidStatus):
        await hall.connect(**tunnel)
    assert await let_in(hall, "https://abc.tunnel.example/") == (200, {"links": ["https://abc.tunnel.example"]})
    assert await hall.connect(**tunnel, origin="https://abc.tunnel.example")
    assert await let_in(hall, "this_computer") == (200, {"links": []})
    with pytest.raises(InvalidStatus):
        await hall.connect(**tunnel)


async def test_the_latest_wish_counts(hall: Hall):
    await let_in(hall, "https://abc.tunnel.example")
    _, answer = await let_in(hall, "network")
    assert answer["links"] == [f"http://{NETWORK}:{hall.server.port}"]
    _, answer = await let_in(hall, "https://abc.tunnel.example")
    assert answer["links"] == ["https://abc.tunnel.example", f"http://{NETWORK}:{hall.server.port}"]


async def test_an_operators_address_is_the_network(open_hall: OpenHall):
    hall = await open_hall(public_url="https://live.example.org/rooms")
    assert await let_in(hall, "network") == (200, {"links": ["https://live.example.org/rooms"]})
    assert await let_in(hall, "this_computer") == (200, {"links": ["https://live.example.org/rooms"]})


@pytest.mark.parametrize(
    "audience",
    ["", "everybody", "ftp://live.example.org", "https://", "http://[::1", "//live.example.org", "live.example.org"],
)
async def test_an_audience_that_is_none_is_told_what_it_may_be(audience: str, hall: Hall):
    status, answer = await let_in(hall, audience)
    assert (status, answer["code"]) == (400, BadCommand.code)
    assert "https://live.example.org" in answer["message"]


@pytest.mark.parametrize("audience", ["http://localhost:8765", "http://127.0.0.1", "http://[::1]:8765"])
async def test_a_loopback_address_lets_nobody_in(audience: str, hall: Hall):
    status, answer = await let_in(hall, audience)
    assert (status, answer["code"]) == (400, BadCommand.code)
    assert "use 'network' instead" in answer["message"]


async def test_without_a_network_nobody_else_can_come(hall: Hall, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(network, "addresses", list)
    status, answer = await let_in(hall, "network")
    assert (status, answer["code"]) == (400, BadCommand.code)
    monkeypatch.setattr(network, "addresses", lambda: ["192.0.2.1"])  # not one of ours
    status, answer = await let_in(hall, "network")
    assert (status, answer["code"]) == (400, BadCommand.code)
    assert "see the server's log" in answer["message"]


async def test_an_operator_may_keep_hosts_from_opening_the_network(open_hall: OpenHall):
    hall = await open_hall(may_open_network=False)
    for audience in ("network", "https://abc.tunnel.example"):
        status, answer = await let_in(hall, audience)
        assert (status, answer["code"]) == (403, NotAllowed.code)
    assert hall.server.audience_urls == []


async def test_opening_the_network_needs_the_hosting_token_even_where_anyone_may_host(open_hall: OpenHall):
    hall = await open_hall(anyone_may_host=True)
    status, answer = await let_in(hall, "network", bearer="somebody")
    assert (status, answer["code"]) == (403, "hosting_not_allowed")
    assert hall.server.audience_urls == []
