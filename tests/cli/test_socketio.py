"""The options of `wslive serve` for Socket.IO; tests/end_to_end/test_socketio_serve.py runs the command."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from wslive.cli import additions
from wslive.cli.socketio import WHAT_FOR, SocketIo
from wslive.core.errors import BadCommand
from wslive.eventlog.memory import MemoryLog
from wslive.notebook import keys
from wslive.server.app import Server
from wslive.server.settings import ServerSettings


def options(*arguments: str) -> SocketIo | None:
    """What a command with these arguments wishes.

    Raises:
        ClickException: They do not fit together.
    """
    found: list[SocketIo | None] = []

    @click.command()
    @SocketIo.may_be_asked_of
    def command(**given: object) -> None:
        found.append(SocketIo.taken_from(given))
        assert given == {}

    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return found[0]


def test_without_a_word_of_it_nothing_is_wished():
    assert options() is None


def test_a_room_with_its_poll_and_the_clients_script(tmp_path: Path):
    script = tmp_path / "socket.io.js"
    script.touch()
    question = ["--socketio-room", "Tea?", "--socketio-option", "yes", "--socketio-option", "no"]
    assert options("--socketio", *question, "--socketio-client", str(script)) == SocketIo(
        True, "Tea?", ("yes", "no"), script
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--socketio-room", "Tea?"], WHAT_FOR),
        (["--socketio", "--socketio-option", "yes"], "--socketio-option needs the question"),
        (["--socketio", "--socketio-client", "nowhere.js"], "'nowhere.js' does not exist"),
    ],
)
def test_what_does_not_fit_together_is_told(arguments: list[str], told: str):
    with pytest.raises(click.UsageError) as refused:
        options(*arguments)
    assert told in refused.value.message


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(additions, "find_spec", lambda name: None)
    with pytest.raises(click.ClickException) as refused:
        options("--socketio")
    assert refused.value.message == "For --socketio install the extra: pip install 'wslive[socketio]'"


async def opened(wish: SocketIo) -> tuple[Server, list[str]]:
    """A server that was extended so, and what it says about it; nothing listens."""
    server = Server(ServerSettings(), MemoryLog(), [wish.extension()])
    return server, await wish.open_room(server)


async def test_without_a_room_clients_are_told_to_name_one():
    server, lines = await opened(SocketIo(True, None, (), None))
    assert lines == ["Socket.IO clients come in with io('http://127.0.0.1:8765?room=CODE')"]
    await server.stop()


async def test_a_room_that_was_made_can_be_hosted_from_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    server, lines = await opened(SocketIo(True, "Tea?", ("yes", "no"), None))
    [kept] = keys.hosted("http://127.0.0.1:8765")
    assert kept.title == "Tea?"
    assert lines == [
        "Socket.IO clients come in with io('http://127.0.0.1:8765'), to the room 'Tea?'.",
        f"Everybody else joins it at http://127.0.0.1:8765/r/{kept.code}",
        'To host it from a notebook of yours: wslive.host("Tea?", server="http://127.0.0.1:8765")',
    ]
    assert kept.host_key not in "".join(lines)
    await server.stop()


async def test_a_key_that_cannot_be_kept_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "file"))
    server, _ = await opened(SocketIo(True, "Tea?", (), None))
    assert "host key cannot be kept" in capsys.readouterr().err
    await server.stop()


async def test_a_code_that_no_room_has_is_told():
    wish = SocketIo(True, "K7M2QX", (), None)
    server = Server(ServerSettings(), MemoryLog(), [wish.extension()])
    with pytest.raises(BadCommand, match="There is no room with the code K7M2QX"):
        await wish.open_room(server)
    await server.stop()
