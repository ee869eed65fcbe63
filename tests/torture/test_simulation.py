"""Thousands of lectures in a bad world, each from a seed, in virtual time; what must hold is checked after each."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys

import pytest

from tests.simulation.invariants import HOLDS
from tests.torture.figures import Figures, Form, Part

PROCESSES = 2


async def simulate(first: int, last: int) -> list[dict[str, object]]:
    """Seeds in a process of their own: what it prints, a line each."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulation.seeds", str(first), str(last)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parts(10)
async def test_in_thousands_of_simulated_lectures_everything_promised_holds(form: Form, figures: Figures, part: Part):
    seeds = part.share(form.choose(500, 10_000))
    count, first = len(seeds), form.seed + seeds.start
    cuts = [first + count * n // PROCESSES for n in range(PROCESSES + 1)]
    told = await asyncio.gather(*(simulate(a, b - 1) for a, b in itertools.pairwise(cuts)))
    failed = [line for lines in told for line in lines[:-1]]
    assert not failed, f"seeds {[line['seed'] for line in failed]} fail; the first: {failed[0]}"
    done = {name: sum(int(str(lines[-1][name])) for lines in told) for name in told[0][-1]}
    assert done["seeds"] == count
    assert min(done.values()) > 0
    figures(
        row=4,
        attack="simulated network, disk, clocks and kills",
        holds="After every seed: " + "; ".join(HOLDS) + ".",
        adds=("violations", *done),
        seeds=count,
        first_seed=first,
        violations=len(failed),
        invariants=len(HOLDS),
        processes=PROCESSES,
        **{name: value for name, value in done.items() if name != "seeds"},
    )
