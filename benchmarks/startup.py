"""Starting: `import wslive` over bare Python, and `wslive serve` until it takes a connection."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial

from benchmarks import servers
from benchmarks.machine import BUILD, REPOSITORY, pin
from benchmarks.report import Row, Run, Setup, repeat, spread

_IMPORTS_A_RUN = 10
_HANG_S = 30.0


def imported(setup: Setup) -> list[Row]:
    """What `import wslive` adds to the start of Python."""
    repeated = repeat(
        setup,
        {
            "wslive": partial(_python, "import wslive"),
            "bare Python": partial(_python, "pass"),
            "tornado": partial(_python, "import tornado.web, tornado.websocket, tornado.httpserver"),
        },
    )
    ours = [
        mine - bare
        for mine, bare in zip(repeated.figures("wslive", "ms"), repeated.figures("bare Python", "ms"), strict=True)
    ]
    row = Row(
        "import",
        "`import wslive` over bare Python, ms",
        ours,
        aim="≤ 60 ms",
        is_reached=statistics.median(ours) <= 60,
        note=f"bare Python {spread(repeated.figures('bare Python', 'ms'))} ms; "
        f"with Tornado {spread(repeated.figures('tornado', 'ms'))} ms",
        runs=repeated.runs,
    )
    return [row]


def _python(statement: str) -> Run:
    times_ms = []
    for _ in range(_IMPORTS_A_RUN):
        began_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True, cwd=REPOSITORY)
        times_ms.append(1e3 * (time.perf_counter() - began_s))
    return Run({"ms": statistics.median(times_ms)})


def served(setup: Setup) -> list[Row]:
    """From the start of the process until a connection is taken."""
    servers.install_peers()
    repeated = repeat(
        setup, {"wslive": partial(_serve, setup, "wslive"), "socketio": partial(_serve, setup, "socketio")}
    )
    row = repeated.row(
        "serve",
        "`wslive serve` with a store on disk, from its start to the first connection taken, ms",
        "ms",
        "socketio",
        aim="≤ 2× socket.io",
    )
    row.is_reached = bool(row.ratio and row.ratio <= 2)
    return [row]


def _serve(setup: Setup, name: str) -> Run:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="wslive-bench-") as folder:
        command: Sequence[str] = (
            [sys.executable, "-m", "wslive", "serve", "--port", str(port), "--store", f"{folder}/store.db"]
            if name == "wslive"
            else [servers.node(), str(BUILD / "socketio.js")]
        )
        began_s = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PORT": str(port), "JUPYTER_RUNTIME_DIR": folder},
            preexec_fn=partial(pin, setup.server_core),
        )
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=_HANG_S).close()
                    break
                except ConnectionRefusedError:
                    if time.perf_counter() - began_s > _HANG_S:
                        raise
                    time.sleep(0.001)
            took_s = time.perf_counter() - began_s
        finally:
            process.terminate()
            process.communicate(timeout=_HANG_S)
    return Run({"ms": 1e3 * took_s})
