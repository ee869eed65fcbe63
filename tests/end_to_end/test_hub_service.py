"""wslive as a service of a real JupyterHub: one server for a class, with the hub's identity."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.end_to_end.browser import HUB, Pages
from tests.end_to_end.hub import PASSWORD, Hub
from tests.end_to_end.lab import Notebook
from tests.end_to_end.own_rooms import POLL

WITH_A_SERVER = ("lena", "ada")

HOST = """\
import wslive
room = wslive.host("Sorting 101", audience="network")
room"""

TELL = "print([(p.name, p.level) for p in room.people], poll.tally(), room.people.level)"

VOTE = """\
import sys, wslive
me = wslive.join(sys.argv[1], name="Somebody else")
me.vote(sys.argv[2])
print(me.name, me.answered if hasattr(me, "answered") else "")"""

TRY_TO_HOST = """\
import wslive
try:
    wslive.host("Mine")
except wslive.errors.WsliveError as refused:
    print(type(refused).__name__, refused)"""

TRY_TO_JOIN = """\
import sys, wslive
try:
    wslive.join(sys.argv[1])
except wslive.errors.WsliveError as refused:
    print(type(refused).__name__, refused)"""

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
    """The lines of docs/jupyter.md; beside them a service for two groups alone, and one on which nobody may host."""
    more = {"class": ["--hosts-group", "lecturers", "--recheck", "1"], "nobody": []}
    with Hub(tmp_path_factory.mktemp("hub") / "hub", {}, more) as running:
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(running.start_server, WITH_A_SERVER))
        yield running


def log_in(page: Page, user: str) -> None:
    """Type name and password on the hub's own page."""
    page.get_by_label("Username:").fill(user)
    page.get_by_label("Password:").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def come_in(page: Page, link: str, user: str) -> None:
    """Follow the link: by way of the hub's login into the room, without typing a name."""
    page.goto(link)
    log_in(page, user)
    expect(page.get_by_text(f"You are {user} here, by your login.")).to_be_visible()
    assert page.get_by_role("textbox").count() == 0
    page.get_by_role("button", name="Join").click()


def in_kernel(hub: Hub, user: str, source: str, *arguments: str, service: str = "wslive") -> str:
    """Run code with what a kernel of a user's server has in its environment."""
    env = hub.kernel_environment(user) if user in WITH_A_SERVER else hub.notebook_environment(user)
    assert env["WSLIVE_SERVER"] == hub.service
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments],
        env={**env, "WSLIVE_SERVER": hub.service_of(service)},
        cwd=hub.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_class_votes_once_each_whatever_they_come_with(hub: Hub, new_page: Pages) -> None:
    (hub.homes / "lena" / "class.ipynb").write_text(json.dumps(NOTEBOOK))
    page = new_page(hosts=[HUB])
    page.goto(f"http://{HUB}:{hub.port}/user/lena/doc/tree/class.ipynb")
    log_in(page, "lena")
    host = Notebook(page)
    host.wait_ready()
    host.run_all()
    host.wait_for_chart(1, [0, 0, 0])
    link = host.output(0).locator("a.wslive-link").get_attribute("href")
    assert link is not None
    assert link.startswith(f"http://{HUB}:{hub.port}/services/wslive/r/")

    # Ada votes in a browser, in a second tab, in a second browser and in her notebook: she is one person.
    ada = new_page(viewport=(360, 740), hosts=[HUB])
    come_in(ada, link, "ada")
    ada.get_by_role("button", name="heap").click()
    host.wait_for_chart(1, [0, 0, 1])
    tab = ada.context.new_page()
    tab.goto(link)
    expect(tab.get_by_role("button", name="heap")).to_have_attribute("aria-pressed", "true")
    tab.get_by_role("button", name="merge").click()
    host.wait_for_chart(1, [0, 1, 0])
    tab.close()
    other = new_page(hosts=[HUB])
    come_in(other, link, "ada")
    other.get_by_role("button", name="quick").click()
    host.wait_for_chart(1, [1, 0, 0])
    assert other.locator(".wslive-me").is_disabled()
    assert "ada" in in_kernel(hub, "ada", VOTE, link, "merge")
    host.wait_for_chart(1, [0, 1, 0])

    bob = new_page(viewport=(360, 740), hosts=[HUB])
    come_in(bob, link, "bob")
    bob.get_by_role("button", name="heap").click()
    host.wait_for_chart(1, [0, 1, 1])
    expect(host.output(1)).to_contain_text("L3: one ballot a login")
    host.run_until(TELL, "[('ada', 3), ('bob', 3)] {'quick': 0, 'merge': 1, 'heap': 1} 3")

    # The projector comes by the login too.
    page.goto(f"{link}/screen")
    expect(page.get_by_text("2 of 2 answered")).to_be_visible()


def room_link(hub: Hub, service: str = "wslive") -> str:
    """The link of a room that Lena opens from her notebook."""
    hosting = 'import wslive; print(wslive.host("Another", new=True).link)'
    return in_kernel(hub, "lena", hosting, service=service).strip()


def test_a_foreigner_is_refused_on_every_way(hub: Hub, new_page: Pages) -> None:
    link = room_link(hub, "class")
    page = new_page(hosts=[HUB])
    page.goto(link)
    log_in(page, "mallory")
    expect(page.get_by_text("403")).to_be_visible()
    told = in_kernel(hub, "mallory", TRY_TO_JOIN, link, service="class")
    assert "mallory is not let into the rooms of this hub" in told
    with pytest.raises(InvalidStatus, match="401"):
        connect(f"{hub.service_of('class').replace('http', 'ws', 1)}/ws", subprotocols=[Subprotocol("wslive.v1")])


def test_no_cookie_opens_a_websocket(hub: Hub, new_page: Pages) -> None:
    link = room_link(hub)
    page = new_page(hosts=[HUB])
    come_in(page, link, "bob")
    expect(page.get_by_text("No question yet")).to_be_visible()
    cookies = "; ".join(f"{c['name']}={c['value']}" for c in page.context.cookies(link))
    assert "service-wslive" in cookies
    url = f"ws://127.0.0.1:{hub.port}/services/wslive/ws"
    with pytest.raises(InvalidStatus, match="401"):
        connect(url, subprotocols=[Subprotocol("wslive.v1")], additional_headers={"Cookie": cookies})
    # Nor does it let another page of the hub's origin get a ticket: that one has not the XSRF token of ours.
    script = "(url) => fetch(url, {method: 'POST'}).then((response) => response.status)"
    assert page.evaluate(script, f"{link}/ticket") == 401


def test_only_members_of_the_group_host(hub: Hub) -> None:
    assert in_kernel(hub, "ada", TRY_TO_HOST) == (
        "HostingNotAllowed On this hub members of lecturers open rooms, and ada is none of them.\n"
    )


@pytest.mark.parametrize("user", ["lena", "ada", "dean"])
def test_without_a_group_nobody_hosts_administrators_neither(hub: Hub, user: str) -> None:
    assert in_kernel(hub, user, TRY_TO_HOST, service="nobody") == (
        "HostingNotAllowed The operator of this hub lets nobody open rooms: no group of hosts is set.\n"
    )


def test_administrators_host_no_more_than_others(hub: Hub) -> None:
    assert "dean is none of them" in in_kernel(hub, "dean", TRY_TO_HOST)


def test_a_login_that_is_revoked_ends_what_it_opened(hub: Hub, new_page: Pages) -> None:
    link = room_link(hub, "class")
    page = new_page(hosts=[HUB])
    come_in(page, link, "bob")
    expect(page.get_by_text("No question yet")).to_be_visible()
    for token in hub.api("GET", "users/bob/tokens")["api_tokens"]:
        if "class" in str(token.get("oauth_client")):
            with suppress(HTTPError):  # those of one login of his go together
                hub.api("DELETE", f"users/bob/tokens/{token['id']}")
    left = hub.api("GET", "users/bob/tokens")["api_tokens"]
    assert not [token for token in left if "class" in str(token.get("oauth_client"))]
    expect(page.get_by_text("Your login at the hub has ended; log in again.")).to_be_visible()
    again = page.get_by_role("link", name="Log in again")
    expect(again).to_be_visible()
    # He is still logged in at the hub itself, which gives the service a new token.
    again.click()
    expect(page.get_by_text("No question yet")).to_be_visible()
