from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.server.conftest import OpenHall
from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, Hall, Person, lines, open_poll
from wslive.core.errors import PortInUse, StoreUnwritable
from wslive.eventlog.memory import MemoryLog
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings
from wslive.wire.close_codes import CloseCode

# ── starting ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_has_a_port_of_its_own_and_says_where_it_is(hall: Hall):
    assert hall.server.port > 0
    assert hall.server.url == f"http://127.0.0.1:{hall.server.port}"
    assert hall.server.audience_urls == []
    assert hall.server.hosting_token.startswith("ht_")


async def test_a_server_that_listens_everywhere_is_here_too(open_hall: OpenHall):
    for host in ("", "::", "0.0.0.0"):
        hall = await open_hall(host=host)
        assert hall.server.url == f"http://127.0.0.1:{hall.server.port}"
        assert await hall.join()


@pytest.mark.skipif(not socket.has_ipv6, reason="this computer has no IPv6")
async def test_a_server_of_ipv6_is_joined_there(open_hall: OpenHall):
    hall = await open_hall(host="::1")
    assert hall.server.url == f"http://[::1]:{hall.server.port}"
    assert await hall.connect(origin=hall.server.url)
    assert await hall.join()


async def test_a_port_that_is_taken_is_told_with_what_to_do(hall: Hall):
    second = Server(ServerSettings(port=hall.server.port), MemoryLog())
    with pytest.raises(PortInUse, match=rf"Port {hall.server.port} is taken .* --port 0"):
        await second.start()
    await second.stop()
    assert await hall.join()


async def test_an_address_that_is_not_this_computers_is_told():
    server = Server(ServerSettings(host="192.0.2.1", port=0), MemoryLog())
    with pytest.raises(PortInUse, match=r"Cannot listen on 192\.0\.2\.1:0"):
        await server.start()
    await server.stop()


async def test_a_secret_that_cannot_be_kept_is_told_before_anything_starts(tmp_path: Path):
    with pytest.raises(StoreUnwritable):
        Server(ServerSettings(port=0, secret_path=tmp_path), MemoryLog())


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_stops_says_bye_to_everybody(open_hall: OpenHall):
    hall = await open_hall(drain_s=7.0)
    members = [await hall.host(), await hall.join(), await hall.come(role="viewer"), await hall.connect()]
    stopping = asyncio.create_task(hall.server.stop())
    for member in members:
        bye = await member.next("bye")
        assert (bye["code"], bye["spread_s"]) == (CloseCode.GOING_AWAY, 7.0)
        assert (await member.closed())[0] == CloseCode.GOING_AWAY
    await stopping
    assert hall.server.connections == 0
    with pytest.raises(OSError, match="Connect call failed"):
        await hall.connect()


async def test_what_was_on_its_way_when_the_server_stopped_is_stored_and_acknowledged(
    open_hall: OpenHall, tmp_path: Path
):
    log = FaultyLog(await SqliteLog.open(tmp_path / "store.db"))
    hall = await open_hall(log, drain_s=0.0)
    ada = await hall.join()
    with log.held("append") as reached:
        first = await ada.ask(CHAT, "say", {"text": "in flight"})
        await reached()
        second = await ada.ask(CHAT, "say", {"text": "queued"})
        await ada.since_now()
        stopping = asyncio.create_task(hall.server.stop())
        await asyncio.sleep(0)
    assert [(await ada.answer(ref))["type"] for ref in (first, second)] == ["ack", "ack"]
    await ada.closed()
    await stopping
    again = await open_hall(await SqliteLog.open(tmp_path / "store.db"))
    again.code, again.host_key = hall.code, hall.host_key
    assert lines((await again.host()).view) == ["in flight", "queued"]


async def test_a_server_stops_though_somebody_does_not_read(open_hall: OpenHall, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wslive.server.app._FAREWELL_S", 0.05)
    hall = await open_hall()
    deaf = await hall.connect()
    await deaf.hello(room=hall.code)
    deaf.socket.transport.pause_reading()
    await hall.server.stop()
    assert hall.server.connections == 0


async def test_a_server_stops_though_its_store_is_out_of_reach(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log, drain_s=0.0)
    ada = await hall.join()
    with log.broken(StoreUnwritable("out of reach"), "append", "read", "find", "end"):
        await ada.ask(CHAT, "say", {"text": "hello"}, ref="r1")
        await ada.since_now()
        stopping = asyncio.create_task(hall.server.stop())
        assert (await ada.closed())[0] == CloseCode.GOING_AWAY
        await stopping
    assert "r1" not in [json.loads(frame).get("ref") for frame in ada.frames if '"ack"' in frame]


async def test_stopping_twice_is_stopping(hall: Hall):
    await hall.server.stop()
    await hall.server.stop()


async def test_a_server_that_was_never_started_can_be_stopped():
    await Server(ServerSettings(port=0), MemoryLog()).stop()


async def test_started_again_a_server_takes_up_its_rooms(open_hall: OpenHall, tmp_path: Path):
    path, secret = tmp_path / "store.db", tmp_path / "secret"
    hall = await open_hall(await SqliteLog.open(path), secret_path=secret)
    host, ada = await hall.host(), await hall.join("Ada")
    poll = await open_poll(host)
    end = await ada.vote(poll, "o2")
    before = await host.at(end)
    await ada.at(end)
    await hall.server.stop()

    again = await open_hall(await SqliteLog.open(path), secret_path=secret)
    again.code, again.host_key = hall.code, hall.host_key
    assert (await again.host()).view == before
    back = await again.back(ada)
    assert (back.welcome["mode"], back.welcome["ops"]) == ("resume", [])
    assert await back.vote(poll, "o3") == end + 1


async def test_a_connection_without_a_request_is_closed(open_hall: OpenHall):
    hall = await open_hall(idle_http_s=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", hall.server.port)
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    await writer.wait_closed()


# ── idle ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_nobody_comes_to_notes_it(open_hall: OpenHall):
    hall = await open_hall(idle_end_s=0.05, sweep_interval_s=0.01)
    await asyncio.wait_for(hall.server.idle.wait(), 30)


async def test_a_server_with_somebody_connected_is_not_idle(open_hall: OpenHall):
    hall = await open_hall(idle_end_s=3600.0, sweep_interval_s=0.001)
    ada = await hall.join()
    hall.server.context.busy_at_s = float("-inf")  # as if the last one had been here long ago
    while hall.server.context.busy_at_s == float("-inf"):
        await ada.since_now()
    await hall.server.context.sweep()
    assert not hall.server.idle.is_set()
    await ada.leave()
    await hall.server.context.all_gone.wait()
    hall.server.context.busy_at_s = float("-inf")
    await asyncio.wait_for(hall.server.idle.wait(), 30)


async def test_without_the_setting_a_server_is_never_idle(open_hall: OpenHall):
    hall = await open_hall(sweep_interval_s=0.001)
    hall.server.context.busy_at_s = float("-inf")
    for _ in range(20):
        await hall.http("/health")
    assert not hall.server.idle.is_set()


async def test_an_upkeep_that_fails_is_tried_again(
    open_hall: OpenHall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    hall = await open_hall(sweep_interval_s=0.01, away_after_s=0.0, presence_interval_s=0.0)
    host, ada = await hall.host(), await hall.join("Ada")
    fail = [ZeroDivisionError()]
    sweep = hall.server.context.node.sweep

    async def failing_once() -> None:
        if fail:
            raise fail.pop()
        await sweep()

    monkeypatch.setattr(hall.server.context.node, "sweep", failing_once)
    await ada.leave()
    while ("Ada", "left") not in host.notices:
        await host.receive()
    assert "ZeroDivisionError" in caplog.text


async def test_a_room_is_written_to_the_log_without_its_code(hall: Hall, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG", logger="wslive")
    await hall.http(f"/r/{hall.code}")
    await hall.http(f"/r/{hall.code}/about")
    assert "200 GET PageHandler" in caplog.text
    assert hall.code not in caplog.text


# ── the whole process ─────────────────────────────────────────────────────────────────────────────────────────────

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

async def main():
    folder = Path(sys.argv[1])
    log = await SqliteLog.open(folder / "store.db")
    server = Server(ServerSettings(port=0, secret_path=folder / "secret"), log)
    await server.start()
    print(json.dumps({"url": server.url, "token": server.hosting_token}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    heavy = {"plotly", "ipywidgets", "anywidget", "IPython", "ipykernel", "pandas", "numpy"}
    print(json.dumps(sorted(heavy & set(sys.modules))), flush=True)
    await server.stop()

asyncio.run(main())
"""


async def start(folder: Path) -> tuple[asyncio.subprocess.Process, str, str]:
    """A server in a process of its own; its URL and hosting token."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-c", PROGRAM, str(folder)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = json.loads(await process.stdout.readline())
    return process, said["url"], said["token"]


async def test_after_a_visit_of_the_projector_the_server_has_loaded_none_of_a_notebooks_packages(tmp_path: Path):
    process, url, token = await start(tmp_path)
    client = AsyncHTTPClient()
    made = await client.fetch(
        f"{url}/api/rooms", method="POST", body='{"title": "T"}', headers={"Authorization": f"Bearer {token}"}
    )
    code, key = (json.loads(made.body)[name] for name in ("code", "host_key"))
    for path in (
        f"/r/{code}/screen",
        "/static/screen.js",
        "/static/plotly.min.js",
        "/static/activities/poll/chart.json",
    ):
        assert (await client.fetch(url + path)).code == 200
    host, viewer = await Person.connect(url), await Person.connect(url)
    await host.hello(room=code, role="host", token=key)
    await viewer.hello(room=code, role="viewer")
    assert await viewer.at(await open_poll(host, "$x^2$", "merge"))
    output, _ = await process.communicate(b"\n")
    assert json.loads(output) == []
    assert process.returncode == 0
    for person in (host, viewer):
        assert (await person.closed())[0] == CloseCode.GOING_AWAY


async def test_what_was_acknowledged_before_a_kill_is_there_afterwards_once(tmp_path: Path):
    process, url, token = await start(tmp_path)
    made = await AsyncHTTPClient().fetch(
        f"{url}/api/rooms", method="POST", body='{"title": "T"}', headers={"Authorization": f"Bearer {token}"}
    )
    code, key = (json.loads(made.body)[name] for name in ("code", "host_key"))
    host = await Person.connect(url)
    await host.hello(room=code, role="host", token=key)
    refs = [await host.ask(CHAT, "say", {"text": f"line {i}"}, ref=f"r{i}") for i in range(100)]
    acked = {ref: (await host.answer(ref))["offset"] for ref in refs[:50]}
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()

    process, url, _ = await start(tmp_path)
    again = await Person.connect(url)
    await again.hello(room=code, role="host", token=key)
    for i, ref in enumerate(refs):
        offset = await again.done(CHAT, "say", {"text": f"line {i}"}, ref=ref)
        assert acked.setdefault(ref, offset) == offset
    view = await again.at(max(acked.values()))
    assert sorted(lines(view)) == sorted(f"line {i}" for i in range(100))
    await process.communicate(b"\n")
    assert process.returncode == 0
    await again.closed()
