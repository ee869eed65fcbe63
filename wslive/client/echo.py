"""`/echo` from Python: how long an answer takes, and a plain reason where none comes.

A WebSocket begins as an HTTP request that asks for an upgrade. So there is more to go wrong than nobody listening: a
proxy may answer and take the wish for the upgrade away, or take the connection and pass nothing on. What is wrong is
told from the server's two answers: to the upgrade, and to a plain request for `/health`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from urllib.parse import urlsplit

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

from wslive.client.http import fetch_json
from wslive.client.scheme import is_wslive, watched
from wslive.client.socket import close_unwanted
from wslive.client.unreachable import CannotConnect, cannot_connect
from wslive.core.errors import NotConnected, Refused
from wslive.wire.close_codes import CloseCode

ANSWER = "Roger that! "

HOW_TO_PASS_ON = (
    "A proxy on the way takes the WebSocket's upgrade away. Tell it to pass it on; in nginx:\n"
    "    proxy_http_version 1.1;\n"
    "    proxy_set_header Upgrade $http_upgrade;\n"
    '    proxy_set_header Connection "upgrade";'
)

_KNOWN_PATHS = re.compile(r"/(echo|ws|r/[^/]+(/screen)?)/?$")

_ROOM = re.compile(r"/r/([^/]+)(/screen)?/?$")


class NoAnswer(Exception):
    """Nothing came back in time; a later question may still be answered."""


def base_url(address: str) -> str:
    """The base URL of what people have at hand: a server's address, a join link, the address of a WebSocket.

    Raises:
        NotConnected: It is none of these.
    """
    parts = urlsplit(address if "//" in address else f"//{address}")
    scheme = {"": "http", "ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in ("http", "https") or not parts.hostname:
        raise NotConnected(f"{address!r} is not the address of a server; it looks like http://192.168.1.7:8765")
    return f"{scheme}://{parts.netloc}{_KNOWN_PATHS.sub('', parts.path).rstrip('/')}"


async def about_room(address: str, timeout_s: float) -> str | None:
    """What there is to say about the room that a join link leads to; None where the address is that of a server."""
    found = _ROOM.search(urlsplit(address if "//" in address else f"//{address}").path)
    if found is None:
        return None
    code = found[1]
    try:
        about = await fetch_json(base_url(address), f"/r/{code}/about", timeout_s=timeout_s)
    except Refused as error:
        return f"The room {code} cannot be joined: {error}"
    except NotConnected as error:
        return f"Whether the room {code} is there was not told: {error}"
    return f"The room {code} is there: {about['title']!r}."


class Echo:
    """An open WebSocket to `/echo`.

    Attributes:
        url: Its address.
    """

    def __init__(self, url: str, connection: WebSocketClientConnection) -> None:
        """Made by `open_echo`."""
        self.url = url
        self._connection = connection
        self._asked = 0

    async def ask(self, timeout_s: float) -> float:
        """Send a text and return how many seconds its answer took.

        Raises:
            NoAnswer: None came within `timeout_s` seconds.
            NotConnected: The connection has ended, or what answers is no wslive server.
        """
        self._asked += 1
        text = f"ping {self._asked}"
        asked_at_s = time.perf_counter()
        try:
            await self._connection.write_message(text)
            async with asyncio.timeout(timeout_s):
                while (answer := await self._connection.read_message()) != ANSWER + text:
                    self._check(answer)
        except TimeoutError:
            raise NoAnswer(f"no answer within {timeout_s:g} s") from None
        except WebSocketClosedError:
            raise self._ended() from None
        return time.perf_counter() - asked_at_s

    async def close(self) -> None:
        """Close, and wait a moment for the other side to agree."""
        self._connection.close(1000)
        try:
            async with asyncio.timeout(1):
                while await self._connection.read_message() is not None:
                    pass
        except TimeoutError:
            pass

    def _check(self, answer: str | bytes | None) -> None:
        """A late answer to an earlier question is passed over."""
        if answer is None:
            raise self._ended()
        if not isinstance(answer, str) or not answer.startswith(ANSWER):
            raise NotConnected(f"What answers at {self.url} is no wslive server: it says {answer[:40]!r}.")

    def _ended(self) -> NotConnected:
        code = self._connection.close_code
        if code is None:
            return NotConnected("The connection broke off without a word.")
        if code in set(CloseCode):
            return NotConnected(f"The server closed the connection ({code}): {CloseCode(code).sentence}")
        reason = self._connection.close_reason or "no reason was given"
        return NotConnected(f"The connection was closed ({code}): {reason}")


async def open_echo(address: str, timeout_s: float) -> Echo:
    """Open a WebSocket to the `/echo` of a server.

    Args:
        address: A base URL, a join link, or the address of the WebSocket itself.
        timeout_s: For connecting and the handshake, in seconds.

    Raises:
        NotConnected: In words what is wrong, and what to do.
    """
    base = base_url(address)
    url = f"ws{base[4:]}/echo"
    request = HTTPRequest(url, connect_timeout=timeout_s, request_timeout=timeout_s, follow_redirects=False)
    try:
        return Echo(url, await _opened(base, request, timeout_s))
    except CannotConnect as error:
        raise NotConnected(str(error)) from None
    except HTTPClientError as error:
        if error.code == 599:  # Tornado's own: no answer at all
            raise NotConnected(str(cannot_connect(base, error, timeout_s))) from None
        raise await _refused(base, error.code, _text(error), timeout_s) from None
    except ssl.SSLCertVerificationError as error:
        raise NotConnected(
            f"The certificate of {base} is not accepted: {error.verify_message}. Give the server one for this name "
            "that this computer trusts, or let this computer trust the one who signed it (SSL_CERT_FILE)."
        ) from None
    except OSError as error:
        raise NotConnected(str(cannot_connect(base, error, timeout_s))) from None
    except Exception:  # an answer that is no handshake: a plain page, or one without the headers that belong to it
        raise await _refused(base, 200, "", timeout_s) from None


async def _opened(base: str, request: HTTPRequest, timeout_s: float) -> WebSocketClientConnection:
    opening = asyncio.ensure_future(websocket_connect(request))
    try:
        return await watched(base, opening, timeout_s)
    except CannotConnect:
        opening.add_done_callback(close_unwanted)
        raise


async def _refused(base: str, status: int, said: str, timeout_s: float) -> NotConnected:
    """What it means that something answered and did not upgrade."""
    if not await is_wslive(base, timeout_s):
        return NotConnected(
            f"What answers at {base} is no wslive server (HTTP {status}). Check the address and its port."
        )
    if status in (403, 503) and said:
        return NotConnected(f"The server at {base} refuses: {said}")
    return NotConnected(
        f"The server at {base} answers requests, but no WebSocket gets through to it (HTTP {status}). {HOW_TO_PASS_ON}"
    )


def _text(error: HTTPClientError) -> str:
    if error.response is None or not error.response.body:
        return ""
    return error.response.body.decode("utf-8", "replace").strip()
