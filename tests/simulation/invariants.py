"""What must hold after every run, whatever went wrong in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from tests.simulation.lecture import Lecture
from tests.simulation.reader import Reader, frozen
from wslive.activities import activities
from wslive.audit.recount import Recount
from wslive.core import room_view
from wslive.core.errors import SecretPollClosed
from wslive.core.events import Event, Head, follows, head_after
from wslive.core.room import Room, apply, replay, texts_of
from wslive.core.secrecy import BoxId, BoxKey

Keys = dict[BoxId, BoxKey]


HOLDS = (
    "nothing is logged as an error",
    "everybody comes to rest at the head of the log",
    "the log has no hole, its chain and its bodies are sound, and no ref is in it twice",
    "a body is missing where its person was erased, and nowhere else",
    "a log with erased bodies folds to what everybody is shown",
    "a recount of the votes gives every tally",
    "what was acknowledged is in the log, where the ack says",
    "what was refused for good is not in the log",
    "nobody joins twice, and no event is by somebody who never sent it",
    "no replica ever goes back",
    "every replica shows, at every position it ever had, what its reader may see there",
    "no secret vote has a name on it, and its key is there exactly while its box is open",
)
"""What is checked after each run."""


def broken(lecture: Lecture) -> list[str]:
    """What does not hold, a sentence each."""
    record = lecture.room.record
    events = lecture.events
    keys = lecture.keys.ever
    return [
        *(f"logged: {text}" for text in lecture.complaints),
        *_log(events, record.epoch, lecture.keys.load(record.room)),
        *(problem for reader in lecture.readers for problem in _told(reader, _revealed(reader, events, keys))),
        *_shown(lecture.readers, lecture.disk.appended, record.epoch, keys),
        *_erased(lecture, keys),
        *_secret(lecture, events),
    ]


def _revealed(reader: Reader, events: list[Event], keys: Keys) -> list[Event]:
    """The log with this reader's own secret votes under their actor and ref."""
    actor = reader.connection.actor
    boxes = [
        (box, key.pseudonym(actor), {key.ref(actor, ref): ref for ref in reader.sent}) for box, key in keys.items()
    ]
    own = {(box[0], pseudonym, hashed): ref for box, pseudonym, refs in boxes for hashed, ref in refs.items()}
    return [
        msgspec.structs.replace(event, actor=actor, ref=ref)
        if (ref := own.get((event.activity, event.actor, event.ref))) is not None
        else event
        for event in events
    ]


def _secret(lecture: Lecture, events: list[Event]) -> Iterator[str]:
    """Nobody's name is on a secret vote, and a key is there exactly while its box is open."""
    people = {event.actor for event in events if event.kind == "joined"}
    for event in events:
        if event.kind == "sealed" and event.actor in people:
            yield f"event {event.offset} is a secret vote by {event.actor}"
    record = lecture.room.record
    room = replay(record.epoch, events, activities())
    kept, open_boxes = set(lecture.keys.load(record.room)), {(id, box.name) for id, box in room.boxes.items()}
    if kept != open_boxes:
        yield f"the keys of {kept} are kept, and the boxes {open_boxes} are open"


def _log(events: list[Event], epoch: str, keys: Keys) -> Iterator[str]:
    """The log is whole, and a tally is what the votes in it give."""
    head, recount, refs = Head(epoch), Recount(), set()
    room = Room(epoch, activities(), keys)
    for event in events:
        if not follows(head, event):
            yield f"event {event.offset} does not follow the one before"
        if event.body and hashlib.sha256(event.body).digest() != event.body_hash:
            yield f"the body of event {event.offset} was altered"
        head = head_after(head, event)
        if (event.actor, event.ref) in refs:
            yield f"event {event.offset} repeats the ref {event.ref} of {event.actor}"
        refs.add((event.actor, event.ref))
        if event.body:
            body = msgspec.json.decode(event.body)
            problem = recount.add(event.offset, event.actor, event.activity, event.kind, body)
            if problem is not None:
                yield f"event {event.offset}: {problem}"
        elif event.kind == "joined":
            recount.people[event.actor] = True
        apply(room, event)
    yield from recount.uncounted()
    for poll, state in room.of_kind("poll").items():
        if state.secret and state.is_open:
            continue  # not counted yet
        shown = [(r.answered, {o: n for o, n in r.counts.items() if n}) for r in state.rounds]
        counted = [(answered, counts) for _, answered, counts in recount.tallies(poll)]
        if shown != counted:
            yield f"poll {poll} shows {shown}, and its votes give {counted}"


def _erased(lecture: Lecture, keys: Keys) -> Iterator[str]:
    """What was erased is gone, nothing else is, and nobody can see the difference."""
    events, appended, epoch = lecture.events, lecture.disk.appended, lecture.room.record.epoch
    if [(e.offset, e.chain) for e in events] != [(e.offset, e.chain) for e in appended]:
        yield "the log is another one than was appended"
        return
    due: set[int] = set()
    room = Room(epoch, activities(), keys)
    for event in appended:
        if event.kind == "person_erased":
            due.update(texts_of(room, msgspec.json.decode(event.body)["person"]))
        apply(room, event)
    bare = {event.offset for event in events if not event.body}
    if bare != due:
        yield f"the bodies of {sorted(bare)} are erased; due were {sorted(due)}"
    again = Room(epoch, activities(), keys)
    for event in events:
        apply(again, event)
    for reader in lecture.readers:
        if frozen(room_view.snapshot(room, reader.reader)) != frozen(room_view.snapshot(again, reader.reader)):
            yield f"{reader.who} is shown something else after the log was folded again"


def _told(reader: Reader, events: list[Event]) -> Iterator[str]:
    """Acks are in the log, once, where they say; refusals are not; nobody is there twice, and nothing is made up."""
    actor = reader.connection.actor
    by_ref = {event.ref: event for event in events if event.actor == actor}
    for ref, offset in reader.acks:
        event = by_ref.get(ref)
        if event is None or event.offset != offset:
            yield f"{reader.who} was told that {ref} is at {offset}; the log has {event and event.offset}"
    for ref, code in reader.refused.items():
        # A secret vote that comes again when its box was counted is told that nobody can look that up.
        if ref in by_ref and code != SecretPollClosed.code:
            yield f"{reader.who} was told that {ref} is refused ({code}); it is event {by_ref[ref].offset}"
    if actor.startswith("p_"):
        joined = sum(event.kind == "joined" for event in by_ref.values())
        if joined != 1:
            yield f"{reader.who} has joined {joined} times"
        for ref, event in by_ref.items():
            if event.kind != "joined" and ref not in reader.sent:
                yield f"event {event.offset} is by {reader.who}, who never sent {ref}"
    for before, after in reader.went_back:
        yield f"{reader.who} went back from {before} to {after}"


def _shown(readers: list[Reader], events: list[Event], epoch: str, keys: Keys) -> Iterator[str]:
    """Every replica was, at every position it ever stood at, what its reader may see there: no hole, nothing more."""
    room = Room(epoch, activities(), keys)
    for event in events:
        apply(room, event)
        for reader in readers:
            seen = reader.seen.get(event.offset)
            if seen is not None and seen != frozen(room_view.snapshot(room, reader.reader)):
                yield (
                    f"{reader.who} saw {seen.decode()} at {event.offset}; "
                    f"due was {frozen(room_view.snapshot(room, reader.reader)).decode()}"
                )
                return
    for reader in readers:
        beyond = [offset for offset in reader.seen if offset > len(events)]
        if beyond:
            yield f"{reader.who} stood at {beyond[0]}, and the log ends at {len(events)}"
