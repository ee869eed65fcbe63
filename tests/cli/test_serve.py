"""What a server says when it starts; tests/end_to_end/test_serve.py runs it."""

from pathlib import Path

import pytest

from wslive.cli.serve import MEMORY, _greeting, _remembered
from wslive.core.events import Head
from wslive.eventlog.base import RoomRecord
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

STORE = "/home/ada/wslive.db"


async def greeting(*, rooms: int = 0, ended: int = 0, place: str = STORE, **settings: object) -> list[str]:
    """What a server with these settings would say; nothing listens."""
    log = MemoryLog()
    for number in range(rooms + ended):
        record = RoomRecord(f"room{number}", f"CODE{number}", Head("e").epoch, b"", 0)
        await log.create(record)
        if number < ended:
            await log.end(record.room, 1)
    server = Server(ServerSettings(**settings), log)  # type: ignore[arg-type]
    return (await _greeting(server, place, log, [])).splitlines()


async def test_on_loopback_it_says_that_only_this_computer_can_join():
    told = await greeting()
    assert told[0].endswith("is running at http://127.0.0.1:8765")
    assert told[1] == f"Answers are kept in {STORE}"
    assert '    room = wslive.host("Sorting 101", server="http://127.0.0.1:8765")' in told
    assert any("Only this computer can join" in line for line in told)
    assert told[-1] == "Ctrl-C ends the server."


async def test_on_all_addresses_it_says_which_others_can_use(monkeypatch: pytest.MonkeyPatch):
    # What addresses this computer has is its own affair.
    monkeypatch.setattr(Server, "audience_urls", property(lambda server: ["http://192.0.2.7:8765"]))
    told = await greeting(host="0.0.0.0")
    assert told[1] == "Others reach it at http://192.0.2.7:8765"
    assert not any("Only this computer" in line for line in told)
    assert any("WSLIVE_HOST_TOKEN" in line for line in told)
    # On this computer the local address is right: there the hosting token is found.
    assert any('server="http://127.0.0.1:8765"' in line for line in told)
    monkeypatch.setattr(Server, "audience_urls", property(lambda server: []))
    assert (await greeting(host="0.0.0.0"))[1] == "This computer has no address that others reach."


async def test_where_anyone_may_host_no_token_is_asked_for():
    told = await greeting(host="0.0.0.0", anyone_may_host=True)
    assert not any("WSLIVE_HOST_TOKEN" in line for line in told)


async def test_it_counts_the_rooms_that_it_takes_up():
    assert (await greeting(rooms=1))[1].endswith("with 1 open room")
    assert (await greeting(rooms=2, ended=3))[1].endswith("with 2 open rooms")


async def test_without_a_store_it_says_what_that_means():
    assert "they are gone when this server ends" in (await greeting(place=MEMORY))[1]


@pytest.mark.parametrize(("content", "port"), [("8123", 8123), ("", 0), ("no port", 0), (None, 0)])
def test_the_own_servers_port_is_remembered(tmp_path: Path, content: str | None, port: int):
    if content is not None:
        (tmp_path / "own.port").write_text(content)
    assert _remembered(tmp_path / "own.port") == port
