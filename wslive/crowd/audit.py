"""Whether the log holds what the ledger says: by SQL over the store, not by the code that wrote it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import msgspec

from wslive.audit.recount import Ballots, note_vote
from wslive.crowd.ledger import Entry
from wslive.crowd.model import SYNTHETIC

EVENT_OF = {"cast_vote": "vote_cast", "retract_vote": "vote_retracted", "say": "line_said"}
"""The event that each command of a crowd becomes; in a secret poll it is sealed, and says neither what nor whose."""


@dataclass(frozen=True)
class Audit:
    """A comparison of ledger and log.

    Attributes:
        acked: Lines of the ledger.
        votes: Votes in the log, of the crowd's people; in secret polls of anybody, retractions included.
        lines: Chat lines in the log, of the crowd's people.
        ballots: Ballots that these votes leave, over all polls and rounds that are not secret.
        problems: What differs, a sentence each; empty: every line of the ledger is in the log exactly once at its
            offset, the log has nothing of these people beyond it, and both leave the same ballots.
    """

    acked: int
    votes: int
    lines: int
    ballots: int
    problems: tuple[str, ...]


def compare(ledger: Iterable[Entry], store: str | os.PathLike[str], room: str, *, unsettled: int = 0) -> Audit:
    """Compare a crowd's ledger with the log of its room.

    Args:
        ledger: What `read_ledger` gave.
        store: The SQLite file; the server may be running.
        room: The room's id.
        unsettled: How many commands may be in the log without being in the ledger.
    """
    entries = list(ledger)
    with closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA query_only = ON")
        rows: list[tuple[str, str, int, int, str, bytes]] = db.execute(
            "SELECT actor, ref, offset, activity, kind, body FROM events WHERE room = ? AND actor IN "
            "(SELECT actor FROM events WHERE room = ? AND kind = 'joined' AND json_extract(body, '$.name') LIKE ?) "
            "AND kind IN (SELECT value FROM json_each(?)) ORDER BY offset",
            (room, room, f"%{SYNTHETIC}", msgspec.json.encode(list(EVENT_OF.values())).decode()),
        ).fetchall()
        sealed = dict(db.execute("SELECT offset, activity FROM events WHERE room = ? AND kind = 'sealed'", (room,)))
    logged = [(actor, ref, offset, activity, kind, _decoded(body)) for actor, ref, offset, activity, kind, body in rows]
    secret = [e for e in entries if e.activity in sealed.values() and e.kind != "say"]
    entries_by_name = [e for e in entries if e not in secret] if secret else entries
    acked = [(e.actor, e.ref, e.offset, e.activity, EVENT_OF.get(e.kind, e.kind), e.body) for e in entries_by_name]
    problems = [*_missing(acked, logged), *_unsealed(secret, sealed)]
    known = {(actor, ref) for actor, ref, *_ in acked}
    beyond = [event for event in logged if event[:2] not in known]
    if len(sealed) - len(secret) > unsettled:
        problems.append(f"the log has {len(sealed)} sealed votes, the ledger {len(secret)} of secret polls")
    if len(beyond) > unsettled:
        problems += [
            f"event {offset}, {kind} by {actor}, is not in the ledger" for actor, _, offset, _, kind, _ in beyond
        ]
    if not beyond and _ballots(logged) != _ballots(acked):
        problems.append("the ballots differ")
    return Audit(
        acked=len(entries),
        votes=sum(kind == "vote_cast" for *_, kind, _ in logged) + len(sealed),
        lines=sum(kind == "line_said" for *_, kind, _ in logged),
        ballots=len(_ballots(logged)),
        problems=tuple(problems),
    )


_Fact = tuple[str, str, int, int, str, dict[str, Any]]


def _missing(acked: list[_Fact], logged: list[_Fact]) -> Iterable[str]:
    if len({(actor, ref) for actor, ref, *_ in acked}) < len(acked):
        yield "the ledger names a command twice"
    at = {event[2]: event for event in logged}
    for fact in acked:
        actor, ref, offset, _, kind, _ = fact
        if at.get(offset) != fact:
            yield f"the ledger has {kind} by {actor} ({ref}) at offset {offset}; the log has {at.get(offset)}"
    refs = [(actor, ref) for actor, ref, *_ in logged]
    if len(set(refs)) < len(refs):
        yield "the log holds a command twice"


def _unsealed(secret: list[Entry], sealed: dict[int, int]) -> Iterable[str]:
    if len({entry.offset for entry in secret}) < len(secret):
        yield "two secret votes of the ledger have one offset"
    for entry in secret:
        if sealed.get(entry.offset) != entry.activity:
            yield f"the ledger has a secret vote in poll {entry.activity} at offset {entry.offset}; the log has none"


def _ballots(facts: list[_Fact]) -> Ballots:
    found: Ballots = {}
    for actor, _, _, activity, kind, body in sorted(facts, key=lambda fact: fact[2]):
        note_vote(found, actor, activity, kind, body)
    return found


def _decoded(body: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(body)
    return decoded
