"""Clients that behave badly, each kind by itself: what they cost, how they end, and that nobody else waits."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.torture.abuser import KINDS, READS, Kind
from tests.torture.figures import Figures, Form, slug
from tests.torture.target import ROOT, Seat, Target, Witness, p99_ms

ABUSER = (sys.executable, "-m", "tests.torture.abuser")
CHAT = 2
HOLDS = "Each costs the server at most 1 MiB and ends as it has to. Nobody else waits; the server's log is empty."
QUICK = {"floods with votes", "floods with pings"}
"""What `make test` has the time for."""
NEVER_READS = next(kind for kind in KINDS if kind.name == "never reads")
LINE_BYTES = 4 * 500
LINES = [{"type": "command", "activity": CHAT, "kind": "say", "body": {"text": "🙂" * 500}}] * 50
"""Few and long: the room's checkpoint, after 50,000 events, would be counted as memory of those who behave badly."""
MOST_KIB = 1024
"""What one of them may cost the server."""
PACE_S = 0.22
CALM_MS = 25.0
"""Below this nobody notices whether an ack takes twice as long."""


def acks(calm: list[float], took: list[float]) -> dict[str, float | str]:
    """What the acks of others took, in calm and meanwhile, in seconds."""
    return {"acks": len(took), "p99_ack_calm_ms": p99_ms(calm), "p99_ack_ms": p99_ms(took)}


def nobody_waited(found: Mapping[str, float | str]) -> bool:
    """Whether nobody else's p99 ack took more than twice as long as in calm."""
    return float(found["p99_ack_ms"]) <= 2 * max(float(found["p99_ack_calm_ms"]), CALM_MS)


class Hall:
    """A room with an innocent person, who votes, and a host, who says something, each time."""

    def __init__(self, target: Target) -> None:
        self.target = target
        room = target.open_room("Sorting 101")
        self.code = room["code"]
        self._lines = itertools.count()
        self.host = Seat(target, self.code, role="host", token=room["host_key"])
        asks = {"question": "Which sort is stable?", "options": ["quick", "merge"]}
        poll = self.host.ask(0, "open_activity", {"kind": "poll", "body": asks})
        self.witness = Witness(target, self.code, poll, ["o1", "o2"])

    def go_on(self, *, says: int = 1) -> float:
        """Another vote and some lines, no faster than a person may; how long the vote took."""
        time.sleep(PACE_S)
        self.witness.vote()
        for _ in range(says):
            self.host.ask(CHAT, "say", {"text": "*" * 400})
        return self.witness.took_s[-1]

    def produce(self) -> int:
        """Many lines at once; how many bytes go to each who is here, at least."""
        lines = [{**line, "ref": f"line{next(self._lines)}"} for line in LINES]
        heard, _ = self.host.hear(json.dumps(line).encode() for line in lines)
        assert sum(message["type"] == "ack" for message in heard) == len(lines)
        return LINE_BYTES * len(lines)

    def close(self) -> None:
        for seat in (self.host, self.witness.seat):
            seat.socket.sock.close()


@contextmanager
def clients(hall: Hall, kind: Kind, count: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """So many of a kind, who come; they go after so many seconds, or when their input ends."""
    command = [*ABUSER, kind.name, str(hall.target.address[1]), hall.code, str(count), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str]) -> None:
    """Until all of them have come."""
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"


def ends(process: subprocess.Popen[str]) -> Any:
    """What became of them, once they have gone."""
    assert process.stdout is not None
    told = process.stdout.read()
    assert process.wait() == 0
    return json.loads(told)


def attack(
    hall: Hall, kind: Kind, count: int, seconds: float, go_on: Callable[[], float], *, until_gone: bool = False
) -> tuple[dict[str, float | str], list[float]]:
    """Let so many of a kind behave badly, while others `go_on`; what came of it, and how long acks of others took.

    `until_gone`: until the server has let them go.
    """
    target = hall.target
    before_kib, files, cpu_s = target.rss_kib, target.files, target.cpu_s
    began_s = time.monotonic()
    with clients(hall, kind, count, seconds) as abusers:
        wait_for(abusers)
        assert abusers.stdin is not None
        peak_kib, took = target.rss_kib, []
        while abusers.poll() is None:
            took.append(go_on())
            peak_kib = max(peak_kib, target.rss_kib)
            if until_gone and target.files <= files and not abusers.stdin.closed:
                abusers.stdin.close()
        found = ends(abusers)
    assert set(found["became"]) <= set(kind.ends), (kind.name, found)
    while target.files > files:  # what is left of them goes; the time-out of this test is the limit
        hall.go_on()
    cost = {
        "clients": count,
        "kib_each": round((peak_kib - before_kib) / count, 1),
        "became": ", ".join(sorted(found["became"])),
        "sent_mib": round(found["sent_bytes"] / (1 << 20), 1),
        "server_cpu_share": round((target.cpu_s - cpu_s) / (time.monotonic() - began_s), 2),
    }
    return cost, took


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=slug(kind.name), marks=() if kind.name in QUICK else pytest.mark.long_only)
        for kind in KINDS
        if kind is not NEVER_READS
    ],
)
def test_who_behaves_badly_costs_little_and_is_let_go(kind: Kind, form: Form, figures: Figures, tmp_path: Path):
    with ExitStack() as stack:
        target = stack.enter_context(Target(tmp_path, has_limits=True))
        hall = stack.enter_context(closing(Hall(target)))
        calm = [hall.go_on() for _ in range(form.choose(8, 60))]
        count = form.choose(5, 20) if kind.is_upgraded else form.choose(50, 200)
        # A request and a hello have 10 s.
        found, took = attack(hall, kind, count, form.choose(4.0, 30.0), hall.go_on)
        hall.close()
        target.end()
    found |= acks(calm, took)
    figures(row=5, attack=f"clients: {kind.name}", holds=HOLDS, **found)
    assert float(found["kib_each"]) <= MOST_KIB
    if form.is_long:
        assert nobody_waited(found), found


def test_who_never_reads_in_a_room_that_says_much_costs_little_and_is_let_go(
    form: Form, figures: Figures, tmp_path: Path
):
    with ExitStack() as stack:
        target = stack.enter_context(Target(tmp_path))  # without limits, for the host who says so much
        hall = stack.enter_context(closing(Hall(target)))
        produced = [hall.produce()]  # the first costs what others need not ask for

        def go_on() -> float:
            produced.append(hall.produce())
            hall.witness.vote()
            return hall.witness.took_s[-1]

        count, rounds = 50, form.choose(20, 60)
        found, took = attack(hall, NEVER_READS, count, 120.0, go_on, until_gone=True)
        said = produced[1:]
        # In a room that says much an ack comes after what was said, and the room keeps its lines: what is the clients'
        # fault is told by as many who read. They come afterwards, so that they leave no memory to the others.
        with clients(hall, READS, count, 120.0) as readers:
            wait_for(readers)
            before_kib = target.rss_kib
            calm = [go_on() for _ in range(rounds)]
            own_kib = len(said) * (target.rss_kib - before_kib) / rounds
            assert readers.stdin is not None
            readers.stdin.close()
            assert ends(readers)["became"] == {"open": count}
        hall.close()
        target.end()
    found |= acks(calm, took)
    found["kib_each"] = round(float(found["kib_each"]) - own_kib / count, 1)
    figures(
        row=5,
        attack="clients: never reads, in a room that says much",
        holds=HOLDS,
        said_to_each_mib=round(sum(said) / (1 << 20), 1),
        room_itself_grew_by_mib=round(own_kib / 1024, 1),
        **found,
    )
    assert float(found["kib_each"]) <= MOST_KIB
    if form.is_long:
        assert nobody_waited(found), found


def test_sockets_that_nobody_uses_cost_little_and_go(form: Form, figures: Figures, tmp_path: Path):
    kinds = [kind for kind in KINDS if kind.name.endswith(("says nothing", "says no more")) and "body" not in kind.name]
    count = form.choose(200, 2001) // len(kinds)
    with ExitStack() as stack:
        target = stack.enter_context(Target(tmp_path))
        hall = stack.enter_context(closing(Hall(target)))
        calm = [hall.go_on() for _ in range(form.choose(8, 60))]
        before_kib, files = target.rss_kib, target.files
        abusers = [stack.enter_context(clients(hall, kind, count, 60.0)) for kind in kinds]
        for one in abusers:
            wait_for(one)
        open_files, grown_kib, took = target.files - files, target.rss_kib - before_kib, []
        while any(one.poll() is None for one in abusers):
            took.append(hall.go_on())
        assert [ends(one)["became"] for one in abusers] == [dict.fromkeys(kind.ends, count) for kind in kinds]
        while target.files > files:
            hall.go_on()
        hall.close()
        target.end()
    found = acks(calm, took)
    figures(
        row=5,
        attack="sockets that are connected, have half a request, or no hello",
        holds="They cost little, and are closed within the time for a request or a hello; nobody else waits.",
        sockets=count * len(kinds),
        open_at_once=open_files,
        kib_each=round(grown_kib / (count * len(kinds)), 1),
        **found,
    )
    assert grown_kib <= MOST_KIB * count * len(kinds)
    if form.is_long:
        assert nobody_waited(found), found
