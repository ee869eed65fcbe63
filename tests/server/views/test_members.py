from __future__ import annotations

import pytest

from tests.server.conftest import OpenLine
from wslive.core.roles import Role, Who
from wslive.server.views.members import Member, Members

ADA, BOB = Who("p_ada", Role.PARTICIPANT), Who("p_bob", Role.PARTICIPANT)
HOST, LEDGER = Who("host", Role.HOST), Who("host", Role.HOST, ledger=True)


@pytest.fixture
async def here(open_line: OpenLine) -> list[Member]:
    """Ada with two connections, Bob with one, a host with two of different kinds."""
    return [Member(who, open_line().outbox, lambda code: None) for who in (ADA, BOB, ADA, HOST, LEDGER)]


@pytest.fixture
def members(here: list[Member]) -> Members:
    members = Members()
    for member in here:
        members.add(member)
    return members


def grouped(members: Members) -> list[list[Member]]:
    return [list(group) for group in members.groups.values() if group]


async def test_members_are_counted_and_listed_in_the_order_in_which_they_came(members: Members, here: list[Member]):
    assert (list(members), len(members)) == (here, 5)
    assert all(member in members for member in here)


async def test_a_group_has_one_role_and_tells_the_ledger_apart(members: Members, here: list[Member]):
    first, bob, second, host, ledger = here
    assert grouped(members) == [[first, bob, second], [host], [ledger]]


async def test_all_connections_of_a_person_are_found(members: Members, here: list[Member]):
    assert members.of("p_ada") == (here[0], here[2])
    assert members.of("host") == (here[3], here[4])
    assert members.of("nobody") == ()


async def test_whoever_is_behind_is_in_no_group_until_they_have_caught_up(members: Members, here: list[Member]):
    members.fall_behind(here[1], 17)
    assert members.behind == {here[1]: 17}
    assert grouped(members)[0] == [here[0], here[2]]
    assert here[1] in members
    assert members.of("p_bob") == (here[1],)
    members.caught_up(here[1])
    assert not members.behind
    assert grouped(members)[0] == [here[0], here[2], here[1]]


async def test_where_somebody_fell_behind_is_noted_once(members: Members, here: list[Member]):
    members.fall_behind(here[1], 17)
    members.fall_behind(here[1], 20)
    assert members.behind == {here[1]: 17}


async def test_of_whoever_has_gone_nothing_is_kept(members: Members, here: list[Member]):
    members.fall_behind(here[1], 17)
    assert all(members.remove(member) for member in here)
    assert (list(members), len(members), grouped(members), members.behind) == ([], 0, [], {})
    assert members.of("p_ada") == ()
    assert not members.remove(here[0])
    members.fall_behind(here[0], 17)  # its slice of a tick came after it had gone
    assert not members.behind


async def test_one_of_two_connections_of_a_person_goes(members: Members, here: list[Member]):
    members.remove(here[0])
    assert members.of("p_ada") == (here[2],)
    assert grouped(members)[0] == [here[1], here[2]]
