"""Who is joined to a room just now, kept in the order in which a tick asks for it.

Theory of operation. A tick must not look at everybody to find out that everybody gets the same. So members are filed
when they come, not when something happens:

    groups    members by what decides what they see, but for who they are: role and ledger. One frame, one group.
    of        members by actor, for what concerns one person.
    behind    a member whose connection does not take what it is sent leaves its group, and is written down with the
              offset up to which it has seen everything. Members in the groups need no such note: they have been sent
              all that the last tick brought, or are about to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wslive.core.roles import Role, Who
from wslive.server.websocket.outbox import WayOut
from wslive.server.websocket.rfc6455 import text_frame
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode
from wslive.wire.codec import encode


class Member:
    """One joined connection."""

    __slots__ = ("close", "missed_presence", "outbox", "who")

    def __init__(self, who: Who, outbox: WayOut, close: Callable[[CloseCode], None]) -> None:
        """Who it is, and how to speak to it and to close it."""
        self.who = who
        self.outbox = outbox
        self.close = close
        self.missed_presence = False

    def post(self, message: messages.ServerMessage) -> None:
        """Send one message."""
        self.outbox.post(text_frame(encode(message)))


class Members:
    """All members of one room, in the order in which they came."""

    def __init__(self) -> None:
        """Nobody is here yet."""
        self._all: dict[Member, None] = {}
        self._by_actor: dict[str, tuple[Member, ...]] = {}
        self.groups: dict[tuple[Role, bool], dict[Member, None]] = {}
        """Those who are not behind, by role and ledger."""
        self.behind: dict[Member, int] = {}
        """The others, each with the offset up to which it has seen everything."""

    def add(self, member: Member) -> None:
        """File somebody who has seen everything."""
        who = member.who
        self._all[member] = None
        self._by_actor[who.actor] = (*self.of(who.actor), member)
        self._group(member)[member] = None

    def remove(self, member: Member) -> bool:
        """Forget somebody; whether they were here."""
        if member not in self._all:
            return False
        del self._all[member]
        actor = member.who.actor
        self._by_actor[actor] = tuple(other for other in self.of(actor) if other is not member)
        if not self._by_actor[actor]:
            del self._by_actor[actor]
        self._group(member).pop(member, None)
        self.behind.pop(member, None)
        return True

    def of(self, actor: str) -> tuple[Member, ...]:
        """All connections of one person."""
        return self._by_actor.get(actor, ())

    def fall_behind(self, member: Member, seen: int) -> None:
        """A member of a group is not sent what came after the offset `seen`."""
        if member in self._group(member):
            del self._group(member)[member]
            self.behind[member] = seen

    def caught_up(self, member: Member) -> None:
        """A member that was behind has been sent everything."""
        del self.behind[member]
        self._group(member)[member] = None

    def _group(self, member: Member) -> dict[Member, None]:
        return self.groups.setdefault((member.who.role, member.who.ledger), {})

    def __contains__(self, member: Member) -> bool:
        return member in self._all

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._all)
