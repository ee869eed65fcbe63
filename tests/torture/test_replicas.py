"""What browsers' own code (wire.js, in Node) makes of odd deltas and spoiled frames, and what Python does."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import wslive
from tests.torture.figures import Figures, Form
from tests.torture.mutations import worse_bytes
from tests.wire.samples import SERVER
from wslive.client.replica import Gap, Replica
from wslive.core.events import Position
from wslive.core.view import Op, Put, Remove, Set
from wslive.wire.codec import FrameError, decode_server, encode
from wslive.wire.messages import Delta, Snapshot

PLACES = ["a", "b", "", "0", "17", "é", "__proto__", "constructor", "toString", "prototype", "length", "hasOwnProperty"]


def some_json(rng: random.Random, depth: int = 3) -> Any:
    """Any JSON."""
    kind = rng.randrange(8 if depth else 5)
    if kind >= 6:
        return some_view(rng, depth - 1)
    if kind == 5:
        return [some_json(rng, depth - 1) for _ in range(rng.randrange(3))]
    return rng.choice([None, True, 0, -1.5, "", "text", 2**53])


def some_view(rng: random.Random, depth: int = 3) -> dict[str, Any]:
    """Any JSON object."""
    return {rng.choice(PLACES): some_json(rng, depth) for _ in range(rng.randrange(4))}


def some_op(rng: random.Random) -> Op:
    """An operation somewhere."""
    path, key = tuple(rng.choices(PLACES, k=rng.randrange(4))), rng.choice(PLACES)
    match rng.randrange(3):
        case 0:
            return Set(path, some_json(rng) if path else some_view(rng))
        case 1:
            return Put(path, key, some_json(rng))
        case _:
            return Remove(path, key)


def asked(lines: list[bytes]) -> list[dict[str, Any]]:
    """What browsers' code answers to each line."""
    command = ["node", str(Path(__file__).with_name("replica.mjs")), str(Path(wslive.__file__).with_name("web"))]
    found = subprocess.run(command, input=b"".join(lines), stdout=subprocess.PIPE, check=False)
    answers = [json.loads(line) for line in found.stdout.splitlines()]
    assert (len(answers), found.returncode) == (len(lines), 0)
    return answers


def test_browsers_make_the_same_of_every_delta_as_python_does(form: Form, figures: Figures) -> None:
    rng = random.Random(form.seed)
    cases = form.choose(2000, 100_000, 20_000)
    lines, expected = [], []
    for _ in range(cases):
        view, at = some_view(rng), rng.randrange(2, 8)
        deltas = []
        for _ in range(rng.randrange(1, 4)):
            to = at + rng.randrange(1, 4)
            deltas.append(Delta(at, to, "", [some_op(rng) for _ in range(rng.randrange(4))]))
            at = to if rng.random() < 0.8 else rng.randrange(2, 12)
        encoded = b",".join(map(encode, deltas))
        lines.append(b'{"view":' + json.dumps(view).encode() + b',"deltas":[' + encoded + b"]}\n")
        replica, gaps = Replica(), []
        replica.snapshot(Snapshot(Position("e", 5, ""), view))
        for delta in deltas:
            try:
                replica.delta(delta)
            except Gap:
                gaps.append(True)
            else:
                gaps.append(False)
        expected.append({"view": json.loads(json.dumps(replica.view)), "offset": replica.offset, "gaps": gaps})
    answers = asked(lines)
    for line, answer, right in zip(lines, answers, expected, strict=False):
        assert answer == right, line
    gapped = sum(any(right["gaps"]) for right in expected)
    assert 0 < gapped < cases
    figures(
        row=6,
        attack="deltas with odd names, in browsers' own code",
        holds="It makes the same of them as Python does, sees the same gaps, and touches nothing else.",
        cases=cases,
        of_them_with_a_gap=gapped,
    )


def test_browsers_take_every_frame_that_python_takes_for_the_same_message(form: Form, figures: Figures) -> None:
    rng = random.Random(form.seed)
    cases = form.choose(3000, 200_000, 20_000)
    samples = [text.encode() for _, text in SERVER]
    frames = [worse_bytes(rng, rng.choice(samples)).decode(errors="replace") for _ in range(cases)]
    answers = asked([json.dumps({"frame": frame}).encode() + b"\n" for frame in frames])
    taken = broken = 0
    for frame, answer in zip(frames, answers, strict=True):
        # Whatever it is, a page that could not apply it has not moved: the next delta shows it the gap.
        if answer.get("broken"):
            broken += 1
            assert answer["offset"] == 5, frame
        try:
            message = decode_server(frame)
        except FrameError:
            continue
        taken += 1
        assert "broken" not in answer, frame
        assert is_within(json.loads(encode(message)), answer["message"]), (frame, answer)
        if isinstance(message, Delta):
            replica = Replica()
            replica.snapshot(Snapshot(Position("e", 5, ""), {"a": {"b": 1}}))
            try:
                replica.delta(message)
            except Gap:
                pass
            assert (answer["view"], answer["offset"]) == (replica.view, replica.offset), frame
    assert 0 < taken < cases
    figures(
        row=6,
        attack="spoiled frames, in browsers' own code",
        holds="What Python takes for a message is the same one to browsers; a page that cannot apply one stays where "
        "it stood, and nothing else is touched.",
        frames=cases,
        taken_by_python=taken,
        not_applied_by_browsers=broken,
    )


def is_within(known: Any, found: Any) -> bool:
    """Whether both have the same, but for what only one of them writes: defaults here, unknown fields there."""
    if isinstance(known, dict):
        return isinstance(found, dict) and all(is_within(known[key], found[key]) for key in known if key in found)
    if isinstance(known, list):
        return isinstance(found, list) and len(known) == len(found) and all(map(is_within, known, found))
    if isinstance(known, int | float) and isinstance(found, int | float):
        return float(known) == float(found)  # JavaScript writes large ones with all their digits
    return bool(known == found)
