"""What the command line says to somebody who sees it for the first time, or types something wrong."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from click.testing import CliRunner

from wslive.cli import main


def wslive(*arguments: str) -> tuple[int, str]:
    """Run the command in this process."""
    result = CliRunner().invoke(main, arguments, prog_name="wslive")
    return result.exit_code, result.output


def test_the_help_tells_a_newcomer_what_this_is_and_what_to_try_first():
    code, told = wslive("--help")
    assert code == 0
    assert "Ask a room a question from a notebook cell." in told
    assert 'room = wslive.host("Sorting 101", audience="network")' in told
    assert "wslive demo" in told
    assert "serve" in told


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_each_command_explains_itself(command: str):
    code, told = wslive(command, "--help")
    assert code == 0
    assert "Ctrl-C" in told
    assert "--own" not in told


def test_the_version_is_told():
    assert wslive("--version") == (0, "wslive 0.1.0\n")


def test_there_are_three_ways_to_run_it():
    scripts = {entry.name: entry.value for entry in entry_points(group="console_scripts")}
    assert scripts["wslive"] == scripts["jupyter-wslive"] == "wslive.cli:main"
    done = subprocess.run([sys.executable, "-m", "wslive", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "wslive 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serve", "--port", "99999"], "99999 is not in the range"),
        (["serve", "--public-url", "live.example.org"], "it looks like https://live.example.org"),
        (["serve", "--allow-origin", "https://lab.example.org/lab"], "has a path; an origin is only"),
        (["serve", "--allow-origin", "*"], "is no address"),
        (["serve", "--trusted-proxy", "proxy.example.org"], "is neither an address nor a network like 10.0.0.0/8"),
        (["demo", "--size", "0"], "0 is not in the range"),
        (["demo", "--seconds", "soon"], "'soon' is not a valid float"),
        (["sevre"], "No such command 'sevre'"),
    ],
)
def test_what_is_mistyped_is_named(arguments: list[str], told: str):
    code, output = wslive(*arguments)
    assert code == 2
    assert told in output
    assert "Traceback" not in output


def test_the_help_loads_no_server():
    code = "import sys; import wslive.cli; print([m for m in ('tornado', 'rich', 'jupyter_core') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
