import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wslive.client import passes
from wslive.core.errors import NoServer
from wslive.notebook import local_server
from wslive.notebook.private_files import data_folder
from wslive.server import discovery


@pytest.fixture
def own() -> Iterator[None]:
    """Ends the own servers that a test has started."""
    yield
    for running in discovery.found():
        os.kill(running.pid, signal.SIGTERM)
    for process in local_server._launched:
        process.wait(20)
    local_server._launched.clear()


def find() -> local_server.ServerAt:
    return asyncio.run(local_server.find())


@pytest.mark.usefixtures("own")
def test_the_users_own_server_is_started_once_and_found_afterwards() -> None:
    first = find()
    assert first.name == "own"
    assert first.hosting_token
    assert first.hosting_token not in repr(first)
    assert find() == first
    assert asyncio.run(local_server.known())[0].url == first.url


@pytest.mark.usefixtures("own")
def test_it_lives_in_a_session_of_its_own() -> None:
    find()
    (running,) = discovery.found()
    assert os.getsid(running.pid) == running.pid != os.getsid(0)


@pytest.mark.usefixtures("own")
def test_two_notebooks_that_start_at_once_share_one_server() -> None:
    # Two processes, as two kernels are.
    code = "import asyncio; from wslive.notebook import local_server; print(asyncio.run(local_server.find()).url)"
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(subprocess.check_output, [sys.executable, "-c", code], text=True) for _ in range(2)]
        urls = {run.result().strip() for run in runs}
    assert len(urls) == 1
    assert [running.url for running in discovery.found()] == list(urls)


@pytest.mark.usefixtures("own")
def test_after_its_end_it_comes_back_at_the_same_address_with_the_same_rooms() -> None:
    first = find()
    (running,) = discovery.found()
    os.kill(running.pid, signal.SIGTERM)
    local_server._launched[0].wait(20)
    assert find().url == first.url
    assert discovery.found()[0].store == str(data_folder() / "own.db")


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    (data_folder() / "own.db").mkdir(parents=True)  # nothing can be written there
    with pytest.raises(NoServer, match=r"ended at its start \(exit code \d+\)") as caught:
        find()
    assert "own.log" in str(caught.value)
    assert "    " in str(caught.value), "the log's lines are there"


def test_a_given_address_needs_no_other_server(server: str) -> None:
    at = asyncio.run(local_server.find(server + "/"))
    assert at.url == server
    assert discovery.found() == []


def test_a_server_of_this_user_gives_its_token_by_itself(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WSLIVE_HOST_TOKEN")
    port = int(server.rsplit(":", 1)[1])
    file = discovery.write(discovery.Running(server, os.getpid(), "ht_x", ":memory:", False, 0.0), port)
    assert asyncio.run(local_server.find(server)).hosting_token == "ht_x"
    Path(file).unlink()


def test_what_is_no_address_or_no_server_is_told(server: str) -> None:
    for wrong, words in (("sorting", "is no address"), ("http://127.0.0.1:9", "connection refused")):
        with pytest.raises(NoServer, match=words):
            asyncio.run(local_server.find(wrong))


# ── on a hub ──────────────────────────────────────────────────────────────────────────────────────────────────────


SERVICE = "http://hub:8000/base/services/wslive"


@pytest.fixture
def on_a_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A kernel of a hub whose operator runs wslive as a service."""
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    monkeypatch.setenv("JUPYTERHUB_BASE_URL", "/base/")
    monkeypatch.setenv("WSLIVE_SERVER", SERVICE + "/")
    yield
    passes._passes.clear()


@pytest.mark.usefixtures("on_a_hub")
def test_a_link_at_the_hubs_public_address_is_followed_at_the_operators() -> None:
    public = "https://hub.example.org/base/services/wslive"
    assert asyncio.run(local_server.nearest(public, "K7M2QX")) == SERVICE
    assert passes.header(SERVICE) == {"Authorization": "Bearer secret"}
    assert local_server.pages_urls(SERVICE) == ["/base/services/wslive", SERVICE]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/services/wslive",
        "https://evil.example/base/services/other",
        "http://hub:8000/base/user/ada/wslive",
        "http://hub:8000.evil.example/base/services/wslive",
    ],
)
@pytest.mark.usefixtures("on_a_hub")
def test_the_token_of_the_hub_goes_to_no_address_that_stands_in_a_link(url: str) -> None:
    asyncio.run(local_server.nearest(url, "K7M2QX"))
    local_server.pages_urls(url)
    assert passes.header(url) == {}


@pytest.mark.usefixtures("on_a_hub")
def test_a_server_that_is_no_service_of_the_hub_gets_no_token_of_it(
    monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setenv("WSLIVE_SERVER", server)
    assert find().hosting_token != "secret"
    assert passes.header(server) == {}
