"""A notebook's kernel: how many deltas a second its replica takes in while a cell computes.

A real server sends twenty a second, so here a script plays one: it sends what a real server sent (its welcome, and its
delta of a tally with other counts) at a rate. The kernel is a process with wslive's background thread, which watches
while the main thread computes in pure Python and leaves it what Python's switching gives it. It keeps up when its
replica is never far behind: what counts is the time from a delta's sending until the replica shows it. The kernel has a
core of its own.

    python -m benchmarks.kernel SERVER CODE SECONDS        (the kernel, for the benchmark)
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from functools import partial
from typing import Any

import msgspec

from benchmarks import machine, servers
from benchmarks.load import Load, frame
from benchmarks.machine import REPOSITORY, pin
from benchmarks.people import Hall, connect, new_ref
from benchmarks.report import Row, Run, Setup, repeat, spread
from benchmarks.votes import TEXTS
from wslive.cli.bench import percentile
from wslive.server.websocket.rfc6455 import text_frame
from wslive.wire.messages import SUBPROTOCOL

RATES_PER_S = (500, 1000, 2000, 4000, 8000)
_MAX_BEHIND_MS = 250.0
_TURN_S = 0.001
"""How often the script looks what is due."""


def deltas(setup: Setup) -> list[Row]:
    """Deltas a second that the replica of a computing kernel keeps up with."""
    recorded = _record(setup)
    repeated = repeat(setup, {f"{rate}/s": partial(_watch, setup, recorded, rate) for rate in RATES_PER_S})
    kept_up = [
        max((rate for rate in RATES_PER_S if _keeps_up(repeated.runs[f"{rate}/s"][number])), default=0.0)
        for number in range(setup.repeats)
    ]
    row = Row(
        "kernel",
        "deltas a second that a kernel takes in while its cell computes (the highest rate tried)",
        [float(rate) for rate in kept_up],
        aim="≥ 2,000/s, not falling behind",
        is_reached=statistics.median(kept_up) >= 2000,
        note="; ".join(
            f"at {rate:,}/s p99 {spread(repeated.figures(f'{rate}/s', 'behind p99 ms'))} ms behind"
            for rate in RATES_PER_S
        ),
        runs=repeated.runs,
    )
    return [row]


def _keeps_up(run: Run) -> bool:
    return not run.figures["missing"] and run.figures["behind p99 ms"] <= _MAX_BEHIND_MS


def _record(setup: Setup) -> tuple[dict[str, Any], dict[str, Any]]:
    """A viewer's welcome and a delta of a tally, from a real server with a hundred people."""
    with servers.wslive(setup.server_core) as server:
        hall = Hall(server, 100)
        poll = hall.open_poll(TEXTS)
        hall.settle()
        connected, came = connect(server.url, "/ws", SUBPROTOCOL)
        hello = {"type": "hello", "room": hall.code, "role": "viewer", "ref": new_ref()}
        connected.sendall(frame(msgspec.json.encode(hello)))
        viewer = Load([(connected, came)])
        viewer.until_quiet()
        hall.ask(1, poll, "cast_vote", {"round": 1, "options": ["o1"]})
        viewer.until_quiet()
        messages = [json.loads(payload) for payload in viewer.payloads]
        viewer.close()
        hall.close()
    welcome, delta = (next(m for m in messages if m["type"] == type) for type in ("welcome", "delta"))
    return welcome, delta


def _watch(setup: Setup, recorded: tuple[dict[str, Any], dict[str, Any]], rate_per_s: float) -> Run:
    machine.pin(setup.server_core)
    try:
        return asyncio.run(_played(setup, recorded, rate_per_s))
    finally:
        machine.pin(setup.load_core)


async def _played(setup: Setup, recorded: tuple[dict[str, Any], dict[str, Any]], rate_per_s: float) -> Run:
    """Play the server for one kernel."""
    welcome, delta = recorded
    first = welcome["position"]["offset"]
    count = round(rate_per_s * setup.seconds)
    frames = []
    (tally,) = (op for op in delta["ops"] if op["op"] == "set" and op["path"][-1] == "tally")
    for number in range(count):
        tally["value"]["counts"]["o1"] = number
        frames.append(text_frame(msgspec.json.encode({**delta, "from": first + number, "to": first + number + 1})))
    go, done = asyncio.Event(), asyncio.Event()
    sent_ns: list[int] = []

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        key = next(line.partition(":")[2].strip() for line in head.split("\r\n") if "Sec-Websocket-Key" in line.title())
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
        writer.write(
            (
                f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
            ).encode()
        )
        await reader.read(2)  # the hello
        writer.write(text_frame(msgspec.json.encode(welcome)))
        await go.wait()
        start_s = time.monotonic()
        while len(sent_ns) < count:
            due = min(count, int((time.monotonic() - start_s) * rate_per_s) + 1)
            if due > len(sent_ns):
                now_ns = time.monotonic_ns()
                writer.write(b"".join(frames[len(sent_ns) : due]))
                sent_ns.extend([now_ns] * (due - len(sent_ns)))
                await writer.drain()
            await asyncio.sleep(_TURN_S)
        await reader.read()
        writer.close()
        done.set()

    async with await asyncio.start_server(play, "127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        kernel = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.kernel", url, "K7M2QX", str(setup.seconds + 0.5)),
            stdin=PIPE,
            stdout=PIPE,
            limit=1 << 26,
            cwd=REPOSITORY,
            preexec_fn=partial(pin, setup.load_core),
        )
        assert kernel.stdout is not None
        assert await kernel.stdout.readline() == b"ready\n"
        go.set()
        out, _ = await kernel.communicate(b"go\n")
        await done.wait()
    seen = json.loads(out)
    behind_ms = []
    place = 0
    for number, at_ns in enumerate(sent_ns):
        while place < len(seen["offset"]) and seen["offset"][place] < first + number + 1:
            place += 1
        if place == len(seen["offset"]):
            break
        behind_ms.append((seen["at_ns"][place] - at_ns) / 1e6)
    missing = count - len(behind_ms)
    return Run(
        {
            "deltas/s": count / ((sent_ns[-1] - sent_ns[0]) / 1e9),
            "behind p50 ms": percentile(behind_ms, 50),
            "behind p99 ms": percentile(behind_ms, 99),
            "missing": float(missing),
        }
    )


def _compute(seconds: float) -> None:
    """A cell's work."""
    until_s = time.perf_counter() + seconds
    while time.perf_counter() < until_s:
        sum(number * number for number in range(1000))


def main(server: str, code: str, seconds: float) -> None:
    """Be the kernel: watch, compute, and say when the replica was where."""
    from wslive.client.background import background
    from wslive.client.connection import Connection
    from wslive.core.roles import Role

    seen: list[tuple[int, int]] = []

    async def watch() -> Connection:
        connection = Connection(
            server,
            code,
            role=Role.VIEWER,
            on_change=lambda: seen.append((time.monotonic_ns(), connection.replica.offset)),
        )
        await connection.open()
        return connection

    connection = background().run(watch(), 30)
    print("ready", flush=True)
    sys.stdin.readline()
    _compute(seconds)
    background().run(connection.close(), 30)
    at_ns, offsets = zip(*seen, strict=True)
    print(json.dumps({"at_ns": at_ns, "offset": offsets}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
