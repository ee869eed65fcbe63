"""What the people of one room see: ticks, resumes and presence.

All changes leave in one stream of ticks: the first change after quiet at once, under load one every
`tick_interval_s`. A tick encodes each changed part once per audience and puts the fragments together once per
combination of audiences; readers whose personal part changed too get theirs appended. Every member stands at a
position: the offset up to which it has been sent everything. A member whose outbox is not clear is left where it
stands; when the outbox drains, what it missed is computed from the state, exactly as for a resume.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from wslive.core import room_view
from wslive.core.events import Position
from wslive.core.presence import Presence
from wslive.core.roles import Role, Who
from wslive.core.room import NAMES_SHOWN_UP_TO, Room
from wslive.server.outbox import Outbox, text_frame
from wslive.server.settings import ServerSettings
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode
from wslive.wire.codec import delta_frame, encode, encode_ops

_MAX_NOTICES = 20
"""More comings and goings than this in one message are only counted: nobody reads them."""


class Member:
    """One joined connection."""

    __slots__ = ("close", "outbox", "position", "who")

    def __init__(self, who: Who, outbox: Outbox, close: Callable[[CloseCode], None]) -> None:
        """Before the welcome it stands nowhere."""
        self.who = who
        self.outbox = outbox
        self.close = close
        self.position = 0

    def post(self, message: messages.ServerMessage) -> None:
        """Send one message."""
        self.outbox.post(text_frame(encode(message)))


class Fanout:
    """The members of one room and what they are sent."""

    def __init__(self, settings: ServerSettings, read: Callable[[Callable[[Room], None]], None]) -> None:
        """Read the room's committed state through `read`."""
        self.members: set[Member] = set()
        self.presence = Presence()
        self._settings = settings
        self._read = read
        self._loop = asyncio.get_running_loop()
        self._sent_to = 0
        """The offset up to which the last tick reached."""
        self._last_tick_s = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._presence_timer: asyncio.TimerHandle | None = None
        self._last_presence_s = float("-inf")
        self._notices: list[tuple[str, bool]] = []

    # ── coming and going ──────────────────────────────────────────────────────────────────────────────────────

    def add(self, member: Member, room: Room, known: Position | None, token: str | None, code: str) -> None:
        """Welcome a connection: from now on it gets every tick."""
        if not self.members:
            self._sent_to = room.head.offset  # nobody is waiting for anything older
        ops, mode = self._resume(room, member.who, known)
        is_person = member.who.role is Role.PARTICIPANT
        if is_person and self.presence.arrive(member.who.actor):
            self._notices.append((member.who.actor, True))
            self._presence_changed()
        member.position = room.head.offset
        member.post(
            messages.Welcome(
                mode=mode,
                position=room.head.position,
                room=code,
                actor=member.who.actor,
                role=member.who.role,
                presence=self._presence_for(room, member.who, with_notices=False),
                token=token,
                ops=ops,
                view=None if ops is not None else room_view.snapshot(room, member.who),
                ping_interval_s=self._settings.ping_interval_s,
                max_frame_bytes=self._settings.max_frame_bytes,
            )
        )
        self.members.add(member)

    def remove(self, member: Member) -> None:
        """Forget a connection."""
        self.members.discard(member)
        if member.who.role is Role.PARTICIPANT:
            self.presence.depart(member.who.actor, self._loop.time())
            self._presence_changed()

    def _resume(self, room: Room, who: Who, known: Position | None) -> tuple[list[Any] | None, Any]:
        """The operations since `known`, or None for a snapshot; and how the welcome calls it."""
        if known is None:
            return None, "snapshot"
        if known.epoch != room.head.epoch or room.chain_at(known.offset) != known.chain:
            return None, "reset"
        ops = room_view.changes(room, who, known.offset)
        if len(ops) > self._settings.max_resume_ops:
            return None, "snapshot"
        return ops, "resume"

    # ── ticks ─────────────────────────────────────────────────────────────────────────────────────────────────

    def committed(self, room: Room) -> None:
        """Something may have changed: tick now, or when the interval is over."""
        if room.head.offset == self._sent_to or self._timer is not None:
            return
        wait_s = self._last_tick_s + self._settings.tick_interval_s - self._loop.time()
        if wait_s <= 0 and (self._sending is None or self._sending.done()):
            self._tick(room)
        else:
            self._timer = self._loop.call_later(max(wait_s, 0.005), self._due)

    def _due(self) -> None:
        self._timer = None
        self._read(self.committed)

    def _tick(self, room: Room) -> None:
        since, self._sent_to = self._sent_to, room.head.offset
        self._last_tick_s = self._loop.time()
        if not self.members:
            return
        frames = _Frames(room, since)
        outgoing = [(m, frames.of(m.who)) for m in self.members if m.outbox.is_clear and m.position >= since]
        for member, _ in outgoing:
            member.position = room.head.offset
        self._send_out(room, since)
        if len(outgoing) <= self._settings.slice_size:
            for member, frame in outgoing:
                member.outbox.post(frame)
        else:
            self._sending = self._loop.create_task(self._send_sliced(outgoing))

    async def _send_sliced(self, outgoing: list[tuple[Member, bytes]]) -> None:
        """Send in slices that yield: an ack must not wait until a thousand people have been served."""
        size = self._settings.slice_size
        for start in range(0, len(outgoing), size):
            for member, frame in outgoing[start : start + size]:
                member.outbox.post(frame)
            await asyncio.sleep(0)

    def _send_out(self, room: Room, since: int) -> None:
        """Close the connections of those who were removed, and everybody's at the end of the room."""
        if room.has_ended:
            leaving: Iterable[Member] = list(self.members)
            code = CloseCode.ROOM_ENDED
        else:
            gone = {a for a, p in room.people.after(since) if p is not None and p.removed}
            if not gone:
                return
            leaving = [m for m in self.members if m.who.actor in gone]
            code = CloseCode.REMOVED
        for member in leaving:
            # Later, so that the last delta is out before the close frame.
            self._loop.call_later(0.05, member.close, code)

    def drained(self, member: Member) -> None:
        """A connection that was behind can take more: bring it to the head."""
        if member in self.members:
            self._read(lambda room: self._catch_up(room, member))

    def _catch_up(self, room: Room, member: Member) -> None:
        if member not in self.members or not member.outbox.is_clear or member.position == room.head.offset:
            return
        if self._sending is not None and not self._sending.done():
            # A frame of the tick may still be on its way to this member; overtaking it would look like a gap.
            self._loop.call_later(0.01, self.drained, member)
            return
        after, member.position = member.position, room.head.offset
        ops = room_view.changes(room, member.who, after)
        if len(ops) > self._settings.max_resume_ops:
            member.post(messages.Snapshot(room.head.position, room_view.snapshot(room, member.who)))
        else:
            member.post(messages.Delta(after, room.head.offset, room.head.position.chain, ops))
        member.post(self._presence_for(room, member.who, with_notices=False))

    def close_stuck(self) -> None:
        """Close connections that do not take what they are sent (called once a second); they may come back."""
        now_s = self._loop.time()
        for member in list(self.members):
            outbox = member.outbox
            if outbox.unsent_bytes > self._settings.max_outbox_bytes or (
                outbox.stuck_since_s and now_s - outbox.stuck_since_s > self._settings.max_stuck_s
            ):
                member.close(CloseCode.SLOW_READER)

    # ── presence ──────────────────────────────────────────────────────────────────────────────────────────────

    def expire(self) -> None:
        """Tell who has been away for long enough to have left (called once a second)."""
        left = self.presence.expire(self._loop.time())
        if left:
            self._notices += [(actor, False) for actor in left]
            self._presence_changed()

    def _presence_changed(self) -> None:
        if self._presence_timer is not None:
            return
        wait_s = self._last_presence_s + self._settings.presence_interval_s - self._loop.time()
        self._presence_timer = self._loop.call_later(max(wait_s, 0.02), lambda: self._read(self._send_presence))

    def _send_presence(self, room: Room) -> None:
        self._presence_timer = None
        self._last_presence_s = self._loop.time()
        frames: dict[bool, bytes] = {}
        for member in self.members:
            if not member.outbox.is_clear:
                continue
            told = self._may_know_names(room, member.who)
            if told not in frames:
                frames[told] = text_frame(encode(self._presence_for(room, member.who, with_notices=True)))
            member.outbox.post(frames[told])
        self._notices = []

    def _presence_for(self, room: Room, who: Who, *, with_notices: bool) -> messages.Presence:
        here = self.presence.here
        if not self._may_know_names(room, who):
            return messages.Presence(len(here))
        notices = []
        if with_notices and len(self._notices) <= _MAX_NOTICES:
            for actor, came in self._notices:
                person = room.people.get(actor)
                if person is not None and not person.removed:
                    notices.append(messages.Notice(person.name, "joined" if came else "left"))
        return messages.Presence(len(here), here, notices)

    @staticmethod
    def _may_know_names(room: Room, who: Who) -> bool:
        return who.role is Role.HOST or room.people_count <= NAMES_SHOWN_UP_TO


class _Frames:
    """The delta frames of one tick: each part encoded once per audience, each combination framed once."""

    def __init__(self, room: Room, since: int) -> None:
        self._room = room
        self._since = since
        self._parts = [p for p in room_view.parts(room) if room_view.changed(room, p) > since]
        self._touched = {actor for actor, _ in room.touched.after(since)}
        self._fragments: dict[tuple[str, str, bool], bytes] = {}
        self._frames: dict[tuple[tuple[str, str, bool], ...], bytes] = {}

    def of(self, who: Who) -> bytes:
        """The frame for one reader."""
        keys = []
        moved = False
        for part in self._parts:
            group = room_view.audience(self._room, part, who)
            whole = group.since > self._since
            moved = moved or whole
            keys.append((part, group.name, whole))
        combination = tuple(keys)
        if moved or who.actor in self._touched:
            own = encode_ops(room_view.personal_changes(self._room, who, self._since))
            if own:
                return self._frame([*map(self._fragment, combination), own])
        frame = self._frames.get(combination)
        if frame is None:
            frame = self._frames[combination] = self._frame(map(self._fragment, combination))
        return frame

    def _fragment(self, key: tuple[str, str, bool]) -> bytes:
        fragment = self._fragments.get(key)
        if fragment is None:
            part, name, whole = key
            if whole:
                ops = room_view.whole_part(self._room, part, name)
            else:
                ops = room_view.part_changes(self._room, part, name, self._since)
            fragment = self._fragments[key] = encode_ops(ops)
        return fragment

    def _frame(self, fragments: Iterable[bytes]) -> bytes:
        head = self._room.head
        return text_frame(delta_frame(self._since, head.offset, head.position.chain, fragments))
