"""Autobahn's fuzzing client against a WebSocket of ours.

The suite is written for Python 2.7 alone, so it runs in an interpreter and a folder of its own. Where there is no such
interpreter, `make torture` says so; tests/websocket asks most of the same questions in any case.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "build" / "autobahn"
PACKAGE = "autobahntestsuite"
CORE = {"cases": ["*"], "exclude-cases": ["12.*", "13.*"], "exclude-agent-cases": {}}
"""All but those of compression, which wslive does not offer."""
CORE_CASES = 301

MISSING = (
    f"Autobahn's test suite needs Python 2.7, and no python2.7 was found. With one on the PATH (or in $PYTHON2), "
    f"`make torture ARGS='-k autobahn'` installs {PACKAGE} into build/autobahn and runs it."
)
_RUN = "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite.wstest import run; run()"


def python2() -> str | None:
    """An interpreter that can run it."""
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    named = [os.environ.get("PYTHON2"), shutil.which("python2.7"), shutil.which("python2")]
    for program in [*named, *sorted(glob.glob(f"{pyenv}/versions/2.7*/bin/python2.7"))]:
        # A name on the PATH may be a signpost to an interpreter that is not there.
        if program and subprocess.run([program, "-c", "import pip"], capture_output=True).returncode == 0:
            return program
    return None


def install(python: str) -> Path:
    """The suite's folder; made when it is not there."""
    packages = FOLDER / "packages"
    if not (packages / PACKAGE).is_dir():
        subprocess.run([python, "-m", "pip", "install", "-q", "--target", str(packages), PACKAGE], check=True)
    return packages


def fuzz(python: str, url: str, reports: Path) -> dict[str, str]:
    """Run the core cases: what came of each ("OK", "NON-STRICT", "INFORMATIONAL", "FAILED", …)."""
    spec = reports / "spec.json"
    spec.write_text(json.dumps({"outdir": str(reports), "servers": [{"agent": "wslive", "url": url}], **CORE}))
    command = [python, "-c", _RUN, str(install(python)), "-m", "fuzzingclient", "-s", str(spec)]
    subprocess.run(command, check=True, cwd=reports, stdout=subprocess.DEVNULL, timeout=1800)
    found = json.loads((reports / "index.json").read_text())["wslive"]
    return {case: _worse(result["behavior"], result["behaviorClose"]) for case, result in found.items()}


def counted(results: dict[str, str]) -> Counter[str]:
    """How many of each."""
    return Counter(results.values())


def _worse(behavior: str, closing: str) -> str:
    return closing if behavior in ("OK", "NON-STRICT") and closing not in ("OK", "INFORMATIONAL") else behavior
