"""Who has something to read: each once a turn, whatever the others do, and on any loop."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from wslive.server.websocket import poller as module
from wslive.server.websocket.poller import Poller, Readers, readers_of

HANG_S = 30.0

needs_epoll = pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has no epoll")


@pytest.fixture
def pairs() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    """Makes connections: our end, and the other."""
    with ExitStack() as stack:

        def pair() -> tuple[socket.socket, socket.socket]:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            stack.enter_context(ours)
            stack.enter_context(theirs)
            return ours, theirs

        yield pair


Pairs = Callable[[], tuple[socket.socket, socket.socket]]


@pytest.fixture(params=[pytest.param("epoll", marks=needs_epoll), "loop"])
async def readers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Readers:
    if request.param == "loop":
        monkeypatch.delattr(select, "epoll", raising=False)
    return readers_of(asyncio.get_running_loop())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(HANG_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_each_is_called_while_it_has_something_to_read(readers: Readers, pairs: Pairs):
    calls: list[str] = []
    (ada, to_ada), (bob, to_bob) = pairs(), pairs()
    readers.add_reader(ada, lambda: calls.append("ada" + ada.recv(10).decode()))
    readers.add_reader(bob, lambda: calls.append("bob" + bob.recv(10).decode()))
    to_ada.send(b"1")
    await until(lambda: calls == ["ada1"])
    to_bob.send(b"2")
    await until(lambda: calls == ["ada1", "bob2"])
    to_ada.close()
    await until(lambda: calls == ["ada1", "bob2", "ada"])  # the end is something to read
    readers.remove_reader(ada)
    readers.remove_reader(bob)


async def test_who_is_not_watched_is_not_called(readers: Readers, pairs: Pairs):
    calls: list[str] = []
    (ada, to_ada), (bob, to_bob) = pairs(), pairs()
    readers.remove_reader(ada)  # it is not watched yet
    readers.add_reader(ada, lambda: calls.append("ada"))
    readers.add_reader(bob, lambda: calls.append("bob" + bob.recv(10).decode()))
    readers.remove_reader(ada)
    readers.remove_reader(ada)
    to_ada.send(b"1")
    to_bob.send(b"2")
    await until(lambda: calls)
    assert calls == ["bob2"]
    readers.add_reader(ada, lambda: calls.append("ada" + ada.recv(10).decode()))
    readers.remove_reader(bob)
    await until(lambda: calls == ["bob2", "ada1"])
    readers.remove_reader(ada)


async def test_the_latest_callback_counts(readers: Readers, pairs: Pairs):
    calls: list[str] = []
    ours, theirs = pairs()
    readers.add_reader(ours, lambda: calls.append("first"))
    readers.add_reader(ours, lambda: calls.append("second" + ours.recv(10).decode()))
    theirs.send(b"1")
    await until(lambda: calls)
    assert calls == ["second1"]
    readers.remove_reader(ours)


@needs_epoll
async def test_one_that_another_one_of_the_same_turn_has_closed_is_not_called(pairs: Pairs):
    readers = readers_of(asyncio.get_running_loop())
    both = pairs(), pairs()
    called: list[int] = []

    def first_comes(me: int) -> None:
        called.append(me)
        for ours, _ in both:
            readers.remove_reader(ours)
            ours.close()

    for number, (ours, theirs) in enumerate(both):
        theirs.send(b"1")
        readers.add_reader(ours, lambda me=number: first_comes(me))  # type: ignore[misc]
    await until(lambda: called)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(called) == 1


@needs_epoll
async def test_what_goes_wrong_with_one_does_not_concern_the_others(pairs: Pairs, caplog: pytest.LogCaptureFixture):
    readers = readers_of(asyncio.get_running_loop())
    (ada, to_ada), (bob, to_bob) = pairs(), pairs()
    heard: list[bytes] = []

    def fails() -> None:
        ada.recv(10)
        raise ZeroDivisionError

    readers.add_reader(ada, fails)
    readers.add_reader(bob, lambda: heard.append(bob.recv(10)))
    to_ada.send(b"1")
    to_bob.send(b"2")
    await until(lambda: heard == [b"2"] and caplog.records)
    assert "could not be worked off" in caplog.text
    readers.remove_reader(ada)
    readers.remove_reader(bob)


@needs_epoll
async def test_of_more_than_fit_into_a_turn_all_are_called(pairs: Pairs, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_READY", 3)
    readers = readers_of(asyncio.get_running_loop())
    heard: set[int] = set()
    ends = [pairs() for _ in range(20)]
    for number, (ours, theirs) in enumerate(ends):
        theirs.send(b"1")  # and is never read: whoever is called stays ready, and gives way all the same
        readers.add_reader(ours, lambda me=number: heard.add(me))  # type: ignore[misc]
    await until(lambda: len(heard) == len(ends))
    for ours, _ in ends:
        readers.remove_reader(ours)


@needs_epoll
async def test_a_loop_has_one_set_while_it_watches_something_and_leaves_no_descriptor_behind(pairs: Pairs):
    loop = asyncio.get_running_loop()
    (ada, _), (bob, _) = pairs(), pairs()
    before = len(os.listdir("/proc/self/fd"))
    readers = readers_of(loop)
    assert isinstance(readers, Poller)
    assert readers_of(loop) is readers
    readers.add_reader(ada, lambda: None)
    readers.add_reader(bob, lambda: None)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    readers.remove_reader(ada)
    readers.remove_reader(bob)
    assert len(os.listdir("/proc/self/fd")) == before
    assert loop not in module._pollers
    readers.add_reader(ada, lambda: None)  # it is used again by who has it already
    assert readers_of(loop) is readers
    readers.remove_reader(ada)
