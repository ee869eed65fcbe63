"""Who may come into the rooms of a Jupyter Server without its login."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from wslive.core.errors import BadCommand, NotAllowed, RoomUnavailable
from wslive.eventlog.memory import MemoryLog
from wslive.extension.audience import ALLOWED, CLOSED, Audience, Invitation, clamped
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

PATH = "/user/ada/wslive"

Make = Callable[..., Audience]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    running = Server(ServerSettings(), MemoryLog())
    running.begin()
    yield running
    await running.stop()


@pytest.fixture
def audience(server: Server) -> Make:
    def make(allowed: Any = "anyone", *, is_direct: bool = False, addresses: tuple[str, ...] = ()) -> Audience:
        audit = logging.getLogger("tests.audit")
        return Audience(server, allowed, path=PATH, is_direct=is_direct, addresses=addresses, audit=audit)

    return make


async def opened(server: Server, title: str = "Sorting 101") -> str:
    return (await server.context.node.create(title)).record.code


async def test_nobody_is_let_in_at_first(server: Server, audience: Make) -> None:
    code, made = await opened(server), audience()
    assert not made.is_open
    assert not server.context.door.lets_in(code)
    assert made.invitation(code) == CLOSED


async def test_people_are_let_into_one_room_and_no_other(server: Server, audience: Make) -> None:
    code, other, made = await opened(server), await opened(server), audience()
    assert await made.let_in(code.lower(), "network") == Invitation([], here=True)
    assert made.is_open
    assert server.context.door.lets_in(code)
    assert server.context.door.lets_in(f" {code[:3]}-{code[3:]}")
    assert not server.context.door.lets_in(other)
    assert await made.let_in(code, "this_computer") == CLOSED
    assert not made.is_open
    assert not server.context.door.lets_in(code)


async def test_no_room_is_opened_that_is_not_there(audience: Make) -> None:
    made = audience()
    with pytest.raises(RoomUnavailable):
        await made.let_in("AAAAAA", "network")
    assert not made.is_open


@pytest.mark.parametrize("allowed", ["never", "hub_users"])
@pytest.mark.parametrize("wanted", ["network", "https://hub.example.org", "nonsense"])
@pytest.mark.parametrize("is_direct", [True, False])
async def test_the_operators_veto_comes_first(
    server: Server, audience: Make, allowed: str, wanted: str, is_direct: bool
) -> None:
    code, made = await opened(server), audience(allowed, is_direct=is_direct)
    with pytest.raises(NotAllowed):
        await made.let_in(code, wanted)
    assert not made.is_open
    assert server.audience_urls == []
    assert await made.let_in(code, "this_computer") == CLOSED


async def test_known_addresses_are_links_beside_the_one_of_the_hosts_browser(server: Server, audience: Make) -> None:
    addresses = ("http://192.168.1.7:8888/user/ada/wslive",)
    code, made = await opened(server), audience(addresses=addresses)
    assert await made.let_in(code, "network") == Invitation(list(addresses), here=True)


@pytest.mark.parametrize("given", ["https://hub.example.org", f"https://hub.example.org{PATH}/"])
async def test_a_public_address_is_shown_with_our_path(server: Server, audience: Make, given: str) -> None:
    code, made = await opened(server), audience()
    assert await made.let_in(code, given) == Invitation([f"https://hub.example.org{PATH}"], here=False)
    assert await made.let_in(code, "network") == Invitation([], here=True)


@pytest.mark.parametrize("wrong", ["phones", "ftp://hub.example.org", "https://", "http://127.0.0.1:8888", ""])
async def test_what_is_no_audience_opens_nothing(server: Server, audience: Make, wrong: str) -> None:
    code, made = await opened(server), audience()
    with pytest.raises(BadCommand, match="is none of"):
        await made.let_in(code, wrong)
    assert not made.is_open


async def test_no_tunnel_leads_to_a_jupyter_that_is_this_computers_alone(server: Server, audience: Make) -> None:
    code, made = await opened(server), audience(is_direct=True)
    with pytest.raises(NotAllowed, match="a tunnel to it would lead to all of Jupyter"):
        await made.let_in(code, "https://live.example.org")
    assert not made.is_open


async def test_a_computer_without_a_network_opens_nothing(
    server: Server, audience: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wslive.server.access.network.addresses", list)
    code, made = await opened(server), audience(is_direct=True)
    with pytest.raises(BadCommand, match="in no network"):
        await made.let_in(code, "network")
    assert not made.is_open


async def test_the_listener_stays_while_one_room_is_open(
    server: Server, audience: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wslive.server.access.network.addresses", lambda: ["127.0.0.1"])
    code, other, made = await opened(server), await opened(server), audience(is_direct=True)
    first = await made.let_in(code, "network")
    assert len(first.links) == 1
    assert not first.here
    assert await made.let_in(other, "network") == first
    await made.let_in(code, "this_computer")
    assert server.audience_urls == first.links
    assert made.invitation(code) == CLOSED
    assert made.close(f" {other.lower()} ")
    assert not made.close(other)
    assert server.audience_urls == []


async def test_the_audit_log_says_who_and_which_room_and_no_code(
    server: Server, audience: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    caplog.set_level(logging.INFO, "tests.audit")
    code, made = await opened(server), audience()
    room = (await server.context.node.find(code)).record.room
    await made.let_in(code, "network")
    await made.let_in(code, "this_computer")
    await made.let_in(code, "this_computer")
    assert caplog.messages == [
        f"ada: people without a login are let into room {room}, at the address at which Jupyter is reached",
        f"ada: room {room} takes in nobody new without a login",
    ]
    assert code not in caplog.text


def test_a_user_may_allow_less_than_the_operator_and_never_more() -> None:
    table = {(wanted, operators): clamped(wanted, operators) for wanted in ALLOWED for operators in ALLOWED}
    assert table == {
        ("never", "never"): "never",
        ("never", "hub_users"): "never",
        ("never", "anyone"): "never",
        ("hub_users", "never"): "never",
        ("hub_users", "hub_users"): "hub_users",
        ("hub_users", "anyone"): "hub_users",
        ("anyone", "never"): "never",
        ("anyone", "hub_users"): "hub_users",
        ("anyone", "anyone"): "anyone",
    }
