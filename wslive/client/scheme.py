"""http or https: said at once where an address begins with the wrong one.

A server without TLS takes the client's first TLS record for the beginning of a request and waits for the rest of it;
one with TLS drops a plain request without a word. Neither says what is wrong, so in doubt the other way is tried.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.iostream import StreamClosedError

from wslive.client.unreachable import CannotConnect

ResultT = TypeVar("ResultT")

DOUBT_AFTER_S = 1.0
"""How long a TLS handshake takes at most where nothing is wrong, nearly always."""


async def watched(server: str, connecting: asyncio.Future[ResultT], timeout_s: float) -> ResultT:
    """Wait for `connecting`, and look at the other scheme where it takes long or fails as the wrong one would.

    Args:
        server: The base URL that is being connected to.
        connecting: Its result or exception is that of this call. It is never cancelled here.
        timeout_s: How long the look may take, in seconds.

    Raises:
        CannotConnect: The server speaks the other one.
    """
    is_tls = server.startswith("https:")
    await asyncio.wait([connecting], timeout=DOUBT_AFTER_S if is_tls else None)
    is_doubtful = _is_doubtful(connecting.exception()) if connecting.done() else is_tls
    if is_doubtful:
        other = f"http{server[5:]}" if is_tls else f"https{server[4:]}"
        look = asyncio.ensure_future(is_wslive(other, timeout_s) if is_tls else _speaks_tls(other, timeout_s))
        try:
            # Slow is not wrong: an answer that comes meanwhile is the answer.
            waiting: list[asyncio.Future[Any]] = [look] if connecting.done() else [look, connecting]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if look.done() and look.result():
                spoken, asked = ("http", "https") if is_tls else ("https", "http")
                raise CannotConnect(
                    f"The server at {server} speaks {spoken}, not {asked}: use {other}", is_definite=True
                )
        finally:
            look.cancel()
    return await asyncio.shield(connecting)


async def is_wslive(base: str, timeout_s: float) -> bool:
    """Whether a wslive server answers plain requests at a base URL."""
    client = AsyncHTTPClient(force_instance=True)
    try:
        response = await client.fetch(
            f"{base}/health", connect_timeout=timeout_s, request_timeout=timeout_s, raise_error=False
        )
        # A server that refuses this name (403) refuses it here too, in its own words.
        if response.code == 403:
            return b"--public-url" in response.body
        return bool(json.loads(response.body).get("status") == "alive")
    except (OSError, HTTPClientError, ValueError, AttributeError):
        return False
    finally:
        client.close()


async def _speaks_tls(base: str, timeout_s: float) -> bool:
    parts = urlsplit(base)
    # Nothing is sent over it: whose certificate it is makes no difference here.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        # Our own servers wait for the rest of what they take for a request; one with TLS is quick.
        async with asyncio.timeout(min(timeout_s, DOUBT_AFTER_S)):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _is_doubtful(error: BaseException | None) -> bool:
    """Whether connecting with the wrong scheme may fail like this."""
    match error:
        case ssl.SSLCertVerificationError():
            return False
        case ssl.SSLError() | ConnectionResetError() | StreamClosedError():
            return True
        case HTTPClientError(code=code):
            return code == 400 or (code == 599 and "closed" in str(error).lower())
    return False
