"""Servers to be measured: each a process of its own on one core, started for a run and ended after it.

wslive's is `benchmarks.server`. The peers are the programs in `peers/`; they print what wslive's prints, one line of
JSON with their address. Their packages come from npm into build/bench/, see tools/bench_peers.sh.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import click
import msgspec

from benchmarks.machine import BUILD, REPOSITORY, pin


class Started(msgspec.Struct, frozen=True):
    """What a server says when it takes connections.

    Attributes:
        protocol: "wslive", or how a peer is to be spoken to.
        store: Where wslive keeps its rooms.
    """

    url: str
    pid: int
    protocol: str = "wslive"
    hosting_token: str = ""
    store: str = ""
    version: str = ""


@contextmanager
def wslive(core: int | None, *, tick_ms: float | None = None, store: Path | None = None) -> Iterator[Started]:
    """What `wslive serve` runs, with a store of its own on this machine's disk.

    Args:
        core: Where to run.
        tick_ms: Another `tick_interval_s` than the one that it comes with.
        store: A store that is there already, and stays.
    """
    with tempfile.TemporaryDirectory(prefix="wslive-bench-") as folder:
        path = store or Path(folder) / "store.db"
        command = [sys.executable, "-m", "benchmarks.server", "--store", str(path)]
        command += [] if tick_ms is None else ["--tick-ms", str(tick_ms)]
        with _running(command, core) as started:
            yield msgspec.structs.replace(started, store=str(path))


@contextmanager
def peer(name: str, core: int | None) -> Iterator[Started]:
    """A program of `peers/`."""
    install_peers()
    with _running([node(), str(BUILD / f"{name}.js")], core) as started:
        yield started


@contextmanager
def _running(command: Sequence[str], core: int | None) -> Iterator[Started]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        preexec_fn=partial(pin, core),
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise click.ClickException("A server did not start; it said why above.")
        yield msgspec.json.decode(line, type=Started)
    finally:
        process.communicate(timeout=120)


def node() -> str:
    """The program that runs the peers."""
    found = shutil.which("node")
    if found is None:
        raise click.ClickException("The peers need Node.js, 18 or newer; tools/node.sh installs it.")
    return found


@cache
def install_peers() -> None:
    """See that the peers are in build/bench/, beside their packages: Node looks for packages where its program is."""
    subprocess.run([REPOSITORY / "tools" / "bench_peers.sh"], check=True)
    for program in Path(__file__).with_name("peers").glob("*.js"):
        shutil.copy(program, BUILD)


@cache
def has_peer(name: str) -> bool:
    """Whether a peer starts here: uWebSockets is a binary, and may not be made for this system."""
    install_peers()
    command = [node(), str(BUILD / f"{name}.js")]
    tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return tried.returncode == 0
