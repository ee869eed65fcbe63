"""A server's HTTP interface from Python: JSON in, JSON out, the errors of `core.errors`."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from wslive.client import passes
from wslive.client.scheme import watched
from wslive.client.unreachable import CannotConnect, cannot_connect
from wslive.core.errors import NotConnected, refusal

HTTP_TIMEOUT_S = 10.0


class _Trouble(msgspec.Struct):
    """How a server says no."""

    code: str
    message: str


async def fetch(
    server: str,
    path: str,
    *,
    method: str = "GET",
    body: object = None,
    bearer: str | None = None,
    timeout_s: float = HTTP_TIMEOUT_S,
) -> bytes:
    """Fetch what is at `path` of a server.

    Args:
        server: The base URL, without a slash at the end.
        path: With its slash, e.g. "/api/rooms".
        method: The HTTP method.
        body: Plain data, sent as JSON; None sends nothing.
        bearer: A hosting token or host key.
        timeout_s: For the whole exchange, in seconds.

    Raises:
        Refused: The server said no, with a code and a sentence.
        NotConnected: No wslive server answers there.
    """
    headers = passes.header(server) if bearer is None else passes.beside(server, bearer)
    payload = None if body is None else msgspec.json.encode(body)
    if payload is not None:
        headers["Content-Type"] = "application/json"
    client = AsyncHTTPClient(force_instance=True)
    try:
        fetching = asyncio.ensure_future(
            client.fetch(
                server + path,
                method=method,
                headers=headers,
                body=payload,
                connect_timeout=timeout_s,
                request_timeout=timeout_s,
                follow_redirects=False,  # a redirect would carry the token to somewhere else
                allow_nonstandard_methods=True,
                raise_error=False,  # of a status; what broke on the way is raised all the same
            )
        )
        try:
            response = await watched(server, fetching, timeout_s)
        finally:
            fetching.cancel()
    except CannotConnect as error:
        raise NotConnected(str(error)) from None
    except Exception as error:
        raise NotConnected(str(cannot_connect(server, error, timeout_s))) from None
    finally:
        client.close()
    if response.code >= 300:
        raise _refused(server, response)
    return response.body


async def fetch_json(
    server: str,
    path: str,
    *,
    method: str = "GET",
    body: object = None,
    bearer: str | None = None,
    timeout_s: float = HTTP_TIMEOUT_S,
) -> Any:
    """The same, decoded.

    Raises:
        Refused: The server said no, with a code and a sentence.
        NotConnected: No wslive server answers there.
    """
    found = await fetch(server, path, method=method, body=body, bearer=bearer, timeout_s=timeout_s)
    try:
        return msgspec.json.decode(found)
    except msgspec.DecodeError:
        raise NotConnected(f"What answers at {server} is no wslive server.") from None


def _refused(server: str, response: HTTPResponse) -> Exception:
    try:
        trouble = msgspec.json.decode(response.body, type=_Trouble)
    except msgspec.DecodeError:
        return NotConnected(f"What answers at {server} is no wslive server, or not ready (HTTP {response.code}).")
    return refusal(trouble.code, trouble.message)
