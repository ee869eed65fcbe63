"""What disks, clocks and other versions do to a store: it is refused in a sentence, or has exactly what was acked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.audit.stores import ROOM, stored
from tests.end_to_end.servers import ServeProcess, fails
from tests.small_room import SmallRoom, person
from tests.torture.figures import Figures, Form, Part
from tests.torture.store_attacks import CHAT, Hall, held, shown, tally
from wslive.audit.store import verify
from wslive.client.connection import Connection, Status
from wslive.client.http import fetch
from wslive.core.errors import LogError, NotConnected, StoreCorrupt
from wslive.core.events import Position
from wslive.eventlog.sqlite import SqliteLog

ROOT = Path(__file__).resolve().parent.parent.parent

MOUNTS = """\
This test needs a mount namespace, made with the command unshare (sudo apt-get install -y util-linux), and, where users
may not make user namespaces, root's rights."""


async def ready(url: str) -> bool:
    """Whether the server says that it could store something."""
    try:
        await fetch(url, "/ready")
    except NotConnected as error:
        if "503" not in str(error):
            raise
        return False
    return True


def fill(path: Path) -> None:
    """Write until there is no space."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


async def until_ready(url: str, wanted: bool) -> None:
    """Wait until /ready says so."""
    async with asyncio.timeout(60):
        while await ready(url) is not wanted:  # noqa: ASYNC110 (another process: nothing tells us)
            await asyncio.sleep(0.2)


async def served(root: Path, port: int = 0, env: Mapping[str, str] | None = None) -> ServeProcess:
    """A server of the store in a folder."""
    return await ServeProcess(root, "--port", str(port), "--store", "wslive.db", env=env).start()


async def lecture(root: Path, env: Mapping[str, str] | None = None) -> tuple[ServeProcess, Hall]:
    """A server with a room that five people are in."""
    server = await served(root, env=env)
    return server, await Hall.open(server.url, await server.open_room(), 5)


class SmallDisk:
    """A file system of a few megabytes, there for one shell and what it starts."""

    def __init__(self, root: Path, mebibytes: int) -> None:
        self._copies = 0
        folder = root / "disk"
        folder.mkdir()
        script = f"mount -t tmpfs -o size={mebibytes}m disk {folder} && echo mounted && exec cat"
        self.shell = subprocess.Popen(
            ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.shell.stdout is not None
        assert self.shell.stdout.readline() == "mounted\n", MOUNTS
        self.path = folder
        self.seen_from_here = Path(f"/proc/{self.shell.pid}/root{folder}")

    def enter(self) -> tuple[str, ...]:
        """What a command line begins with that runs there."""
        return ("nsenter", "--target", str(self.shell.pid), "--user", "--preserve-credentials", "--mount", "--")

    def copied(self) -> Path:
        """A backup of the store that is there, made there, on a disk with space."""
        self._copies += 1
        copy = self.path.parent / f"copy{self._copies}.db"
        command = [*self.enter(), sys.executable, "-m", "wslive", "backup", str(self.path / "wslive.db"), str(copy)]
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=ROOT)
        return copy

    def close(self) -> None:
        """It vanishes."""
        self.shell.kill()
        self.shell.communicate()


class ServeThere(ServeProcess):
    """A server whose disk is small."""

    def __init__(self, disk: SmallDisk, root: Path, *arguments: str) -> None:
        super().__init__(root, *arguments)
        self.disk = disk

    async def start(self) -> ServeProcess:
        """As ever, with another command in front."""
        program = self.root / "python-there"
        program.write_text(f'#!/bin/sh\nexec {" ".join(self.disk.enter())} {sys.executable} "$@"\n')
        program.chmod(0o755)
        before, sys.executable = sys.executable, str(program)
        try:
            return await super().start()
        finally:
            sys.executable = before


async def test_a_disk_that_is_full_takes_no_ack_with_it_and_is_told(tmp_path: Path, form: Form, figures: Figures):
    rounds, chance = form.choose(1, 10), random.Random(form.seed)
    disk = SmallDisk(tmp_path, 64)  # the write-ahead log alone grows to 16, or 32, before it is emptied
    acked = refused = 0
    try:
        store, ballast = disk.path / "wslive.db", disk.seen_from_here / "ballast"
        server = ServeThere(disk, tmp_path, "--port", "0", "--store", str(store))
        await server.start()
        hall = await Hall.open(server.url, await server.open_room(), 5)
        for _ in range(rounds):
            await hall.act(chance, 100)
            assert await ready(server.url)
            await asyncio.to_thread(fill, ballast)
            # Until somebody is told that it could not be stored: the store has some room of its own left.
            full = asyncio.create_task(hall.act(chance, 100_000))
            await until_ready(server.url, False)
            full.cancel()
            await asyncio.wait({full})
            before = dict(hall.acks)
            assert held(disk.copied(), before) == len(before)
            ballast.unlink()
            await until_ready(server.url, True)
            for person in hall.people:
                async with asyncio.timeout(60):
                    while person.unanswered:  # noqa: ASYNC110 (what was kept is sent again by itself)
                        await asyncio.sleep(0.05)
            await hall.act(chance, 100)
        assert (await shown(server.url, hall.room, hall.poll)) == tally(disk.copied(), hall.poll)
        await hall.close()
        _, _, log = await server.end(signal.SIGKILL)
        assert "Traceback" not in log
        assert "was not stored" in log
        acked = len(hall.acks)
        assert held(disk.copied(), hall.acks) == acked
        again = await ServeThere(disk, tmp_path, "--port", "0", "--store", str(store)).start()
        assert (await shown(again.url, hall.room, hall.poll)) == tally(disk.copied(), hall.poll)
        await again.end()
        refused = log.count("was not stored")
    finally:
        disk.close()
    figures(
        row=8,
        attack="the disk is full",
        holds="No ack is lost, /ready says 503, and everything goes on by itself once there is space.",
        times_full=rounds,
        acked=acked,
        lost=0,
        batches_refused=refused,
    )


async def test_a_store_that_cannot_be_written_or_is_of_another_version_is_refused_and_left_as_it_is(
    tmp_path: Path, figures: Figures
):
    server = await served(tmp_path)
    await server.open_room()
    await server.end()
    folder, store = tmp_path / "readonly", tmp_path / "wslive.db"
    folder.mkdir()
    shutil.copy(store, folder / "wslive.db")
    command = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec "
    command += f"{sys.executable} -m wslive serve --port 0 --store {folder}/wslive.db"
    told = await asyncio.to_thread(
        subprocess.run,
        ["unshare", "--mount", "--map-root-user", "sh", "-c", command],
        env=server.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (told.returncode, told.stdout) == (2, "")
    assert "cannot be written (Read-only file system). Make its folder and file writable for you" in told.stderr
    assert told.stderr.count("\n") == 1
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    before = store.read_bytes()
    newer = await fails(tmp_path, "--port", "0", "--store", "wslive.db")
    assert "was written by a newer version of wslive (it has version 99" in newer
    assert "Update wslive, or choose another path" in newer
    assert store.read_bytes() == before
    figures(
        row=8,
        attack="a read-only store and one of a newer version",
        holds="Refused at the start by a sentence that says what to do; not a byte has changed.",
        refused=2,
    )


@pytest.mark.parts(4)
async def test_pages_that_the_disk_spoiled_are_told_and_nobody_is_shown_a_wrong_count(
    tmp_path: Path, form: Form, figures: Figures, part: Part
):
    chance, attempts = random.Random(f"{form.seed}/{part}"), form.choose(4, len(part.share(100)))
    server, hall = await lecture(tmp_path)
    await hall.act(chance, 400)
    await hall.close()
    await server.end()
    store = tmp_path / "wslive.db"
    sound, due = store.read_bytes(), tally(store, hall.poll)
    pages = len(sound) // 4096
    outcomes = {"refused": 0, "harmless": 0}
    for number in range(attempts):
        page = pages - 1 if number == 0 else chance.randrange(pages)
        spoiled = bytearray(sound)
        start = 4096 * page + chance.randrange(0, 4000)
        spoiled[start : start + 64] = chance.randbytes(len(spoiled[start : start + 64]))
        store.write_bytes(spoiled)
        try:
            is_told = not verify(store).is_sound
        except StoreCorrupt:
            is_told = True
        try:
            server = await served(tmp_path)
        except AssertionError as error:  # it did not start: what it said instead
            if not re.search(r"is damaged|but not a store of wslive|newer version", str(error)):
                raise
            outcomes["refused"] += 1
            continue
        seen = await shown(server.url, hall.room, hall.poll)
        _, _, log = await server.end(signal.SIGKILL)
        assert "Traceback" not in log
        if seen == due:
            outcomes["harmless"] += 1
        else:
            assert isinstance(seen, str), f"page {page}: shown {seen}, due {due}"
            assert is_told, f"page {page}: wslive verify finds nothing, and the server says {log}"
            outcomes["refused"] += 1
        for suffix in ("-wal", "-shm"):
            store.with_name(store.name + suffix).unlink(missing_ok=True)
    figures(
        row=8,
        attack="64 spoiled bytes on a page of the store",
        holds="Whoever joins is shown exactly what was acked, or nothing, and then `wslive verify` names the damage.",
        adds=("stores", "shown_wrong", *outcomes),
        stores=attempts,
        pages=pages,
        shown_wrong=0,
        **outcomes,
    )


@pytest.mark.parts(4)
async def test_no_spoiled_bytes_make_a_log_shorter_or_different(
    tmp_path: Path, form: Form, figures: Figures, part: Part
):
    chance, attempts = random.Random(f"{form.seed}/{part}"), form.choose(200, len(part.share(5_000)))
    small = SmallRoom()
    people = [person(f"p_{number}") for number in range(20)]
    for who in people:
        small.join(who.actor, f"Person {who.actor}")
    poll = small.poll("quick", "merge", "heap")
    for _ in range(400):
        if chance.random() < 0.1:
            small.send(chance.choice(people), "say", 2, text=f"line {'.' * chance.randrange(300)}")
        else:
            small.vote(chance.choice(people), poll, chance.choice(["o1", "o2", "o3"]))
    sound = (await stored(small, tmp_path / "sound.db")).read_bytes()
    outcomes = {"refused": 0, "exact": 0}
    for number in range(attempts):
        store = tmp_path / str(number) / "wslive.db"
        store.parent.mkdir()
        spoiled = bytearray(sound)
        place, size = chance.randrange(len(sound) - 64), chance.choice([1, 4, 64])
        spoiled[place : place + size] = chance.randbytes(size)
        store.write_bytes(spoiled)
        try:
            log = await SqliteLog.open(store)
            try:
                found = await log.read(ROOM, 0, 1_000) if await log.rooms() else []
            finally:
                await log.close()
        except LogError:
            outcomes["refused"] += 1
        else:
            # Without its room a store has nothing to show to anybody.
            assert found in (small.log, []), f"{size} bytes at {place}: {len(found)} events of {len(small.log)}"
            outcomes["exact" if found else "refused"] += 1
        shutil.rmtree(store.parent)
    figures(
        row=8,
        attack="1 to 64 spoiled bytes anywhere in a store, at its engine",
        holds="The log is read exactly as it was written, or it is refused.",
        adds=("stores", "read_wrong", *outcomes),
        stores=attempts,
        read_wrong=0,
        **outcomes,
    )


@pytest.mark.parts(2)
async def test_a_write_ahead_log_that_was_cut_or_spoiled_ends_where_it_is_sound(
    tmp_path: Path, form: Form, figures: Figures, part: Part
):
    chance, attempts = random.Random(f"{form.seed}/{part}"), form.choose(4, len(part.share(60)))
    server, hall = await lecture(tmp_path)
    await hall.act(chance, 200)
    (key,) = (hall.room["host_key"],)
    head = hall.host.replica.position
    assert head is not None
    await server.end(signal.SIGKILL)
    await hall.close()
    store, wal = tmp_path / "wslive.db", tmp_path / "wslive.db-wal"
    kept = {path: path.read_bytes() for path in (store, wal)}
    (tmp_path / "wslive.db-shm").unlink(missing_ok=True)
    assert held(store, hall.acks) == len(hall.acks)
    resets = prefixes = 0
    for number in range(attempts):
        for path, content in kept.items():
            path.write_bytes(content)
        (tmp_path / "wslive.db-shm").unlink(missing_ok=True)
        torn = bytearray(kept[wal])
        kind = ("torn", "cut", "flipped")[number % 3]
        if kind == "torn":  # a commit that was under way: half of its frame is there, and nobody had an ack for it
            torn += chance.randbytes(chance.randrange(1, 4096 + 24))
        elif kind == "cut":
            del torn[chance.randrange(32, len(torn)) :]
        else:
            place = chance.randrange(32, len(torn))
            torn[place] ^= 1 << chance.randrange(8)
        wal.write_bytes(torn)
        server = await served(tmp_path)
        modes: list[str] = []
        await _resumed(server.url, hall, key, head, modes)
        await server.end()
        count = held(store, hall.acks)
        if kind == "torn":
            assert count == len(hall.acks)
            assert modes == ["resume"]
        elif verify(store).rooms and verify(store).rooms[0].events >= head.offset:
            assert modes == ["resume"]  # what was spoiled came after, or was of no effect
        else:
            # A disk that lost what it had confirmed. What is left is a sound prefix, and whoever saw more is told.
            prefixes += 1
            resets += modes == ["reset"]
            assert modes in (["reset"], ["gone"])
    figures(
        row=8,
        attack="the write-ahead log is torn, cut or flipped after kill -9",
        holds="A torn end costs no ack; where acked bytes are lost, a sound prefix is left; who saw more starts over.",
        adds=("stores", "acked", "lost_by_torn_ends", "prefixes", "resets"),
        stores=attempts,
        acked=len(hall.acks),
        lost_by_torn_ends=0,
        prefixes=prefixes,
        resets=resets,
    )


async def _resumed(url: str, hall: Hall, key: str, position: Position, modes: list[str]) -> None:
    """How a host who stood at `position` is welcomed."""
    from websockets.asyncio.client import connect
    from websockets.typing import Subprotocol

    hello = {
        "type": "hello",
        "room": hall.room["code"],
        "role": "host",
        "token": key,
        "ref": "",
        "position": {"epoch": position.epoch, "offset": position.offset, "chain": position.chain},
    }
    async with connect(f"ws{url[4:]}/ws", subprotocols=[Subprotocol("wslive.v1")], proxy=None) as socket:
        await socket.send(json.dumps(hello))
        answer = json.loads(await socket.recv())
    modes.append(answer["mode"] if answer["type"] == "welcome" else "gone")


CLOCK = """\
import os, time
_time, _time_ns, _file = time.time, time.time_ns, os.environ["CLOCK_SHIFT"]
def _shift():
    try:
        with open(_file) as file:
            return int(file.read() or 0)
    except OSError:
        return 0
time.time = lambda: _time() + _shift()
time.time_ns = lambda: _time_ns() + _shift() * 10**9
"""


async def test_a_clock_that_is_set_back_and_forward_loses_and_reorders_nothing(
    tmp_path: Path, form: Form, figures: Figures
):
    chance, jumps = random.Random(form.seed), form.choose(4, 40)
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    shift = tmp_path / "shift"
    env = {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "CLOCK_SHIFT": str(shift)}
    server, hall = await lecture(tmp_path, env=env)
    began_s = time.time()
    for number in range(jumps):
        days = (-1, 3650, 0, -3650)[number % 4] if number < 4 else chance.randrange(-5000, 5000)
        shift.write_text(str(86_400 * days))
        await hall.act(chance, 50)
        if number % 4 == 1:  # a restart in another year
            port = server.port
            await server.end(signal.SIGKILL)
            server = await served(tmp_path, port, env)
            await hall.act(chance, 50)
    assert all(person.status is Status.LIVE for person in hall.people)
    newcomer = Connection(server.url, hall.room["code"], name="Newcomer")
    await newcomer.open()
    await newcomer.command(CHAT, "say", {"text": "hello"})
    await newcomer.close()
    await hall.close()
    _, _, log = await server.end()
    assert log == ""
    store = tmp_path / "wslive.db"
    assert held(store, hall.acks) == len(hall.acks)
    with closing(sqlite3.connect(store)) as db:
        stamps = [at_ms for (at_ms,) in db.execute("SELECT at_ms FROM events ORDER BY offset")]
    assert stamps != sorted(stamps)  # the clock was really set back
    assert max(stamps) > 1000 * (began_s + 86_400)
    figures(
        row=8,
        attack="the clock is set back and forward by days and years",
        holds="Order comes from offsets: every ack is kept, nobody is thrown out, tokens go on being good.",
        jumps=jumps,
        acked=len(hall.acks),
        lost=0,
    )


def test_the_ground_is_there():
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.fail(MOUNTS)
