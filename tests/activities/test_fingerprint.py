from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from wslive.activities import BUILT_IN
from wslive.activities.fingerprint import fingerprint


def activity_of(folder: Path) -> Any:
    """One whose code lies in a folder."""
    module = ModuleType("an_activity_of_another_package")
    module.__file__ = str(folder / "model.py")
    sys.modules[module.__name__] = module
    return type("Hands", (type(BUILT_IN[0]),), {"__module__": module.__name__})()


def test_rules_are_told_apart_by_their_code(tmp_path: Path):
    ours = fingerprint(frozenset(BUILT_IN))
    assert ours is not None
    (tmp_path / "model.py").write_text("RULES = 1")
    first = fingerprint(frozenset({*BUILT_IN, activity_of(tmp_path)}))
    again = fingerprint(frozenset({*BUILT_IN, activity_of(tmp_path)}))
    (tmp_path / "model.py").write_text("RULES = 2")
    second = fingerprint(frozenset({*BUILT_IN, activity_of(tmp_path)}))
    assert first == again
    assert len({ours, first, second}) == 3


def test_rules_whose_code_cannot_be_read_have_none(tmp_path: Path):
    assert fingerprint(frozenset({*BUILT_IN, activity_of(tmp_path)})) is None
