from __future__ import annotations

import stat
from pathlib import Path

import pytest

from wslive.eventlog.key_files import sync_folder, write_private


def test_a_file_is_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, bytes(range(32)))
    assert path.read_bytes() == bytes(range(32))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"somebody's")
    with pytest.raises(FileExistsError):
        write_private(path, b"other")
    assert path.read_bytes() == b"somebody's"


def test_a_folder_that_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "nowhere")
