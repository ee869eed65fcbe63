"""What `pip install wslive` brings is what the repository holds."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GENERATED = {"__pycache__", ".ipynb_checkpoints"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(folder.glob("wslive-*.whl"))) as archive:
        yield archive


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not GENERATED.intersection(path.parts)
    }


def test_the_wheel_has_every_file_of_the_package_and_the_notebooks(wheel: zipfile.ZipFile) -> None:
    notebooks = files_below(ROOT / "notebooks")
    assert "01_host.ipynb" in notebooks
    expected = {f"wslive/{name}" for name in files_below(ROOT / "wslive")}
    expected |= {f"wslive/notebooks/{name}" for name in notebooks}
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name for name in names if ".data/" not in name} == expected


def test_the_wheel_brings_what_jupyter_looks_for_in_its_own_folders(wheel: zipfile.ZipFile) -> None:
    data = {name.partition(".data/data/")[2]: name for name in wheel.namelist() if ".data/data/" in name}
    labextension = ROOT / "wslive" / "notebook" / "labextension"
    expected = {f"share/jupyter/labextensions/wslive/{name}" for name in files_below(labextension)}
    switch = "etc/jupyter/jupyter_server_config.d/wslive.json"
    assert set(data) == {*expected, switch}
    assert wheel.read(data[switch]) == (ROOT / "wslive" / "extension" / "jupyter_server_config.json").read_bytes()


def test_the_wheel_has_the_two_programs_and_the_licence(wheel: zipfile.ZipFile) -> None:
    info = {name.partition(".dist-info/")[2]: name for name in wheel.namelist()}
    programs = wheel.read(info["entry_points.txt"]).decode()
    assert "wslive = wslive.cli:main" in programs
    assert "jupyter-wslive = wslive.cli:main" in programs
    assert "licenses/LICENSE" in info
