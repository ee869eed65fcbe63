"""What the handlers of one server share."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from wslive.server.access.neighbours import Neighbours
from wslive.server.access.network import Network
from wslive.server.access.origins import Gate
from wslive.server.access.turns import Turns
from wslive.server.admission import Door
from wslive.server.http.static import StaticFiles
from wslive.server.rooms.node import Node
from wslive.server.settings import ServerSettings
from wslive.server.websocket.keepalive import Keepalive
from wslive.server.websocket.outbox import Flusher
from wslive.wire.close_codes import CloseCode

logger = logging.getLogger("wslive.server")


class Peer(Protocol):
    """Something that is connected: a participant's WebSocket, or anything else that takes one of the connections."""

    opened_at_s: float

    @property
    def is_waiting_for_hello(self) -> bool:
        """Whether it has not said yet who it is, and has to soon."""
        ...

    def close(self, code: CloseCode) -> None:
        """Close it with a code of ours."""
        ...

    def say_bye(self, spread_s: float) -> None:
        """The server goes down: close it, and let it come back within that time."""
        ...

    def abort(self) -> None:
        """Cut it; it has to be `disconnected` soon after."""
        ...


class Context:
    """The parts of one server and its open connections."""

    def __init__(
        self, settings: ServerSettings, node: Node, door: Door, gate: Gate, network: Network, hosting_token: str
    ) -> None:
        """Keep the parts."""
        self.settings = settings
        self.node = node
        self.door = door
        self.gate = gate
        self.network = network
        self.hosting_token = hosting_token
        self.neighbours = Neighbours(settings.trusted_proxies)
        self.flusher = Flusher()
        self.keepalive = Keepalive(settings.ping_interval_s)
        self.files = StaticFiles()
        self.turns = Turns(settings.handshake_rate)
        self.connections: set[Peer] = set()
        self.all_gone = asyncio.Event()
        """Set while nobody is connected."""
        self.all_gone.set()
        self.turned_away = 0
        """How many handshakes were answered with “come back” and are not in the log of this server yet."""
        self.busy_at_s = time.monotonic()
        """When somebody was last connected, on the monotonic clock."""

    def connected(self, connection: Peer) -> None:
        """A connection began."""
        self.connections.add(connection)
        self.all_gone.clear()

    def disconnected(self, connection: Peer) -> None:
        """A connection ended."""
        self.connections.discard(connection)
        if not self.connections:
            self.all_gone.set()

    async def sweep(self) -> None:
        """Now and then: connections without hello, rooms without people, a line about who was turned away."""
        now_s = time.monotonic()
        if self.turned_away:
            # One line for all of them: a thousand lines about a thousand people would hide every other one.
            logger.warning("%d connections were told to come back later", self.turned_away)
            self.turned_away = 0
        if self.connections:
            self.busy_at_s = now_s
        for connection in list(self.connections):
            if connection.is_waiting_for_hello and now_s - connection.opened_at_s > self.settings.hello_timeout_s:
                connection.close(CloseCode.HELLO_TIMEOUT)
        self.door.guesses.forget(now_s)
        if self.door.vouching is not None:
            self.door.vouching.look_again()
        await self.node.sweep()
