"""Who can reach a room: with `audience="network"` another computer, by the text of the QR code; by default nobody."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Error, Page, sync_playwright

from tests.end_to_end.browser import FLAGS, find_chromium, wait_until
from tests.end_to_end.namespaces import GUEST_ADDRESS, HOST_ADDRESS, Computer, two_computers

# The host's notebook as a program: to every line it answers where its room is and how the votes stand.
HOSTING = """
import json, sys
import wslive

room = wslive.host("Reach", audience=sys.argv[1])
poll = room.poll("Can you read this?", ["yes", "no"])
for line in sys.stdin:
    print(json.dumps(dict(server=room.server, code=room.code, links=room.links, tally=poll.tally())), flush=True)
"""


@pytest.fixture(scope="module")
def computers() -> Iterator[tuple[Computer, Computer]]:
    """A host's computer and a guest's."""
    with two_computers() as both:
        yield both


@pytest.fixture
def hosting(computers: tuple[Computer, Computer], tmp_path: Path) -> Callable[[str], Any]:
    """Hosts a room on the host's computer: `with hosting("network") as ask`."""
    host = computers[0]
    env = {
        **os.environ,
        "HOME": str(tmp_path),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }

    @contextmanager
    def run(audience: str) -> Iterator[Callable[[], dict[str, Any]]]:
        try:
            with host.start([sys.executable, "-c", HOSTING, audience], env) as program:
                stdin, stdout = program.stdin, program.stdout
                assert stdin is not None
                assert stdout is not None

                def ask() -> dict[str, Any]:
                    print(file=stdin, flush=True)
                    answer: dict[str, Any] = json.loads(stdout.readline())
                    return answer

                yield ask
            assert program.returncode == 0
        finally:
            _end_own_server(tmp_path / "runtime")

    return run


def _end_own_server(runtime: Path) -> None:
    """End the server that `host` has started, by the process id in its discovery file."""
    for file in (runtime / "wslive").glob("server-*.json"):
        os.kill(json.loads(file.read_text())["pid"], signal.SIGTERM)


@contextmanager
def chromium_at(computer: Computer, folder: Path) -> Iterator[Browser]:
    """A Chromium whose network is that computer's."""
    with sync_playwright() as playwright:
        program = computer.program(folder / "chromium", find_chromium(playwright))
        # Chromium cannot make its own sandbox inside a namespace made by somebody else.
        flags = [*FLAGS, "--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


def status(page: Page, url: str, method: str = "GET") -> Any:
    """What a request of the page itself is answered with: Playwright's own would leave from the wrong computer."""
    return page.evaluate("([url, method]) => fetch(url, {method}).then((answer) => answer.status)", [url, method])


def qr_text(page: Page, picture: Path) -> str:
    """What a phone's camera reads on a page."""
    page.screenshot(path=picture)
    with Image.open(picture) as image:
        found = zxingcpp.read_barcodes(image.convert("L"))
    assert [code.format for code in found] == [zxingcpp.BarcodeFormat.QRCode]
    return str(found[0].text)


def test_another_computer_joins_by_the_text_of_the_qr_code(
    computers: tuple[Computer, Computer], hosting: Callable[[str], Any], tmp_path: Path
) -> None:
    host, guest = computers
    with hosting("network") as ask:
        room = ask()
        assert room["links"][0].startswith(f"http://{HOST_ADDRESS}:")

        with chromium_at(host, tmp_path) as at_host:
            projector = at_host.new_page(viewport={"width": 1920, "height": 1080})
            projector.goto(f"{room['server']}/r/{room['code']}/screen")
            projector.get_by_text("Can you read this?").wait_for()
            projector.get_by_role("img", name="QR code").wait_for()
            link = qr_text(projector, tmp_path / "projector.png")
        assert link == room["links"][0]

        with chromium_at(guest, tmp_path) as at_guest:
            phone = at_guest.new_page(viewport={"width": 360, "height": 740})
            phone.goto(link)
            phone.get_by_label("Your name").fill("Grace")
            phone.get_by_role("button", name="Join").click()
            phone.get_by_role("button", name="yes").click()
            phone.get_by_role("region", name="Questions").get_by_text("Counted").wait_for()
            wait_until(phone, lambda: ask()["tally"] == {"yes": 1, "no": 0})

            # The second listener is the audience's: nothing of the host's is on it.
            base = link.partition("/r/")[0]
            assert status(phone, f"{base}/api/server") == 404
            assert status(phone, f"{base}/api/rooms", method="POST") == 404


def test_by_default_no_other_computer_can_join_and_there_is_no_qr_code(
    computers: tuple[Computer, Computer], hosting: Callable[[str], Any], tmp_path: Path
) -> None:
    host, guest = computers
    with hosting("this_computer") as ask:
        room = ask()
        assert room["links"] == []
        port = room["server"].rpartition(":")[2]

        with chromium_at(host, tmp_path) as at_host:
            projector = at_host.new_page()
            projector.goto(f"{room['server']}/r/{room['code']}/screen")
            projector.get_by_text("Only this computer can join").wait_for()
            assert projector.get_by_role("img", name="QR code").count() == 0
            assert status(projector, f"{room['server']}/r/{room['code']}/qr.svg") == 404

        with chromium_at(guest, tmp_path) as at_guest:
            phone = at_guest.new_page()
            for address in (HOST_ADDRESS, GUEST_ADDRESS, "127.0.0.1"):
                with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
                    phone.goto(f"http://{address}:{port}/r/{room['code']}")


def test_the_two_computers_do_not_share_a_loopback_device(computers: tuple[Computer, Computer]) -> None:
    """Otherwise the test above would prove nothing."""
    host, guest = computers
    listening = (
        "import socket, sys\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "print(server.getsockname()[1])\n"
        "sys.stdin.read()"
    )
    with host.start([sys.executable, "-u", "-c", listening], os.environ) as program:
        assert program.stdout is not None
        port = program.stdout.readline().strip()
        connecting = [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"]
        assert subprocess.run(host.enter(connecting), check=False).returncode == 0
        there = subprocess.run(guest.enter(connecting), check=False, capture_output=True, text=True)
        assert "ConnectionRefusedError" in there.stderr
