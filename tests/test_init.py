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
