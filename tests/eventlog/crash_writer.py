"""A program that appends to a store until it is killed, and reports on stdout each append that has returned.

python -m tests.eventlog.crash_writer STORE LIFE
"""

import asyncio
import itertools
import os
import sys

from tests.eventlog.events import a_batch, a_record
from wslive.core.errors import AppendConflict
from wslive.core.events import head_after
from wslive.eventlog.base import EventLog
from wslive.eventlog.sqlite import SqliteLog

ROOMS = ("room-1", "room-2")


async def main(store: str, life: str) -> None:
    log = await SqliteLog.open(store)
    there = {record.room for record in await log.rooms()}
    for room in ROOMS:
        if room not in there:
            await log.create(a_record(room, room.upper()))
    async with asyncio.TaskGroup() as group:
        for writer, room in itertools.product(range(3), ROOMS):
            group.create_task(write(log, room, f"p_{life}_{writer}"))


async def write(log: EventLog, room: str, actor: str) -> None:
    head = await log.head(room)
    for number in itertools.count():
        # Batches of different sizes: a crash must leave each of them whole or absent.
        batch = a_batch(head, *(f"{number}.{i}" for i in range(1 + number % 3)), actor=actor)
        try:
            head = await log.append(room, head, batch)
        except AppendConflict as conflict:
            for event in conflict.missed:
                head = head_after(head, event)
            continue
        report = "".join(f"{room} {event.actor} {event.ref} {event.offset}\n" for event in batch)
        os.write(sys.stdout.fileno(), report.encode())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
