import json
import queue
from collections.abc import Iterator
from typing import Any

import pytest

import wslive
from tests.notebook.conftest import ServerThread
from wslive.notebook.calls import run
from wslive.notebook.relay import Relay


class Bridge:
    """A page's end of a relay."""

    def __init__(self, link: str) -> None:
        self.me = wslive.join(link, name="Ada")
        self.frames: queue.Queue[dict[str, Any]] = queue.Queue()
        self.relay = Relay(self.me, lambda frame: self.frames.put(json.loads(frame)))

    def say(self, message: dict[str, Any]) -> None:
        run(self.relay.carry(json.dumps(message)))

    def hear(self, type: str) -> dict[str, Any]:
        while True:
            message = self.frames.get(timeout=20)
            if message["type"] == type:
                return message


@pytest.fixture
def thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerThread]:
    made = ServerThread()
    monkeypatch.setenv("WSLIVE_SERVER", made.server.url)
    monkeypatch.setenv("WSLIVE_HOST_TOKEN", made.server.hosting_token)
    yield made
    made.stop()


def test_the_page_is_the_kernels_own_actor(thread: ServerThread) -> None:
    bridge = Bridge(wslive.host("Sorting 101").link)
    bridge.say({"type": "hello", "ref": "x"})
    assert bridge.hear("welcome")["actor"] == bridge.me.connection.actor
    run(_close(bridge))


def test_another_hello_begins_anew(thread: ServerThread) -> None:
    bridge = Bridge(wslive.host("Sorting 101").link)
    for ref in ("x", "y"):
        bridge.say({"type": "hello", "ref": ref})
        bridge.hear("welcome")
    run(_close(bridge))


def test_what_comes_before_a_hello_goes_nowhere(thread: ServerThread) -> None:
    bridge = Bridge(wslive.host("Sorting 101").link)
    bridge.say({"type": "ping", "n": 1})
    assert bridge.frames.empty()


def test_the_end_of_the_connection_is_told_as_a_bye(thread: ServerThread) -> None:
    room = wslive.host("Sorting 101")
    bridge = Bridge(room.link)
    bridge.say({"type": "hello", "ref": "x"})
    bridge.hear("welcome")
    room.people.remove(bridge.me.connection.actor)
    assert bridge.hear("bye")["code"] == 4504


async def _close(bridge: Bridge) -> None:
    bridge.relay.close()
