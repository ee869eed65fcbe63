"""Rooms and events for tests of event logs."""

from wslive.core.errors import AppendConflict
from wslive.core.events import Event, Head, head_after, next_event
from wslive.eventlog.base import EventLog, RoomRecord


def a_record(room: str = "room-1", code: str = "AAAAAA", epoch: str = "e1", created_at_ms: int = 1) -> RoomRecord:
    return RoomRecord(room, code, epoch, b"hash of a key", created_at_ms)


def a_batch(head: Head, *refs: str, actor: str = "p_1", body: bytes = b'{"text":"hello"}') -> list[Event]:
    """Events that follow `head`, one for each ref."""
    events = []
    for ref in refs:
        event = next_event(head, at_ms=1, actor=actor, ref=ref, activity=2, kind="line_said", version=1, body=body)
        head = head_after(head, event)
        events.append(event)
    return events


async def append_all(log: EventLog, room: str, refs: list[str], *, actor: str, known: Head | None = None) -> list[int]:
    """Append one event after the other as a node does: after a conflict, go on from what was missed."""
    offsets = []
    head = known or await log.head(room)
    for ref in refs:
        while True:
            batch = a_batch(head, ref, actor=actor)
            try:
                head = await log.append(room, head, batch)
            except AppendConflict as conflict:
                for event in conflict.missed:
                    head = head_after(head, event)
            else:
                offsets.append(batch[0].offset)
                break
    return offsets


async def refs_of(log: EventLog, room: str) -> list[str]:
    return [event.ref for event in await log.read(room, 0, 1_000_000)]
