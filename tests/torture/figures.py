"""What an attack has measured: printed, and kept as a file from which docs/reliability.md is made.

    def test_…(form: Form, figures: Figures):
        …
        figures(row=1, attack="kill -9 of the server", holds="Every acked command is in the log exactly once.",
                kills=100, acked=214_032, lost=0, back_max_s=2.1)

Each call writes build/torture/<row>-<attack>.json, which goes again if the test fails: what did not hold is told, and
goes into no page. `python -m tools.reliability` takes these into docs/figures/torture/
and brings the page up to date. A long form that is in parts writes a file for each; the page shows them as one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from benchmarks.machine import described

ValueT = TypeVar("ValueT")
FormName = Literal["short", "nightly", "long"]

WRITTEN_TO = Path(__file__).resolve().parent.parent.parent / "build" / "torture"


@dataclass(frozen=True)
class Form:
    """How much of each attack is run, and what its chance is drawn from."""

    name: FormName
    seed: int

    @property
    def is_long(self) -> bool:
        """Whether the whole attack is run, whatever time it takes."""
        return self.name == "long"

    def choose(self, short: ValueT, long: ValueT, nightly: ValueT | None = None) -> ValueT:
        """The size for this form; the nightly form is the short one where it has none of its own."""
        match self.name:
            case "long":
                return long
            case "nightly" if nightly is not None:
                return nightly
        return short


@dataclass(frozen=True)
class Part:
    """One of the parts that a long form is run in."""

    number: int
    count: int

    def __str__(self) -> str:
        """As it is picked with `-k`: as many digits for each, so that none is the beginning of another."""
        return f"part{self.number:0{len(str(self.count))}}"

    def share(self, total: int) -> range:
        """What this part does of so many things; all parts together do each once."""
        return range(total * (self.number - 1) // self.count, total * self.number // self.count)


class Figures:
    """Takes down what one test measures."""

    def __init__(self, form: Form, test: str, say: Callable[[str], None], part: Part) -> None:
        """Be called by `test` (its path and name), and `say` each line of figures."""
        self._form = form
        self._test = test
        self._say = say
        self._part = part
        self._written: list[Path] = []
        self._began_s = time.monotonic()

    def __call__(
        self,
        *,
        row: int,
        attack: str,
        holds: str,
        system: str = "wslive",
        adds: Collection[str] = (),
        **values: float | str,
    ) -> None:
        """Take down figures.

        Args:
            row: The attack's number in docs/reliability.md.
            attack: What is done, in a few words; one file of figures for each row, attack and system.
            holds: What must hold, as a sentence.
            system: What was attacked.
            adds: Which of the values are added up over the parts of a long form; of the others the range is shown.
            values: What was measured; the names have their units at the end.
        """
        assert values.keys() >= set(adds)
        record = {
            "row": row,
            "attack": attack,
            "holds": holds,
            "system": system,
            "test": self._test,
            "form": self._form.name,
            "seed": self._form.seed,
            "took_s": round(time.monotonic() - self._began_s, 1),
            "date": time.strftime("%Y-%m-%d"),
            "machine": described(),
            "values": values,
        }
        name = slug(f"{row} {attack}" + ("" if system == "wslive" else f" {system}"))
        if self._part.count > 1:
            record |= {"part": self._part.number, "parts": self._part.count, "adds": sorted(adds)}
            name += f"-{self._part}-of-{self._part.count}"
        WRITTEN_TO.mkdir(parents=True, exist_ok=True)
        path = WRITTEN_TO / f"{name}.json"
        path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
        self._written.append(path)
        told = ", ".join(f"{name} {value}" for name, value in values.items())
        form = f"{self._form.name} form" + (f", {self._part} of {self._part.count}" if self._part.count > 1 else "")
        self._say(f"row {row}, {attack}, {system}, {form}, seed {self._form.seed}: {told}")

    def withdraw(self) -> None:
        """Something did not hold: these are no figures for the page."""
        for path in self._written:
            path.unlink(missing_ok=True)


def slug(text: str) -> str:
    """A name for a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
