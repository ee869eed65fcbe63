"""The thread for connections: from plain code, from another loop, through interrupts, forks and the program's end."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator

import pytest

from tests.client.rooms import Hall, texts
from wslive.client.background import Background, background


@pytest.fixture
def thread() -> Iterator[Background]:
    thread = Background()
    yield thread
    thread.stop()


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_plain_code_gets_the_result_or_the_exception(thread: Background):
    async def fail() -> None:
        raise ValueError("as it was raised")

    assert thread.run(double(21)) == 42
    assert thread.submit(double(2)).result() == 4
    with pytest.raises(ValueError, match="as it was raised"):
        thread.run(fail())


async def test_a_coroutine_on_another_loop_awaits_the_result(thread: Background):
    assert await thread.aio(double(21)) == 42


def test_waiting_too_long_cancels_what_was_waited_for(thread: Background):
    cancelled = threading.Event()

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        thread.run(for_ever(), timeout_s=0.01)
    assert cancelled.wait(10)
    assert thread.run(double(1)) == 2


def test_a_blocking_call_in_a_callback_says_what_to_do_instead(thread: Background):
    async def callback() -> int:
        with pytest.raises(RuntimeError, match=r"\.aio"):
            thread.run(double(1))
        return await thread.aio(double(2))

    assert thread.run(callback()) == 4


def test_several_threads_use_it_at_once(thread: Background):
    results: list[int] = []

    def work(number: int) -> None:
        results.extend(thread.run(double(number)) for _ in range(50))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(results) == sorted(2 * n for n in range(8) for _ in range(50))


def test_nothing_can_be_run_after_the_end(thread: Background):
    thread.stop()
    with pytest.raises(RuntimeError):
        thread.run(double(1))


def test_there_is_one_for_the_whole_process():
    assert background() is background()
    assert background().run(double(1)) == 2


async def test_an_interrupt_ends_the_waiting_and_not_the_connection(hall: Hall, thread: Background):
    """The server lives on this test's loop, so the interrupted caller is the main thread of another process."""
    script = textwrap.dedent(
        """
        import asyncio, os, signal, sys, threading
        from wslive.client.background import background
        from wslive.client.connection import Connection, Status

        server, code = sys.argv[1:]
        ada = Connection(server, code, name="Ada")
        background().run(ada.open())

        interrupted = False
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            background().run(ada.changed(lambda view: False))
        except KeyboardInterrupt:
            interrupted = True
        assert interrupted
        assert ada.status is Status.LIVE

        # And an interrupt while a command is on its way does not take the command back.
        def interrupt_soon():
            os.kill(os.getpid(), signal.SIGINT)
        async def say():
            background()._loop.call_soon(interrupt_soon)
            await ada.command(2, "say", {"text": "said"})
            await asyncio.Event().wait()
        try:
            background().run(say())
        except KeyboardInterrupt:
            pass
        background().run(ada.changed(lambda view: view["activities"]["2"]["lines"], timeout_s=10))
        print("fine", ada.status.value, ada.unanswered)
        """
    )
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-X",
        "dev",
        "-c",
        script,
        hall.server.url,
        hall.code,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await program.communicate()
    # Its end, with an open connection, is as quiet: no task destroyed, nothing unclosed.
    assert (out.decode(), err.decode(), program.returncode) == ("fine live 0\n", "", 0)


async def test_a_connection_on_the_thread_goes_on_while_the_caller_computes(hall: Hall, thread: Background):
    ada = hall.connection(name="Ada")
    ben = await hall.join("Ben")
    await thread.aio(ada.open())
    told = threading.Event()
    watching = thread.submit(ada.changed(lambda view: texts(ada)))
    watching.add_done_callback(lambda _: told.set())
    await ben.command(hall.CHAT, "say", {"text": "are you there?"})
    # This thread (the caller's, and its loop) does nothing but wait from here on.
    assert told.wait(10)
    await thread.aio(ada.close())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_starts_its_own():
    assert background().run(double(1)) == 2
    with warnings.catch_warnings():
        # Python warns that forking a process with threads is dangerous; that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = multiprocessing.get_context("fork").Process(target=_double_in_child)
        child.start()
    child.join(20)
    if child.exitcode is None:
        os.kill(child.pid or 0, signal.SIGKILL)
    assert child.exitcode == 0
    assert background().run(double(2)) == 4


def _double_in_child() -> None:
    assert background().run(double(21), timeout_s=10) == 42
