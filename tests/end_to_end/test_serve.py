"""`wslive serve` as people run it."""

import asyncio
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.client.rooms import Soon, texts
from tests.end_to_end.servers import ServeProcess, environment, fails, folders
from wslive.client.connection import Connection, Status
from wslive.client.http import fetch, fetch_json
from wslive.core.errors import HostingNotAllowed
from wslive.server import discovery


async def test_it_says_where_it_is_how_to_host_and_where_answers_are_kept(tmp_path: Path):
    async with ServeProcess(tmp_path, "--port", "0") as server:
        told = "\n".join(server.greeting)
        assert server.greeting[0] == f"wslive 0.1.0 is running at {server.url}"
        assert f"Answers are kept in {tmp_path / 'wslive.db'}" in told
        assert f'room = wslive.host("Sorting 101", server="{server.url}")' in told
        assert "Only this computer can join" in told
        assert "--host 0.0.0.0" in told
        assert await fetch_json(server.url, "/health") == {"status": "alive"}


async def test_behind_a_proxy_it_says_the_public_address(tmp_path: Path):
    async with ServeProcess(tmp_path, "--port", "0", "--public-url", "https://live.example.org/") as server:
        told = "\n".join(server.greeting)
        assert "Others reach it at https://live.example.org\n" in told
        assert "WSLIVE_HOST_TOKEN" in told
        assert "Only this computer" not in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_cleanly_and_takes_up_every_room_when_started_again(tmp_path: Path, number: signal.Signals):
    statuses: list[Status] = []
    reasons: list[str] = []

    def note(status: Status) -> None:
        statuses.append(status)
        if status is Status.AWAY:
            reasons.append(str(ada.last_error))

    async with ServeProcess(tmp_path, "--port", "0") as server:
        room = await server.open_room()
        ada = Connection(server.url, room["code"], name="Ada", rng=Soon(), on_status=note)
        await ada.open()
        offset = await ada.command(2, "say", {"text": "kept"})
        assert await server.end(number) == (
            0,
            "Ending: telling everybody who is connected …\n"
            "The server has ended. Every answer that was counted is kept.\n",
            "",
        )
    async with ServeProcess(tmp_path, "--port", str(server.port)) as again:
        assert again.url == server.url
        assert f"Answers are kept in {tmp_path / 'wslive.db'}, with 1 open room" in again.greeting
        # Ada comes back by herself, is who she was, and what was acknowledged is there.
        assert await ada.command(2, "say", {"text": "again"}, timeout_s=60) > offset
        assert texts(ada) == ["kept", "again"]
        assert ada.replica.view["people"]["count"] == 1
        assert statuses == [Status.LIVE, Status.AWAY, Status.LIVE]
        assert reasons == ["The server is going down or restarting; come back in a moment."]
        await ada.close()


async def test_what_it_keeps_is_readable_by_its_owner_alone(tmp_path: Path):
    async with ServeProcess(tmp_path, "--port", "0") as server:
        await server.open_room()
        for file in files(tmp_path):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_in_memory_nothing_is_kept_and_it_says_so(tmp_path: Path):
    async with ServeProcess(tmp_path, "--port", "0", "--store", ":memory:") as server:
        assert "Answers are kept in memory only: they are gone when this server ends." in server.greeting
        await server.open_room()
        code, out, err = await server.end()
    assert (code, out, err) == (0, "Ended.\n", "")
    assert files(tmp_path) == []


async def test_notebooks_of_the_same_user_find_it_while_it_runs(tmp_path: Path):
    with environment(folders(tmp_path)):
        async with ServeProcess(tmp_path, "--port", "0") as server:
            [found] = discovery.found()
            assert (found.url, found.pid, found.own) == (server.url, server.process.pid, False)
            assert found.hosting_token == ServeProcess.TOKEN
            await server.end()
            assert list(discovery.folder().iterdir()) == []
        async with ServeProcess(tmp_path, "--port", "0") as server:
            await server.end(signal.SIGKILL)
            assert discovery.found() == []


async def test_without_the_hosting_token_nobody_hosts_unless_anyone_may(tmp_path: Path):
    wish = {"method": "POST", "body": {"title": "Mine"}}
    async with ServeProcess(tmp_path, "--port", "0", "--store", ":memory:") as server:
        with pytest.raises(HostingNotAllowed):
            await fetch_json(server.url, "/api/rooms", **wish)
    async with ServeProcess(tmp_path, "--port", "0", "--store", ":memory:", "--anyone-may-host") as server:
        assert (await fetch_json(server.url, "/api/rooms", **wish))["code"]


async def test_pages_of_other_sites_connect_only_where_allowed(tmp_path: Path):
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    allowed, other = "https://lab.example.org", "https://other.example.org"
    async with ServeProcess(tmp_path, "--port", "0", "--store", ":memory:", "--allow-origin", allowed) as server:
        url = f"ws{server.url[4:]}/ws"
        async with connect(url, origin=allowed, subprotocols=["wslive.v1"]):
            pass
        with pytest.raises(InvalidStatus, match="403"):
            async with connect(url, origin=other, subprotocols=["wslive.v1"]):
                pass


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_port_in_use_is_named_with_a_way_out(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert await fails(tmp_path, "--port", str(port)) == (
            f"Error: Port {port} is taken by another program. Choose another one with --port, or --port 0 to take any "
            "free one."
        )
        assert files(tmp_path) == []


async def test_a_port_of_another_wslive_server_leads_to_that_one(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with ServeProcess(tmp_path / "one", "--port", "0") as server:
        assert await fails(tmp_path / "two", "--port", str(server.port)) == (
            f"Error: Another wslive server is running there: {server.url}. Use it, or choose another port with --port."
        )
        assert files(tmp_path / "two") == []


async def test_a_store_in_use_is_named_with_its_holder(tmp_path: Path):
    async with ServeProcess(tmp_path, "--port", "0") as server:
        told = await fails(tmp_path, "--port", "0")
        assert told.startswith(f"Error: The store {tmp_path / 'wslive.db'} is held by another wslive server")
        assert f"process {server.process.pid}" in told


async def test_a_store_that_cannot_be_written_is_named(tmp_path: Path):
    assert "there is no folder" in await fails(tmp_path, "--port", "0", "--store", "nowhere/wslive.db")
    assert "is a folder" in await fails(tmp_path, "--port", "0", "--store", ".")


async def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path):
    async with ServeProcess(tmp_path, "--port", "0"):
        pass
    with closing(sqlite3.connect(tmp_path / "wslive.db")) as db, db:
        db.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    assert "newer version of wslive" in await fails(tmp_path, "--port", "0")


async def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("It was a dark and stormy night.\n" * 100)
    told = await fails(tmp_path, "--port", "0", "--store", "thesis.txt")
    assert "thesis.txt" in told
    assert (tmp_path / "thesis.txt").read_text().startswith("It was a dark")
    assert files(tmp_path) == [tmp_path / "thesis.txt"]


async def test_an_address_of_no_interface_is_named(tmp_path: Path):
    told = await fails(tmp_path, "--port", "0", "--host", "192.0.2.77")
    assert "192.0.2.77" in told


# ── the user's own server ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_users_own_server_has_the_same_port_and_rooms_every_time(tmp_path: Path):
    with environment(folders(tmp_path)):
        async with ServeProcess(tmp_path, "--own") as server:
            room = await server.open_room()
            [found] = discovery.found()
            assert found.own
            await server.end(signal.SIGTERM)
        async with ServeProcess(tmp_path, "--own") as again:
            assert again.url == server.url
            assert b"Sorting 101" in await fetch(again.url, f"/r/{room['code']}/about")
            await again.end()
        with socket.create_server(("127.0.0.1", server.port)):
            async with ServeProcess(tmp_path, "--own") as elsewhere:
                assert elsewhere.port != server.port
                assert b"Sorting 101" in await fetch(elsewhere.url, f"/r/{room['code']}/about")


async def test_the_users_own_server_ends_by_itself_when_nobody_needs_it(tmp_path: Path):
    impatient = "from wslive.cli import main, serve; serve.OWN_IDLE_END_S = 0.1; main(['serve', '--own'])"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", impatient),
        env={**os.environ, **folders(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert out.decode().endswith("The server has ended. Every answer that was counted is kept.\n")


# ── what it is made of ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_loads_nothing_that_only_notebooks_need():
    heavy = ("plotly", "ipywidgets", "anywidget", "pandas", "IPython", "rich")
    code = f"import sys, wslive.cli.serve; print([name for name in {heavy} if name in sys.modules])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"
