"""The chat of a room, for its host and for everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from wslive.core.text import counted
from wslive.core.view import View
from wslive.notebook import frames
from wslive.notebook.calls import HasAio, blocking
from wslive.notebook.live import TIMEOUT_S
from wslive.notebook.saved import note_html
from wslive.notebook.shown import Shown

if TYPE_CHECKING:
    from wslive.notebook.live import Live

CallT = TypeVar("CallT", bound=Callable[..., object])

_PAGE_LINES = 200
MODES = ("on", "off", "to_host")


class Line(NamedTuple):
    """One chat line."""

    id: int
    name: str
    text: str
    said_at: datetime
    hidden: bool


class Chat(Shown, HasAio):
    """What people say to the room; iterate over it for the latest lines."""

    part = "chat"

    def __init__(self, live: Live, id: int) -> None:
        """Look at the activity `id`."""
        super().__init__(live)
        self.id = id

    @blocking
    async def say(self, text: str, *, again: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        """Say a line. Running the same cell again does not say it again, unless told so by `again=True`.

        Raises:
            ChatOff · ChatPaused · Muted · TextTooLong · EmptyText · TooFast: The room did not take it.
        """
        await self.live.speak(self.id, text, again, timeout_s)

    @property
    def mode(self) -> str:
        """Who reads what participants say: "on" (everybody), "to_host" (the host alone) or "off" (nobody may write)."""
        return str(self._settings()["mode"])

    @property
    def paused(self) -> bool:
        """Whether participants cannot write for a moment."""
        return bool(self._settings()["paused"])

    def on_change(self, call: CallT) -> CallT:
        """Call a function with this chat now and after each change; a decorator. See `Poll.on_change`."""
        name = f"chat {call.__module__}.{call.__qualname__}"
        self.live.reactions.add(name, lambda: call(self), self._version)
        return call

    @blocking
    async def to_frame(self, backend: str = "pandas", *, timeout_s: float = TIMEOUT_S) -> Any:
        """All lines from the first on, as a data frame: line, participant, name, text, said_at (UTC), hidden.

        Raises:
            ImportError: The backend is not installed; the message says how.
            NotConnected: Older lines could not be fetched.
        """
        await asyncio.to_thread(frames.check_backend, backend)
        return await asyncio.to_thread(frames.lines_frame, await self._all_lines(), backend)

    @blocking
    async def to_csv(self, path: str | Path, *, timeout_s: float = TIMEOUT_S) -> Path:
        """Write the rows of `to_frame` to a file for a spreadsheet; lines that it would take for formulas are not.

        Raises:
            OSError: The file cannot be written.
            NotConnected: Older lines could not be fetched.
        """
        text = frames.lines_frame(await self._all_lines(), frames.CSV)
        return await asyncio.to_thread(frames.write_csv, path, text)

    async def _all_lines(self) -> list[View]:
        lines = list(self._of()["lines"].values())
        more = self._of()["history"]["more"]
        lines.sort(key=lambda line: int(line["id"]))
        while more:
            before = int(lines[0]["id"]) if lines else self._of()["history"]["from"]
            page = await self.live.connection.older(self.id, before, _PAGE_LINES)
            lines[:0] = page
            more = len(page) == _PAGE_LINES
        return lines

    def __iter__(self) -> Iterator[Line]:
        """The latest lines, oldest first."""

        def take(view: View) -> list[Line]:
            lines = view["activities"][str(self.id)]["lines"].values()
            return [
                Line(
                    n["id"],
                    n["name"],
                    n["text"],
                    datetime.fromtimestamp(n["at_ms"] / 1000, UTC),
                    n.get("hidden", False),
                )
                for n in sorted(lines, key=lambda n: int(n["id"]))
            ]

        return iter(self.live.read(take))

    def __len__(self) -> int:
        """How many of the latest lines this kernel holds."""
        return self.live.read(lambda view: len(view["activities"][str(self.id)]["lines"]))

    def __repr__(self) -> str:
        settings = self._settings()
        paused = ", paused" if settings["paused"] else ""
        held = self.live.peek(lambda view: len(view["activities"][str(self.id)]["lines"]))
        return f"<{type(self).__name__}: {settings['mode']}{paused}, {counted(held, 'line')}>"

    def saved_html(self) -> str:
        """What a saved notebook shows: how many lines there were, and none of them."""
        held = self.live.peek(lambda view: len(view["activities"][str(self.id)]["lines"]))
        return note_html("Chat", f"{counted(held, 'line')}; what people write is not kept in the notebook.")

    def _of(self) -> View:
        found: View = self.live.connection.replica.view["activities"][str(self.id)]
        return found

    def _settings(self) -> View:
        found: View = self.live.peek(lambda view: view["activities"][str(self.id)]["settings"])
        return found

    def _version(self) -> object:
        chat = self._of()
        return chat["settings"], tuple(tuple(line.items()) for line in chat["lines"].values())


class HostChat(Chat):
    """The chat in the hands of the host."""

    @property
    def mode(self) -> str:
        """Who reads what participants say: "on" (everybody), "to_host" (the host alone) or "off" (nobody may write)."""
        return super().mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self.set_mode(mode)

    @blocking
    async def set_mode(self, mode: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Choose who reads; `chat.mode = …` does the same.

        Raises:
            ValueError: No such mode.
        """
        if mode not in MODES:
            raise ValueError(f"mode={mode!r} is none of {', '.join(map(repr, MODES))}.")
        await self._set(mode, self._of()["settings"]["paused"], timeout_s)

    @blocking
    async def pause(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Let nobody but the host write for a moment."""
        await self._set(self._of()["settings"]["mode"], True, timeout_s)

    @blocking
    async def resume(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Let people write again."""
        await self._set(self._of()["settings"]["mode"], False, timeout_s)

    @blocking
    async def hide(self, line: Line | int, hidden: bool = True, *, timeout_s: float = TIMEOUT_S) -> None:
        """Hide a line from everybody but the host, or show it again.

        Raises:
            UnknownLine: There is no such line.
        """
        id = line.id if isinstance(line, Line) else line
        await self.live.command(self.id, "hide_line", {"line": id, "hidden": hidden}, timeout_s)

    async def _set(self, mode: str, paused: bool, timeout_s: float) -> None:
        if self._of()["settings"] != {"mode": mode, "paused": paused}:
            await self.live.command(self.id, "set_chat", {"mode": mode, "paused": paused}, timeout_s)
