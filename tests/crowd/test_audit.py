"""Whether the comparison of ledger and log would notice."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.crowd.lecture import Lecture
from wslive.client.connection import Connection
from wslive.crowd.audit import compare
from wslive.crowd.ledger import Entry, read_ledger


@pytest.fixture
async def told(lecture: Lecture) -> tuple[list[Entry], Path, str]:
    """A ledger, a store and a room that agree."""
    poll = await lecture.ask()
    crowd = lecture.crowd(6)

    async def stop_when_there_is_enough() -> None:
        await lecture.host.changed(
            lambda view: lecture.poll(poll)["tally"]["answered"] >= 3 and len(view["activities"]["2"]["lines"]) >= 2,
            timeout_s=60,
        )
        crowd.stop()

    await asyncio.gather(crowd.run(), stop_when_there_is_enough())
    entries = read_ledger(lecture.ledger)
    assert compare(entries, lecture.store, lecture.room).problems == ()
    return entries, lecture.store, lecture.room


Told = tuple[list[Entry], Path, str]


@pytest.mark.parametrize(
    "forge",
    [
        lambda entry: msgspec.structs.replace(entry, offset=entry.offset + 1),
        lambda entry: msgspec.structs.replace(entry, actor="p_other"),
        lambda entry: msgspec.structs.replace(entry, ref="other"),
        lambda entry: msgspec.structs.replace(entry, activity=99),
        lambda entry: msgspec.structs.replace(entry, body={"round": 1, "options": ["o9"]}),
    ],
)
async def test_an_ack_that_the_log_does_not_hold_is_found(told: Told, forge: Callable[[Entry], Entry]):
    entries, store, room = told
    assert compare([forge(entries[0]), *entries[1:]], store, room).problems != ()


async def test_an_ack_that_is_there_twice_is_found(told: Told):
    entries, store, room = told
    assert "the ledger names a command twice" in compare([*entries, entries[0]], store, room).problems


async def test_an_event_without_an_ack_is_found_unless_it_may_be_there(told: Told):
    entries, store, room = told
    assert compare(entries[1:], store, room).problems != ()
    assert compare(entries[1:], store, room, unsettled=1).problems == ()


async def test_a_vote_that_was_changed_in_the_store_is_found(told: Told):
    entries, store, room = told
    with closing(sqlite3.connect(store)) as db, db:
        db.execute(
            "UPDATE events SET body = ? WHERE offset = (SELECT min(offset) FROM events WHERE kind = 'vote_cast')",
            (b'{"round":1,"options":["o9"]}',),
        )
    problems = compare(entries, store, room).problems
    assert "the ballots differ" in problems
    assert len(problems) == 2


async def test_what_people_who_are_not_of_the_crowd_do_is_left_out(lecture: Lecture, told: Told):
    entries, store, room = told
    ada = Connection(lecture.server.url, lecture.host.code, name="Ada")
    await ada.open()
    await ada.command(2, "say", {"text": "I am real."})
    await ada.close()
    assert compare(entries, store, room).problems == ()


async def test_secret_votes_are_found_by_their_place_and_number(lecture: Lecture):
    poll = await lecture.ask(secret=True)
    crowd = lecture.crowd(6)

    async def stop_when_there_is_enough() -> None:
        await lecture.host.changed(lambda view: lecture.poll(poll)["tally"]["answered"] >= 3, timeout_s=60)
        crowd.stop()

    await asyncio.gather(crowd.run(), stop_when_there_is_enough())
    entries = read_ledger(lecture.ledger)
    audit = compare(entries, lecture.store, lecture.room)
    assert audit.problems == ()
    votes = [entry for entry in entries if entry.activity == poll]
    assert audit.votes == len(votes) >= 3
    moved = msgspec.structs.replace(votes[0], offset=poll)
    others = [entry for entry in entries if entry is not votes[0]]
    assert "the log has none" in compare([moved, *others], lecture.store, lecture.room).problems[0]
    assert "sealed votes" in compare(others, lecture.store, lecture.room).problems[0]
