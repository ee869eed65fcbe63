"""What the layouts of cells work out in the browser."""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.browser import Pages
from tests.end_to_end.hall import Hall

LIGHT_INK, DARK_INK = "rgb(232, 235, 242)", "rgb(20, 22, 28)"

ON_PAGE = """async ([url, layout, ink]) => (await import(url)).onPage(layout, ink)"""


@pytest.fixture
def on_page(new_page: Pages, tmp_path: Path) -> Any:
    """`layouts.js`'s `onPage`, in a real browser."""
    hall = Hall(tmp_path)
    page = new_page()
    page.goto(f"{hall.url}/")
    yield lambda layout, ink: page.evaluate(ON_PAGE, [f"{hall.url}/static/layouts.js", layout, ink])
    hall.close()


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
