"""What the log says of requests: never their address, since join codes stand in it and a log has more readers."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from tornado.web import HTTPError, RequestHandler

logger = logging.getLogger("wslive.server")


class Discreet(RequestHandler):
    """A handler whose requests leave no address in the log, and whose answers no page frames."""

    def set_default_headers(self) -> None:
        """In what is sent nothing runs or is loaded, and no page frames it; pages say what they need."""
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """What somebody asked wrongly has its answer; a mistake of ours is told whole."""
        if not isinstance(value, HTTPError | asyncio.CancelledError):
            logging.getLogger("wslive.http").error("%s failed", type(self).__name__, exc_info=value)


def log_request(handler: Any) -> None:
    """One line a request."""
    status = handler.get_status()
    # 503 is an answer, not a failure; `Context.sweep` says how many got it.
    failed = status >= 500 and status != 503
    task = asyncio.current_task()
    if failed and task is not None and task.cancelling():
        failed = False  # the server ends, and this request was still waiting: Tornado answers it with 500
    level = logging.WARNING if failed else logging.DEBUG
    request = handler.request
    logger.log(level, "%d %s %s %.1f ms", status, request.method, type(handler).__name__, 1e3 * request.request_time())
