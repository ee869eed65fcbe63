"""How a room comes out of its log, and what is kept so that the next time is quicker.

Theory of operation. A room is the fold of its log: each event is read, verified and applied. That costs some ten
microseconds an event, so a room that has taken a million votes would keep its first visitor waiting for ten seconds.
Now and then its writer therefore keeps the state beside the log, as a checkpoint, and the next opening begins there.

    when      after every 50,000 events, in a long log after every eighth of it, and when the room is closed. So the
              whole of them costs so much an event, however long the log; and what a crash leaves to be folded is short.
              While commands wait for it to be done, four times as rarely: each has to.
    believed  if the store finds it whole, the log leads through its head, and these very rules made it: same wslive,
              same code of the core and of every activity. Otherwise all of the log is folded, as if there were none.
    behind    what lies before the checkpoint is read and verified all the same, but later and slowly, while the room
              is open. Until then the log is asked about every ref, since not all of those in it are known.

While a long log is read, other rooms have their turns: the store's thread reads, and the loop applies slices.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from wslive.activities.fingerprint import fingerprint
from wslive.core.checkpoint import can_be_packed, pack, pack_activity, unpack
from wslive.core.errors import LogError, StoreCorrupt
from wslive.core.room import Registry, Room, apply
from wslive.core.secrecy import BoxId, BoxKey
from wslive.eventlog.base import Checkpoint, EventLog, RoomRecord
from wslive.server.rooms.seen_refs import SeenRefs

logger = logging.getLogger("wslive.room")

CHECKPOINT_EVENTS = 50_000
"""After so many events, half a second of folding, a checkpoint is worth its writing. All commands wait for that: with
five thousand votes a second and one after every 10,000, one vote of a hundred came 40 ms later."""

CHECKPOINT_SHARE = 8
"""In a long log after this part of it: a checkpoint grows with the log, by eight bytes an event."""

CHECKPOINT_UNDER_LOAD = 4
"""So many times rarer where commands wait."""

CHECKPOINT_EVENTS_AT_END = 1000
"""When the room is closed, nothing waits for it."""

READ_BEHIND_REST_S = 0.01
"""Between two slices of what lies before a checkpoint: people who come in just then need the time more."""

READ_BEHIND_RETRY_S = 5.0

_READ_EVENTS = 500


class Folding:
    """The log of one room, as its writer sees it: folds it, and keeps checkpoints."""

    def __init__(
        self,
        record: RoomRecord,
        log: EventLog,
        registry: Registry,
        keys: Mapping[BoxId, BoxKey],
    ) -> None:
        """Do nothing yet; `keys` are those of the room's boxes at any time."""
        self._record = record
        self._log = log
        self._registry = registry
        self._keys = keys
        self._rules = fingerprint(frozenset(registry.values()))
        self._kept_at = 0
        """Where a checkpoint was last tried."""
        self._behind: asyncio.Task[None] | None = None

    async def fold(self) -> tuple[Room, SeenRefs]:
        """The state at the end of the log, and the refs in it.

        Raises:
            LogError: The log cannot be read.
        """
        await self.stop()
        kept = await self._unpacked()
        if kept is not None:
            try:
                return await self._fold_on(kept)
            except StoreCorrupt as error:
                logger.warning("room %s: its checkpoint is of no use, for after it %s", self._record.room, error)
        return await self._fold_on(Room(self._record.epoch, self._registry, self._keys))

    async def _fold_on(self, room: Room) -> tuple[Room, SeenRefs]:
        """Apply what came after a state."""
        start = self._kept_at = room.offset
        seen = SeenRefs(is_complete=start == 0)
        while True:
            events = await self._log.read(self._record.room, room.offset, _READ_EVENTS)
            try:
                for event in events:
                    apply(room, event)
                seen.add(events)
            except LogError:
                raise
            except Exception as error:
                raise StoreCorrupt(f"event {room.offset + 1} cannot be understood: {error!r}") from error
            if len(events) < _READ_EVENTS:
                break
            await asyncio.sleep(0)  # a long log must not stop the other rooms
        if start:
            self._behind = asyncio.create_task(
                self._read_behind(start, seen), name=f"room {self._record.room}: what lies before its checkpoint"
            )
        return room, seen

    async def _unpacked(self) -> Room | None:
        """The room as it was last kept, where that can be believed."""
        try:
            kept = await self._log.kept(self._record.room)
            if kept is not None and kept.rules == self._rules and kept.head.epoch == self._record.epoch:
                return unpack(kept.body, kept.head, self._registry, self._keys)
        except Exception as error:  # whatever is wrong with it: the log has it all
            logger.warning("room %s: its checkpoint is of no use: %s", self._record.room, error)
        return None

    # ── what lies before a checkpoint ─────────────────────────────────────────────────────────────────────────

    async def _read_behind(self, end: int, seen: SeenRefs) -> None:
        """Verify all events up to `end`, and take in their refs."""
        after = 0
        while after < end:
            await asyncio.sleep(READ_BEHIND_REST_S)
            try:
                events = await self._log.read(self._record.room, after, min(_READ_EVENTS, end - after))
            except StoreCorrupt as error:
                logger.error("room %s goes on from its checkpoint, but before it: %s", self._record.room, error)
                return
            except LogError:
                await asyncio.sleep(READ_BEHIND_RETRY_S)
                continue
            if not events:  # deleted
                return
            seen.add(events)
            after += len(events)
        seen.is_complete = True

    async def stop(self) -> None:
        """Leave what has not been read yet."""
        if self._behind is not None:
            self._behind.cancel()
            await asyncio.wait({self._behind})
            self._behind = None

    # ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────

    def is_due(self, room: Room, *, under_load: bool) -> bool:
        """Whether a checkpoint is worth its while now; `under_load` where commands wait."""
        events = max(CHECKPOINT_EVENTS, self._kept_at // CHECKPOINT_SHARE)
        return room.offset - self._kept_at >= events * (CHECKPOINT_UNDER_LOAD if under_load else 1)

    def erased(self) -> None:
        """The store has erased the checkpoint, since it held what was erased from the log."""
        self._kept_at = 0

    async def keep(self, room: Room) -> None:
        """Keep a checkpoint, if that can be done; until it returns the room must not change."""
        self._kept_at = room.offset
        if self._rules is None or not can_be_packed(room):
            return
        try:
            activities = []
            for activity in room.activities:
                activities.append(pack_activity(room, activity))
                await asyncio.sleep(0)
            await self._log.keep(self._record.room, Checkpoint(room.head, self._rules, pack(room, activities)))
        except LogError as error:
            logger.warning("room %s: no checkpoint was kept: %s", self._record.room, error)
        except Exception:  # it only saves time: nobody's vote may be lost for it
            logger.exception("room %s: no checkpoint was made", self._record.room)

    async def close(self, room: Room) -> None:
        """The room takes nothing any more: keep what it has come to."""
        await self.stop()
        if room.offset - self._kept_at >= CHECKPOINT_EVENTS_AT_END:
            await self.keep(room)
