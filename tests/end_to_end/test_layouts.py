"""What the layouts of cells work out in the browser."""

from pathlib import Path
from typing import Any

import pytest

import wslive
from tests.end_to_end.browser import Pages

LIGHT_INK, DARK_INK = "rgb(232, 235, 242)", "rgb(20, 22, 28)"

LAYOUTS = Path(wslive.__file__).parent / "notebook" / "layouts.js"
ON_PAGE = """async ([source, layout, ink]) => {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    return (await import(url)).onPage(layout, ink);
}"""


@pytest.fixture
def on_page(new_page: Pages) -> Any:
    """`layouts.js`'s `onPage`, in a real browser."""
    page = new_page()
    return lambda layout, ink: page.evaluate(ON_PAGE, [LAYOUTS.read_text(), layout, ink])


def test_on_a_light_page_a_figure_stays_as_it_was_made(on_page: Any) -> None:
    layout = {"title": {"text": "Who talks most"}, "yaxis": {"title": {"text": "lines"}}}
    assert on_page(layout, DARK_INK) == layout


def test_on_a_dark_page_a_figure_is_written_in_the_pages_ink(on_page: Any) -> None:
    layout = {"font": {"size": 14}, "yaxis2": {"gridcolor": "red"}, "width": 700}
    drawn = on_page(layout, LIGHT_INK)
    assert drawn["font"] == {"size": 14, "color": LIGHT_INK}
    assert drawn["paper_bgcolor"] == drawn["plot_bgcolor"] == "rgba(0, 0, 0, 0)"
    assert drawn["width"] == 700
    assert set(drawn) >= {"xaxis", "yaxis", "yaxis2"}
    assert drawn["yaxis2"]["gridcolor"] == "red"
