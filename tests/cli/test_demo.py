"""What the demo has in common with the notebook that it opens, and its folders."""

import json
from pathlib import Path

import pytest

from wslive.cli import demo
from wslive.core.errors import StoreUnwritable

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"


def test_the_notebook_asks_the_demos_question_in_the_demos_room():
    cells = json.loads((NOTEBOOKS / "01_host.ipynb").read_text("utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert f'wslive.host("{demo.TITLE}")' in code
    assert f'room.poll("{demo.QUESTION}", {json.dumps(demo.OPTIONS)})' in code
    assert demo.RIGHT in demo.OPTIONS


def test_notebooks_are_copied_once_and_what_was_changed_stays(tmp_path: Path):
    demo._copy_notebooks(tmp_path / "notebooks")
    copied = {path.name for path in (tmp_path / "notebooks").iterdir()}
    assert copied == {path.name for path in NOTEBOOKS.glob("*.ipynb")} != set()
    (tmp_path / "notebooks" / "01_host.ipynb").write_text("mine")
    demo._copy_notebooks(tmp_path / "notebooks")
    assert (tmp_path / "notebooks" / "01_host.ipynb").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable, match="--dir"):
        demo._folder(tmp_path / "file" / "below")
    assert demo._folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
