"""Being asked to end."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from wslive.cli.signals import asked_to_end

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
async def test_each_of_them_is_an_event_to_wait_for(number: str):
    before = signal.getsignal(getattr(signal, number))
    try:
        with asked_to_end() as asked:
            assert not asked.is_set()
            os.kill(os.getpid(), getattr(signal, number))
            await asyncio.wait_for(asked.wait(), 10)
    finally:
        signal.signal(getattr(signal, number), before)


async def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does it
    try:
        with asked_to_end() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert not asked.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_ends_a_program_that_does_not_come_to_its_end():
    stubborn = """
import asyncio, os, signal
from wslive.cli.signals import asked_to_end
async def main():
    with asked_to_end() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        await asked.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(100)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("ended")
"""
    done = subprocess.run([sys.executable, "-c", stubborn], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ended\n"
