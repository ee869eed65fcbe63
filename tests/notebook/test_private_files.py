import subprocess
import sys
import threading
from pathlib import Path

from wslive.notebook import private_files


def test_what_is_written_is_read_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    private_files.write(path, {"a": 1})
    assert private_files.read(path, dict[str, int]) == {"a": 1}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_missing_or_broken_file_is_no_content(tmp_path: Path) -> None:
    assert private_files.read(tmp_path / "none.json", dict[str, int]) is None
    (tmp_path / "broken.json").write_text("{")
    assert private_files.read(tmp_path / "broken.json", dict[str, int]) is None


def test_a_lock_keeps_other_processes_out_and_goes_with_its_holder(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    code = (
        "import sys; from pathlib import Path; from wslive.notebook import private_files\n"
        f"with private_files.locked(Path({str(lock)!r})): print('mine', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "mine\n"
    got_it = threading.Event()

    def take() -> None:
        with private_files.locked(lock):
            got_it.set()

    thread = threading.Thread(target=take)
    thread.start()
    assert not got_it.wait(0.2)
    holder.kill()
    thread.join(20)
    assert got_it.is_set()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()


def test_the_data_folder_is_for_its_owner_alone() -> None:
    assert private_files.data_folder().stat().st_mode & 0o777 == 0o700
