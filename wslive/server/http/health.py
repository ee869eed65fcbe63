"""What an operator's programs ask: is it alive, can it work, how much does it do."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from wslive.core.errors import NotAllowed
from wslive.server.access.origins import host_name, is_loopback
from wslive.server.http.context import Context
from wslive.server.http.pages import Handler
from wslive.server.http.ready import Readiness

if TYPE_CHECKING:
    from wslive.server.http.metrics import Metrics


class HealthHandler(Handler):
    """`/health`: the process answers."""

    def get(self) -> None:
        """Alive."""
        self.finish({"status": "alive"})


class ReadyHandler(Handler):
    """`/ready`: an event could be stored."""

    def initialize(self, context: Context, readiness: Readiness) -> None:  # type: ignore[override]
        """Ask through `readiness`, which asks the store seldom."""
        super().initialize(context)
        self._readiness = readiness

    async def get(self) -> None:
        """200, or 503 with a reason; where the store lies is told to this computer alone."""
        trouble = await self._readiness.trouble()
        self.set_header("Cache-Control", "no-store")
        if trouble is None:
            self.finish({"status": "ready"})
            return
        self.set_status(503)
        self.finish({"status": "not ready", "reason": trouble if _is_from_here(self) else "The store takes nothing."})


class MetricsHandler(Handler):
    """`/metrics`: for Prometheus."""

    def initialize(self, context: Context, metrics: Metrics) -> None:  # type: ignore[override]
        """Tell these."""
        super().initialize(context)
        self._metrics = metrics

    def get(self) -> None:
        """To whoever has the token; without one, to this computer alone."""
        token = self.context.settings.metrics_token
        shown = self.bearer()
        if token is not None:
            is_allowed = shown is not None and hmac.compare_digest(shown.encode(), token.encode())
        else:
            is_allowed = _is_from_here(self)
        if not is_allowed:
            need = "the token of WSLIVE_METRICS_TOKEN" if token is not None else "to be asked for on the server itself"
            self.fail(403, NotAllowed.code, f"Metrics need {need}.")
            return
        self.set_header("Content-Type", self._metrics.content_type)
        self.finish(self._metrics.text())


def _is_from_here(handler: Handler) -> bool:
    """Whether a program on this computer asks for this computer: a proxy that passes on others' requests does not."""
    request = handler.request
    passed_on = any(name in request.headers for name in ("X-Forwarded-For", "X-Real-Ip", "Forwarded", "Via"))
    return is_loopback(request.remote_ip or "") and is_loopback(host_name(request.host)) and not passed_on
