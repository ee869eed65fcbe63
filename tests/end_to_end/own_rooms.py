"""Rooms that a Lab's user hosts, looked at from outside: the log on disk, and people of other processes."""

import asyncio
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path

from tests.end_to_end.lab import Lab
from wslive.crowd import Behaviour, Crowd

HOST = """\
import wslive
room = wslive.host({title!r})
print(room.link)"""

POLL = """\
poll = room.poll("Which sort is stable?", ["quick", "merge", "heap"])
poll"""

PARTICIPANT = """\
import wslive
me = wslive.join({link!r}, name={name!r})
me"""

# Both go on until the kernel is killed. The second holds the interpreter's lock: no other thread gets a turn.
SLEEP = "import time\nwhile True:\n    time.sleep(30)"
HOLD_THE_LOCK = "sum(range(10**13))"


def data_folder(lab: Lab) -> Path:
    """Where the user's keys are."""
    return Path(lab.env["JUPYTER_DATA_DIR"]) / "wslive"


def servers(lab: Lab) -> list[dict[str, str]]:
    """What the user's servers have left for notebooks to find them: {"url", "hosting_token", "store", …}."""
    files = (Path(lab.env["JUPYTER_RUNTIME_DIR"]) / "wslive").glob("*.json")
    return [json.loads(file.read_text()) for file in files]


def keys(lab: Lab) -> dict[str, list[dict[str, str]]]:
    """What the user's key file holds: {"hosts": […], "tokens": […]}."""
    found: dict[str, list[dict[str, str]]] = json.loads((data_folder(lab) / "keys.json").read_text())
    return found


def events(lab: Lab, link: str) -> list[tuple[int, str, str, dict[str, object]]]:
    """The log of a room as it is on disk: offset, actor, kind, body."""
    rows = []
    for store in {server["store"] for server in servers(lab)}:
        with closing(sqlite3.connect(store)) as db:
            rows += db.execute(
                "SELECT offset, actor, kind, body FROM events WHERE room = (SELECT room FROM rooms WHERE code = ?) "
                "ORDER BY offset",
                (link.rsplit("/", 1)[1],),
            ).fetchall()
    return [(offset, actor, kind, json.loads(body)) for offset, actor, kind, body in rows]


def tally(lab: Lab, link: str) -> list[int]:
    """The votes of the room's only poll, counted from the log: the last answer of each person."""
    ballots: dict[str, list[str]] = {}
    for _, actor, kind, body in events(lab, link):
        if kind == "vote_cast":
            ballots[actor] = list(body["options"])  # type: ignore[call-overload]
        elif kind == "vote_retracted":
            ballots.pop(actor)
    counts = Counter(option for ballot in ballots.values() for option in ballot)
    return [counts[option] for option in ("o1", "o2", "o3")]


@contextmanager
def crowd(link: str, size: int) -> Iterator[Crowd]:
    """People on a thread of their own who vote and talk until the end of the block, and never leave by themselves."""
    server, code = link.rsplit("/r/", 1)
    made: Future[tuple[Crowd, asyncio.AbstractEventLoop]] = Future()
    problems: list[BaseException] = []

    async def live() -> None:
        behaviour = Behaviour(arrive_within_s=2.0, leave_mean_s=1e9, pace=4.0, line_mean_s=200.0)
        people = Crowd(server, code, size=size, behaviour=behaviour)
        made.set_result((people, asyncio.get_running_loop()))
        await people.run()

    def work() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    people, loop = made.result(60)
    try:
        yield people
    finally:
        loop.call_soon_threadsafe(people.stop)
        thread.join(60)
    assert problems == []
