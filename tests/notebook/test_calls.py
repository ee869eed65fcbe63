import asyncio
import threading

import pytest

from wslive.core.errors import PollClosed
from wslive.notebook.calls import HasAio, begin, blocking, look, run


class Thing(HasAio):
    @blocking
    async def add(self, number: int, *, to: int = 1) -> int:
        """Add two numbers."""
        await asyncio.sleep(0)
        return number + to

    @blocking
    async def fail(self) -> None:
        raise PollClosed

    @blocking
    async def thread(self) -> str:
        return threading.current_thread().name

    def plain(self) -> int:
        return 1


def test_one_definition_waits_or_is_awaited() -> None:
    thing = Thing()
    assert thing.add(2, to=3) == 5

    async def cell() -> int:
        return await thing.aio.add(2, to=3)

    assert asyncio.run(cell()) == 5


def test_it_works_from_a_cell_whose_loop_is_running() -> None:
    async def cell() -> int:
        return Thing().add(1)  # as plain code in an async cell does

    assert asyncio.run(cell()) == 2


def test_both_run_on_the_connections_thread() -> None:
    thing = Thing()

    async def cell() -> str:
        return await thing.aio.thread()

    assert thing.thread() == asyncio.run(cell()) == "wslive"


def test_help_shows_the_words_and_the_parameters() -> None:
    assert Thing().add.__doc__ == "Add two numbers."
    assert Thing.add.__doc__ == "Add two numbers."


def test_our_own_errors_come_without_the_frames_of_the_other_thread() -> None:
    with pytest.raises(PollClosed) as caught:
        Thing().fail()
    assert len(caught.traceback) <= 3
    assert caught.value.__suppress_context__


def test_only_what_waits_is_under_aio() -> None:
    assert dir(Thing().aio) == ["add", "fail", "thread"]
    with pytest.raises(AttributeError, match="Thing has nothing to await called 'plain'"):
        _ = Thing().aio.plain


def test_looking_happens_on_the_thread_that_changes_things() -> None:
    assert look(lambda: threading.current_thread().name) == "wslive"

    async def inside() -> str:
        return look(lambda: threading.current_thread().name)

    assert run(inside()) == "wslive"


def test_what_is_begun_can_be_awaited_on_the_thread_itself() -> None:
    async def outer() -> int:
        return await begin(Thing.add.function(Thing(), 1))

    assert run(outer()) == 2
