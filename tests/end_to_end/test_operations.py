"""What operators do with a server that runs: copy its store, go back to a copy, read its log."""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from tests.end_to_end.servers import ServeProcess
from tests.torture.store_attacks import CHAT, Hall, held
from wslive.client.connection import Status
from wslive.client.http import fetch

VOTE = {"round": 1, "options": ["o1"]}


async def run(*words: object) -> tuple[int | None, str]:
    """A command of wslive, to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wslive", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_a_backup_under_votes_is_sound_and_going_back_to_it_lets_nobody_resume_with_a_hole(tmp_path: Path):
    store, copy = tmp_path / "wslive.db", tmp_path / "copy.db"
    server = await ServeProcess(tmp_path, "--port", "0", "--store", "wslive.db").start()
    hall = await Hall.open(server.url, await server.open_room(), 5)
    await hall.act(random.Random(1), 50)
    before = dict(hall.acks)
    voting = asyncio.create_task(hall.act(random.Random(2), 10**9))
    code, told = await run("backup", store, copy)
    assert code == 0, told
    assert told.endswith("The copy was checked: nothing differs.\n")
    voting.cancel()
    await asyncio.wait({voting})
    await hall.act(random.Random(3), 50)
    # What was acknowledged before the backup is in it; what came after, is not; everything is in the store.
    in_copy = held(copy, hall.acks)
    assert len(before) <= in_copy < len(hall.acks)
    assert held(copy, before) == len(before)
    assert held(store, hall.acks) == len(hall.acks)
    stood_at = hall.host.replica.offset
    port = server.port
    await server.end(signal.SIGKILL)
    for suffix in ("-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    shutil.copy(copy, store)
    shutil.copy(tmp_path / "copy.db.key", tmp_path / "wslive.db.key")
    server = await ServeProcess(tmp_path, "--port", str(port), "--store", "wslive.db").start()
    # Everybody is back as who they were, and starts over: what they had seen is not on this log.
    async with asyncio.timeout(60):
        everybody = (hall.host, *hall.people)
        while not all(c.status is Status.LIVE and c.replica.offset < stood_at for c in everybody):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await hall.people[0].command(hall.poll, "cast_vote", VOTE)
    view = hall.host.replica.view
    assert view["people"]["count"] == 5
    assert view["activities"][str(hall.poll)]["tally"]["answered"] == 5
    await hall.close()
    await server.end()


async def test_the_log_of_a_lecture_with_trouble_has_no_name_text_code_or_address(tmp_path: Path):
    server = await ServeProcess(tmp_path, "--port", "0", "--store", "wslive.db", "--log-format", "json").start()
    room = await server.open_room("Medieval sorting")
    hall = await Hall.open(server.url, room, 2)
    ada = hall.people[0]
    await ada.command(0, "rename", {"name": "Ada Lovelace"})
    await ada.command(CHAT, "say", {"text": "my telephone is 0123"})
    await ada.command(hall.poll, "cast_vote", VOTE)
    for path in (f"/r/{room['code']}/about", "/r/ZZZZZZ/about", "/nowhere", "/ready"):
        try:
            await fetch(server.url, path)
        except Exception:
            continue
    # Somebody's shell holds the store for longer than the server waits.
    with closing(sqlite3.connect(tmp_path / "wslive.db", isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        asking = asyncio.create_task(hall.send(ada, CHAT, "say", {"text": "is anybody there?"}, timeout_s=60))
        before = ""
        assert server.process.stderr is not None
        async with asyncio.timeout(60):
            while "was not stored" not in before:
                before += (await server.process.stderr.readline()).decode()
        assert not hall.acks
        shell.execute("ROLLBACK")
    await asking
    assert len(hall.acks) == 1  # kept, and sent again by itself
    await hall.people[1].command(CHAT, "say", {"text": "yes"})
    await fetch(server.url, f"/api/rooms/{room['code']}/people/{ada.actor}", method="DELETE", bearer=room["host_key"])
    await hall.close()
    _, _, after = await server.end()
    log = before + after
    lines = [json.loads(line) for line in log.splitlines()]
    assert any("was not stored" in line["message"] for line in lines)
    assert all(line.keys() >= {"at", "level", "logger", "message"} for line in lines)
    secrets = ["Ada", "Lovelace", "0123", "anybody", "Person", "Medieval", room["code"], room["host_key"], "127.0.0.1"]
    secrets += [ada.actor, ada.token or "no token", ServeProcess.TOKEN]
    # As words: an id has any letters.
    assert not [secret for secret in secrets if re.search(rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])", log)]
