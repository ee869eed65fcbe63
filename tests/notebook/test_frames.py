import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from wslive.notebook import frames

BALLOTS = {
    "1/p_b": {"options": ["o2"], "at_ms": 2000},
    "1/p_a": {"options": ["o1", "o3"], "at_ms": 1000},
    "2/p_a": {"options": ["o2"], "at_ms": 3000},
}
OPTIONS = {"o1": "quick", "o2": "merge", "o3": "heap"}


def test_ballots_become_rows_in_the_order_cast() -> None:
    assert frames.ballot_rows(BALLOTS) == [
        ("p_a", "o1", 1, 1000),
        ("p_a", "o3", 1, 1000),
        ("p_b", "o2", 1, 2000),
        ("p_a", "o2", 2, 3000),
    ]


def test_history_has_a_row_without_a_choice_for_a_retraction() -> None:
    events = [
        {"kind": "poll_opened", "actor": "host", "at_ms": 1, "body": {}},
        {"kind": "vote_cast", "actor": "p_a", "at_ms": 2, "body": {"round": 1, "options": ["o1"]}},
        {"kind": "vote_retracted", "actor": "p_a", "at_ms": 3, "body": {"round": 1}},
    ]
    assert frames.history_rows(events) == [("p_a", "o1", 1, 2), ("p_a", None, 1, 3)]


def test_a_pandas_frame_has_exact_types() -> None:
    frame = frames.votes(frames.ballot_rows(BALLOTS), OPTIONS, "pandas", {"p_a": {"name": "Ada"}})
    assert isinstance(frame, pd.DataFrame)
    assert frame["choice"].dtype == pd.CategoricalDtype(["quick", "merge", "heap"], ordered=True)
    assert frame["round"].dtype == "int64"
    assert frame["cast_at"].iloc[0] == datetime.fromtimestamp(1, UTC)
    assert frame["name"].fillna("?").tolist() == ["Ada", "Ada", "?", "Ada"]


def test_people_and_lines_become_frames_also_when_there_are_none() -> None:
    assert list(frames.people_frame({}, None, "pandas").columns) == [
        "participant",
        "name",
        "joined_at",
        "muted",
        "here",
    ]
    assert len(frames.lines_frame([], "pandas")) == 0
    person = {"p_a": {"name": "Ada", "joined_at_ms": 1000, "muted": True}}
    assert frames.people_frame(person, ["p_a"], "pandas")["here"].tolist() == [True]


def test_an_unknown_backend_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="'pandas', 'polars', 'pyarrow'"):
        frames.check_backend("excel")


def test_a_backend_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match="pip install polars"):
        frames.check_backend("polars")


FORMULAS = ["=1+1", "+A1", "-2+3", "@SUM(A1)", "＝1+1", "＋1+1", "－1", "＠x", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_that_begins_like_a_formula_begins_with_an_apostrophe(text: str) -> None:
    table = frames.votes([("p_a", "o1", 1, 1000)], {"o1": text}, frames.CSV, {"p_a": {"name": text}})
    rows = list(csv.reader(io.StringIO(table)))
    assert rows == [
        ["participant", "name", "choice", "round", "cast_at"],
        ["p_a", f"'{text}", f"'{text}", "1", "1970-01-01T00:00:01.000+00:00"],
    ]


@pytest.mark.parametrize("text", ["-1", "+5", "-2.5", "-2,5", "merge", "a=b", "'quoted'", 'say "no"', "a;b,c", "Łódź"])
def test_all_other_cells_are_what_they_were(text: str) -> None:
    table = frames.votes([("p_a", "o1", 1, 1000)], {"o1": text}, frames.CSV, None)
    assert list(csv.reader(io.StringIO(table)))[1][1] == text


def test_what_is_missing_is_an_empty_cell() -> None:
    table = frames.votes([("p_a", None, 1, 1000)], OPTIONS, frames.CSV, {})
    assert list(csv.reader(io.StringIO(table)))[1] == ["p_a", "", "", "1", "1970-01-01T00:00:01.000+00:00"]


def test_a_file_says_that_it_is_utf_8(tmp_path: Path) -> None:
    path = frames.write_csv(tmp_path / "votes.csv", "a\r\n")
    assert path.read_bytes() == b"\xef\xbb\xbfa\r\n"


def test_secret_votes_are_rows_without_anybody_in_the_order_of_the_options() -> None:
    earlier = [{"answered": 3, "counts": {"o1": 1, "o2": 2}}]
    tally = {"answered": 1, "counts": {"o3": 1, "o1": 0}, "earlier": earlier}
    rows = frames.secret_rows(tally, list(OPTIONS))
    assert rows == [(None, "o1", 1, None), (None, "o2", 1, None), (None, "o2", 1, None), (None, "o3", 2, None)]
    for backend in frames.BACKENDS[:1]:
        frame = frames.votes(rows, OPTIONS, backend, None)
        assert frame["choice"].tolist() == ["quick", "merge", "merge", "heap"]
        assert frame["participant"].isna().all()
        assert frame["cast_at"].isna().all()
    assert frames.secret_rows({"answered": 2, "counts": None, "earlier": []}, list(OPTIONS)) == []
