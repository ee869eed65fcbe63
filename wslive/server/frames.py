"""The delta frames of one tick: each part encoded once per audience, each combination of audiences framed once.

What a vote costs does not depend on how many people watch: a thousand readers in the same audiences share one frame.
Only readers whose personal part changed too get one of their own, which costs a join and no second encoding.
"""

from __future__ import annotations

from collections.abc import Iterable

from wslive.core import room_view
from wslive.core.roles import Who
from wslive.core.room import Room
from wslive.server.rfc6455 import text_frame
from wslive.wire.codec import delta_frame, encode_ops


class DeltaFrames:
    """The frames from `since` to the room's head; to be used before the room changes."""

    def __init__(self, room: Room, since: int) -> None:
        """Find out which parts, and whose personal parts, have changed."""
        self._room = room
        self._since = since
        self._parts = [p for p in room_view.parts(room) if room_view.changed(room, p) > since]
        self._touched = {actor for actor, _ in room.touched.after(since)}
        self._concerns_everybody = room.everyone_at > since
        self._fragments: dict[tuple[str, str, bool], bytes] = {}
        self._frames: dict[tuple[tuple[tuple[str, str, bool], ...], bytes], bytes] = {}

    def of(self, who: Who) -> bytes:
        """The frame for one reader."""
        keys = []
        moved = False
        for part in self._parts:
            group = room_view.audience(self._room, part, who)
            whole = group.since > self._since
            moved = moved or whole
            keys.append((part, group.name, whole))
        own = b""
        if moved or self._concerns_everybody or who.actor in self._touched:
            own = encode_ops(room_view.personal_changes(self._room, who, self._since))
        key = (tuple(keys), own)
        frame = self._frames.get(key)
        if frame is None:
            fragments = [self._fragment(part) for part in keys]
            frame = self._frames[key] = self._frame([*fragments, own] if own else fragments)
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
