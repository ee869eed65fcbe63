"""WebSocket conformance: the Autobahn test suite. Our own table of cases is in tests/websocket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.lab import Lab
from tests.torture import autobahn
from tests.torture.figures import Figures, Form
from tests.torture.jupyter_echo import PATH
from tests.torture.plain_echo import MOST_BYTES

SERVER = Path(__file__).with_name("plain_echo.py")


@contextmanager
def of_wslive(root: Path) -> Iterator[str]:
    """A server of our own; its address."""
    with subprocess.Popen(
        [sys.executable, str(SERVER)],
        cwd=autobahn.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            yield f"ws://127.0.0.1:{server.stdout.readline().strip()}"
            _, complaints = server.communicate(timeout=30)
        finally:
            server.kill()
    assert complaints == ""


class PlainJupyter(Lab):
    """A Jupyter Server without JupyterLab."""

    program = ("jupyter_server",)


@contextmanager
def of_jupyter(root: Path) -> Iterator[str]:
    """A Jupyter Server with wslive's extension; the address of a handler of it."""
    limits = {"max_frame_bytes": MOST_BYTES, "max_outbox_bytes": MOST_BYTES, "receive_rate": [1e12, 1e12]}
    settings = {
        "ServerApp": {"jpserver_extensions": {"tests.torture.jupyter_echo": True}},
        "WSLive": {"limits": limits},
    }
    jupyter = PlainJupyter(root / "user", {"PYTHONPATH": str(autobahn.ROOT)}, options=())
    (Path(jupyter.env["JUPYTER_CONFIG_DIR"]) / "jupyter_server_config.json").write_text(json.dumps(settings))
    with jupyter:
        yield f"ws{jupyter.base_url.removeprefix('http')}/{PATH}?token={jupyter._token}"
        log = jupyter.log()
    assert "Traceback" not in log, log


@pytest.mark.long_only
@pytest.mark.parametrize(
    ("serving", "where"), [(of_wslive, "wslive serve"), (of_jupyter, "a Jupyter Server")], ids=["wslive", "jupyter"]
)
def test_autobahn_finds_nothing(serving, where: str, form: Form, figures: Figures, tmp_path: Path):
    python = autobahn.python2()
    if python is None:
        pytest.skip(autobahn.MISSING)
    with serving(tmp_path) as url:
        results = autobahn.fuzz(python, url, tmp_path)
    counts = autobahn.counted(results)
    not_ok = {case: result for case, result in results.items() if result not in ("OK", "INFORMATIONAL")}
    figures(
        row=7,
        attack=f"Autobahn's test suite: its core cases, in {where}",
        holds="No case fails; of the cases that only inform (their outcome is left open by the RFC) all are counted.",
        cases=len(results),
        ok=counts["OK"],
        non_strict=counts["NON-STRICT"],
        informational=counts["INFORMATIONAL"],
        failed=len(not_ok) - counts["NON-STRICT"],
    )
    assert len(results) == autobahn.CORE_CASES
    assert not_ok == {}
