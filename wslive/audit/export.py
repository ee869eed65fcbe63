"""One room of a store, as rows for other programs. Without names unless they are asked for.

    events     the log as it stands; refs stay inside, for they are their senders' secrets
    ballots    one row a ballot that counts, or one for each of its options; of a secret poll that is over one a vote,
               of nobody and without its time
    lines      what was said and not erased
    people     who joined

A participant is told by an id that is the same in all rows and leads nowhere else.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from wslive.activities import activities
from wslive.audit.store import events_of, look_into
from wslive.core.csv_text import csv_text
from wslive.core.errors import LogError, RoomUnavailable, StoreCorrupt
from wslive.core.events import Event
from wslive.core.room import Room, replay

Row = dict[str, Any]


def rooms(store: str | os.PathLike[str]) -> list[str]:
    """The codes of all rooms in a store, oldest first.

    Raises:
        StoreUnwritable · StoreCorrupt · StoreTooNew: As for `verify`.
    """
    return look_into(store, lambda db: [code for code, _, _ in _rooms(db)])


def export(store: str | os.PathLike[str], code: str, what: str, *, names: bool) -> list[Row]:
    """The rows of one room.

    Args:
        store: The store; a server may be using it.
        code: The room's join code.
        what: One of `KINDS`.
        names: Whether to tell names.

    Raises:
        RoomUnavailable: The store has no such room.
        StoreUnwritable · StoreCorrupt · StoreTooNew: As for `verify`.
    """

    def look(db: sqlite3.Connection) -> list[Row]:
        wanted = "".join(code.upper().replace("-", " ").split())  # as people type it
        for found, room, epoch in _rooms(db):
            if found == wanted:
                try:
                    return list(KINDS[what](events_of(db, room), epoch, names))
                except (LogError, sqlite3.Error, UnicodeDecodeError):
                    raise
                except Exception as error:
                    raise StoreCorrupt(
                        f"The log of room {code} cannot be understood ({error}): `wslive verify` says where. "
                        "Restore the store from a backup."
                    ) from None
        raise RoomUnavailable(f"The store has no room {code}.")

    return look_into(store, look)


def as_jsonl(rows: Iterable[Row]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: list[Row]) -> str:
    """A header and a line a row; what is no single value is told as JSON."""
    if not rows:
        return ""
    return csv_text(rows[0], ([_single(value) for value in row.values()] for row in rows))


def _single(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _rooms(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    return db.execute("SELECT code, room, epoch FROM rooms ORDER BY created_at_ms, room").fetchall()


def _events(events: Iterable[Event], epoch: str, names: bool) -> Iterator[Row]:
    for event in events:
        body = msgspec.json.decode(event.body) if event.body else None
        if body is not None and not names and event.activity == 0 and event.kind in ("joined", "renamed"):
            del body["name"]
        yield {
            "offset": event.offset,
            "at": _time(event.at_ms),
            "actor": event.actor,
            "activity": event.activity,
            "kind": event.kind,
            "version": event.version,
            "body": body,
        }


def _ballots(events: Iterable[Event], epoch: str, names: bool) -> Iterator[Row]:
    room = replay(epoch, events, activities())
    for poll, state in room.of_kind("poll").items():
        texts = {option.id: option.text for option in state.options}
        for number, round in enumerate(state.rounds, 1):
            cast: list[tuple[str | None, str, int | None]] = [
                (actor, option, ballot.at_ms) for actor, ballot in round.ballots.items() for option in ballot.options
            ]
            if state.secret:
                cast = [(None, option, None) for option, votes in round.counts.items() for _ in range(votes)]
            for actor, option, at_ms in cast:
                yield {
                    "poll": poll,
                    "question": state.question,
                    "round": number,
                    "participant": actor,
                    **_name(room, actor, names),
                    "choice": texts.get(option, option),
                    "cast_at": None if at_ms is None else _time(at_ms),
                }


def _lines(events: Iterable[Event], epoch: str, names: bool) -> Iterator[Row]:
    room = replay(epoch, events, activities())
    for state in room.of_kind("chat").values():
        for line in state.lines.values():
            if not line.erased:
                yield {
                    "line": line.id,
                    "said_at": _time(line.at_ms),
                    "participant": line.by,
                    **_name(room, line.by, names),
                    "text": line.text,
                    "to_host": line.to_host,
                    "hidden": line.hidden,
                }


def _people(events: Iterable[Event], epoch: str, names: bool) -> Iterator[Row]:
    room = replay(epoch, events, activities())
    for actor, person in sorted(room.people.items(), key=lambda item: item[1].joined_at_ms):
        yield {
            "participant": actor,
            **_name(room, actor, names),
            "joined_at": _time(person.joined_at_ms),
            "removed": person.removed,
        }


KINDS: dict[str, Callable[[Iterable[Event], str, bool], Iterator[Row]]] = {
    "events": _events,
    "ballots": _ballots,
    "lines": _lines,
    "people": _people,
}


def _name(room: Room, actor: str | None, names: bool) -> Row:
    if not names:
        return {}
    if actor is None:
        return {"name": None}
    person = room.people.get(actor)
    return {"name": "Host" if person is None else person.name}


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
