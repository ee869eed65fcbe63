"""What `wslive serve` does to its process. Each test has one of its own."""

import asyncio
import subprocess
import sys

import pytest

from wslive.cli import tuning


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_the_collector_runs_seldom_and_leaves_alone_what_was_there_at_the_start():
    told = "print(gc.get_threshold(), gc.get_freeze_count() > 0)"
    assert run(f"import gc; from wslive.cli import tuning; tuning.settle(); {told}") == f"{tuning.GC_THRESHOLDS} True"


def test_threads_wait_a_millisecond_for_the_lock():
    code = "import sys; from wslive.cli import tuning; tuning.settle(); print(sys.getswitchinterval())"
    assert float(run(code)) == pytest.approx(tuning.SWITCH_INTERVAL_S)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_as_many_sockets_as_the_system_grants_are_allowed():
    code = (
        "import resource as r; from wslive.cli import tuning\n"
        "hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, (64, hard))\n"
        "tuning.allow_many_sockets(); print(r.getrlimit(r.RLIMIT_NOFILE) == (hard, hard))"
    )
    assert run(code) == "True"


def test_a_coroutine_is_run_with_or_without_uvloop():
    async def loop_of() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert tuning.run(loop_of()).partition(".")[0] in ("asyncio", "uvloop")
