from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.audit.stores import CODE, ROOM, stored
from tests.recorded import a_lecture
from wslive.audit.store import verify
from wslive.cli import main
from wslive.eventlog.sqlite_store import Store
from wslive.server.rooms.box_keys import BoxKeys


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with a room in which everything has happened."""
    return await stored(a_lecture(), tmp_path / "wslive.db")


def erase(*words: object, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(main, ["erase", *map(str, words)], input=answer, prog_name="wslive")
    return result.exit_code, result.output


def content(store: Path) -> bytes:
    return b"".join(path.read_bytes() for path in store.parent.iterdir())


@pytest.mark.parametrize("person", ["p_bob", "Robert"])
def test_a_person_is_gone_from_every_file_and_the_chain_verifies(store: Path, person: str):
    assert b"Robert" in content(store)
    assert b"I am lost" in content(store)
    before = verify(store).rooms[0]
    code, told = erase(store, "--room", CODE, "--person", person, "--yes")
    assert (code, told.startswith("What p_bob had written is gone; event ")) == (0, True)
    assert b"Robert" not in content(store)
    assert b"I am lost" not in content(store)
    report = verify(store)
    assert report.is_sound
    assert report.rooms[0].people_erased == 1
    for poll in before.recount.polls:
        assert [*report.rooms[0].recount.tallies(poll)] == [*before.recount.tallies(poll)]
    told = CliRunner().invoke(main, ["verify", str(store)]).output
    assert "bodies erased, of 1 person)" in told


def test_somebody_who_was_sent_out_can_be_erased(store: Path):
    assert erase(store, "--room", CODE, "--person", "Eve 🎉", "--yes")[0] == 0
    assert b"Eve" not in content(store)
    assert verify(store).is_sound


def test_a_room_is_gone_from_every_file(store: Path):
    assert erase(store, "--room", CODE.lower(), "--whole-room", "--yes") == (0, f"Room {CODE.lower()} is gone.\n")
    left = content(store)
    assert not [word for word in (b"Robert", b"hello", b"Which sort is stable?", b"p_ada") if word in left]
    assert verify(store).rooms == []


def test_by_a_link_to_the_store_the_keys_of_its_secret_polls_are_found(store: Path, tmp_path: Path):
    keys = BoxKeys(store.with_name("wslive.db.boxes"))
    keys.make(ROOM, (4, "1"))
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(store)
    assert erase(link, "--room", CODE, "--whole-room", "--yes")[0] == 0
    assert keys.rooms() == set()
    assert [path.name for path in link.parent.iterdir()] == ["link.db"]


def test_it_is_asked_whether_that_is_meant(store: Path):
    code, told = erase(store, "--room", CODE, "--whole-room", answer="n\n")
    assert (code, "It cannot be undone. [y/N]" in told) == (1, True)
    assert len(verify(store).rooms) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--person", "Nobody"], "Nobody called 'Nobody' was in this room"),
        ([], "Say whom to erase with --person"),
        (["--person", "Ada", "--whole-room"], "Say whom to erase with --person"),
    ],
)
def test_what_cannot_be_is_told(store: Path, words: list[str], sentence: str):
    code, told = erase(store, "--room", CODE, "--yes", *words)
    assert code == 2
    assert sentence in told


def test_a_store_in_use_is_left_alone(store: Path):
    held = Store(store)
    code, told = erase(store, "--room", CODE, "--whole-room", "--yes")
    held.release()
    assert code == 2
    assert "Stop it first; or let the room's host do it in a notebook" in told
    assert len(verify(store).rooms) == 1
