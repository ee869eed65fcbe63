"""All settings of a server in one place. Every number has its unit in its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wslive.core.presence import AWAY_AFTER_S
from wslive.wire.messages import MAX_FRAME_BYTES, PING_INTERVAL_S


@dataclass(frozen=True)
class Rate:
    """A token bucket: `per_s` a second in the long run, `burst` at once."""

    per_s: float
    burst: float


@dataclass(frozen=True)
class ServerSettings:
    """How one server behaves.

    Attributes:
        host: The address to listen on. Other computers can reach anything but a loopback address.
        port: The port; 0 lets the system choose.
        public_url: The address at which a proxy shows this server, e.g. "https://live.example.org/rooms".
        base_path: Below which path everything is, e.g. "/services/wslive"; "" for the root.
        any_host: Answer to every name. Only where nobody is let in who does not show who they are: what a browser
            shows by itself it shows to the names that gave it that.
        allow_origins: Origins beside our own whose pages may open connections, e.g. "https://lab.example.org".
        anyone_may_host: Let anybody create rooms, without a hosting token.
        hosting_token: What creating a room needs; None makes a random one.
        secret_path: Where the key that signs tokens is kept (a file for its owner alone); None keeps it in memory,
            and every token ends with the process.
        store_name: Where answers are kept, in words for people.
        may_open_network: Whether holders of the hosting token may let other computers in by a second listener.
        idle_end_s: Note `Server.idle` after this long without a connection; None: never.
        metrics: Count for Prometheus, and tell at /metrics whoever asks from this computer.
        metrics_token: What else may ask for them: whoever shows this as a bearer token.
        max_participants: Above this many people a room takes no new ones.
        max_connections: Above this many connections the server takes no new ones.
        handshake_rate: New connections of the whole server; beyond it they are told when to come back.
        max_frame_bytes: The largest frame taken from a client.
        ping_interval_s: How often connections are pinged; a silent peer is gone after twice this time.
        hello_timeout_s: How long a new connection may stay without a hello.
        idle_http_s: How long a connection may be open without a request, or between two.
        tick_interval_s: The least time between two deltas of a room under load; in a room whose deltas take long to be
            sent, it grows to 0.2 s.
        away_after_s: Somebody without a connection for this long has left; a reload is shorter.
        presence_interval_s: The least time between two presence messages of a room, and between two deltas of a large
            one that tell of nothing but newcomers.
        slice_size: How many connections a fan-out serves before others get a turn.
        max_resume_ops: Above this many operations a resume is a snapshot.
        max_outbox_bytes: A connection that lets more than this gather on top of what it does not take is closed as a
            slow reader.
        max_stuck_s: A connection that took nothing for this long is closed as a slow reader.
        ticket_life_s: How long a ticket opens connections.
        vouch_interval_s: Where logins of others count: how often it is asked whether they still do.
        room_idle_s: A room without connections leaves the memory after this long (it stays in the log).
        sweep_interval_s: How often the server looks for whoever has left, is stuck or says no hello.
        drain_s: Over how long clients spread their coming back when the server goes down.
        vote_rate: Votes and retractions of one token.
        line_rate: Chat lines of one token.
        name_rate: Name changes of one token.
        read_rate: Pages of older lines and tickets that a participant or viewer asks for.
        host_rate: Everything a host does, in one room.
        receive_rate: Bytes of one connection, and for each message some more; beyond it, it is read more slowly.
        guess_rate: Different wrong join codes that strangers of one network may try.
        total_guess_rate: The same for all strangers together.
        trusted_proxies: Addresses or networks of proxies whose X-Forwarded-For counts, e.g. "127.0.0.1". It says which
            network somebody comes from, and nothing else.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    public_url: str | None = None
    base_path: str = ""
    any_host: bool = False
    allow_origins: tuple[str, ...] = ()
    anyone_may_host: bool = False
    hosting_token: str | None = field(default=None, repr=False)
    secret_path: Path | None = None
    store_name: str = "this computer's memory, until the server ends"
    may_open_network: bool = True
    idle_end_s: float | None = None
    metrics: bool = False
    metrics_token: str | None = field(default=None, repr=False)
    max_participants: int = 2500
    max_connections: int = 10_000
    handshake_rate: Rate = Rate(per_s=250, burst=250)
    max_frame_bytes: int = MAX_FRAME_BYTES
    ping_interval_s: float = PING_INTERVAL_S
    hello_timeout_s: float = 10.0
    idle_http_s: float = 10.0
    tick_interval_s: float = 0.05
    away_after_s: float = AWAY_AFTER_S
    presence_interval_s: float = 0.5
    slice_size: int = 400
    max_resume_ops: int = 1000
    max_outbox_bytes: int = 256 * 1024
    max_stuck_s: float = 10.0
    ticket_life_s: float = 600.0
    vouch_interval_s: float = 600.0
    room_idle_s: float = 600.0
    sweep_interval_s: float = 1.0
    drain_s: float = 5.0
    vote_rate: Rate = Rate(per_s=5, burst=20)
    line_rate: Rate = Rate(per_s=1, burst=5)
    name_rate: Rate = Rate(per_s=0.2, burst=5)
    read_rate: Rate = Rate(per_s=10, burst=30)
    host_rate: Rate = Rate(per_s=50, burst=200)
    receive_rate: Rate = Rate(per_s=100_000, burst=100_000)
    guess_rate: Rate = Rate(per_s=1, burst=20)
    total_guess_rate: Rate = Rate(per_s=50, burst=200)
    trusted_proxies: tuple[str, ...] = ()
