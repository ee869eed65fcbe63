import subprocess
import sys
from importlib.metadata import version

import pytest

import wslive


def test_every_public_name_is_there_and_listed() -> None:
    assert set(wslive.__all__) <= set(dir(wslive))
    for name in wslive.__all__:
        assert getattr(wslive, name) is not None


def test_errors_are_found_by_their_names() -> None:
    assert issubclass(wslive.errors.PollClosed, wslive.errors.WsliveError)


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(AttributeError, match="'wslive' has no attribute 'pool'"):
        _ = wslive.pool


def test_to_import_it_loads_nothing_that_is_not_needed_yet() -> None:
    # No time is asked for here; what would cost it is known.
    code = "import sys; before = set(sys.modules); import wslive; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert {name.partition(".")[0] for name in loaded} & {
        "tornado",
        "msgspec",
        "ipywidgets",
        "email",
        "zipfile",
    } == set()


def test_the_version_is_that_of_the_package() -> None:
    assert wslive.__version__ == version("wslive")
