"""The messages of `wslive.v1`: JSON objects in text frames, told apart by `type`.

New fields come at the end with a default, never with another meaning: an old peer ignores what it does not know.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from wslive.core.commands import Command as CoreCommand
from wslive.core.events import Position
from wslive.core.roles import Role
from wslive.core.view import Op

SUBPROTOCOL = "wslive.v1"
TICKET_PREFIX = "wslive.ticket."
"""A ticket travels as a second offered subprotocol: unlike an address, a header is not kept in histories and logs."""

PASS_HEADER = "Wslive-Pass"
"""What a call shows of a login, where its `Authorization` says something else."""

MAX_FRAME_BYTES = 16 * 1024
"""The largest frame that a server takes from a client."""

PING_INTERVAL_S = 25.0


# ── from the client ───────────────────────────────────────────────────────────────────────────────────────────────


class Hello(msgspec.Struct, frozen=True, tag="hello", omit_defaults=True):
    """The first message. With a ticket in the handshake, `room`, `role` and `token` come from the ticket.

    Attributes:
        room: The join code.
        role: What the client wants to be; `token` must allow it (a participant needs none to begin).
        ref: The client's name for its joining, kept until `welcome`: a retry does not join twice.
        name: For a new participant; without one the room gives one.
        token: The token of an earlier `welcome`, or a host key (`role` "host").
        position: How far the client's replica has come.
        ledger: True for a host's program that wants single ballots.
        invitation: One that the host has handed out: it makes one participant, once, also in a locked room.
    """

    room: str = ""
    role: Role = Role.PARTICIPANT
    ref: str = ""
    name: str | None = None
    token: str | None = None
    position: Position | None = None
    ledger: bool = False
    invitation: str | None = None


class Command(CoreCommand, frozen=True, tag="command"):
    """A wish, as the room takes it. Kept by the client until `ack` or `refused` names its `ref`."""

    body: msgspec.Raw = msgspec.Raw(b"{}")


class ReadOlder(msgspec.Struct, frozen=True, tag="read_older"):
    """Ask for entries before `before` of an activity's long collection; answered by `page`."""

    ref: str
    activity: int
    before: int
    limit: int = 100


class GetTicket(msgspec.Struct, frozen=True, tag="get_ticket"):
    """Ask for a ticket with which another connection of the same actor can be opened; answered by `ticket`."""

    ref: str


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Is anybody there? Browsers cannot send WebSocket pings."""

    n: int = 0


ClientMessage = Hello | Command | ReadOlder | GetTicket | Ping


# ── from the server ───────────────────────────────────────────────────────────────────────────────────────────────


class Welcome(msgspec.Struct, frozen=True, tag="welcome", omit_defaults=True):
    """The answer to `hello`, after which the replica stands at `position`.

    Attributes:
        mode: "resume": apply `ops` to the replica as it was. "snapshot": replace it by `view`. "reset": the same, and
            the log that the client knew is no more.
        position: Where the replica stands afterwards.
        room: The join code.
        actor: The client's id in the room.
        role: What it may do.
        token: To be kept for the next hello; only where a new one was made.
        ops: Operations, with mode "resume".
        view: The whole view, with the other modes.
        presence: Who is here.
        ping_interval_s: How often the server sends WebSocket pings.
        max_frame_bytes: The largest frame that the server takes.
    """

    mode: Literal["resume", "snapshot", "reset"]
    position: Position
    room: str
    actor: str
    role: Role
    presence: Presence
    token: str | None = None
    ops: list[Op] | None = None
    view: dict[str, Any] | None = None
    ping_interval_s: float = PING_INTERVAL_S
    max_frame_bytes: int = MAX_FRAME_BYTES


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """The command is on disk, as the event at `offset`."""

    ref: str
    offset: int


class Refused(msgspec.Struct, frozen=True, tag="refused", omit_defaults=True):
    """The command (or hello, or read) was not accepted; nothing was stored. Final for its ref.

    `retry_after_s` is there where coming back with a new ref may help.
    """

    ref: str
    code: str
    message: str
    retry_after_s: float | None = None


class Delta(msgspec.Struct, frozen=True, tag="delta"):
    """Changes over the offsets (from, to]. Apply if from ≤ mine < to; ignore if to ≤ mine; else resume."""

    from_: int = msgspec.field(name="from")
    to: int
    chain: str
    ops: list[Op]


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """A whole view that replaces the replica, on a connection that fell too far behind for a delta."""

    position: Position
    view: dict[str, Any]


class Notice(msgspec.Struct, frozen=True):
    """Somebody came or went."""

    name: str
    what: Literal["joined", "left"]


class Arrivals(msgspec.Struct, frozen=True):
    """How many new people came in during the last minute; those who come back are none.

    Attributes:
        last_minute: How many.
        networks: From how many networks. A hall behind one address is one; so is everybody behind a proxy that the
            server was not told of.
        largest: How many of them from the same network.
        from_elsewhere: Whether any person at all has come from another device than the server's own computer, since the
            server has the room open: then others can come.
    """

    last_minute: int = 0
    networks: int = 0
    largest: int = 0
    from_elsewhere: bool = False


class Presence(msgspec.Struct, frozen=True, tag="presence", omit_defaults=True):
    """Who is connected now: absolute, without offset.

    Attributes:
        online: How many people are here.
        here: Their actor ids, for those who may know names.
        notices: Who came and went since the last message, for those who may know names.
        arrivals: How many new people came lately, for the host.
    """

    online: int
    here: list[str] | None = None
    notices: list[Notice] = []
    arrivals: Arrivals | None = None


class Page(msgspec.Struct, frozen=True, tag="page"):
    """Older entries, oldest first; fewer than the limit means: there are no more."""

    ref: str
    entries: list[Any]


class Ticket(msgspec.Struct, frozen=True, tag="ticket"):
    """A ticket, good for `expires_in_s` seconds."""

    ref: str
    ticket: str
    expires_in_s: float


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """Yes."""

    n: int = 0


class Bye(msgspec.Struct, frozen=True, tag="bye"):
    """The server is about to close; come back after a random time within `spread_s` seconds, if the code allows."""

    code: int
    message: str
    spread_s: float = 0.0


ServerMessage = Welcome | Ack | Refused | Delta | Snapshot | Presence | Page | Ticket | Pong | Bye
