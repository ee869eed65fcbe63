"""One seed, run and judged.

python -m tests.simulation.seeds 1 5000    these seeds; a line for each that fails, and how many were run
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.simulation import clock
from tests.simulation.invariants import broken
from tests.simulation.lecture import Lecture

KNOWN = Path(__file__).with_name("seeds.txt")


def regressions() -> list[int]:
    """The seeds that failed once."""
    return [int(line.split("#")[0]) for line in KNOWN.read_text().splitlines() if line.split("#")[0].strip()]


def simulate(seed: int, *, secret: bool = False) -> tuple[Lecture, list[str]]:
    """One run, and what does not hold after it; with `secret` all polls that can be are."""

    async def main() -> tuple[Lecture, list[str]]:
        lecture = Lecture(seed, secret=secret)
        try:
            await lecture.run()
        except TimeoutError:
            waiting = [f"{r.who} {r.connection.status} at {r.connection.replica.offset}" for r in lecture.readers]
            return lecture, [f"not everybody came to rest: {waiting}", *broken(lecture)]
        return lecture, broken(lecture)

    return clock.run(seed, main)


def report(seed: int) -> list[str]:
    """What does not hold after a run, and what had gone wrong in it; nothing where all holds."""
    lecture, problems = simulate(seed, secret=seed % 4 == 0)
    return [*(problem[:600] for problem in problems[:3]), *lecture.happened] if problems else []


def main(first: int, last: int) -> None:
    """Run seeds, and print what fails and what was done."""
    done = {"seeds": 0, "events": 0, "acks": 0, "troubles": 0, "erased": 0, "on_sqlite": 0, "secret_boxes": 0}
    done["checkpoints"] = 0
    for seed in range(first, last + 1):
        lecture, problems = simulate(seed, secret=seed % 4 == 0)
        done["seeds"] += 1
        done["events"] += len(lecture.events)
        done["acks"] += sum(len(reader.acks) for reader in lecture.readers)
        done["troubles"] += len(lecture.happened)
        done["erased"] += sum(not event.body for event in lecture.events)
        done["on_sqlite"] += lecture.disk.is_sqlite
        done["secret_boxes"] += len(lecture.keys.ever)
        done["checkpoints"] += lecture.log.calls["keep"]
        if problems:
            failed = {"seed": seed, "problems": [p[:600] for p in problems[:3]], "happened": lecture.happened}
            print(json.dumps(failed), flush=True)  # noqa: T201
    print(json.dumps(done))  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
