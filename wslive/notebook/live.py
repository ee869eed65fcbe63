"""One actor in one room, from a notebook: what hosts, participants and onlookers have in common."""

from __future__ import annotations

import json
import time
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from wslive.client.background import background
from wslive.client.connection import Connection, Status
from wslive.client.http import fetch
from wslive.core.errors import ConnectionEnded
from wslive.core.roles import Role
from wslive.core.view import View
from wslive.notebook.calls import HasAio, look, run
from wslive.notebook.reactions import Reactions
from wslive.notebook.said import line_ref

ResultT = TypeVar("ResultT")

TIMEOUT_S = 10.0
READ_WAIT_S = 1.0
"""How long reading waits for the connection to come back or to catch up, before it gives what there is."""

_reached: dict[tuple[str, str], int] = {}
"""How far this kernel has brought each room (code, epoch): whoever plays both sides has a connection for each, and
what is done by one of them is to be seen by the others."""


class StaleWarning(UserWarning):
    """What was read is older than the room: there is no connection just now."""


class Live(HasAio):
    """A connection to a room, with everything of this kernel that hangs on it.

    Attributes:
        server: The server's base URL.
        code: The room's join code.
        connection: The kernel's own connection; it lives on its own thread and comes back by itself.
    """

    def __init__(self, server: str, code: str, *, role: Role, **options: Any) -> None:
        """Prepare the connection; `await live.open()` makes it."""
        self.server = server
        self.code = code
        self.reactions = Reactions()
        self.widgets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._parts: dict[Any, Any] = {}
        self.connection = Connection(
            server,
            code,
            role=role,
            on_change=self.reactions.changed,
            on_status=self._status_changed,
            on_presence=lambda presence: self.reactions.changed(),
            **options,
        )

    # ── what the replica holds ────────────────────────────────────────────────────────────────────────────────────

    def read(self, take: Callable[[View], ResultT]) -> ResultT:
        """Read the view between two of its changes; `take` must copy what it returns.

        While there is no connection, the next try is made now instead of when it is due.

        Warns:
            StaleWarning: There is no connection, so the view is as old as the warning says.
        """
        connection = self.connection
        if not background().is_current:
            if connection.status is Status.AWAY:
                run(connection.retry_now(READ_WAIT_S))
            elif self._is_behind():
                run(self.catch_up())
        since = connection.away_since
        if since is not None and connection.status in (Status.AWAY, Status.ENDED):
            at = time.strftime("%H:%M:%S", time.localtime(since))
            age_s = time.time() - since
            why = str(connection.last_error or "no connection").rstrip(".")
            warnings.warn(f"This is as of {at}, {age_s:.0f} s ago: {why}.", StaleWarning, stacklevel=4)
        return self.peek(take)

    def peek(self, take: Callable[[View], ResultT]) -> ResultT:
        """The same without the warning, for displays."""
        return look(lambda: take(self.connection.replica.view))

    @property
    def title(self) -> str:
        """The room's title."""
        return self.peek(lambda view: str(view["room"]["title"]))

    @property
    def link(self) -> str:
        """The address at which this notebook reaches the room."""
        return f"{self.server}/r/{self.code}"

    @property
    def online(self) -> int:
        """How many people are connected now."""
        presence = self.connection.presence
        return 0 if presence is None else presence.online

    def part_of(self, key: Any, make: Callable[[], ResultT]) -> ResultT:
        """The one object for a part of the room: the same poll is the same object, with its callbacks and displays."""
        if key not in self._parts:
            self._parts[key] = make()
        found: ResultT = self._parts[key]
        return found

    # ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Make the connection; the errors are those of `Connection.open`."""
        await self.connection.open()
        self._has_reached(self.connection.replica.offset)

    async def catch_up(self) -> None:
        """Wait a moment until the replica shows what this kernel has done by its other connections."""
        if self.connection.status is Status.LIVE and self._is_behind():
            with suppress(TimeoutError, ConnectionEnded):
                await self.connection.changed(lambda _: not self._is_behind(), READ_WAIT_S)

    async def command(self, activity: int, kind: str, body: View, timeout_s: float, ref: str | None = None) -> int:
        """Send a command and return its offset once the replica shows it; the errors are those of `Connection`."""
        offset = await self.connection.command(activity, kind, body, timeout_s=timeout_s, ref=ref)
        self._has_reached(offset)
        return offset

    async def speak(self, activity: int, text: str, again: bool, timeout_s: float) -> None:
        """Say a chat line; the same cell run again says it once."""
        await self.command(activity, "say", {"text": text}, timeout_s, None if again else line_ref(activity, text))

    async def let_go(self) -> None:
        """Close the connection and everything that waits on it."""
        self.reactions.close()
        await self.connection.close()

    def _has_reached(self, offset: int) -> None:
        if (position := self.connection.replica.position) is not None:
            key = (self.code, position.epoch)
            _reached[key] = max(_reached.get(key, 0), offset)

    def _is_behind(self) -> bool:
        position = self.connection.replica.position
        return position is not None and position.offset < _reached.get((self.code, position.epoch), 0)

    def _status_changed(self, status: Status) -> None:
        self.reactions.changed()


class HostLive(Live):
    """The host's connection: it alone is told single ballots, and may read the log."""

    def __init__(self, server: str, code: str, host_key: str) -> None:
        """Prepare the connection."""
        super().__init__(server, code, role=Role.HOST, token=host_key, ledger=True)
        self._host_key = host_key

    async def events(self, activity: int | None = None, *, timeout_s: float = TIMEOUT_S) -> list[View]:
        """The log as plain data: offset, at_ms, actor, activity, kind, version, body."""
        query = "" if activity is None else f"?activity={activity}"
        path = f"/api/rooms/{self.code}/events{query}"
        lines = await fetch(self.server, path, bearer=self._host_key, timeout_s=timeout_s)
        return [json.loads(line) for line in lines.splitlines()]


def shown_time(at_ms: float) -> str:
    """A time for people on this computer: "10:42" today, "23 Nov 09:14" on another day."""
    then = time.localtime(at_ms / 1000)
    today = time.localtime()
    is_today = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M", then) if is_today else time.strftime("%d %b %H:%M", then).lstrip("0")
