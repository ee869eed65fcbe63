"""A client of the programs in a small room, without anything between them."""

from __future__ import annotations

from typing import Any

from tests.small_room import SmallRoom, over_the_wire, plain
from wslive.core import room_view
from wslive.core.roles import Role, Who
from wslive.core.room import NAMES_SHOWN_UP_TO
from wslive.socketio.programs import POSITION, Author, Programs, Told
from wslive.wire.messages import Delta, Presence, Snapshot, Welcome


class Seat:
    """One client. What it was told is in `told`, without positions; those are in `positions`."""

    def __init__(
        self,
        small: SmallRoom,
        who: Who,
        *,
        lineage: str = "its own",
        authors: dict[int, Author] | None = None,
        told_to: int | None = None,
        here: list[str] | None = None,
    ) -> None:
        """Come in."""
        self._small = small
        self.who = who
        self.told: list[tuple[str, Any]] = []
        self.positions: list[str] = []
        self.programs = Programs(who.actor, lineage, ({} if authors is None else authors).get, told_to)
        self.come_in(who, here=here)

    def come_in(self, who: Who, *, here: list[str] | None = None) -> None:
        """Be welcome: the first time, or as somebody else."""
        self.who = who
        room = self._small.room
        welcome = Welcome(
            mode="snapshot",
            position=room.head.position,
            room="K7M2QX",
            actor=who.actor,
            role=who.role,
            presence=self._presence(here or []),
            view=plain(room_view.snapshot(room, who)),
        )
        self._hear(self.programs.welcome(welcome))

    def tick(self) -> list[tuple[str, Any]]:
        """A delta to the head; returns what it told."""
        room, after = self._small.room, self.programs.offset
        ops = over_the_wire(room_view.changes(room, self.who, after))
        return self._hear(self.programs.delta(Delta(after, room.head.offset, room.head.position.chain, ops)))

    def catch_up(self) -> list[tuple[str, Any]]:
        """The same by a snapshot."""
        room = self._small.room
        view = plain(room_view.snapshot(room, self.who))
        return self._hear(self.programs.snapshot(Snapshot(room.head.position, view)))

    def see(self, *here: str) -> list[tuple[str, Any]]:
        """Hear who is here."""
        return self._hear(self.programs.presence(self._presence(list(here))))

    def of(self, *events: str) -> list[Any]:
        """The payloads of these events so far."""
        return [payload for event, payload in self.told if event in events]

    def _presence(self, here: list[str]) -> Presence:
        shown = self.who.role is Role.HOST or self._small.room.people_count <= NAMES_SHOWN_UP_TO
        return Presence(len(here), here if shown else None)

    def _hear(self, told: list[Told]) -> list[tuple[str, Any]]:
        self.positions += [payload for event, payload in told if event == POSITION]
        new = [(event, payload) for event, payload in told if event != POSITION]
        self.told += new
        return new
