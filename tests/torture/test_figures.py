"""Figures are kept as measured, and a short form never takes the place of a long one."""

import json
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.torture import figures as module
from tests.torture.figures import Figures, Form, Part
from tools import reliability


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "described", lambda: {"load_average": (2.04, 1.0, 1.0)})
    monkeypatch.setattr(module, "WRITTEN_TO", tmp_path / "measured")
    monkeypatch.setattr(reliability, "MEASURED", tmp_path / "measured")
    monkeypatch.setattr(reliability, "KEPT", tmp_path / "kept")


WHOLE = Part(1, 1)


def measure(form: Form, part: Part = WHOLE, adds: Collection[str] = (), **values: float) -> list[str]:
    said: list[str] = []
    taker = Figures(form, "tests/torture/test_kill.py::test_kills", said.append, part)
    taker(row=1, attack="kill -9", holds="Nothing acked is lost.", adds=adds, **values)
    return said


def test_what_was_measured_is_said_and_is_a_row_of_the_page():
    (line,) = measure(Form("long", 417), kills=100, acked=214032, back_max_s=2.125)
    assert line == "row 1, kill -9, wslive, long form, seed 417: kills 100, acked 214032, back_max_s 2.125"
    (kept,) = reliability.taken()
    assert json.loads(kept.read_text())["values"] == {"kills": 100, "acked": 214032, "back_max_s": 2.125}
    _, row = reliability.attacks()
    assert row[:4] == ("1", "kill -9", "Nothing acked is lost.", "kills 100, acked 214,032, back max s 2.125")
    assert row[4].startswith("long, 0 s, load 2.0, seed 417, ")
    assert row[5] == '`make torture ARGS="-k test_kills"`'


def test_what_did_not_hold_is_no_figure():
    said: list[str] = []
    taker = Figures(Form("long", 417), "tests/torture/test_kill.py::test_kills", said.append, WHOLE)
    taker(row=1, attack="kill -9", holds="Nothing acked is lost.", lost=1)
    taker.withdraw()
    assert [*reliability.taken()] == []
    assert said == ["row 1, kill -9, wslive, long form, seed 417: lost 1"]


def test_a_shorter_form_does_not_take_the_place_of_a_longer_one():
    measure(Form("nightly", 1), kills=10)
    assert len([*reliability.taken()]) == 1
    measure(Form("short", 2), kills=3)
    assert [*reliability.taken()] == []
    measure(Form("nightly", 3), kills=11)
    assert len([*reliability.taken()]) == 1
    _, row = reliability.attacks()
    assert row[3] == "kills 11"


def test_the_parts_of_a_long_form_are_one_row():
    measure(Form("short", 1), kills=3, people=20, back_s=1)
    assert len([*reliability.taken()]) == 1
    for number, seed in ((2, 8), (11, 9)):
        (line,) = measure(Form("long", seed), Part(number, 12), ["kills"], kills=number, people=40, back_s=number / 2)
        assert line.startswith(f"row 1, kill -9, wslive, long form, part{number:02} of 12, seed {seed}: kills {number}")
        assert len([*reliability.taken()]) == 1
    _, row = reliability.attacks()
    assert row[3] == "kills 13, people 40, back s 1 to 5.5"
    assert row[4].startswith("long, 2 of its 12 parts, 0 s, load 2.0, seeds 8, 9, ")
    # Run again, a part takes its own place; cut into others, none of the old ones can be added to it.
    measure(Form("long", 10), Part(11, 12), ["kills"], kills=20, people=40, back_s=1)
    assert len([*reliability.taken()]) == 1
    _, row = reliability.attacks()
    assert row[3] == "kills 22, people 40, back s 1"
    measure(Form("long", 11), Part(1, 2), ["kills"], kills=5, people=40, back_s=1)
    measure(Form("short", 1), kills=3, people=20, back_s=1)
    assert (module.WRITTEN_TO / "1-kill-9-part02-of-12.json").exists()
    assert [path.name for path in reliability.taken()][-1] == "1-kill-9-part1-of-2.json"
    _, row = reliability.attacks()
    assert row[3] == "kills 5, people 40, back s 1"


def test_all_parts_together_do_everything_once():
    parts = [Part(number, 7) for number in range(1, 8)]
    assert [n for part in parts for n in part.share(100)] == [*range(100)]
    assert [str(part) for part in (*parts[:2], Part(1, 10))] == ["part1", "part2", "part01"]


def test_a_form_chooses_its_size():
    sizes = [Form(name, 0).choose(1, 3, 2) for name in ("short", "nightly", "long")]
    assert sizes == [1, 2, 3]
    assert Form("nightly", 0).choose(1, 3) == 1
