"""Two computers on one machine: network namespaces with a cable between them.

Each has a loopback device of its own, so what one binds to loopback the other cannot reach, and nothing of either can
reach the network that this machine is in. Root makes them directly; anybody else inside a user namespace.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HOST_ADDRESS = "10.83.0.1"
GUEST_ADDRESS = "10.83.0.2"

HOW_TO_INSTALL = """\
This test needs network namespaces, made with the commands unshare, nsenter and ip:
    sudo apt-get install -y util-linux iproute2
and, where users may not make namespaces (kernel.unprivileged_userns_clone=0), root's rights."""


@dataclass(frozen=True)
class Computer:
    """One of the two: whatever `enter` starts runs in its network."""

    pid: int
    as_user: bool

    def enter(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` in this computer's network."""
        user = ["--user", "--preserve-credentials"] if self.as_user else []
        return ["nsenter", "--target", str(self.pid), *user, "--net", "--", *command]

    def run(self, *command: str) -> None:
        """Run a command there and wait for it."""
        subprocess.run(self.enter(command), check=True, capture_output=True, text=True, timeout=60)

    def start(self, command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start a program there that is spoken to by lines."""
        return subprocess.Popen(
            self.enter(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(env), text=True, bufsize=1
        )

    def program(self, path: Path, command: str) -> Path:
        """Write a program at `path` that is `command` in this computer's network."""
        path.write_text(f'#!/bin/sh\nexec {shlex.join(self.enter([command]))} "$@"\n')
        path.chmod(0o755)
        return path


@contextmanager
def two_computers() -> Iterator[tuple[Computer, Computer]]:
    """A host and a guest, connected; they vanish at the end.

    Raises:
        RuntimeError: This machine does not let us make them; the message says what is needed.
    """
    as_user = os.geteuid() != 0
    with ExitStack() as stack:
        try:
            made = ["unshare", *(["--user", "--map-root-user"] if as_user else []), "--net"]
            host = Computer(stack.enter_context(_holding(made)).pid, as_user)
            guest = Computer(stack.enter_context(_holding([*_same_user(host), "unshare", "--net"])).pid, as_user)
            host.run("ip", "link", "add", "wslive0", "type", "veth", "peer", "name", "wslive1", "netns", str(guest.pid))
            for computer, device, address in ((host, "wslive0", HOST_ADDRESS), (guest, "wslive1", GUEST_ADDRESS)):
                computer.run("ip", "link", "set", "lo", "up")
                computer.run("ip", "address", "add", f"{address}/24", "dev", device)
                computer.run("ip", "link", "set", device, "up")
            host.run("ip", "route", "add", "default", "via", GUEST_ADDRESS)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or ""
            raise RuntimeError(f"{HOW_TO_INSTALL}\n{error}\n{said}") from error
        yield host, guest


def _same_user(host: Computer) -> list[str]:
    if not host.as_user:
        return []
    return ["nsenter", "--target", str(host.pid), "--user", "--preserve-credentials", "--"]


@contextmanager
def _holding(made: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds a namespace until its standard input closes; it has said a line when it is inside."""
    held = [*made, sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise OSError(f"{' '.join(made)} ended with status {process.wait(60)}")
        yield process
