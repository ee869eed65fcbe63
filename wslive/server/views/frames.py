"""The delta frames of one tick: each part encoded once per audience, each combination of audiences framed once.

Theory of operation. What a vote costs does not depend on how many people watch. `parcels` asks once per group of
members (see `members`) for the frame that all of it gets. Of each member a tick asks no more than whether they did
something: one look into a set, beside the send that follows. A frame is looked for one by one only for those whom the
tick concerns in person: whoever did something; and everybody, where an audience or a box was changed, or an activity
tells people of one role apart. A frame of somebody's own costs a join and no second encoding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from wslive.core import room_view
from wslive.core.roles import Who
from wslive.core.room import Room
from wslive.server.views.members import Member, Members
from wslive.server.websocket.rfc6455 import text_frame
from wslive.wire.codec import delta_frame, encode_ops

logger = logging.getLogger("wslive.fanout")

Parcels = dict[bytes, list[Member]]
"""Frames, and who gets each."""

_Keys = tuple[tuple[str, str, bool], ...]
"""The parts that are in a frame: for which audience, and whether all of it."""


class DeltaFrames:
    """The frames from `since` to the room's head; to be used before the room changes."""

    def __init__(self, room: Room, since: int) -> None:
        """Find out which parts, and whose personal parts, have changed."""
        self._room = room
        self._since = since
        self._parts = [p for p in room_view.parts(room) if room_view.changed(room, p) > since]
        self._touched = {actor for actor, _ in room.touched.after(since)}
        self._concerns_everybody = room.everyone_at > since
        self._tells_apart = any(room_view.tells_apart(room, part) for part in self._parts)
        self._fragments: dict[tuple[str, str, bool], bytes] = {}
        self._frames: dict[_Keys, dict[bytes, bytes]] = {}

    def parcels(self, members: Members) -> tuple[Parcels, list[Member]]:
        """Which frame is for which of those who are not behind; and for whom there is none, because of a mistake."""
        parcels: Parcels = {}
        failed: list[Member] = []
        for group in members.groups.values():
            try:
                keys = self._shared_keys(next(iter(group)).who) if group else None
                shared = None if keys is None else self._framed(keys, b"")
            except Exception:
                logger.exception("a delta could not be made; its readers have to come back")
                failed += group
                continue
            alone: Iterable[Member] = group
            if shared is not None:
                # To look those up who did something goes all over the memory, once for each of several tables; and in
                # a hall that votes they are nearly everybody.
                touched, alone, others = self._touched, [], parcels.setdefault(shared, [])
                for member in group:
                    (alone if member.who.actor in touched else others).append(member)
            for member in alone:
                try:
                    frame = self.of(member.who, keys)
                    parcels.setdefault(frame, []).append(member)
                except Exception:
                    logger.exception("a delta could not be made; its reader has to come back")
                    failed.append(member)
        return parcels, failed

    def of(self, who: Who, keys: _Keys | None = None) -> bytes:
        """The frame for one reader; `keys` where they are those of all whom it is filed with."""
        is_moved = False
        if keys is None:
            keys, is_moved = self._keys(who)
        own = b""
        if is_moved or self._concerns_everybody or who.actor in self._touched:
            own = encode_ops(room_view.personal_changes(self._room, who, self._since, self._parts))
        return self._framed(keys, own)

    def _shared_keys(self, who: Who) -> _Keys | None:
        """What is in the frames of all of a role, but for what concerns each in person.

        None where everybody has to be looked at.
        """
        if self._tells_apart or self._concerns_everybody:
            return None
        keys, is_moved = self._keys(who)
        return None if is_moved else keys

    def _keys(self, who: Who) -> tuple[_Keys, bool]:
        """What is in a reader's frame, and whether they have come to another audience."""
        keys = []
        for part in self._parts:
            group = room_view.audience(self._room, part, who)
            keys.append((part, group.name, group.since > self._since))
        return tuple(keys), any(is_whole for *_, is_whole in keys)

    def _framed(self, keys: _Keys, own: bytes) -> bytes:
        frames = self._frames.get(keys)
        if frames is None:
            frames = self._frames[keys] = {}
        frame = frames.get(own)
        if frame is None:
            fragments = [self._fragment(part) for part in keys]
            head = self._room.head
            delta = delta_frame(self._since, head.offset, head.position.chain, [*fragments, own])
            frame = frames[own] = text_frame(delta)
        return frame

    def _fragment(self, key: tuple[str, str, bool]) -> bytes:
        fragment = self._fragments.get(key)
        if fragment is None:
            part, name, is_whole = key
            if is_whole:
                ops = room_view.whole_part(self._room, part, name)
            else:
                ops = room_view.part_changes(self._room, part, name, self._since)
            fragment = self._fragments[key] = encode_ops(ops)
        return fragment
