"""A server's metrics for Prometheus, in a registry of its own.

No label holds what people choose: no room, no code, no name. Commands are told by their kind where the server knows it.
Loaded only where metrics are wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import prometheus_client
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from wslive.activities import activities
from wslive.core.errors import AppendConflict, InDoubt, NotAppended, Refused
from wslive.core.room_messages import COMMANDS
from wslive.server.meter import Meter
from wslive.wire.close_codes import CloseCode

if TYPE_CHECKING:
    from wslive.server.http.context import Context

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
_KINDS = frozenset(COMMANDS).union(*(rules.commands for rules in activities().values()))
_FAILURES = ((AppendConflict, "conflict"), (NotAppended, "not_appended"), (InDoubt, "in_doubt"))


class Metrics(Meter):
    """Counts for Prometheus."""

    content_type = prometheus_client.CONTENT_TYPE_LATEST

    def __init__(self, context: Context) -> None:
        """Register everything; connections, rooms and people are counted when somebody asks."""
        self.registry = CollectorRegistry()
        own = self.registry

        def counter(name: str, help: str, *labels: str) -> prometheus_client.Counter:
            return prometheus_client.Counter(f"wslive_{name}", help, labels, registry=own)

        def histogram(name: str, help: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(f"wslive_{name}", help, buckets=buckets, registry=own)

        own.register(_Now(context))
        self._commands = counter("commands", "Commands answered.", "kind", "outcome")
        self._batch = histogram("append_events", "Events of one append.", _EVENTS)
        self._append = histogram("append_seconds", "How long the store took for an append.", _SECONDS)
        self._wait = histogram("answer_seconds", "From beginning a batch of commands to its answers.", _SECONDS)
        self._failures = counter("store_failures", "What the store did not do.", "what")
        self._frames = counter("fanout_frames", "Frames of ticks sent.")
        self._bytes = counter("fanout_bytes", "Bytes of them.")
        self._welcomes = counter("welcomes", "Connections let in: with a resume, a snapshot or a reset.", "mode")
        self._refused = counter("refused_hellos", "Connections not let in.", "code")
        self._closed = counter("closed_connections", "Connections closed by the server.", "code")
        self._lag = histogram("loop_lag_seconds", "How late the loop came to a timer.", _SECONDS)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return prometheus_client.generate_latest(self.registry)

    def appended(self, events: int, seconds: float) -> None:
        """See `Meter`."""
        self._batch.observe(events)
        self._append.observe(seconds)

    def answered(self, seconds: float) -> None:
        """See `Meter`."""
        self._wait.observe(seconds)

    def decided(self, kinds: Sequence[str], outcomes: Sequence[int | Refused]) -> None:
        """See `Meter`."""
        # Counted first, and without a line of Python for each: a batch of a thousand votes is one label.
        for (kind, found), number in Counter(zip(kinds, map(type, outcomes), strict=True)).items():
            outcome = found.code if issubclass(found, Refused) else "ack"
            self._commands.labels(kind if kind in _KINDS else "other", outcome).inc(number)

    def failed(self, error: Exception) -> None:
        """See `Meter`."""
        what = next((name for kind, name in _FAILURES if isinstance(error, kind)), "unreadable")
        self._failures.labels(what).inc()

    def ticked(self, frames: int, size_bytes: int) -> None:
        """See `Meter`."""
        self._frames.inc(frames)
        self._bytes.inc(size_bytes)

    def welcomed(self, mode: str) -> None:
        """See `Meter`."""
        self._welcomes.labels(mode).inc()

    def turned_away(self, refused: Refused) -> None:
        """See `Meter`."""
        self._refused.labels(refused.code).inc()

    def closed(self, code: CloseCode) -> None:
        """See `Meter`."""
        self._closed.labels(code.name.lower()).inc()

    def lagged(self, seconds: float) -> None:
        """See `Meter`."""
        self._lag.observe(max(0.0, seconds))


class _Now(Collector):
    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What is so just now."""
        live = self._context.node.live.values()
        for name, help, value in (
            ("connections", "Open connections.", len(self._context.connections)),
            ("rooms", "Rooms in memory.", len(live)),
            ("people", "People connected, of all rooms.", sum(room.fanout.presence.count for room in live)),
        ):
            yield GaugeMetricFamily(f"wslive_{name}", help, value)
