"""Tables as CSV, for spreadsheets: no text of people is a formula there, and none begins a new cell."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
"""How a cell begins that a spreadsheet may take for a formula, the wide ones where it was set up for East Asia."""
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table. Texts that begin like a formula begin with an apostrophe; times are in ISO 8601."""
    written = io.StringIO()
    # Everything in quotes: a semicolon in a text would begin a new cell where that is what separates them.
    table = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    table.writerow(header)
    table.writerows(map(_cell, row) for row in rows)
    return written.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
