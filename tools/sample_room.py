"""A room that happened: what docs/protocol.md shows is taken from it, so that no example is made up.

Everything in it is fixed (times, ids, refs), and the rules of a room are pure, so it is the same room everywhere.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wslive.activities import BUILT_IN
from wslive.core.commands import Command
from wslive.core.events import Event
from wslive.core.roles import HOST_ACTOR, Role, Who
from wslive.core.room import Registry, Room
from wslive.core.writing import write

HOST = Who(HOST_ACTOR, Role.HOST)
LEDGER = Who(HOST_ACTOR, Role.HOST, ledger=True)
ADA = Who("p_2zMRB2lij8nv", Role.PARTICIPANT)
BOB = Who("p_DOYc3O9bsC6R", Role.PARTICIPANT)
VIEWER = Who("v_Jw0cXbq1T5uE", Role.VIEWER)

EPOCH = "771f2c60"
OPENED_AT_MS = 1_795_424_400_000
CHAT, POLL = 2, 4

_Step = tuple[Who, int, str, dict[str, Any]]

_STEPS: list[_Step] = [
    (HOST, 0, "open_room", {"title": "Sorting 101"}),
    (HOST, 0, "open_activity", {"kind": "chat", "body": {}}),
    (ADA, 0, "join", {"name": "Ada"}),
    (
        HOST,
        0,
        "open_activity",
        {"kind": "poll", "body": {"question": "Which sort is stable?", "options": ["quick", "merge", "heap"]}},
    ),
    (ADA, POLL, "cast_vote", {"round": 1, "options": ["o2"]}),
    (BOB, 0, "join", {"name": "Bob"}),
    (BOB, POLL, "cast_vote", {"round": 1, "options": ["o1"]}),
    (BOB, CHAT, "say", {"text": "why not heap?"}),
    (HOST, POLL, "start_round", {}),
    (ADA, POLL, "cast_vote", {"round": 2, "options": ["o2"]}),
]


class Recorder:
    """A room, and what brought it there."""

    def __init__(self, registry: Registry | None = None) -> None:
        """Start with an empty log; the activities are the built-in ones, or those given."""
        self.room = Room(EPOCH, {a.kind: a for a in BUILT_IN} if registry is None else registry)
        self.events: list[Event] = []

    def do(self, who: Who, activity: int, kind: str, body: object, ref: str | None = None) -> Event:
        """Carry out a command; it gets a ref of its own unless one is given.

        Raises:
            Refused: As in a real room.
        """
        ref = ref or f"sample-{len(self.events) + 1:04}"
        at_ms = OPENED_AT_MS + 15_000 * len(self.events)
        command = Command(ref, activity, kind, msgspec.Raw(msgspec.json.encode(body)))
        events, _ = write(self.room, command, who, at_ms)
        self.events += events
        return events[0]


def sample() -> Recorder:
    """The room of the examples: two people, a chat line, a poll in its second round."""
    recorder = Recorder()
    for step in _STEPS:
        recorder.do(*step)
    return recorder
