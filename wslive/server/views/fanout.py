"""What the people of one room see: ticks, resumes and presence.

All changes leave in one stream of ticks: the first change after quiet at once, under load one every
`tick_interval_s`; `frames` makes what a tick sends, and says who gets which frame. Every member has been sent all that
the last tick brought, or is about to be (a tick to many is sent in slices). A member whose outbox is not clear when its
turn comes is left behind; when the outbox drains, what it missed is computed from the state, exactly as for a resume.
So at any time a member has seen what the last tick ended with, or more, or it is behind and its outbox will call.

Whoever is sent an ack in the same turn gets the tick by the same send (`pace` sees to it that this is so where much
comes). Between one `send` of a tick and the next lies what `_deliver` does, and that is all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Literal

from wslive.core import room_view
from wslive.core.events import Position
from wslive.core.presence import Presence
from wslive.core.roles import HOST, PARTICIPANT, Role, Who, looking_on
from wslive.core.room import NAMES_SHOWN_UP_TO, Room
from wslive.core.view import Op
from wslive.server.meter import SILENT
from wslive.server.settings import ServerSettings
from wslive.server.views.arrivals import RecentArrivals
from wslive.server.views.frames import DeltaFrames, Parcels
from wslive.server.views.members import Member, Members
from wslive.server.websocket.rfc6455 import text_frame
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode
from wslive.wire.codec import encode

logger = logging.getLogger("wslive.fanout")

MAX_INTERVAL_S = 0.2
"""However long ticks take, a view is not older than this for want of one."""

BUSY_INTERVAL_S = 0.12
"""The least time between two ticks where so much comes that answers are held for them: a tick of a hall costs as much
as hundreds of votes, and what it tells is hardly older than itself then."""

_TICK_LENGTHS = 3.0
"""From the beginning of a tick to that of the next, in lengths of the first."""

_SOON_S = 0.005
"""After this long it is looked again whether the last tick has been sent."""

_LATE_S = 0.03
"""As long as a tick may wait for a commit and the loop without the next one being any later."""

_MAX_NOTICES = 20
"""More comings and goings than this in one message are only counted: nobody reads them."""


class Fanout:
    """The members of one room and what they are sent."""

    def __init__(self, settings: ServerSettings, read: Callable[[Callable[[Room], None]], None]) -> None:
        """Read the room's committed state through `read`."""
        self.members = Members()
        self.presence = Presence(settings.away_after_s)
        self.arrivals = RecentArrivals()
        self.meter = SILENT
        self.is_busy: Callable[[], bool] = lambda: False
        """Whether answers are held for ticks; see `pace`."""
        self._settings = settings
        self._read = read
        self._loop = asyncio.get_running_loop()
        self._sent_to = 0
        """The offset up to which the last tick reached."""
        self._joined_then = 0
        """How many had ever joined by then."""
        self._sent_chain: str | None = None
        """The chain there: what the members have seen."""
        self._last_tick_s = float("-inf")
        """When it was due."""
        self._tick_took_s = 0.0
        """From the beginning of the last tick until its last slice was sent."""
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
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
        member.post(
            messages.Welcome(
                mode=mode,
                position=room.head.position,
                room=code,
                actor=member.who.actor,
                role=member.who.role,
                presence=self._presence_for(room, member.who.role, with_notices=False),
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
        if self.members.remove(member) and member.who.role is PARTICIPANT:
            self.presence.depart(member.who.actor, self._loop.time())

    def _resume(
        self, room: Room, who: Who, known: Position | None
    ) -> tuple[Literal["resume", "snapshot", "reset"], list[Op] | None]:
        """How the welcome brings a reader to the head, and the operations for that; None for the whole view."""
        if known is None:
            return "snapshot", None
        if known.epoch != room.epoch or room.chain_at(known.offset) != known.chain:
            return "reset", None
        ops = room_view.changes(room, who, known.offset)
        return ("snapshot", None) if len(ops) > self._settings.max_resume_ops else ("resume", ops)

    # ── ticks ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _interval_s(self, room: Room) -> float:
        """The least time between two ticks: a large room whose ticks take long gets fewer, and its votes get the time.

        A third of the time at most goes to ticks, as long as no view gets too old by that. While a hall comes in and
        nothing else happens, its people are told how many they are as rarely as who is there: to tell all of them
        of each other twenty times a second would keep the others waiting at the door.
        """
        interval_s = self._usual_interval_s
        if room.people_count > NAMES_SHOWN_UP_TO:
            events = room.offset - self._sent_to
            if events == room.joined_ever - self._joined_then:
                return max(interval_s, self._settings.presence_interval_s)
        return interval_s

    @property
    def _usual_interval_s(self) -> float:
        longest_s = MAX_INTERVAL_S - self._tick_took_s  # the last of a tick are served so much later than the first
        least_s = self._settings.tick_interval_s
        if self.is_busy():
            least_s = max(least_s, BUSY_INTERVAL_S)
        return max(least_s, min(_TICK_LENGTHS * self._tick_took_s, longest_s))

    def due_s(self) -> float:
        """When the next tick is due, in the loop's time, if there is anything to tell."""
        return self._last_tick_s + self._usual_interval_s

    def committed(self, room: Room) -> None:
        """Something may have changed: tick now, or when the interval is over."""
        if self.members and room.chain_at(self._sent_to) != self._sent_chain:
            self._start_over(room)
        if room.offset == self._sent_to:
            return
        now_s = self._loop.time()
        due_s = self._last_tick_s + self._interval_s(room)
        if self._timer is not None:
            if self._timer.when() <= max(due_s, now_s) + _SOON_S:
                return
            self._timer.cancel()  # what came since may not wait that long
            self._timer = None
        if due_s <= now_s and (self._sending is None or self._sending.done()):
            # One that had to wait for a commit is followed no later for that: no view gets older than it has to.
            self._tick(room, due_s if now_s - due_s < _LATE_S else now_s)
        else:
            self._timer = self._loop.call_at(max(due_s, now_s + _SOON_S), self._due)

    def _due(self) -> None:
        self._timer = None
        self._read(self.committed)

    def _tick(self, room: Room, due_s: float) -> None:
        since = self._sent_to
        self._stand_at(room)
        if not self.members:
            return
        self._last_tick_s = due_s
        began_s = self._loop.time()
        parcels, failed = DeltaFrames(room, since).parcels(self.members)
        closing = [(member, CloseCode.STORE_TROUBLE) for member in failed]
        if room.has_ended:
            closing = [(member, CloseCode.ROOM_ENDED) for member in self.members]
        for actor, person in room.people.after(since):
            if person is not None and person.removed:
                here = (*self.members.of(actor), *self.members.of(looking_on(actor)))
                closing += [(member, CloseCode.REMOVED) for member in here]
                if self.presence.remove(actor):
                    self._presence_changed()
        self._sending = self._in_slices(self._send_tick(parcels, closing, since, began_s))

    def _send_tick(
        self, parcels: Parcels, closing: Sequence[tuple[Member, CloseCode]], since: int, began_s: float
    ) -> Iterator[None]:
        yield from self._send(parcels, partial(self.members.fall_behind, seen=since))
        for number, (member, code) in enumerate(closing, 1):
            member.close(code)
            if not number % self._settings.slice_size:
                yield
        self._tick_took_s = self._loop.time() - began_s
        if self.meter is not SILENT:
            sizes = [(len(members), len(frame)) for frame, members in parcels.items()]
            self.meter.ticked(sum(count for count, _ in sizes), sum(count * size for count, size in sizes))

    def _in_slices(self, sending: Iterator[None]) -> asyncio.Task[None] | None:
        """Let `sending` send, with a turn for others wherever it yields; None if it is done already.

        An ack must not wait until a thousand people have been served.
        """

        async def go_on() -> None:
            for _ in sending:
                await asyncio.sleep(0)

        # Without a task where one slice is all: most rooms are small.
        return self._loop.create_task(go_on()) if any(True for _ in sending) else None

    def _send(self, parcels: Parcels, left_out: Callable[[Member], None]) -> Iterator[None]:
        """Send to each member its frame, and yield after each slice but the last.

        Whoever is sent something in this turn anyway (an ack, mostly) gets the frame with it: one send for both. That
        is none more than this turn has already, so it is for no slice to bound.
        """
        waiting = [(frame, self._deliver_with(frame, members)) for frame, members in parcels.items()]
        size = left = self._settings.slice_size
        for frame, members in waiting:
            start = 0
            while start < len(members):
                if not left:
                    yield
                    left = size
                part = members[start : start + left]
                self._deliver(frame, part, left_out)
                start += len(part)
                left -= len(part)

    @staticmethod
    def _deliver_with(frame: bytes, members: Iterable[Member]) -> list[Member]:
        """Send one frame to those who are sent something in this turn, with that; returns the others.

        Now, and not at the end of the turn: before that the room may have decided the next batch.
        """
        others = []
        for member in members:
            outbox = member.outbox
            if outbox.straight is None and outbox.is_clear:
                outbox.send(frame)
            else:
                others.append(member)
        return others

    @staticmethod
    def _deliver(frame: bytes, members: Iterable[Member], left_out: Callable[[Member], None]) -> None:
        """Send one frame to many, straight to their sockets where nothing is before it.

        Nothing is put on top of what a connection does not take: for that member `left_out` is called instead.
        """
        size = len(frame)
        for member in members:
            send = member.outbox.straight
            if send is not None:
                try:
                    sent = send(frame)
                except OSError:  # full, or gone: the outbox finds out
                    sent = 0
                if sent < size:
                    member.outbox.post(frame[sent:])
            elif member.outbox.is_clear:
                member.outbox.post(frame)
            else:
                left_out(member)

    def _stand_at(self, room: Room) -> None:
        self._sent_to = room.offset
        self._joined_then = room.joined_ever
        self._sent_chain = room.chain_at(room.offset)

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
        if member in self.members.behind:
            try:
                member.post(self._missed(room, member))
            except Exception:
                logger.exception("what a reader missed could not be made; it has to come back")
                member.close(CloseCode.STORE_TROUBLE)
                return
            self.members.caught_up(member)
        if member.missed_presence:
            member.missed_presence = False
            member.post(self._presence_for(room, member.who.role, with_notices=False))

    def _missed(self, room: Room, member: Member) -> messages.Delta | messages.Snapshot:
        seen = self.members.behind[member]
        ops = room_view.changes(room, member.who, seen)
        if len(ops) > self._settings.max_resume_ops:
            return messages.Snapshot(room.head.position, room_view.snapshot(room, member.who))
        return messages.Delta(seen, room.offset, room.head.position.chain, ops)

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
        self._send_presence_to(Role, room, with_notices=True)
        self._notices = []

    def _tell_hosts(self, room: Room) -> None:
        self._send_presence_to([HOST], room, with_notices=False)

    def _send_presence_to(self, roles: Iterable[Role], room: Room, *, with_notices: bool) -> None:
        self._told_arrivals = self.arrivals.now(self._loop.time())
        parcels: Parcels = {}
        for role in roles:
            frame = text_frame(encode(self._presence_for(room, role, with_notices=with_notices)))
            to = [member for member in self.members if member.who.role is role]
            parcels.setdefault(frame, []).extend(to)
        self._telling = self._in_slices(self._send(parcels, _miss_presence))

    def _presence_for(self, room: Room, role: Role, *, with_notices: bool) -> messages.Presence:
        if not self._may_know_names(room, role):
            return messages.Presence(self.presence.count)
        here = self.presence.here
        arrivals = self.arrivals.now(self._loop.time()) if role is HOST else None
        notices = []
        if with_notices and len(self._notices) <= _MAX_NOTICES:
            for actor, came in self._notices:
                person = room.people.get(actor)
                if person is not None and not person.removed:
                    notices.append(messages.Notice(person.name, "joined" if came else "left"))
        return messages.Presence(len(here), here, notices, arrivals)

    @staticmethod
    def _may_know_names(room: Room, role: Role) -> bool:
        return role is HOST or room.people_count <= NAMES_SHOWN_UP_TO


def _miss_presence(member: Member) -> None:
    member.missed_presence = True
