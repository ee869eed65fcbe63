import os
import stat
from pathlib import Path

import pytest

from wslive.core.secrecy import BoxId
from wslive.server.rooms.box_keys import BoxKeys, box_keys
from wslive.server.settings import ServerSettings

BOX: BoxId = (4, "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "wslive.db.boxes"


def names(keys: BoxKeys, room: str) -> dict[BoxId, str]:
    return {box: key.pseudonym("p_ada") for box, key in keys.load(room).items()}


def test_a_key_outlives_the_process_and_belongs_to_one_room(folder: Path) -> None:
    keys = BoxKeys(folder)
    made = {(4, "1"): keys.make("room1", (4, "1")), (4, "2"): keys.make("room1", (4, "2"))}
    keys.make("room2", BOX)
    assert names(BoxKeys(folder), "room1") == {box: key.pseudonym("p_ada") for box, key in made.items()}
    assert BoxKeys(folder).rooms() == {"room1", "room2"}


def test_only_its_owner_can_read_a_key(folder: Path) -> None:
    BoxKeys(folder).make("room1", BOX)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_destroyed_key_is_overwritten_and_gone(folder: Path, tmp_path: Path) -> None:
    keys = BoxKeys(folder)
    keys.make("room1", BOX)
    (file,) = folder.iterdir()
    os.link(file, tmp_path / "another-name")  # what is left on the disk
    keys.destroy("room1", BOX)
    assert (tmp_path / "another-name").read_bytes() == bytes(32)
    assert list(folder.iterdir()) == []
    assert keys.load("room1") == {}
    keys.destroy("room1", BOX)  # not there: no error


def test_all_keys_of_a_room_go_with_it(folder: Path) -> None:
    keys = BoxKeys(folder)
    for room in ("room1", "room2"):
        keys.make(room, (4, "1"))
        keys.make(room, (9, "3"))
    keys.destroy_all("room1")
    assert keys.rooms() == {"room2"}
    assert len(list(folder.iterdir())) == 2


def test_a_key_that_was_cut_short_was_never_used(folder: Path) -> None:
    keys = BoxKeys(folder)
    keys.make("room1", BOX)
    (file,) = folder.iterdir()
    file.write_bytes(b"short")
    assert keys.load("room1") == {}
    assert not file.exists()


def test_making_a_key_anew_replaces_what_lay_there(folder: Path) -> None:
    keys = BoxKeys(folder)
    first, second = keys.make("room1", BOX), keys.make("room1", BOX)
    assert first.pseudonym("p_ada") != second.pseudonym("p_ada")
    assert names(keys, "room1") == {BOX: second.pseudonym("p_ada")}


def test_other_files_in_the_folder_are_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "README").write_text("not a key")
    keys = BoxKeys(folder)
    assert keys.rooms() == set()
    keys.destroy_all("README")
    assert (folder / "README").exists()


@pytest.mark.parametrize("box", ["", "..", "a/b", "Ä", "a.b"])
def test_a_name_cannot_lead_out_of_the_folder(folder: Path, box: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        BoxKeys(folder).make("room1", (4, box))


def test_without_a_folder_they_are_in_memory() -> None:
    keys = BoxKeys(None)
    made = keys.make("room1", BOX)
    assert names(keys, "room1") == {BOX: made.pseudonym("p_ada")}
    assert (keys.rooms(), keys.load("room2")) == ({"room1"}, {})
    keys.destroy("room1", BOX)
    keys.make("room1", BOX)
    keys.destroy_all("room1")
    assert keys.rooms() == set()


def test_a_server_keeps_them_beside_the_key_that_signs_tokens(tmp_path: Path) -> None:
    keys = box_keys(ServerSettings(secret_path=tmp_path / "wslive.db.key"))
    keys.make("room1", BOX)
    assert [path.name for path in (tmp_path / "wslive.db.boxes").iterdir()] == ["room1.4.1"]
    assert box_keys(ServerSettings()).rooms() == set()
