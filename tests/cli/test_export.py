from __future__ import annotations

import codecs
import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.audit.stores import CODE, alter, stored
from tests.eventlog.events import a_record
from tests.recorded import a_lecture
from wslive.cli import main
from wslive.eventlog.sqlite import SqliteLog


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with a room in which everything has happened."""
    return await stored(a_lecture(), tmp_path / "wslive.db")


def export(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["export", *map(str, words)], prog_name="wslive")
    return result.exit_code, result.output


def test_the_only_room_needs_no_code(store: Path):
    code, told = export(store)
    assert code == 0
    assert len([json.loads(line) for line in told.splitlines()]) == len(a_lecture().log)
    assert export(store, "--room", CODE) == (0, told)


async def test_of_several_rooms_one_has_to_be_named(store: Path):
    log = await SqliteLog.open(store)
    await log.create(a_record("room-2", "BBBBBB", created_at_ms=2))
    await log.close()
    assert export(store) == (2, "Error: Say which room with --room; the store has AAAAAA, BBBBBB.\n")
    assert export(store, "--room", "ZZZZZZ") == (2, "Error: The store has no room ZZZZZZ.\n")


def test_a_table_goes_into_a_file(store: Path, tmp_path: Path):
    target = tmp_path / "ballots.csv"
    code, told = export(store, "--what", "ballots", "--format", "csv", "--names", "-o", target)
    assert code == 0
    header, *rows = csv.reader(io.StringIO(target.read_text("utf-8-sig")))
    assert target.read_bytes().startswith(codecs.BOM_UTF8)
    assert header == ["poll", "question", "round", "participant", "name", "choice", "cast_at"]
    assert told == f"{len(rows)} ballots written to {target}\n"
    code, told = export(store, "-o", tmp_path / "nowhere" / "x")
    assert code == 1
    assert "Could not open file" in told


@pytest.mark.parametrize("what", ["events", "ballots"])
def test_a_log_that_cannot_be_understood_is_a_sentence(store: Path, what: str):
    alter(store, "UPDATE events SET body = x'7b' WHERE offset = 6")
    code, told = export(store, "--what", what)
    assert code == 2
    assert told.startswith(f"Error: The log of room {CODE} cannot be understood (")
