"""Where the keys of ballot boxes lie: files of their own, outside the store and what is copied with it.

A key is made before anybody hears of its box and destroyed when the box was counted, so it is there exactly as long as
ballots can be read. It is on the disk before it is used: a server that is killed finds it again, or one person could
vote twice. Each is a file in a folder of its own, named after room, activity and box, and for its owner alone.

Destroying overwrites the bytes in place, syncs, and unlinks. What lies below a file system may keep copies of its own
(snapshots, flash memory); docs/secret_polls.md says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from wslive.core.errors import StoreUnwritable
from wslive.core.room import Room
from wslive.core.secrecy import KEY_BYTES, BoxId, BoxKey
from wslive.eventlog.key_files import sync_folder, write_private
from wslive.server.settings import ServerSettings

ResultT = TypeVar("ResultT")

logger = logging.getLogger("wslive.room")

_NAME = re.compile(r"(?P<room>[A-Za-z0-9_-]+)\.(?P<activity>[0-9]+)\.(?P<box>[a-z0-9-]+)")


class BoxKeys:
    """The keys of all open boxes of one server. Blocking; raises OSError."""

    def __init__(self, folder: Path | None) -> None:
        """Keep them in `folder`, which is made when it is needed; None: in memory, where they end with the process."""
        self._folder = folder
        self._memory: dict[tuple[str, BoxId], BoxKey] = {}

    @property
    def are_in_memory(self) -> bool:
        """Whether nothing here waits for a disk."""
        return self._folder is None

    def load(self, room: str) -> dict[BoxId, BoxKey]:
        """The keys of a room that are there."""
        found = {box: key for (owner, box), key in self._memory.items() if owner == room}
        for path, owner, box in self._files():
            if owner == room:
                secret = path.read_bytes()
                if len(secret) == KEY_BYTES:
                    found[box] = BoxKey(secret)
                else:  # a server was killed while it made this one: nothing was put in yet
                    path.unlink()
        return found

    def make(self, room: str, box: BoxId) -> BoxKey:
        """A new key, which is on the disk when this returns."""
        secret = secrets.token_bytes(KEY_BYTES)
        if self._folder is None:
            return self._memory.setdefault((room, box), BoxKey(secret))
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(self._folder, room, box)
        with suppress(FileNotFoundError):
            path.unlink()
        write_private(path, secret)
        sync_folder(self._folder.parent)
        return BoxKey(secret)

    def destroy(self, room: str, box: BoxId) -> None:
        """Destroy a key; one that is not there is no error."""
        self._memory.pop((room, box), None)
        if self._folder is not None:
            self._erase(self._path(self._folder, room, box))

    def destroy_all(self, room: str) -> None:
        """Destroy all keys of a room."""
        for owner, box in list(self._memory):
            if owner == room:
                del self._memory[owner, box]
        for path, owner, _ in self._files():
            if owner == room:
                self._erase(path)

    def rooms(self) -> set[str]:
        """The rooms that have keys."""
        return {owner for owner, _ in self._memory} | {owner for _, owner, _ in self._files()}

    def _files(self) -> list[tuple[Path, str, BoxId]]:
        if self._folder is None or not self._folder.is_dir():
            return []
        named = [(path, _NAME.fullmatch(path.name)) for path in sorted(self._folder.iterdir())]
        return [(path, name["room"], (int(name["activity"]), name["box"])) for path, name in named if name]

    def _path(self, folder: Path, room: str, box: BoxId) -> Path:
        name = f"{room}.{box[0]}.{box[1]}"
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a key")
        return folder / name

    def _erase(self, path: Path) -> None:
        try:
            with open(path, "r+b") as file:
                file.write(bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)


class RoomKeys:
    """The keys of one room, as its writer sees to them.

    Attributes:
        by_box: What the room's state reads with; changed in place.
    """

    def __init__(self, room: str, kept: BoxKeys) -> None:
        """Know of none yet."""
        self.by_box: dict[BoxId, BoxKey] = {}
        self._room = room
        self._kept = kept

    async def load(self) -> None:
        """Take up those that are there.

        Raises:
            StoreUnwritable: They cannot be read. Without them a poll would pass for one whose answers are lost.
        """
        try:
            self.by_box.update(await self._do(self._kept.load))
        except OSError as error:
            raise StoreUnwritable(f"The keys of secret polls cannot be read: {error}") from None

    async def tend(self, room: Room) -> None:
        """See that every box that is open has a key, and that no other key is left."""
        if not room.boxes and not self.by_box:
            return
        boxes = {(activity, box.name) for activity, box in room.boxes.items()}
        for box in self.by_box.keys() - boxes:
            try:
                await self._do(self._kept.destroy, box)
            except OSError as error:  # tried again after the next batch
                logger.error("room %s: the key of a closed secret poll is still there: %s", self._room, error)
            else:
                del self.by_box[box]
        for box in boxes - self.by_box.keys() - room.unread:
            try:
                self.by_box[box] = await self._do(self._kept.make, box)
            except OSError as error:  # votes are sent away until then
                logger.error("room %s: a secret poll has no key: %s", self._room, error)

    async def _do(self, call: Callable[..., ResultT], *box: BoxId) -> ResultT:
        """Beside the loop, if the disk is concerned."""
        if self._kept.are_in_memory:
            return call(self._room, *box)
        return await asyncio.to_thread(call, self._room, *box)


def box_keys(settings: ServerSettings) -> BoxKeys:
    """The keys of a server: beside the key that signs its tokens, and in memory where that one is.

    `wslive.db.key` has `wslive.db.boxes` beside it.
    """
    path = settings.secret_path
    return BoxKeys(None if path is None else path.with_suffix(".boxes"))
