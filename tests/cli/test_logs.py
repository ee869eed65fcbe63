from __future__ import annotations

import json
import logging
import sys

from wslive.cli.logs import JsonLines


def line(level: int, message: str, *args: object, error: BaseException | None = None) -> dict[str, object]:
    info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("wslive.room", level, __file__, 1, message, args, info)
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def test_a_line_is_one_json_object():
    found = line(logging.WARNING, "room %s: a batch was not stored: %s", "3f9a", "the disk\nis full „voll“")
    assert str(found.pop("at")).endswith("+00:00")
    assert found == {
        "level": "warning",
        "logger": "wslive.room",
        "message": "room 3f9a: a batch was not stored: the disk\nis full „voll“",
    }


def test_of_an_error_the_type_and_the_place_are_told_and_not_what_it_quotes():
    try:
        raise ValueError("bad name 'Ada Lovelace'")
    except ValueError:
        found = line(logging.ERROR, "a hello failed", error=sys.exc_info()[1])
    assert found["error"] == "ValueError"
    assert "test_logs.py:" in str(found["stack"])
    assert "Ada" not in str(found)
