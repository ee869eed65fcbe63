from __future__ import annotations

import pytest

from wslive.server.access.neighbours import Neighbours

PROXY = "10.0.0.5"


@pytest.fixture
def neighbours() -> Neighbours:
    return Neighbours([PROXY, "192.168.7.0/24"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.7", "203.0.113.250"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("203.0.113.7", "::ffff:203.0.113.8"),
        ("fe80::1%eth0", "fe80::2%wlan0"),
    ],
)
def test_neighbours_have_one_name(one: str, other: str, neighbours: Neighbours):
    assert neighbours.named(one) == neighbours.named(other) is not None


@pytest.mark.parametrize(
    ("one", "other"), [("203.0.113.7", "203.0.114.7"), ("2001:db8:1:2::1", "2001:db8:1:3::1"), ("1.2.3.4", "::102:304")]
)
def test_other_networks_have_others(one: str, other: str, neighbours: Neighbours):
    assert neighbours.named(one) != neighbours.named(other)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "", "/run/x.sock"])
def test_of_this_computer_nothing_is_known(address: str, neighbours: Neighbours):
    assert neighbours.named(address) is None


def test_a_name_holds_no_address_and_is_another_one_after_a_start(neighbours: Neighbours):
    name = neighbours.named("203.0.113.7")
    assert name is not None
    assert b"\xcb\x00\x71" not in name
    assert Neighbours().named("203.0.113.7") != name


@pytest.mark.parametrize(
    ("peer", "forwarded", "same_as"),
    [
        (PROXY, "203.0.113.7", "203.0.113.7"),
        (PROXY, "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # what a client wrote itself stands further left
        (PROXY, "203.0.113.7, 192.168.7.3", "203.0.113.7"),  # two proxies of ours
        (PROXY, "garbage, 203.0.113.7", "203.0.113.7"),
        (PROXY, "", PROXY),
        (PROXY, "garbage", PROXY),
        (PROXY, "198.51.100.1, garbage", PROXY),  # nobody knows who has written what stands left of it
        (PROXY, "198.51.100.1, 203.0.113.7:4711", "203.0.113.7"),
        (PROXY, "198.51.100.1, [2001:db8:1:2::1]:4711", "2001:db8:1:2::1"),
        (PROXY, "198.51.100.1, 2001:db8:1:2::1", "2001:db8:1:2::1"),
        ("198.51.100.1", "203.0.113.7", "198.51.100.1"),  # a stranger's word
        ("198.51.100.1", "10.0.0.5, 203.0.113.7", "198.51.100.1"),
    ],
)
def test_forwarded_addresses_count_from_named_proxies_alone(
    peer: str, forwarded: str, same_as: str, neighbours: Neighbours
):
    assert neighbours.named(peer, forwarded) == neighbours.named(same_as)


def test_what_is_no_network_is_refused():
    with pytest.raises(ValueError, match="not-a-network"):
        Neighbours(["not-a-network"])
