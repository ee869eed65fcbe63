"""What all handlers of the extension know: where the rooms are, and who is somebody of this Jupyter's own."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from dataclasses import dataclass, field
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError

from wslive.extension.audience import Audience
from wslive.server.app import Server

_CODES = re.compile(r"(/r/|/rooms/|[?&]room=)[^/?&\s]+")


class WithoutCodes(logging.Filter):
    """Takes join codes out of Jupyter's line about a request: a log has more readers than a room."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the line."""
        record.msg, record.args = _CODES.sub(r"\1…", record.getMessage()), ()
        return True


@dataclass
class Mount:
    """Where the rooms are, and what the handlers have to know; it is there before the store is open.

    Attributes:
        path: Below which address of Jupyter, e.g. "/user/ada/wslive".
        log: For Jupyter's lines about requests.
        ready: Set when `server` is there, or it is certain that it will not be.
        trouble: Why there are no rooms, in a sentence; "" where there are.
    """

    path: str
    log: logging.Logger
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str = ""
    server: Server | None = None
    audience: Audience | None = None

    def knows(self, authorization: str) -> bool:
        """Whether an Authorization header shows the hosting token."""
        scheme, _, token = authorization.partition(" ")
        if self.server is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(token.strip().encode(), self.server.hosting_token.encode())

    async def recognises(self, handler: JupyterHandler) -> bool:
        """Whether a request comes from somebody known; Jupyter's own checks are made on the way.

        Raises:
            HTTPError: Jupyter refuses the Host header.
        """
        if not self.knows(handler.request.headers.get("Authorization", "")):
            await JupyterHandler.prepare(handler)
            return handler.current_user is not None
        # Jupyter, and a hub behind it, need not hear of a token that is not theirs.
        as_nobody(handler)
        return True


def as_nobody(handler: JupyterHandler) -> None:
    """Make the checks of `JupyterHandler.prepare` that do not ask who somebody is."""
    handler.current_user = handler._jupyter_current_user = None
    if not handler.check_host():
        raise HTTPError(403)


def claimed_by(application: Any, path: str, own: str) -> str | None:
    """The module of another extension whose handlers answer below `path`; None where there is none but our `own`.

    What answers everywhere (a redirect of slashes, "not found") claims nothing.
    """
    elsewhere = path + "-and-nothing-else/"
    for rule in application.default_router.rules:
        for inner in getattr(rule.target, "rules", ()):
            pattern = getattr(inner.matcher, "regex", None)
            if pattern is None or not pattern.match(f"{path}/") or pattern.match(elsewhere):
                continue
            module = str(getattr(inner.target, "__module__", inner.target))
            if module != own:
                return module
    return None
