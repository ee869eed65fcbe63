"""What holds for every file that browsers load, seen from its source."""

import re
from pathlib import Path

import pytest

from wslive.core import math

PACKAGE = Path(math.__file__).resolve().parent.parent
WEB = PACKAGE / "web"
VIEWS = sorted((PACKAGE / "activities").glob("*/*.js"))
SCRIPTS = [*sorted(WEB.glob("*.js")), *VIEWS]
BLOBS = [WEB / "wire.js", WEB / "client.js", WEB / "lib.js", WEB / "charts.js", *VIEWS]
STYLES = sorted(WEB.glob("*.css"))
PAGES = sorted(WEB.glob("*.html"))

NAME = {"ids": lambda path: path.relative_to(PACKAGE).as_posix()}


@pytest.mark.parametrize("path", SCRIPTS, **NAME)
def test_no_script_makes_elements_out_of_text(path: Path) -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|setHTML|srcdoc"
    assert re.findall(markup, path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", BLOBS, **NAME)
def test_what_a_notebook_loads_as_a_blob_imports_nothing(path: Path) -> None:
    assert re.findall(r"^\s*(?:import|export\s.*\sfrom)\b.*|\bimport\(", path.read_text("utf-8"), re.MULTILINE) == []


@pytest.mark.parametrize("path", STYLES, **NAME)
def test_every_class_is_ours_by_name_since_notebooks_share_their_page(path: Path) -> None:
    css = re.sub(r"/\*.*?\*/|\{[^{}]*\}", "{}", path.read_text("utf-8"), flags=re.DOTALL)
    # These are Plotly's, coloured inside our own chart.
    plotly = {"xaxislayer-above", "yaxislayer-above", "barlayer", "legend"}
    assert {c for c in re.findall(r"\.([A-Za-z][\w-]*)", css) if not c.startswith("wslive-")} <= plotly


@pytest.mark.parametrize("path", PAGES, **NAME)
def test_pages_hold_no_script_or_style_of_their_own(path: Path) -> None:
    html = path.read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html) == []


@pytest.mark.parametrize("path", PAGES, **NAME)
def test_pages_name_their_files_relative_to_themselves(path: Path) -> None:
    found = re.findall(r'(?:src|href)="([^"]*)"', path.read_text("utf-8"))
    assert found
    for link in found:
        assert link.startswith("../")
        name = link.replace("../", "").removeprefix("static/")
        assert (WEB / name).is_file() or (PACKAGE / name).is_file()


def test_browser_and_python_let_the_same_mathml_through() -> None:
    source = (WEB / "lib.js").read_text("utf-8")

    def names(constant: str) -> set[str]:
        block = re.search(rf"const {constant} = new Set\((.*?)\.split", source, re.DOTALL)
        assert block is not None
        return set("".join(re.findall(r'"([^"]*)"', block[1])).split())

    assert names("MATH_ELEMENTS") == math.ELEMENTS
    assert names("MATH_ATTRIBUTES") == math.ATTRIBUTES
