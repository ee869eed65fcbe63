from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from tests.audit.stores import CODE, alter, stored
from tests.recorded import a_lecture
from wslive.cli import main


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [*map(str, words)], prog_name="wslive")
    return result.exit_code, result.output


async def test_the_copy_and_its_check_are_told(tmp_path: Path):
    store = await stored(a_lecture(), tmp_path / "wslive.db")
    head = a_lecture().room.head
    code, told = run("backup", store, tmp_path / "copy.db")
    assert code == 0
    assert f"1 room, {head.offset} events." in told
    assert f"  room {CODE}, head {head.offset}:{head.position.chain}\n" in told
    assert told.endswith("The copy was checked: nothing differs.\n")


async def test_an_existing_file_is_an_error_in_one_sentence(tmp_path: Path):
    store = await stored(a_lecture(), tmp_path / "wslive.db")
    code, told = run("backup", store, store)
    assert code == 2
    assert told == f"Error: {store} is there already, and a backup overwrites nothing. Choose another name.\n"


async def test_a_damaged_store_has_the_exit_code_1(tmp_path: Path):
    store = await stored(a_lecture(), tmp_path / "wslive.db")
    alter(store, "UPDATE events SET body = x'7b7d' WHERE offset = 6")
    code, told = run("backup", store, tmp_path / "copy.db")
    assert code == 1
    assert "The copy is as damaged as the store" in told
