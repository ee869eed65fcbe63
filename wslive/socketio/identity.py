"""Who a Socket.IO client is: its token, else its cookie, else its connection.

    auth.token   a token of wslive's own is that participant; any other text is a secret that the client chose and keeps
    cookie       a random secret that the first answer of a handshake set and the browser shows again
    connection   the secret of a cookie that nobody kept: another connection is another person. A client from 4.6 on
                 shows it as its `pid` when it comes back after a break, and is the same person as long as it runs

A secret is hashed and taken for the `ref` of a hello: the same ref is the same person, in any room another one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from wslive.core.errors import InvalidToken
from wslive.core.events import Position
from wslive.server.access.tokens import Signer
from wslive.socketio.programs import parse_position

COOKIE = "wslive"
MIN_SECRET_CHARS = 16

_SECRET = re.compile(r"[A-Za-z0-9_-]{16,64}")


class Identity(NamedTuple):
    """Who a client is.

    Attributes:
        ref: For its hello; the same client has the same.
        token: A token of wslive's own, where the client showed one.
        is_kept: Whether it lives longer than the connection; without, it is of the lowest level, L0.
    """

    ref: str
    token: str | None
    is_kept: bool


class Recovery(NamedTuple):
    """What a client shows that was here before.

    Attributes:
        lineage: A secret that stays the same when the client comes back.
        pid: What it showed, and is given again where nothing was missed; None if it is here for the first time.
        position: How far it was told.
    """

    lineage: str
    pid: str | None
    position: Position | None


def new_secret() -> str:
    """192 bits."""
    return secrets.token_urlsafe(24)


def kept_cookie(value: str | None) -> str | None:
    """The value of our cookie, if it can be one."""
    return value if value is not None and _SECRET.fullmatch(value) else None


def new_pid(lineage: str) -> str:
    """Another one, which tells the client that not all of what it missed can be told."""
    return f"{lineage}.{secrets.token_hex(4)}"


def recovery(auth: object, secret: str) -> Recovery:
    """What `auth` shows of an earlier connection; `secret` is the handshake's own."""
    fields: Mapping[str, Any] = auth if isinstance(auth, dict) else {}
    pid = fields.get("pid")
    lineage = pid.partition(".")[0] if isinstance(pid, str) else ""
    if not _SECRET.fullmatch(lineage):
        return Recovery(secret, None, None)
    return Recovery(lineage, pid, parse_position(fields.get("offset")))


def identify(auth: object, *, cookie: str | None, lineage: str, signer: Signer) -> Identity:
    """Who a client is.

    Args:
        auth: What it showed on connecting.
        cookie: The secret of the cookie that it showed, if any.
        lineage: The secret of its connection.
        signer: Knows wslive's own tokens.

    Raises:
        InvalidToken: `auth.token` is no text, or too short to be a secret.
    """
    token = auth.get("token") if isinstance(auth, dict) else None
    if token is None:
        return Identity(_ref("cookie", cookie or lineage), None, cookie is not None)
    if not isinstance(token, str) or len(token) < MIN_SECRET_CHARS:
        raise InvalidToken(
            f"auth.token has to be a text of at least {MIN_SECRET_CHARS} characters that only this client knows: "
            "whoever shows it is this person. Or leave it out."
        )
    try:
        signer.verify(token)
    except InvalidToken:
        return Identity(_ref("token", token), None, True)
    return Identity(_ref("token", token), token, True)


def _ref(kind: str, secret: str) -> str:
    return hashlib.sha256(f"socketio {kind} {secret}".encode()).hexdigest()
