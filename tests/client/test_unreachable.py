"""Every way in which a server cannot be reached is a sentence."""

import errno
import io
import os
import socket
import ssl

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError
from tornado.simple_httpclient import HTTPStreamClosedError, HTTPTimeoutError
from tornado.websocket import WebSocketError

from wslive.client.unreachable import cannot_connect

SERVER = "https://live.example.org/rooms"


def refused_certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def refused_by_the_server(code: int, sentence: str, content_type: str = "text/plain; charset=utf-8") -> HTTPClientError:
    headers = HTTPHeaders({"Content-Type": content_type})
    request = HTTPRequest(SERVER)
    return HTTPClientError(code, response=HTTPResponse(request, code, headers, io.BytesIO(sentence.encode())))


@pytest.mark.parametrize(
    ("error", "told", "is_definite", "is_final"),
    [
        (ConnectionRefusedError(), "connection refused. Start one with `wslive serve`", True, False),
        (socket.gaierror(-2, "Name or service not known"), "the name live.example.org is not known", True, False),
        (refused_certificate(), "is not accepted: self-signed certificate", True, False),
        (HTTPClientError(403), "refuses this address", True, True),
        (refused_by_the_server(401, "Log in at the hub again."), "Log in at the hub again.", True, True),
        (refused_by_the_server(403, "The user mallory is not let in."), "The user mallory is not let in.", True, True),
        (refused_by_the_server(403, "x" * 400), "refuses this address", True, True),
        (refused_by_the_server(403, "<b>no</b>", "text/html"), "refuses this address", True, True),
        (HTTPClientError(404), "HTTP 404", True, False),
        (HTTPClientError(302), "HTTP 302", True, False),
        (HTTPClientError(502), "is not ready (HTTP 502)", False, False),
        (HTTPClientError(503), "is not ready (HTTP 503)", False, False),
        (HTTPTimeoutError("Timeout while connecting"), "no answer within 10 s", False, False),
        (HTTPStreamClosedError("Stream closed"), "Stream closed", False, False),
        (OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH)), "no route to host", False, False),
        (WebSocketError("Non-websocket response"), "Non-websocket response", False, False),
        (StreamClosedError(), "No wslive server answers", False, False),
        (AssertionError(), "AssertionError", False, False),
    ],
)
def test_the_reason_is_told(error: BaseException, told: str, is_definite: bool, is_final: bool):
    reason = cannot_connect(SERVER, error, 10.0)
    assert told in str(reason)
    assert SERVER in str(reason)
    assert str(reason)[0].isupper()
    assert str(reason).endswith((".", ")"))
    assert (reason.is_definite, reason.is_final) == (is_definite, is_final)


@pytest.mark.parametrize(
    ("asked", "retry_after_s"),
    [("3", 3.0), ("0", 0.0), (None, 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0), ("\u0663", 0.0), ("86400", 60.0)],
)
def test_how_long_a_busy_server_asks_to_wait_is_kept(asked: str | None, retry_after_s: float):
    headers = HTTPHeaders() if asked is None else HTTPHeaders({"Retry-After": asked})
    response = HTTPResponse(HTTPRequest(SERVER), 503, headers=headers)
    assert cannot_connect(SERVER, HTTPClientError(503, response=response), 10.0).retry_after_s == retry_after_s
