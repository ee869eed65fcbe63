"""The clients of docs/examples: a raw WebSocket, and a room by the protocol page, in three languages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.end_to_end.browser import Pages
from tests.end_to_end.hall import Hall
from tests.end_to_end.socketio_hall import HOW_TO_INSTALL, ROOT
from tests.end_to_end.website import Website

EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture
def website() -> Iterator[Website]:
    """Where the browser's example comes from: not from our server."""
    with Website(EXAMPLES) as website:
        yield website


@pytest.fixture
def hall(tmp_path: Path, website: Website) -> Iterator[Hall]:
    """A room."""
    hall = Hall(tmp_path, allow_origins=(website.origin,))
    yield hall
    hall.close()


def output(said: int) -> list[str]:
    """What each of them shows."""
    return [
        "Roger that! Is anybody there?",
        "Joined Sorting 101",
        f"Kept as event {said}",
        "Ada: Hello",
        "Host: Welcome",
    ]


def programs() -> dict[str, list[str]]:
    return {
        "Node and ws": [shutil.which("node") or "", str(EXAMPLES / "node_client.js")],
        "Python and websockets": [sys.executable, "-W", "error", str(EXAMPLES / "python_client.py")],
    }


@pytest.mark.parametrize("program", programs().values(), ids=programs())
def test_a_program_joins_by_the_protocol_page(hall: Hall, program: list[str]) -> None:
    assert program[0], HOW_TO_INSTALL
    command = [*program, hall.url, hall.code, "Ada", "Hello"]
    env = {**os.environ, "NODE_PATH": str(ROOT / "node_modules")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        hall.host.wait_for(
            lambda view: any(line["text"] == "Hello" for line in view["activities"]["2"]["lines"].values())
        )
        said = next(event["offset"] for event in hall.events() if event["kind"] == "line_said")
        hall.host.say("Welcome")
        assert process.stdout is not None
        shown = [process.stdout.readline().rstrip("\n") for _ in range(5)]
        process.terminate()
        process.stdout.close()
    assert shown == output(said)


def test_a_page_of_another_website_joins_by_the_protocol_page(hall: Hall, website: Website, new_page: Pages) -> None:
    page = new_page()
    query = {"server": hall.url, "room": hall.code, "name": "Ada", "text": "Hello"}
    page.goto(f"{website.origin}/browser_client.html?{urlencode(query)}")
    hall.host.wait_for(lambda view: any(line["text"] == "Hello" for line in view["activities"]["2"]["lines"].values()))
    said = next(event["offset"] for event in hall.events() if event["kind"] == "line_said")
    hall.host.say("Welcome")
    expect(page.get_by_role("listitem")).to_have_text(output(said))
