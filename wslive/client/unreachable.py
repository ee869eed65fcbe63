"""Why a server could not be reached, in a sentence for the person at the notebook."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from tornado.httpclient import HTTPClientError, HTTPResponse
from tornado.simple_httpclient import HTTPTimeoutError

_MAX_SENTENCE_CHARS = 400
HOW_TO_START = "Start one with `wslive serve`, or check the address."
LONGEST_WAIT_S = 60
"""However long a proxy asks to wait, somebody may be looking at the page."""


class CannotConnect(Exception):
    """No connection was made.

    Attributes:
        is_definite: Trying again in a moment gives the same answer, as far as one can tell.
        is_final: The server has spoken: never come back by yourself.
        retry_after_s: How long the server asks to wait; 0: it said nothing.
    """

    def __init__(
        self, message: str, *, is_definite: bool = False, is_final: bool = False, retry_after_s: float = 0.0
    ) -> None:
        """Say why, in a sentence for the person at the notebook."""
        super().__init__(message)
        self.is_definite = is_definite
        self.is_final = is_final
        self.retry_after_s = retry_after_s


def cannot_connect(server: str, error: BaseException, timeout_s: float) -> CannotConnect:
    """Turn what Tornado raised while connecting to `server` into its reason."""
    nobody = f"No wslive server answers at {server}"
    match error:
        case HTTPTimeoutError():
            return CannotConnect(f"{nobody}: no answer within {timeout_s:g} s.")
        case HTTPClientError(code=403, response=response) if response and "Retry-After" in response.headers:
            # A Jupyter Server whose host has not let people in, or not again since it started.
            return CannotConnect(f"{response.body.decode(errors='replace').strip()} ({server})", is_definite=True)
        case HTTPClientError(code=401 | 403, response=response) if response and (sentence := _sentence(response)):
            # Above all a server that knows people by their login at a hub, and says what is wrong with it.
            return CannotConnect(f"{sentence} ({server})", is_definite=True, is_final=True)
        case HTTPClientError(code=403):
            return CannotConnect(
                f"The server at {server} refuses this address. Use the address that its host shows, or ask the "
                "operator to allow this one (--public-url, --allow-origin).",
                is_definite=True,
                is_final=True,
            )
        case HTTPClientError(code=code, response=response) if code in (502, 503, 504, 429):
            retry_after_s = _retry_after_s(response)
            return CannotConnect(f"The server at {server} is not ready (HTTP {code}).", retry_after_s=retry_after_s)
        case HTTPClientError(code=code) if code != 599:
            return CannotConnect(f"{nobody}: HTTP {code}. {HOW_TO_START}", is_definite=True)
        case ConnectionRefusedError():
            return CannotConnect(f"{nobody}: connection refused. {HOW_TO_START}", is_definite=True)
        case socket.gaierror():
            name = urlsplit(server).hostname
            return CannotConnect(f"{nobody}: the name {name} is not known. Check the address.", is_definite=True)
        case ssl.SSLCertVerificationError(verify_message=reason):
            return CannotConnect(f"The certificate of {server} is not accepted: {reason}.", is_definite=True)
        case OSError(strerror=str(reason)):
            return CannotConnect(f"{nobody}: {reason.lower()}.")
    return CannotConnect(f"{nobody}: {str(error) or type(error).__name__}.")


def _retry_after_s(response: HTTPResponse | None) -> float:
    """What `Retry-After` asks for; a date, which only proxies send, counts as nothing."""
    asked = "" if response is None else response.headers.get("Retry-After", "")
    return float(min(int(asked), LONGEST_WAIT_S)) if asked.isascii() and asked.isdigit() else 0.0


def _sentence(response: HTTPResponse) -> str:
    """What a wslive server says for people; "" where something else answers."""
    if not response.headers.get("Content-Type", "").startswith("text/plain"):
        return ""
    text = response.body.decode(errors="replace").strip()
    return text if len(text) < _MAX_SENTENCE_CHARS and text.isprintable() else ""
