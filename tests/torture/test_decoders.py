"""Each decoder by itself, under any bytes: by Hypothesis, by chance from a seed, and in the long form by atheris."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.torture.decoders import FIELDS, decoders
from tests.torture.figures import Figures, Form, Part
from tests.torture.mutations import worse_bytes
from tests.torture.target import ROOT

DECODERS = decoders()
NAMES = sorted(DECODERS)
MISSING = (
    "atheris is not installed. It comes with `pip install -e '.[torture]'`, which `make torture` tries: "
    "it has wheels for Linux on x86-64 and Python 3.11 to 3.13."
)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_refused_or_mean_something(name: str, data: bytes) -> None:
    DECODERS[name].check(data)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_parts_of_real_messages_are_refused_or_mean_something(name: str, data: st.DataObject) -> None:
    check, samples, _ = DECODERS[name]
    parts = st.sampled_from(samples).flatmap(lambda sample: st.integers(0, len(sample)).map(lambda at: sample[at:]))
    pieces = data.draw(st.lists(parts | st.sampled_from(samples) | st.binary(max_size=4), max_size=4))
    check(data.draw(st.sampled_from([b"", FIELDS])).join(pieces))


@pytest.mark.parametrize("name", NAMES)
def test_spoiled_messages_are_refused_or_mean_something(name: str, form: Form, figures: Figures) -> None:
    rng = random.Random(f"{form.seed}/{name}")
    check, samples, _ = DECODERS[name]
    inputs = form.choose(2000, 300_000, 50_000)
    accepted = 0
    for _ in range(inputs):
        data = worse_bytes(rng, rng.choice(samples))
        try:
            accepted += check(data)
        except Exception as error:
            error.add_note(f"by {data!r}")
            raise
    assert 0 < accepted < inputs  # the accidents are neither harmless nor hopeless
    figures(
        row=6,
        attack=f"decoder {name}, by chance",
        holds="Any bytes are refused in a sentence, or a message that can be written and read again.",
        inputs=inputs,
        accepted=accepted,
    )


@pytest.mark.long_only
@pytest.mark.parts(5)
@pytest.mark.parametrize("name", NAMES)
def test_atheris_finds_no_bytes_that_break_it(
    name: str, form: Form, figures: Figures, tmp_path: Path, part: Part
) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip(MISSING)
    for number, sample in enumerate(DECODERS[name].samples):
        (tmp_path / str(number)).write_bytes(sample)
    runs = form.choose(0, len(part.share(1_000_000)), 100_000)
    # Its seed has 32 bits, and 0 is none.
    seed = form.seed + part.number
    command = [sys.executable, "-m", "tests.torture.decoders", name, str(runs), str(seed), str(tmp_path)]
    found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = found.stdout.decode(errors="replace")
    assert found.returncode == 0, said[-5000:]
    assert f"Done {runs} runs" in said
    figures(
        row=6,
        attack=f"decoder {name}, by atheris",
        holds="Any bytes are refused in a sentence, or a message that can be written and read again.",
        adds=("inputs",),
        inputs=runs,
        inputs_that_reached_something_new=len(list(tmp_path.iterdir())) - len(DECODERS[name].samples),
    )
