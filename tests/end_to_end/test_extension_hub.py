"""wslive in the servers of a real JupyterHub: who comes in is the operator's word."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.end_to_end.browser import HUB, Pages
from tests.end_to_end.hub import PASSWORD, Hub
from tests.end_to_end.lab import Notebook
from tests.end_to_end.own_rooms import POLL

# Alice's operator lets anyone in; about Carol nothing was said; Dave's says never.
SETTINGS = {"alice": {"WSLIVE_AUDIENCE_ALLOWED": "anyone"}, "dave": {"WSLIVE_AUDIENCE_ALLOWED": "never"}}

HOST = """\
import wslive
room = wslive.host("Hub", audience="network")
room"""

TRYING = """\
import wslive
try:
    wslive.host("Mine", audience="network")
except wslive.errors.NotAllowed as refused:
    print(refused)"""

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for n, source in enumerate([HOST, POLL])
    ],
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub") / "hub", SETTINGS) as running:
        yield running


def logged_in(page: Page, hub: Hub, user: str, path: str) -> Page:
    """Somebody who types name and password on the hub's own page."""
    page.goto(f"http://{HUB}:{hub.port}{path}")
    page.get_by_label("Username:").fill(user)
    page.get_by_label("Password:").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    return page


def test_phones_join_a_room_in_a_users_server_through_the_hubs_proxy(hub: Hub, new_page: Pages) -> None:
    hub.start_server("alice")
    (hub.homes / "alice" / "hub.ipynb").write_text(json.dumps(NOTEBOOK))
    page = logged_in(new_page(hosts=[HUB]), hub, "alice", "/user/alice/doc/tree/hub.ipynb")
    host = Notebook(page)
    host.wait_ready()
    host.run_all()
    host.wait_for_chart(1, [0, 0, 0])
    link = host.output(0).locator("a.wslive-link").get_attribute("href")
    assert link is not None
    assert link.startswith(f"http://{HUB}:{hub.port}/user/alice/wslive/r/")
    expect(host.output(0).locator("img.wslive-qr")).to_be_visible()

    phone = new_page(viewport=(360, 740), hosts=[HUB])
    phone.goto(link)
    phone.get_by_label("Your name").fill("Grace")
    phone.get_by_role("button", name="Join").click()
    phone.get_by_role("button", name="heap").click()
    host.wait_for_chart(1, [0, 0, 1])

    # Everything else stays closed to people without a login, and to other users of the hub.
    code = link.rsplit("/", 1)[1]
    assert hub.status(f"user/alice/wslive/r/{code}") == 200
    assert hub.status("user/alice/api/status") == 403
    assert hub.status("user/alice/wslive/api/server") == 403
    for path in ("lab", f"wslive/r/{code}/screen"):
        assert hub.status(f"user/alice/{path}") == 302
    bob = logged_in(new_page(hosts=[HUB]), hub, "bob", "/hub/home")
    bob.wait_for_url("**/hub/home")
    answer = bob.goto(f"http://{HUB}:{hub.port}/user/alice/wslive/r/{code}/screen")
    assert answer is not None
    assert answer.status == 403
    url = f"ws://127.0.0.1:{hub.port}/user/alice/wslive/ws"
    with connect(url, subprotocols=[Subprotocol("wslive.v1")]) as socket:
        assert socket.subprotocol == "wslive.v1"
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, subprotocols=[Subprotocol("wslive.v1")], origin=Origin("https://elsewhere.example"))
    assert f"alice: people without a login are let into room {room_of(hub, 'alice')}" in hub.log()


def room_of(hub: Hub, user: str) -> str:
    """The id of the latest room in a user's server."""
    with closing(sqlite3.connect(hub.running(user)["store"])) as db:
        (room,) = db.execute("SELECT room FROM rooms ORDER BY created_at_ms DESC LIMIT 1").fetchone()
    return str(room)


@pytest.mark.parametrize(("user", "reason"), [("carol", "WSLIVE_AUDIENCE_ALLOWED=anyone"), ("dave", "lets nobody")])
def test_the_operators_word_holds_whatever_the_user_configures(hub: Hub, user: str, reason: str) -> None:
    hub.start_server(user, files={"config/jupyter_server_config.py": 'c.WSLive.audience_allowed = "anyone"\n'})
    done = subprocess.run(
        [sys.executable, "-c", TRYING],
        env=hub.kernel_environment(user),
        cwd=hub.homes / user,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert reason in done.stdout, done.stderr
    assert hub.status(f"user/{user}/wslive/") == 403
    assert "allows more than this hub's operator" in hub.log()
