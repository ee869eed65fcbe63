"""WebSocket conformance: the Autobahn test suite. Our own table of cases is in tests/websocket."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture import autobahn
from tests.torture.figures import Figures, Form

SERVER = Path(__file__).with_name("plain_echo.py")


def test_autobahn_finds_nothing(form: Form, figures: Figures, tmp_path: Path):
    if not form.is_long:
        pytest.skip("The Autobahn suite is run in the long form; tests/websocket asks most of the same in short.")
    python = autobahn.python2()
    if python is None:
        pytest.skip(autobahn.MISSING)
    with subprocess.Popen(
        [sys.executable, str(SERVER)],
        cwd=autobahn.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            port = server.stdout.readline().strip()
            results = autobahn.fuzz(python, f"ws://127.0.0.1:{port}", tmp_path)
            _, complaints = server.communicate(timeout=30)
        finally:
            server.kill()
    counts = autobahn.counted(results)
    not_ok = {case: result for case, result in results.items() if result not in ("OK", "INFORMATIONAL")}
    figures(
        row=7,
        attack="Autobahn's test suite: its core cases",
        holds="No case fails; of the cases that only inform (their outcome is left open by the RFC) all are counted.",
        cases=len(results),
        ok=counts["OK"],
        non_strict=counts["NON-STRICT"],
        informational=counts["INFORMATIONAL"],
        failed=len(not_ok) - counts["NON-STRICT"],
    )
    assert complaints == ""
    assert len(results) == autobahn.CORE_CASES
    assert not_ok == {}
