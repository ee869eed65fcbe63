"""Ballots, people and chat lines as data frames of the kind that was asked for, or as CSV for a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import narwhals as nw

from wslive.core.csv_text import csv_text
from wslive.core.view import View

BACKENDS = ("pandas", "polars", "pyarrow")
CSV = "csv"
"""In place of a backend: a text."""

Row = tuple[str | None, str | None, int, int | None]
"""Participant, option id (None: retracted), round, milliseconds since 1970; neither who nor when of a secret vote."""

TIME = nw.Datetime("ms", "UTC")


def check_backend(backend: str) -> None:
    """Complain before any work is done.

    Raises:
        ValueError: No such backend.
        ImportError: It is not installed.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r} is none of {', '.join(map(repr, BACKENDS))}.")
    try:
        import_module(backend)
    except ImportError:
        raise ImportError(
            f"to_frame(backend={backend!r}) needs {backend}: install it with `pip install {backend}`, or choose "
            f"another backend of {', '.join(map(repr, BACKENDS))}."
        ) from None


def ballot_rows(ballots: Mapping[str, View]) -> list[Row]:
    """A row per chosen option of each ballot of the ledger, in the order cast."""
    rows: list[Row] = []
    for key, ballot in ballots.items():
        round, _, actor = key.partition("/")
        rows += [(actor, option, int(round), ballot["at_ms"]) for option in ballot["options"]]
    return sorted(rows, key=lambda row: (row[3], row[0]))


def secret_rows(tally: View, options: Sequence[str]) -> list[Row]:
    """A row per vote of the rounds of a secret poll that were counted, in the order of the options."""
    rounds = [*tally["earlier"], tally]
    return [
        (None, option, number, None)
        for number, round in enumerate(rounds, 1)
        if round["counts"] is not None
        for option in options
        for _ in range(round["counts"].get(option, 0))
    ]


def history_rows(events: Iterable[View]) -> list[Row]:
    """A row per chosen option of every vote ever cast, and one without an option per retraction."""
    rows: list[Row] = []
    for event in events:
        body = event["body"]
        if event["kind"] == "vote_cast":
            rows += [(event["actor"], option, body["round"], event["at_ms"]) for option in body["options"]]
        elif event["kind"] == "vote_retracted":
            rows.append((event["actor"], None, body["round"], event["at_ms"]))
    return rows


def votes(rows: Sequence[Row], options: Mapping[str, str], backend: str, people: Mapping[str, View] | None) -> Any:
    """Votes as a frame; `options` are texts by id, `people` adds their names."""
    columns: dict[str, Any] = {"participant": [row[0] for row in rows]}
    schema: dict[str, Any] = {"participant": nw.String}
    if people is not None:
        columns["name"] = [people[row[0]]["name"] if row[0] is not None and row[0] in people else None for row in rows]
        schema["name"] = nw.String
    columns["choice"] = [None if row[1] is None else options.get(row[1]) for row in rows]
    columns["round"] = [row[2] for row in rows]
    columns["cast_at"] = [None if row[3] is None else _time(row[3]) for row in rows]
    schema |= {"choice": nw.String, "round": nw.Int64, "cast_at": TIME}
    return frame(columns, schema, backend, {"choice": list(options.values())})


def frame(
    columns: Mapping[str, Sequence[Any]],
    schema: Mapping[str, Any],
    backend: str,
    ordered: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """A frame of plain columns; those in `ordered` become ordered categories with all the values given there."""
    if backend == CSV:
        return csv_text(columns, zip(*columns.values(), strict=True))
    made = nw.from_dict(columns, schema, backend=cast(Any, backend))
    native = made.to_native()
    for column, categories in (ordered or {}).items():
        native = _ordered(native, column, list(categories), backend)
    return native


def _ordered(native: Any, column: str, categories: list[str], backend: str) -> Any:
    if backend == "pyarrow":
        import pyarrow as pa  # type: ignore[import-not-found, unused-ignore]

        index = {text: i for i, text in enumerate(categories)}
        codes = pa.array([index.get(value) for value in native[column].to_pylist()], pa.int32())
        array = pa.DictionaryArray.from_arrays(codes, pa.array(categories, pa.string()), ordered=True)
        return native.set_column(native.schema.get_field_index(column), column, array)
    made = nw.from_native(native)
    return made.with_columns(nw.col(column).cast(nw.Enum(categories))).to_native()


def write_csv(path: str | Path, text: str) -> Path:
    """Write a table with the mark by which spreadsheets know UTF-8; returns where."""
    target = Path(path)
    target.write_text(text, encoding="utf-8-sig", newline="")
    return target


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def people_frame(names: Mapping[str, View], here: Iterable[str] | None, backend: str) -> Any:
    """People as a frame."""
    present = set(here or ())
    return frame(
        {
            "participant": list(names),
            "name": [p["name"] for p in names.values()],
            "joined_at": [_time(p["joined_at_ms"]) for p in names.values()],
            "muted": [p.get("muted", False) for p in names.values()],
            "here": [actor in present for actor in names],
        },
        {"participant": nw.String, "name": nw.String, "joined_at": TIME, "muted": nw.Boolean, "here": nw.Boolean},
        backend,
    )


def lines_frame(lines: Sequence[View], backend: str) -> Any:
    """Chat lines as a frame."""
    return frame(
        {
            "line": [line["id"] for line in lines],
            "participant": [line["by"] for line in lines],
            "name": [line["name"] for line in lines],
            "text": [line["text"] for line in lines],
            "said_at": [_time(line["at_ms"]) for line in lines],
            "hidden": [line.get("hidden", False) for line in lines],
        },
        {
            "line": nw.Int64,
            "participant": nw.String,
            "name": nw.String,
            "text": nw.String,
            "said_at": TIME,
            "hidden": nw.Boolean,
        },
        backend,
    )
