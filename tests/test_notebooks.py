"""Every notebook runs from top to bottom, alone, without a person, and says at its top what it is good for."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from wslive.server import discovery

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


@pytest.fixture
def somebodys_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Jupyter's folders of a user who has never run wslive; their own server ends with the test."""
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    for name in ("WSLIVE_SERVER", "WSLIVE_HOST_TOKEN", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    yield
    for running in discovery.found():
        os.kill(running.pid, signal.SIGTERM)


@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.usefixtures("somebodys_folders")
def test_a_notebook_runs_alone_from_top_to_bottom(name: str, tmp_path: Path) -> None:
    notebook = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(notebook)
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
        store_widget_state=False,
    )
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    # What is live is there for every front end.
    live = [output.data for output in outputs if "application/vnd.wslive.v1+json" in output.get("data", {})]
    assert live
    for data in live:
        assert {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"} <= set(data)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_opens_with_the_question_that_it_answers(name: str) -> None:
    first = nbformat.read(FOLDER / name, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.splitlines()[0].startswith("# ")
    assert first.source.splitlines()[0].endswith("?")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_kept_without_outputs(name: str) -> None:
    cells = nbformat.read(FOLDER / name, as_version=4).cells
    assert [cell.outputs for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)] == []


def test_there_are_the_three_to_begin_with() -> None:
    assert NOTEBOOKS[:3] == ["01_host.ipynb", "02_participant.ipynb", "03_dashboard.ipynb"]
