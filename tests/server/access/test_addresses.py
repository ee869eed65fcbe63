"""Addresses of the internet, however they are written."""

from __future__ import annotations

import ipaddress

import pytest

from wslive.server.access.addresses import address_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("0000:0000:0000:0000:0000:ffff:192.000.002.7", None),  # since Python 3.9.5 a leading zero may be octal
        ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ],
)
def test_an_address_is_told_whatever_it_is_written_like(text: str, address: str | None) -> None:
    assert address_of(text) == (None if address is None else ipaddress.ip_address(address))


@pytest.mark.parametrize("text", ["", "localhost", "192.0.2", "192.0.2.7 ", "[::1]", "::1" + "0" * 100_000])
def test_what_is_none_names_none(text: str) -> None:
    assert address_of(text) is None
