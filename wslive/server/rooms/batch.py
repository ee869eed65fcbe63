"""What a batch of commands comes to: the events that the log is to take, and an answer for each command.

Deciding also applies, so the second command of a batch is judged by what the first has done. Nothing of it may be seen
before the events are in the log; see `room_task`, which drops the state if they do not get there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from wslive.core.commands import Command
from wslive.core.errors import Refused
from wslive.core.events import Event
from wslive.core.roles import Who
from wslive.core.room import Room
from wslive.core.writing import filed_under, write
from wslive.server.rooms.told import Key, Outcome, ToldAnswers, as_answer

Reply = Callable[[str, Outcome], None]
"""Takes the ref of a command, and what came of it."""

Filed = dict[Key, Key]
"""Under which actor and ref commands stand in the log, by those that they came with; empty: under the same."""


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A command that waits for its answer.

    Attributes:
        key: What it came with: the actor and the ref.
        who, command: Whose wish it is, and which.
        reply: Takes the ref and the answer.
        objection: Refuses it, unless its ref is in the log.
    """

    key: Key
    who: Who
    command: Command
    reply: Reply
    objection: Refused | None


class Broken(Exception):
    """The rules failed on a command; carries its place in the batch."""


class Decided(NamedTuple):
    """What a batch comes to.

    Attributes:
        events: For the log.
        outcomes: One a command, in order.
        erased: The offsets of events whose bodies go with these events.
    """

    events: list[Event]
    outcomes: list[Outcome]
    erased: list[int]


def filed(room: Room, batch: Sequence[Pending]) -> Filed:
    """Where the log has each command. To be asked before the batch is decided: it may close the box it repeats."""
    if not room.boxes:
        return {}
    return {pending.key: filed_under(room, pending.who, pending.command) for pending in batch}


def decide(room: Room, batch: Sequence[Pending], known: dict[Key, int], told: ToldAnswers) -> Decided:
    """Decide and apply each command in order.

    Args:
        room: The state; it runs ahead of the log from here on.
        batch: The commands.
        known: The offsets of those that are in the log already; those of this batch are added.
        told: What was answered lately.

    Raises:
        Broken: The rules failed; the state is of no use any more.
    """
    at_ms = time.time_ns() // 1_000_000
    events: list[Event] = []
    outcomes: list[Outcome] = []
    erasing: list[int] = []
    refused_here: dict[Key, Refused] = {}
    hashes: dict[bytes, bytes] = {}
    any_told = len(told) > 0
    for place, pending in enumerate(batch):
        key = pending.key
        offset = known.get(key)
        if offset is not None:
            outcomes.append(offset)
            continue
        final: Outcome | None = None
        if refused_here or any_told:
            final = refused_here.get(key) or told.get(key)
        if final is None:
            final = pending.objection
        if final is not None:
            outcomes.append(final)
            continue
        try:
            written, erased = write(room, pending.command, pending.who, at_ms, hashes)
        except Refused as refused:
            outcomes.append(as_answer(refused))
            refused_here[key] = refused
            continue
        except Exception as error:
            raise Broken(place) from error
        events += written
        erasing += erased
        offset = known[key] = written[0].offset  # a retry in the same batch joins its ack
        outcomes.append(offset)
    return Decided(events, outcomes, erasing)
