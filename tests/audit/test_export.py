from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.audit.stores import CODE, stored
from tests.recorded import a_lecture, a_secret_lecture, an_erased_lecture
from tests.small_room import HOST, SmallRoom, person
from wslive.audit.export import KINDS, as_csv, as_jsonl, export, rooms
from wslive.audit.store import verify
from wslive.core.errors import RoomUnavailable

NAMES = ("Ada", "Eve", "Robert", "Guest 2")


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with a room in which everything has happened."""
    return await stored(a_lecture(), tmp_path / "wslive.db")


@pytest.mark.parametrize("what", KINDS)
def test_no_name_is_told_unless_asked_for(store: Path, what: str):
    told = as_jsonl(export(store, CODE, what, names=False))
    assert not [name for name in NAMES if name in told]
    assert "Ada" in as_jsonl(export(store, CODE, what, names=True))


@pytest.mark.parametrize("what", KINDS)
def test_no_ref_is_told(store: Path, what: str):
    told = as_jsonl(export(store, CODE, what, names=True))
    assert not [event.ref for event in a_lecture().log if f'"{event.ref}"' in told]


def test_events_are_the_log(store: Path):
    rows = export(store, CODE, "events", names=True)
    log = a_lecture().log
    assert [(row["offset"], row["kind"], row["actor"]) for row in rows] == [(e.offset, e.kind, e.actor) for e in log]
    assert [row["body"] for row in rows] == [json.loads(event.body) for event in log]
    assert rows[0]["at"] == "2023-11-14T22:13:20.000+00:00"


def test_ballots_are_those_that_count(store: Path):
    rows = export(store, CODE, "ballots", names=True)
    recount = verify(store).rooms[0].recount
    expected = {
        (poll, number): sum(counts.values())
        for poll in recount.polls
        for number, _, counts in recount.tallies(poll)
        if counts
    }
    found: dict[tuple[int, int], int] = {}
    for row in rows:
        found[row["poll"], row["round"]] = found.get((row["poll"], row["round"]), 0) + 1
    assert found == expected
    assert {"participant": "p_eve", "name": "Eve 🎉", "choice": "Merge", "round": 2}.items() <= next(
        row for row in rows if row["round"] == 2
    ).items()


def test_lines_and_people_are_as_the_host_sees_them(store: Path):
    lines = export(store, CODE, "lines", names=True)
    assert [(row["name"], row["text"]) for row in lines][:2] == [("Ada", "hello"), ("Eve 🎉", "rude")]
    assert [row["hidden"] for row in lines][:2] == [False, True]
    assert ("Host", "so is everybody") in [(row["name"], row["text"]) for row in lines]
    people = export(store, CODE, "people", names=True)
    assert [(row["name"], row["removed"]) for row in people] == [("Ada", False), ("Robert", False), ("Eve 🎉", True)]


@pytest.mark.parametrize("what", KINDS)
async def test_whoever_was_erased_is_in_no_export(tmp_path: Path, what: str):
    store = await stored(an_erased_lecture(), tmp_path / "wslive.db")
    told = as_jsonl(export(store, CODE, what, names=True))
    assert "Robert" not in told
    assert "I am lost" not in told


async def test_a_cell_that_a_spreadsheet_would_calculate_is_inert(tmp_path: Path):
    small = SmallRoom()
    small.join("p_ada", "=1+1")
    for text in ('=HYPERLINK("http://example.org")', "+A1", "-1", "＠SUM(A1)", 'a "quoted", line', "a;=1+1", "-"):
        small.send(person("p_ada"), "say", 2, text=text)
    small.send(HOST, "say", 2, text="plain")
    store = await stored(small, tmp_path / "wslive.db")
    rows = [*csv.DictReader(io.StringIO(as_csv(export(store, CODE, "lines", names=True))))]
    assert [row["text"] for row in rows] == [
        '\'=HYPERLINK("http://example.org")',
        "'+A1",
        "-1",
        "'＠SUM(A1)",
        'a "quoted", line',
        "a;=1+1",
        "'-",
        "plain",
    ]
    assert rows[0]["name"] == "'=1+1"
    events = as_csv(export(store, CODE, "events", names=False))
    assert not [line for line in csv.reader(io.StringIO(events)) if [cell for cell in line if cell[:1] in ("=", "+")]]


async def test_a_room_without_rows_is_an_empty_table(tmp_path: Path):
    store = await stored(SmallRoom(), tmp_path / "wslive.db")
    assert as_csv(export(store, CODE, "ballots", names=True)) == ""
    assert as_jsonl(export(store, CODE, "ballots", names=True)) == ""


def test_a_room_is_found_as_people_type_its_code(store: Path):
    assert rooms(store) == [CODE]
    assert export(store, "aaa-aaa", "people", names=False) == export(store, CODE, "people", names=False)
    with pytest.raises(RoomUnavailable, match="no room ZZZZZZ"):
        export(store, "ZZZZZZ", "people", names=False)


async def test_votes_of_a_secret_poll_are_of_nobody(tmp_path: Path):
    store = await stored(a_secret_lecture(), tmp_path / "wslive.db")
    rows = export(store, CODE, "ballots", names=True)
    assert {(row["participant"], row["name"], row["cast_at"]) for row in rows} == {(None, None, None)}
    first = [(row["round"], row["choice"]) for row in rows if row["poll"] == rows[0]["poll"]]
    assert first == [(1, "Ada"), (1, "Bob"), (2, "Bob"), (2, "Bob"), (3, "nobody")]
    assert as_csv(rows).splitlines()[1].endswith(',"1","","","Ada",""')
    events = export(store, CODE, "events", names=True)
    assert not {row["actor"] for row in events if row["kind"] == "sealed"} & {"p_ada", "p_bob", "p_eve"}
