"""Recorded logs: what each release wrote must fold for ever, to what it showed then.

    python -m tests.recorded 0.1
    python -m tests.recorded 0.1 -- -secret

writes tests/data/log-0.1.jsonl (the events) and tests/data/view-0.1.json (what readers saw at the end), and the same of
another lecture. Done once a release; a file that is there is not written again, for then it would prove nothing. What
a release writes that its logs do not have yet gets a lecture of its own.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.small_room import EPOCH, HOST, LEDGER, VIEWER, SmallRoom, person
from wslive.core.events import Event
from wslive.core.roles import Who

DATA = Path(__file__).parent / "data"
ADA, BOB, EVE = person("p_ada"), person("p_bob"), person("p_eve")
READERS: dict[str, Who] = {"host": HOST, "ledger": LEDGER, "viewer": VIEWER, "ada": ADA, "bob": BOB}


class Line(msgspec.Struct):
    """One event as a line of JSON; the body byte by byte as it was stored."""

    offset: int
    at_ms: int
    actor: str
    ref: str
    activity: int
    kind: str
    version: int
    body: msgspec.Raw  # null where it was erased
    body_hash: str
    chain: str

    @classmethod
    def of(cls, event: Event) -> "Line":
        fields = {**msgspec.structs.asdict(event), "body": msgspec.Raw(event.body or b"null")}
        return cls(**{**fields, "body_hash": event.body_hash.hex(), "chain": event.chain.hex()})

    def event(self) -> Event:
        body = b"" if bytes(self.body) == b"null" else bytes(self.body)
        fields = {**msgspec.structs.asdict(self), "body": body}
        return Event(**{**fields, "body_hash": bytes.fromhex(self.body_hash), "chain": bytes.fromhex(self.chain)})


def write(path: Path, log: list[Event]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(Line.of(event)) + b"\n" for event in log))


def read(path: Path) -> list[Event]:
    lines = path.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Line).event() for line in lines]


def views(small: SmallRoom) -> dict[str, Any]:
    return {name: small.view(who) for name, who in READERS.items()}


def a_lecture() -> SmallRoom:
    """A room in which everything happens that can happen. No formulas: how they are drawn may change."""
    small = SmallRoom(title="Sorting 101 – Łódź")
    small.join("p_ada", "Ada")
    small.join("p_bob")
    small.join("p_eve", "Eve 🎉")
    small.send(ADA, "say", 2, text="hello")
    first = small.poll("quick", "merge", "heap", key="stable")
    small.vote(ADA, first, "o1")
    small.vote(BOB, first, "o2")
    small.vote(ADA, first, "o2")
    small.send(HOST, "edit", first, question="Which sort is stable?", options=["Quick", "Merge", "Heap"])
    small.send(BOB, "retract_vote", first, round=1)
    small.send(HOST, "close", first)
    small.send(HOST, "reopen", first)
    small.vote(EVE, first, "o3")
    small.send(HOST, "start_round", first)
    small.vote(EVE, first, "o2")
    unasked = small.poll("yes", "no", results="after_vote")
    small.send(HOST, "edit", unasked, question="Faster than n log n?", options=["never", "sometimes", "always"])
    small.vote(ADA, unasked, "o4")
    several = small.poll("a", "b", "c", max_choices=2, results="after_close", changeable=False, keep_open=True)
    small.vote(ADA, several, "o1", "o3")
    small.vote(BOB, several, "o3")
    secret = small.poll("yes", "no", results="host_only", keep_open=True)
    small.vote(BOB, secret, "o1")
    dropped = small.poll("x", "y")
    small.vote(ADA, dropped, "o1")
    small.send(HOST, "discard", dropped)
    small.send(HOST, "set_stage", activity=several)
    rude = small.send(EVE, "say", 2, text="rude")
    small.send(HOST, "hide_line", 2, line=rude)
    small.send(HOST, "set_chat", 2, mode="to_host", paused=False)
    small.send(BOB, "say", 2, text="I am lost")
    small.send(HOST, "say", 2, text="so is everybody")
    small.send(HOST, "set_chat", 2, mode="on", paused=True)
    small.send(BOB, "rename", name="Robert")
    small.send(HOST, "mute", person="p_ada")
    small.send(HOST, "remove_person", person="p_eve")
    small.send(HOST, "lock")
    small.send(HOST, "end_room")
    return small


def an_erased_lecture() -> SmallRoom:
    """The same, and afterwards Bob wished to be erased."""
    small = a_lecture()
    small.send(HOST, "erase_person", person="p_bob")
    return small


def a_secret_lecture() -> SmallRoom:
    """Secret polls, closed in every way that there is; their keys are nowhere any more."""
    small = SmallRoom(title="Who is to speak for us?")
    small.join("p_ada", "Ada")
    small.join("p_bob", "Bob")
    small.join("p_eve", "Eve")
    speaker = small.poll("Ada", "Bob", "nobody", secret=True, key="speaker")
    small.vote(ADA, speaker, "o1")
    small.vote(BOB, speaker, "o1")
    small.vote(EVE, speaker, "o3")
    small.vote(BOB, speaker, "o2")
    small.send(EVE, "retract_vote", speaker, round=1)
    small.send(HOST, "close", speaker)
    small.send(HOST, "reopen", speaker)
    small.vote(ADA, speaker, "o2")
    small.vote(EVE, speaker, "o2")
    small.send(HOST, "start_round", speaker)
    small.vote(BOB, speaker, "o3")
    several = small.poll("tea", "coffee", "milk", secret=True, max_choices=2, changeable=False, results="host_only")
    small.vote(ADA, several, "o1", "o3")
    small.vote(BOB, several, "o3")
    small.send(HOST, "edit", several, question="Which sort is stable?", options=["Tea", "Coffee", "Milk"])
    dropped = small.poll("x", "y", secret=True, keep_open=True)
    small.vote(EVE, dropped, "o1")
    small.send(HOST, "discard", dropped)
    small.send(HOST, "remove_person", person="p_eve")
    small.send(HOST, "end_room")
    return small


LECTURES = {"": a_lecture, "-erased": an_erased_lecture, "-secret": a_secret_lecture}


def record(release: str, lecture: str = "") -> None:
    """Record this version's log and views.

    Raises:
        FileExistsError: The release is recorded.
    """
    log, view = DATA / f"log-{release}{lecture}.jsonl", DATA / f"view-{release}{lecture}.json"
    if log.exists():
        raise FileExistsError(log)
    small = LECTURES[lecture]()
    DATA.mkdir(exist_ok=True)
    write(log, small.log)
    seen = {"epoch": EPOCH, "head": small.room.head.position, "views": views(small)}
    view.write_bytes(msgspec.json.format(msgspec.json.encode(seen), indent=1) + b"\n")


if __name__ == "__main__":
    for lecture in LECTURES:
        record(*sys.argv[1:], lecture)
