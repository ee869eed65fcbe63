"""What the people of one room see: ticks, resumes and presence.

All changes leave in one stream of ticks: the first change after quiet at once, under load one every
`tick_interval_s`; `frames` makes what a tick sends. Every member stands at a position: the offset up to which it has
been sent everything (or is about to be, where a tick is sent in slices). A member whose outbox is not clear is left
where it stands; when the outbox drains, what it missed is computed from the state, exactly as for a resume. So at any
time a member stands where the last tick ended, or further, or it is behind and its outbox will call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from wslive.core import room_view
from wslive.core.events import Position
from wslive.core.presence import Presence
from wslive.core.roles import HOST, PARTICIPANT, Who
from wslive.core.room import NAMES_SHOWN_UP_TO, Room
from wslive.core.view import Op
from wslive.server.arrivals import RecentArrivals
from wslive.server.frames import DeltaFrames
from wslive.server.meter import SILENT
from wslive.server.outbox import WayOut
from wslive.server.rfc6455 import text_frame
from wslive.server.settings import ServerSettings
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode
from wslive.wire.codec import encode

logger = logging.getLogger("wslive.fanout")

MAX_INTERVAL_S = 0.2
"""However long ticks take, a view is not older than this for want of one."""

_TICK_LENGTHS = 3.0
"""From the beginning of a tick to that of the next, in lengths of the first."""

_MAX_NOTICES = 20
"""More comings and goings than this in one message are only counted: nobody reads them."""


class Member:
    """One joined connection."""

    __slots__ = ("close", "missed_presence", "outbox", "position", "who")

    def __init__(self, who: Who, outbox: WayOut, close: Callable[[CloseCode], None]) -> None:
        """Before the welcome it stands nowhere."""
        self.who = who
        self.outbox = outbox
        self.close = close
        self.position = 0
        self.missed_presence = False

    def post(self, message: messages.ServerMessage) -> None:
        """Send one message."""
        self.outbox.post(text_frame(encode(message)))


_Outgoing = Sequence[tuple[Member, bytes | None, CloseCode | None]]
"""Whom to send a frame, or to close, or both in that order."""


class Fanout:
    """The members of one room and what they are sent."""

    def __init__(self, settings: ServerSettings, read: Callable[[Callable[[Room], None]], None]) -> None:
        """Read the room's committed state through `read`."""
        self.members: set[Member] = set()
        self.presence = Presence(settings.away_after_s)
        self.arrivals = RecentArrivals()
        self.meter = SILENT
        self._settings = settings
        self._read = read
        self._loop = asyncio.get_running_loop()
        self._sent_to = 0
        """The offset up to which the last tick reached."""
        self._sent_chain: str | None = None
        """The chain there: what the members have seen."""
        self._last_tick_s = float("-inf")
        self._tick_took_s = 0.0
        """From the beginning of the last tick until its last slice was sent."""
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._presence_timer: asyncio.TimerHandle | None = None
        self._last_presence_s = float("-inf")
        self._notices: list[tuple[str, bool]] = []
        self._told_arrivals = messages.Arrivals()

    # ── coming and going ──────────────────────────────────────────────────────────────────────────────────────

    def add(self, member: Member, room: Room, known: Position | None, token: str | None, code: str) -> None:
        """Welcome a connection: from now on it gets every tick."""
        if not self.members:
            self._stand_at(room)  # nobody is waiting for anything older
        mode, ops = self._resume(room, member.who, known)
        self.meter.welcomed(mode)
        view = None if ops is not None else room_view.snapshot(room, member.who)
        if member.who.role is PARTICIPANT and self.presence.arrive(member.who.actor):
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
                view=view,
                ping_interval_s=self._settings.ping_interval_s,
                max_frame_bytes=self._settings.max_frame_bytes,
            )
        )
        self.members.add(member)

    def remove(self, member: Member) -> None:
        """Forget a connection; its person has not left yet."""
        if member not in self.members:
            return
        self.members.remove(member)
        if member.who.role is PARTICIPANT:
            self.presence.depart(member.who.actor, self._loop.time())

    def _resume(
        self, room: Room, who: Who, known: Position | None
    ) -> tuple[Literal["resume", "snapshot", "reset"], list[Op] | None]:
        """How the welcome brings a reader to the head, and the operations for that; None for the whole view."""
        if known is None:
            return "snapshot", None
        if known.epoch != room.head.epoch or room.chain_at(known.offset) != known.chain:
            return "reset", None
        ops = room_view.changes(room, who, known.offset)
        return ("snapshot", None) if len(ops) > self._settings.max_resume_ops else ("resume", ops)

    # ── ticks ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _interval_s(self) -> float:
        """The least time between two ticks: a large room whose ticks take long gets fewer, and its votes get the time.

        A third of the time at most goes to ticks, as long as no view gets too old by that.
        """
        return max(self._settings.tick_interval_s, min(_TICK_LENGTHS * self._tick_took_s, MAX_INTERVAL_S))

    def committed(self, room: Room) -> None:
        """Something may have changed: tick now, or when the interval is over."""
        if self.members and room.chain_at(self._sent_to) != self._sent_chain:
            self._start_over(room)
        if room.head.offset == self._sent_to or self._timer is not None:
            return
        wait_s = self._last_tick_s + self._interval_s - self._loop.time()
        if wait_s <= 0 and (self._sending is None or self._sending.done()):
            self._tick(room)
        else:
            self._timer = self._loop.call_later(max(wait_s, 0.005), self._due)

    def _due(self) -> None:
        self._timer = None
        self._read(self.committed)

    def _tick(self, room: Room) -> None:
        since = self._sent_to
        self._stand_at(room)
        if not self.members:
            return
        self._last_tick_s = self._loop.time()
        frames = DeltaFrames(room, since)
        removed = {actor for actor, person in room.people.after(since) if person is not None and person.removed}
        for actor in removed:
            if self.presence.remove(actor):
                self._presence_changed()
        outgoing: list[tuple[Member, bytes | None, CloseCode | None]] = []
        for member in self.members:
            frame, code = None, None
            if room.has_ended:
                code = CloseCode.ROOM_ENDED
            elif member.who.actor in removed:
                code = CloseCode.REMOVED
            if member.outbox.is_clear and member.position >= since:
                try:
                    frame = frames.of(member.who)
                except Exception:
                    logger.exception("a delta could not be made; its reader has to come back")
                    code = code or CloseCode.STORE_TROUBLE
                member.position = room.head.offset
            if frame is not None or code is not None:
                outgoing.append((member, frame, code))
        if len(outgoing) <= self._settings.slice_size:
            self._send(outgoing)
            self._tick_took_s = self._loop.time() - self._last_tick_s
        else:
            self._sending = self._loop.create_task(self._send_sliced(outgoing))

    def _send(self, outgoing: _Outgoing) -> None:
        for member, frame, code in outgoing:
            if frame is not None:
                member.outbox.post(frame)
            if code is not None:
                member.close(code)
        if self.meter is not SILENT:
            self.meter.ticked([frame for _, frame, _ in outgoing if frame is not None])

    async def _send_sliced(self, outgoing: _Outgoing) -> None:
        """Send in slices that yield: an ack must not wait until a thousand people have been served."""
        size = self._settings.slice_size
        for start in range(0, len(outgoing), size):
            self._send(outgoing[start : start + size])
            await asyncio.sleep(0)
        self._tick_took_s = self._loop.time() - self._last_tick_s

    def _stand_at(self, room: Room) -> None:
        self._sent_to = room.head.offset
        self._sent_chain = room.chain_at(room.head.offset)

    def _start_over(self, room: Room) -> None:
        """The log is not the one that the members have seen (an older copy was put in its place): they come back."""
        logger.error("a log has lost what was in it at offset %d; its readers start over", self._sent_to)
        self._stand_at(room)
        for member in list(self.members):
            member.close(CloseCode.STORE_TROUBLE)

    def drained(self, member: Member) -> None:
        """A connection that was behind can take more: bring it to the head."""
        if member in self.members:
            self._read(lambda room: self._catch_up(room, member))

    def _catch_up(self, room: Room, member: Member) -> None:
        if member not in self.members or not member.outbox.is_clear:
            return
        # One that stands where the last tick ended gets the next one, and may still be waiting for its slice of this.
        if member.position < self._sent_to:
            try:
                member.post(self._missed(room, member))
            except Exception:
                logger.exception("what a reader missed could not be made; it has to come back")
                member.close(CloseCode.STORE_TROUBLE)
                return
            member.position = room.head.offset
        if member.missed_presence:
            member.missed_presence = False
            member.post(self._presence_for(room, member.who, with_notices=False))

    def _missed(self, room: Room, member: Member) -> messages.Delta | messages.Snapshot:
        ops = room_view.changes(room, member.who, member.position)
        if len(ops) > self._settings.max_resume_ops:
            return messages.Snapshot(room.head.position, room_view.snapshot(room, member.who))
        return messages.Delta(member.position, room.head.offset, room.head.position.chain, ops)

    def close_stuck(self) -> None:
        """Close connections that have not taken what they are sent for too long; they may come back."""
        now_s = self._loop.time()
        for member in list(self.members):
            stuck_since_s = member.outbox.stuck_since_s
            if stuck_since_s is not None and now_s - stuck_since_s > self._settings.max_stuck_s:
                member.close(CloseCode.SLOW_READER)

    # ── presence ──────────────────────────────────────────────────────────────────────────────────────────────

    def expire(self) -> None:
        """Tell who has been away for long enough to have left, and hosts of how many came lately."""
        left = self.presence.expire(self._loop.time())
        if left:
            self._notices += [(actor, False) for actor in left]
            self._presence_changed()
        elif self.arrivals.now(self._loop.time()) != self._told_arrivals:
            self._read(self._tell_hosts)

    def _presence_changed(self) -> None:
        if self._presence_timer is not None:
            return
        wait_s = self._last_presence_s + self._settings.presence_interval_s - self._loop.time()
        self._presence_timer = self._loop.call_later(max(wait_s, 0.02), lambda: self._read(self._send_presence))

    def _send_presence(self, room: Room) -> None:
        self._presence_timer = None
        self._last_presence_s = self._loop.time()
        self._send_presence_to(self.members, room, with_notices=True)
        self._notices = []

    def _tell_hosts(self, room: Room) -> None:
        self._send_presence_to([member for member in self.members if member.who.role is HOST], room, with_notices=False)

    def _send_presence_to(self, members: Iterable[Member], room: Room, *, with_notices: bool) -> None:
        self._told_arrivals = self.arrivals.now(self._loop.time())
        frames: dict[tuple[bool, bool], bytes] = {}
        for member in members:
            if not member.outbox.is_clear:
                member.missed_presence = True
                continue
            told = self._may_know_names(room, member.who), member.who.role is HOST
            if told not in frames:
                frames[told] = text_frame(encode(self._presence_for(room, member.who, with_notices=with_notices)))
            member.outbox.post(frames[told])

    def _presence_for(self, room: Room, who: Who, *, with_notices: bool) -> messages.Presence:
        if not self._may_know_names(room, who):
            return messages.Presence(self.presence.count)
        here = self.presence.here
        arrivals = self.arrivals.now(self._loop.time()) if who.role is HOST else None
        notices = []
        if with_notices and len(self._notices) <= _MAX_NOTICES:
            for actor, came in self._notices:
                person = room.people.get(actor)
                if person is not None and not person.removed:
                    notices.append(messages.Notice(person.name, "joined" if came else "left"))
        return messages.Presence(len(here), here, notices, arrivals)

    @staticmethod
    def _may_know_names(room: Room, who: Who) -> bool:
        return who.role is HOST or room.people_count <= NAMES_SHOWN_UP_TO
