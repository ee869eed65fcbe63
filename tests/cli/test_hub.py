"""The options of `wslive serve` for JupyterHub; tests/end_to_end/test_hub_service.py runs the command on a real hub."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from wslive.cli import additions, main
from wslive.cli.hub import WHAT_FOR, Hub
from wslive.core.errors import BadCommand
from wslive.server.settings import ServerSettings


def options(*arguments: str) -> Hub | None:
    """What a command with these arguments wishes.

    Raises:
        ClickException: They do not fit together.
    """
    found: list[Hub | None] = []

    @click.command()
    @Hub.may_be_asked_of
    def command(**given: object) -> None:
        found.append(Hub.taken_from(given))
        assert given == {}

    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return found[0]


@pytest.fixture
def started_by_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:8766")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/hub-1/services/wslive/")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "a token")


def test_without_a_word_of_it_nothing_is_wished() -> None:
    assert options() is None


def test_a_hub_with_groups_of_hosts() -> None:
    wanted = ["--hub", "--hosts-group", "lecturers", "--hosts-group", "tutors", "--recheck", "60"]
    assert options(*wanted) == Hub(True, ("lecturers", "tutors"), 60.0)


def test_groups_without_a_hub_are_a_mistake() -> None:
    with pytest.raises(click.UsageError, match=WHAT_FOR):
        options("--hosts-group", "lecturers")


@pytest.mark.parametrize("other", [["--anyone-may-host"], ["--own"], ["--allow-origin", "https://a.example"]])
def test_what_would_open_more_than_the_hub_does_is_refused(other: list[str]) -> None:
    done = CliRunner().invoke(main, ["serve", "--hub", *other])
    assert done.exit_code == 2
    assert f"--hub does not go with {other[0]}" in done.output


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additions, "find_spec", lambda name: None)
    with pytest.raises(click.ClickException) as refused:
        options("--hub")
    assert refused.value.message == "For --hub install the extra: pip install 'wslive[hub]'"


def test_the_hub_says_where_to_listen_and_nothing_is_left_open(started_by_a_hub: None) -> None:
    settings = Hub(True, (), 60.0).settings(ServerSettings(hosting_token="of somebody's environment"))
    assert (settings.host, settings.port, settings.base_path) == ("127.0.0.1", 8766, "/hub-1/services/wslive")
    assert settings.hosting_token is None
    assert not settings.may_open_network
    assert settings.vouch_interval_s == 60.0
    assert settings.idle_http_s == 3600.0, "longer than the hub's proxy leaves a connection unused"


def test_started_by_hand_it_says_who_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTERHUB_SERVICE_URL", raising=False)
    with pytest.raises(BadCommand, match="services"):
        Hub(True, (), 60.0).settings(ServerSettings())


def test_a_hub_without_hosts_says_so_at_its_start() -> None:
    assert "nobody may open rooms" in Hub(True, (), 60.0).greeting("http://127.0.0.1:8766/services/wslive")
    assert "members of lecturers may" in Hub(True, ("lecturers",), 60.0).greeting("http://127.0.0.1:8766")
