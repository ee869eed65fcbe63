"""Take the figures of the last attacks into docs/reliability.md: `python -m tools.reliability`.

`make torture` leaves a file of figures for each attack in build/torture/. Those go into docs/figures/torture/, except
that a shorter form never takes the place of a longer one, and the tables of the page are written from there. The parts
of a long form are a file each, and one row of the page.
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

Record = dict[str, Any]


def taken() -> Iterator[Path]:
    """Take over what was measured; yields what has changed."""
    kept = _read(KEPT)
    # The newest last, which is the one that stays.
    for path, record in sorted(_read(MEASURED).items(), key=lambda item: item[0].stat().st_mtime_ns):
        rivals = {other: old for other, old in kept.items() if _name(old) == _name(record)}
        if kept.get(KEPT / path.name) == record or any(_length(old) > _length(record) for old in rivals.values()):
            continue
        for other, old in rivals.items():
            # Of a shorter form, or of one that was cut into other parts: the figures of both do not add up.
            if (old["form"], old.get("parts")) != (record["form"], record.get("parts")):
                other.unlink()
                del kept[other]
        place = KEPT / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path.read_text("utf-8"), "utf-8")
        kept[place] = record
        yield place


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
                _form(record),
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
                _form(record),
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


def _records() -> list[Record]:
    """All attacks, each with the figures of all its parts that were run."""
    found: dict[tuple[int, str, str], list[Record]] = {}
    for record in _read(KEPT).values():
        found.setdefault(_name(record), []).append(record)
    return [_added_up(found[name]) for name in sorted(found)]


def _read(folder: Path) -> dict[Path, Record]:
    return {path: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def _name(record: Record) -> tuple[int, str, str]:
    return record["row"], record["attack"], record["system"]


def _length(record: Record) -> int:
    return _LENGTHS.index(record["form"])


def _added_up(parts: list[Record]) -> Record:
    """One record of several: what adds up is added, of anything else the range is kept."""
    parts.sort(key=lambda record: record.get("part", 1))
    last = max(parts, key=lambda record: record["date"])
    return {
        **last,
        "took_s": sum(record["took_s"] for record in parts),
        "seeds": [record["seed"] for record in parts],
        "load": _together([round(record["machine"]["load_average"][0], 1) for record in parts], adds=False),
        "values": {
            name: _together([record["values"][name] for record in parts], adds=name in last.get("adds", ()))
            for name in last["values"]
        },
    }


def _together(values: list[Any], *, adds: bool) -> Any:
    if adds:
        return sum(values)
    if len(set(values)) == 1:
        return values[0]
    if all(isinstance(value, str) for value in values):
        return "; ".join(dict.fromkeys(values))
    return f"{_number(min(values))} to {_number(max(values))}"


def _form(record: Record) -> str:
    seeds = dict.fromkeys(record["seeds"])
    ran = f", {len(record['seeds'])} of its {record['parts']} parts" if "parts" in record else ""
    named = ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, seeds))
    return f"{record['form']}{ran}, {_duration(record['took_s'])}, load {record['load']}, {named}, {record['date']}"


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
