"""Connections: what a joined person who does nothing costs in memory, and what joining costs in CPU time.

Joining is the handshake, a token, the join in the log on disk, and the view; the others are told how many people there
are. The peers only take a connection. Memory is what the process holds, without what the kernel keeps for sockets.
"""

from __future__ import annotations

from benchmarks import servers
from benchmarks.machine import rss_bytes
from benchmarks.people import Hall, join_peer
from benchmarks.report import Meter, Row, Run, Setup, repeat, spread

PEOPLE = 5000


def joined(setup: Setup) -> list[Row]:
    """Memory and CPU time of people who join."""
    repeated = repeat(
        setup,
        {
            "wslive": lambda: measure(setup, "wslive"),
            "ws": lambda: measure(setup, "ws"),
            "socketio": lambda: measure(setup, "socketio"),
        },
    )
    memory = repeated.row(
        "memory",
        f"memory of an idle joined connection ({PEOPLE:,} of them), kB",
        "kB/connection",
        "ws",
        must="≤ 20 kB",
        aim="≤ 14 kB",
        note=f"socket.io: {spread(repeated.figures('socketio', 'kB/connection'))} kB",
    )
    memory.is_reached = repeated.median("wslive", "kB/connection") <= 20
    joining = repeated.row(
        "joining",
        "people joined per CPU second of the server (handshake, token, log, view)",
        "joined/CPU s",
        "socketio",
        aim="≥ 0.5× (1.0×) socket.io's connects",
        note=f"ws: {spread(repeated.figures('ws', 'joined/CPU s'))}",
    )
    joining.is_reached = bool(joining.ratio and joining.ratio >= 0.5)
    return [memory, joining]


def measure(setup: Setup, name: str) -> Run:
    """One run: connect everybody, wait until nothing comes any more."""
    with servers.wslive(setup.server_core) if name == "wslive" else servers.peer(name, setup.server_core) as server:
        before_bytes = rss_bytes(server.pid)
        with Meter(setup, server.pid) as meter:
            load = Hall(server, PEOPLE).load if name == "wslive" else join_peer(server, PEOPLE)
            load.until_quiet()
        figures = {
            "kB/connection": (rss_bytes(server.pid) - before_bytes) / 1000 / PEOPLE,
            "joined/CPU s": PEOPLE / meter.server.run_s,
            "joined/s": PEOPLE / meter.server.took_s,
        }
        load.close()
    return meter.run(figures)
