"""The plan of the house, checked by machine."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "wslive"

MAX_LINES = 400

# Modules without a test file of their own, each with its reason.
UNMIRRORED = {
    "wslive/__main__.py": "one call of cli.main: tests/cli/test_init.py runs it as `python -m wslive`",
}

# In pieces, since no file may hold them whole and this is a file.
FORBIDDEN_HOSTS = [
    "pypi" + r"\.org",
    "pythonhosted" + r"\.org",
    "npmjs" + r"\.(org|com)",
    "yarnpkg" + r"\.com",
    "debian" + r"\.org",
    "ubuntu" + r"\.com",
    "unpkg" + r"\.com",
    "js" + "delivr",
    "cdn" + "js",
    "esm" + r"\.sh",
    "sky" + r"pack\.dev",
    "cdn" + r"\.plot\.ly",
    "google" + r"apis\.com",
    "g" + r"static\.com",
    "bootstrap" + "cdn",
]
# Somebody's own machine; /home/ada and /home/jovyan are the people of the examples and of Binder.
MACHINE_PATHS = [
    r"(?<![\w./}-])/(?:root|work)/",
    r"(?<![\w./}-])/home/(?!ada\b|jovyan\b)\w",
    r"(?<![\w./}-])/Users/\w",
    r"\b[A-Z]:\\+Users\\",
]


def modules() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))


def repository_files() -> list[Path]:
    """Every file that git keeps or is about to keep."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = [ROOT / name for name in listing.split("\0") if name]
    return [path for path in files if path.is_file()]


def has_code(path: Path) -> bool:
    """Whether a package's __init__ does more than describe it and name what it offers."""
    plain = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr)
    return not all(isinstance(node, plain) for node in ast.parse(path.read_text("utf-8")).body)


def mirror_of(module: str) -> Path:
    """Where the tests of a module are: wslive/core/room.py has tests/core/test_room.py."""
    path = Path(module)
    return ROOT / "tests" / path.parent.relative_to("wslive") / f"test_{path.stem.strip('_')}.py"


def test_imports_keep_to_the_contracts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    # It would switch off every logger that there is, and with them what later tests look for in the log.
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)
    status = lint_imports(no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


def test_no_source_file_is_longer_than_400_lines() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for suffix in ("*.py", "*.js", "*.css")
        for path in PACKAGE.rglob(suffix)
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_every_module_has_a_test_file_of_its_own() -> None:
    mirrored = [
        module
        for module in modules()
        if module not in UNMIRRORED and (not module.endswith("__init__.py") or has_code(ROOT / module))
    ]
    assert mirrored
    without = {module: mirror_of(module) for module in mirrored if not mirror_of(module).is_file()}
    assert {module: path.relative_to(ROOT).as_posix() for module, path in without.items()} == {}


def test_the_exceptions_from_mirroring_are_still_there() -> None:
    assert set(UNMIRRORED) <= set(modules())


@pytest.mark.parametrize("pattern", FORBIDDEN_HOSTS)
def test_no_file_names_a_registry_or_a_cdn(pattern: str) -> None:
    assert files_with(pattern, re.IGNORECASE) == []


@pytest.mark.parametrize("pattern", MACHINE_PATHS)
def test_no_file_names_a_path_of_one_machine(pattern: str) -> None:
    assert files_with(pattern) == []


def files_with(pattern: str, flags: int = 0) -> list[str]:
    """The text files in which a pattern is found, as file:line."""
    found = []
    for path in repository_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:  # a picture
            continue
        for match in re.finditer(pattern, text, flags):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line}")
    return found


@pytest.mark.parametrize("package", ["tornado", "plotly", "ipywidgets", "anywidget", "IPython", "pandas"])
def test_importing_wslive_alone_loads_none_of_its_heavy_packages(package: str) -> None:
    code = f"import sys, wslive; sys.exit({package!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0
