"""What `wslive verify` prints, and what it returns to a shell."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.audit.stores import alter, keep, stored
from tests.recorded import a_lecture, a_secret_lecture
from tests.small_room import SmallRoom
from wslive.cli import main


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with a room in which everything has happened."""
    return await stored(a_lecture(), tmp_path / "wslive.db")


def verify(store: Path) -> tuple[int, str]:
    """Run the command in this process."""
    result = CliRunner().invoke(main, ["verify", str(store)], prog_name="wslive")
    return result.exit_code, result.output


def test_what_was_checked_is_told(store: Path):
    code, told = verify(store)
    assert code == 0
    head = a_lecture().room.head
    assert "Room AAAAAA  'Sorting 101 – Łódź'" in told
    assert f"  {head.offset} events, head {head.offset}:{head.position.chain}\n" in told
    assert "offsets without a gap, bodies and chain sound, every ref once" in told
    assert "  poll 7  'Which sort is stable?': 5 votes\n" in told
    assert "    round 1: 2 answered: 'Quick' 0, 'Merge' 1, 'Heap' 1\n" in told
    assert "    round 2: 1 answered: 'Quick' 0, 'Merge' 1, 'Heap' 0\n" in told
    assert told.endswith(f"Checked 1 room, {head.offset} events, 5 polls: nothing differs.\n")


async def test_that_the_checkpoint_was_compared_is_told(store: Path):
    assert "checkpoint" not in verify(store)[1]
    room = a_lecture().room
    await keep(store, room)
    code, told = verify(store)
    assert code == 0
    assert f"  the checkpoint is what the log comes to at event {room.head.offset}\n" in told


def test_a_difference_is_told_with_its_place_and_the_exit_code_is_1(store: Path):
    alter(store, "UPDATE events SET actor = 'p_eve' WHERE offset = 9")
    code, told = verify(store)
    assert code == 1
    assert "  DIFFERS  event 9, vote_cast by p_eve: the chain breaks here" in told
    assert "every ref once" not in told
    assert "NOT what was acknowledged" in told


def test_a_store_that_is_not_there_is_told_in_a_sentence_and_the_exit_code_is_2(tmp_path: Path):
    code, told = verify(tmp_path / "none.db")
    assert code == 2
    assert told.startswith("Error: There is no store ")


async def test_of_secret_polls_it_is_told_what_can_be(tmp_path: Path):
    code, told = verify(await stored(a_secret_lecture(), tmp_path / "over.db"))
    assert code == 0
    assert ": 8 votes, secret: sealed, and counted by the server alone when it closes\n" in told
    assert "    round 1: 2 answered: 'Ada' 1, 'Bob' 1, 'nobody' 0\n" in told
    small = SmallRoom()
    ada = small.join("p_ada")
    small.vote(ada, small.poll(secret=True), "o1")
    code, told = verify(await stored(small, tmp_path / "open.db"))
    assert code == 0
    assert "    round 1: open; 1 person has put something in\n" in told
