"""Figures are kept as measured, and a short form never takes the place of a long one."""

import json
from pathlib import Path

import pytest

from tests.torture import figures as module
from tests.torture.figures import Figures, Form
from tools import reliability


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITTEN_TO", tmp_path / "measured")
    monkeypatch.setattr(reliability, "MEASURED", tmp_path / "measured")
    monkeypatch.setattr(reliability, "KEPT", tmp_path / "kept")


def measure(form: Form, **values: float) -> list[str]:
    said: list[str] = []
    taker = Figures(form, "tests/torture/test_kill.py::test_kills", said.append)
    taker(row=1, attack="kill -9", holds="Nothing acked is lost.", **values)
    return said


def test_what_was_measured_is_said_and_is_a_row_of_the_page():
    (line,) = measure(Form("long", 417), kills=100, acked=214032, back_max_s=2.125)
    assert line == "row 1, kill -9, wslive, long form, seed 417: kills 100, acked 214032, back_max_s 2.125"
    (kept,) = reliability.taken()
    assert json.loads(kept.read_text())["values"] == {"kills": 100, "acked": 214032, "back_max_s": 2.125}
    _, row = reliability.attacks()
    assert row[:4] == ("1", "kill -9", "Nothing acked is lost.", "kills 100, acked 214,032, back max s 2.125")
    assert row[4].startswith("long, 0 s, seed 417, ")
    assert row[5] == '`make torture ARGS="-k test_kills"`'


def test_a_shorter_form_does_not_take_the_place_of_a_longer_one():
    measure(Form("nightly", 1), kills=10)
    assert len([*reliability.taken()]) == 1
    measure(Form("short", 2), kills=3)
    assert [*reliability.taken()] == []
    measure(Form("nightly", 3), kills=11)
    assert len([*reliability.taken()]) == 1
    _, row = reliability.attacks()
    assert row[3] == "kills 11"


def test_a_form_chooses_its_size():
    sizes = [Form(name, 0).choose(1, 3, 2) for name in ("short", "nightly", "long")]
    assert sizes == [1, 2, 3]
    assert Form("nightly", 0).choose(1, 3) == 1
