from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from wslive.core.csv_text import csv_text


def cells(*values: object, delimiter: str = ",") -> list[str]:
    """What a spreadsheet has in the first row below the header."""
    return list(csv.reader(io.StringIO(csv_text(["a"], [values])), delimiter=delimiter))[1]


@pytest.mark.parametrize(
    "text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋A1", "－A1", "＠SUM", "-"]
)
def test_what_begins_like_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert cells(text) == [f"'{text}"]


@pytest.mark.parametrize("text", ["", "plain", "a=b", '"quoted", and a comma', "1", "-1", "+1.5", "-0,5", "two\nlines"])
def test_other_texts_and_numbers_are_as_they_are(text: str) -> None:
    assert cells(text) == [text]


def test_no_text_begins_a_new_cell_whatever_separates_them() -> None:
    assert cells("hello;=1+1", "x", delimiter=";")[0].startswith("hello;=1+1")


def test_times_numbers_and_nothing_are_told() -> None:
    assert cells(datetime(2026, 11, 26, 18, 0, tzinfo=UTC), 7, None) == ["2026-11-26T18:00:00.000+00:00", "7", ""]
