from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.iostream import IOStream

from wslive.server.access.origins import Gate, host_name, is_loopback, origin_of
from wslive.server.settings import ServerSettings

LOOPBACK = "127.0.0.1"
LAN = "192.168.1.7"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8765", "localhost"),
        ("192.168.1.7:80", "192.168.1.7"),
        ("[::1]:8765", "::1"),
        ("[FD00::5]", "fd00::5"),
        ("live.example.org.", "live.example.org"),
        ("[::1", ""),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(header: str, name: str):
    assert host_name(header) == name


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_what_leads_only_to_this_computer(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example.org", "192.168.1.7", "fd00::5", "128.0.0.1", "127.0.0.1.nip"])
def test_what_leads_elsewhere(host: str):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://live.example.org", "https://live.example.org"),
        ("HTTPS://Live.Example.org:443/rooms/", "https://live.example.org"),
        ("http://live.example.org:80", "http://live.example.org"),
        ("http://live.example.org:443", "http://live.example.org:443"),
        ("http://[FD00::5]:8765/", "http://[fd00::5]:8765"),
        ("vscode-webview://abc", "vscode-webview://abc"),
        ("live.example.org", ""),
        ("https://", ""),
        ("http://[::1", ""),
        ("http://live.example.org:99999", ""),
        ("null", ""),
        ("", ""),
    ],
)
def test_an_origin_as_browsers_send_it(url: str, origin: str):
    assert origin_of(url) == origin


# ── Host ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def gate(**settings: object) -> Gate:
    return Gate(ServerSettings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "arrived_at"),
    [
        ("localhost:8765", LOOPBACK),
        ("127.0.0.1:8765", LOOPBACK),
        ("[::1]:8765", "::1"),
        ("localhost", "::1"),
        ("app.localhost", LOOPBACK),
        ("192.168.1.7:8765", LAN),
        ("[fd00::5]:8765", "fd00::5"),
        ("[fd00:0:0::5]:8765", "fd00::5"),
        ("[fe80::1]:8765", "fe80::1%eth0"),
        ("192.168.1.7:8765", "::ffff:192.168.1.7"),
        (socket.gethostname(), LAN),
        (f"{socket.gethostname()}.local:8765", LAN),
    ],
)
def test_a_name_of_ours_is_let_in(header: str, arrived_at: str):
    assert gate().host_error(header, arrived_at) is None


@pytest.mark.parametrize(
    ("header", "arrived_at"),
    [
        ("evil.example:8765", LOOPBACK),
        ("evil.example", LAN),
        ("192.168.1.8:8765", LAN),
        ("localhost:8765", LAN),
        ("127.0.0.1", LAN),
        ("127.0.0.1.nip.io", LOOPBACK),
        ("", LOOPBACK),
        ("", ""),
        ("[::1", "::1"),
        ("live.example.org", LOOPBACK),
    ],
)
def test_any_other_name_is_refused_and_told_the_setting(header: str, arrived_at: str):
    error = gate().host_error(header, arrived_at)
    assert error is not None
    assert "--public-url http(s)://" in error
    assert host_name(header) in error


def test_the_names_of_the_settings_are_let_in():
    known = gate(host="lab.example.org", public_url="https://live.example.org:8443/rooms")
    for header in ("lab.example.org:8765", "live.example.org", "LIVE.example.org:8443"):
        assert known.host_error(header, LOOPBACK) is None
    assert known.host_error("example.org", LOOPBACK)


def test_an_address_that_a_host_asked_for_is_let_in_until_another_one_is():
    known = gate(public_url="https://live.example.org")
    known.show_at(["https://abc.tunnel.example"])
    assert known.host_error("abc.tunnel.example", LOOPBACK) is None
    assert known.origin_error("https://abc.tunnel.example", "http", "abc.tunnel.example", has_ticket=False) is None
    known.show_at([])
    assert known.host_error("abc.tunnel.example", LOOPBACK)
    assert known.origin_error("https://abc.tunnel.example", "http", "live.example.org", has_ticket=False)
    assert known.host_error("live.example.org", LOOPBACK) is None


# ── Origin ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("origin", "scheme", "header"),
    [
        (None, "http", "localhost:8765"),
        ("http://localhost:8765", "http", "localhost:8765"),
        ("http://localhost:8765", "http", "LOCALHOST:8765"),
        ("http://localhost", "http", "localhost:80"),
        ("http://[::1]:8765", "http", "[::1]:8765"),
        ("https://live.example.org", "http", "live.example.org"),
        ("https://lab.example.org", "http", "localhost:8765"),
    ],
)
def test_our_own_pages_and_those_of_the_settings_may_connect(origin: str | None, scheme: str, header: str):
    known = gate(
        public_url="https://Live.example.org:443/rooms", allow_origins=("https://lab.example.org/", "nonsense")
    )
    assert known.origin_error(origin, scheme, header, has_ticket=False) is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://localhost:8765",
        "http://localhost:8888",
        "http://localhost",
        "http://127.0.0.1:8765",
        "http://localhost:8765.evil.example",
        "file://",
        "nonsense",
        "",
    ],
)
def test_foreign_pages_may_not_unless_they_have_a_ticket(origin: str):
    error = gate(allow_origins=("nonsense", "")).origin_error(origin, "http", "localhost:8765", has_ticket=False)
    assert (
        error == f"Pages from {origin} may not connect. If they should, start the server with --allow-origin {origin}"
    )
    assert gate().origin_error(origin, "http", "localhost:8765", has_ticket=True) is None


@pytest.mark.parametrize("has_ticket", [True, False])
def test_a_page_without_an_origin_of_its_own_may_never(has_ticket: bool):
    error = gate(allow_origins=("null",)).origin_error("null", "http", "localhost:8765", has_ticket=has_ticket)
    assert error is not None
    assert "without an origin" in error


@pytest.mark.parametrize("origin", ["http://[::1", "http://[x]", "//a]", "http://\u2100.example"])
@pytest.mark.parametrize("has_ticket", [True, False])
@pytest.mark.parametrize("any_host", [True, False])
def test_what_cannot_be_taken_apart_is_refused_in_a_sentence(origin: str, has_ticket: bool, any_host: bool):
    """Tornado takes it apart after us, and fails on it."""
    error = gate(any_host=any_host).origin_error(origin, "http", "localhost:8765", has_ticket=has_ticket)
    assert error == "The Origin header is no origin of a page. If a proxy changes it, let it pass as it is."


# ── elsewhere ─────────────────────────────────────────────────────────────────────────────────────────────────────


def request(host: str, peer: str, arrived_at: str, origin: str = "") -> HTTPServerRequest:
    """A handshake as Tornado hands it on, arrived through a stream of its own kind."""
    stream = object.__new__(IOStream)
    stream.socket = SimpleNamespace(getsockname=lambda: (arrived_at, 8765))  # type: ignore[assignment]
    connection: Any = SimpleNamespace(stream=stream, context=SimpleNamespace(remote_ip=peer, protocol="http"))
    headers = HTTPHeaders({"Host": host} | ({"Origin": origin} if origin else {}))
    return HTTPServerRequest(
        headers=headers, connection=connection, start_line=RequestStartLine("GET", "/ws", "HTTP/1.1")
    )


@pytest.mark.parametrize(
    ("host", "peer", "arrived_at", "origin", "network"),
    [
        ("192.168.1.7:8765", "192.168.1.23", LAN, "http://192.168.1.7:8765", b"hall"),
        ("192.168.1.7:8765", "::ffff:192.168.1.23", "::ffff:192.168.1.7", "", b"hall"),
        ("live.example.org", LOOPBACK, LOOPBACK, "https://live.example.org", None),  # a proxy or tunnel
        ("127.0.0.1:8765", LOOPBACK, LOOPBACK, "https://live.example.org", None),  # one that names us by our address
        ("127.0.0.1:8765", LOOPBACK, LOOPBACK, "", b"hall"),  # one that the settings trust
        ("live.example.org", "", "", "", None),  # by a socket in the file system
    ],
)
def test_another_device(host: str, peer: str, arrived_at: str, origin: str, network: bytes | None):
    here = gate(public_url="https://live.example.org")
    assert here.is_from_elsewhere(request(host, peer, arrived_at, origin), network)


@pytest.mark.parametrize(
    ("host", "peer", "arrived_at", "origin", "network"),
    [
        ("localhost:8765", LOOPBACK, LOOPBACK, "http://localhost:8765", None),
        ("127.0.0.1:8765", LOOPBACK, LOOPBACK, "", None),
        ("127.0.0.1:8765", LOOPBACK, LOOPBACK, "vscode-webview://abc", None),
        ("192.168.1.7:8765", LAN, LAN, "http://192.168.1.7:8765", b"hall"),  # the host tries the link
        ("192.168.1.7:8765", "::ffff:192.168.1.7", LAN, "", b"hall"),
    ],
)
def test_this_very_computer(host: str, peer: str, arrived_at: str, origin: str, network: bytes | None):
    here = gate(public_url="https://live.example.org")
    assert not here.is_from_elsewhere(request(host, peer, arrived_at, origin), network)
