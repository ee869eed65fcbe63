"""Take the figures of the last attacks into docs/reliability.md: `python -m tools.reliability`.

`make torture` leaves a file of figures for each attack in build/torture/. Those go into docs/figures/torture/, except
that a shorter form never takes the place of a longer one, and the tables of the page are written from there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "build" / "torture"
KEPT = ROOT / "docs" / "figures" / "torture"

OURS = "wslive"
_LENGTHS = ("short", "nightly", "long")


def taken() -> Iterator[Path]:
    """Take over what was measured; yields what has changed."""
    for path in sorted(MEASURED.glob("*.json")):
        kept = KEPT / path.name
        new = path.read_text("utf-8")
        old = kept.read_text("utf-8") if kept.exists() else None
        if old != new and (old is None or _length(old) <= _length(new)):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(new, "utf-8")
            yield kept


def attacks() -> Iterator[tuple[str, ...]]:
    """What was done to wslive, and what came of it."""
    yield "#", "attack", "must hold", "measured", "form", "command"
    for record in _records():
        if record["system"] == OURS:
            yield (
                str(record["row"]),
                record["attack"],
                record["holds"],
                _values(record),
                f"{record['form']}, {_duration(record['took_s'])}, seed {record['seed']}, {record['date']}",
                f"`{_command(record)}`",
            )


def attacks_on_others() -> Iterator[tuple[str, ...]]:
    """The same, done to other systems."""
    yield "#", "attack", "system", "measured", "form", "command"
    for record in _records():
        if record["system"] != OURS:
            yield (
                str(record["row"]),
                record["attack"],
                record["system"],
                _values(record),
                f"{record['form']}, {_duration(record['took_s'])}, seed {record['seed']}, {record['date']}",
                f"`{_command(record)}`",
            )


def machines() -> Iterator[tuple[str, ...]]:
    """Where this was measured."""
    yield "processor", "cores", "system", "Python", "SQLite", "Tornado", "rows"
    found: dict[tuple[str, ...], list[int]] = {}
    for record in _records():
        machine = record["machine"]
        key = tuple(str(machine[name]) for name in ("cpu", "cores", "system", "python", "sqlite", "tornado"))
        found.setdefault(key, []).append(record["row"])
    for key, rows in found.items():
        yield *key, ", ".join(str(row) for row in sorted(set(rows)))


def _records() -> list[dict[str, Any]]:
    records = [json.loads(path.read_text("utf-8")) for path in KEPT.glob("*.json")]
    return sorted(records, key=lambda record: (record["row"], record["attack"], record["system"]))


def _length(text: str) -> int:
    return _LENGTHS.index(json.loads(text)["form"])


def _command(record: dict[str, Any]) -> str:
    file, _, test = record["test"].partition("::")
    if record["form"] == "long":
        return f'make torture ARGS="-k {test}"'
    return f"pytest {file} -k {test}" + (" --nightly" if record["form"] == "nightly" else "")


def _values(record: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in record["values"].items())


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def main() -> int:
    """Take over what was measured, and write the tables."""
    # The other way round they import each other: the tables of all pages are in tools.docs.
    from tools import docs

    for path in taken():
        print(f"took {path.relative_to(ROOT)}")
    return docs.main()


if __name__ == "__main__":
    sys.exit(main())
