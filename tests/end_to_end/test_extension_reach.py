"""A Jupyter that is its own computer's alone lets phones in: by a listener on which there is nothing of Jupyter."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error

from tests.end_to_end.browser import wait_until
from tests.end_to_end.lab import FOLDERS
from tests.end_to_end.namespaces import GUEST_ADDRESS, HOST_ADDRESS, Computer, two_computers
from tests.end_to_end.test_reach import chromium_at, status

# A kernel of that Jupyter as a program: at each line it does what the line says, and tells how things are.
KERNEL = """
import json, sys
import wslive

room = wslive.host("Reach")
other = wslive.host("Other")
poll = room.poll("Can you read this?", ["yes", "no"])
for line in sys.stdin:
    if line.strip():
        room.let_in(line.strip())
    told = dict(server=room.server, code=room.code, other=other.code, links=room.links, tally=poll.tally())
    print(json.dumps(told), flush=True)
"""


@pytest.fixture(scope="module")
def computers() -> Iterator[tuple[Computer, Computer]]:
    """A host's computer and a guest's."""
    with two_computers() as both:
        yield both


@contextmanager
def hosting(host: Computer, root: Path) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A Jupyter Server as it is by default, and one of its kernels, on the host's computer."""
    folders = {name: root / folder for name, folder in FOLDERS.items()}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    env = {**os.environ, **{name: str(folder) for name, folder in folders.items()}, "JUPYTER_PLATFORM_DIRS": "1"}
    jupyter = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--ServerApp.root_dir={root}"]
    with host.start([*jupyter, "--ServerApp.port=8888"], env) as server:
        try:
            file = folders["JUPYTER_RUNTIME_DIR"] / "wslive" / "server-8888.json"
            deadline = time.monotonic() + 60
            while not file.exists():
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            with host.start([sys.executable, "-c", KERNEL], {**env, "JPY_PARENT_PID": str(server.pid)}) as kernel:
                stdin, stdout = kernel.stdin, kernel.stdout
                assert stdin is not None
                assert stdout is not None

                def do(audience: str = "") -> dict[str, Any]:
                    print(audience, file=stdin, flush=True)
                    answer: dict[str, Any] = json.loads(stdout.readline())
                    return answer

                yield do
            assert kernel.returncode == 0
        finally:
            server.terminate()


def test_phones_in_the_network_come_by_a_listener_without_anything_of_jupyter(
    computers: tuple[Computer, Computer], tmp_path: Path
) -> None:
    host, guest = computers
    with hosting(host, tmp_path) as do, chromium_at(guest, tmp_path) as at_guest:
        room = do()
        assert room["server"] == "http://localhost:8888/wslive"
        assert room["links"] == []
        for address in (HOST_ADDRESS, GUEST_ADDRESS, "127.0.0.1"):
            with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
                at_guest.new_page().goto(f"http://{address}:8888/wslive/r/{room['code']}")

        link = do("network")["links"][0]
        assert link == f"http://{HOST_ADDRESS}:8888/r/{room['code']}"
        phone = at_guest.new_page(viewport={"width": 360, "height": 740})
        phone.goto(link)
        phone.get_by_label("Your name").fill("Grace")
        phone.get_by_role("button", name="Join").click()
        phone.get_by_role("button", name="yes").click()
        phone.get_by_role("region", name="Questions").get_by_text("Counted").wait_for()
        wait_until(phone, lambda: do()["tally"] == {"yes": 1, "no": 0})

        # Neither Jupyter, nor what is for hosts, nor another room.
        base = link.partition("/r/")[0]
        for path in ("/api/status", "/api/kernels", "/lab", "/login", "/tree", "/wslive/", "/api/server"):
            assert status(phone, base + path) == 404, path
        assert status(phone, f"{base}/api/rooms", method="POST") == 404
        assert status(phone, f"{base}/r/{room['other']}/about") == 404

        do("this_computer")
        late = at_guest.new_page()
        with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
            late.goto(link)
        # Who is in stays in.
        phone.get_by_role("button", name="no").click()
        phone.get_by_role("region", name="Questions").get_by_text("Counted").wait_for()
