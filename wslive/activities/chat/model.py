"""The rules of a chat: who may say something, and who reads it.

A line keeps its author's id, not the name: a rename or a mute by the host reaches back to every line. Lines are
conflated never: everybody gets each one, in order; a mute or a hidden line takes lines away again.

Audiences:
    host         all lines; hidden ones and those said to the host alone are marked
    room         all lines that were said to everybody, are not hidden and whose author is not muted
    host_lines   only what the host says (`to_host`: people write to the host alone)
    off          nothing

A line said to the host alone stays so, whatever the mode is later; its author alone reads it as well (`personal`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self

import msgspec

from wslive.core.activity import (
    HISTORY_ENTRIES,
    Activity,
    CommandSpec,
    Context,
    EventSpec,
    Meta,
    People,
    Person,
    event_specs,
)
from wslive.core.errors import BadCommand, ChatOff, ChatPaused, Muted, UnknownLine
from wslive.core.roles import HOST, HOST_ACTOR, HOSTS, SPEAKERS, Who
from wslive.core.text import HOST_NAME, MAX_LINE_CHARS, clean
from wslive.core.view import Audience, Keyed, Op, Put, Remove, Set, View

OWN_LINES = 50
"""How many of the lines that they said to the host alone people are shown."""


class Mode(StrEnum):
    """Who reads what participants say."""

    ON = "on"
    OFF = "off"
    TO_HOST = "to_host"


class OpenChat(msgspec.Struct, frozen=True):
    """Open a chat."""

    mode: Mode = Mode.ON


class Say(msgspec.Struct, frozen=True):
    """Say a line."""

    text: str


class HideLine(msgspec.Struct, frozen=True):
    """Hide a line from everybody but the host, or show it again."""

    line: int
    hidden: bool = True


class SetChat(msgspec.Struct, frozen=True):
    """Choose who reads, and whether people may write just now."""

    mode: Mode
    paused: bool


class ChatOpened(msgspec.Struct, frozen=True):
    """A chat was opened."""

    mode: Mode


class LineSaid(msgspec.Struct, frozen=True, gc=False):
    """Somebody said something."""

    text: str


class LineHidden(msgspec.Struct, frozen=True):
    """The host hid a line or showed it again."""

    line: int
    hidden: bool


class ChatSet(msgspec.Struct, frozen=True):
    """The host chose who reads and whether people may write."""

    mode: Mode
    paused: bool


class Line(msgspec.Struct, gc=False):
    """One line; its id is the offset of its event."""

    id: int
    by: str
    text: str
    at_ms: int
    to_host: bool
    hidden: bool = False
    erased: bool = False


class ChatState(msgspec.Struct, kw_only=True):
    """One chat."""

    mode: Mode
    opened_at: int
    settings_at: int
    mode_at: int
    paused: bool = False
    lines: dict[int, Line] = msgspec.field(default_factory=dict)
    order: list[int] = msgspec.field(default_factory=list)  # line ids as said, so ascending
    by_actor: dict[str, list[int]] = msgspec.field(default_factory=dict)
    to_host: dict[str, list[int]] = msgspec.field(default_factory=dict)
    erased_at: dict[str, int] = msgspec.field(default_factory=dict)  # of those in to_host
    touched: Keyed[int] = msgspec.field(default_factory=Keyed)  # line ids in the order of their last change

    @classmethod
    def of(cls, opened: ChatOpened, meta: Meta) -> Self:
        """One without lines."""
        return cls(mode=opened.mode, opened_at=meta.offset, settings_at=meta.offset, mode_at=meta.offset)

    def touch(self, line: int, offset: int) -> None:
        """Note that a line's look may have changed."""
        self.touched.touch(str(line), line, offset)


_BY_KEY, _BY_TYPE = event_specs(
    EventSpec("chat_opened", 1, ChatOpened),
    EventSpec("line_said", 1, LineSaid, erased=LineSaid("")),
    EventSpec("line_hidden", 1, LineHidden),
    EventSpec("chat_set", 1, ChatSet),
)

_AUDIENCES = {Mode.ON: "room", Mode.TO_HOST: "host_lines", Mode.OFF: "off"}


class Chat(Activity[ChatState]):
    """The chat activity."""

    kind = "chat"
    state_type = ChatState
    commands: ClassVar[Mapping[str, CommandSpec]] = {
        "open": CommandSpec(OpenChat, HOSTS),
        "say": CommandSpec(Say, SPEAKERS),
        "hide_line": CommandSpec(HideLine, HOSTS),
        "set_chat": CommandSpec(SetChat, HOSTS),
    }
    events_by_key = _BY_KEY
    events_by_type = _BY_TYPE

    def stageable(self, state: ChatState) -> bool:
        """A chat runs beside the stage."""
        return False

    def decide_open(self, command: OpenChat, others: Mapping[int, ChatState], context: Context) -> ChatOpened:
        """One chat a room."""
        if others:
            raise BadCommand("This room has a chat already.")
        return ChatOpened(command.mode)

    def initial(self, opened: ChatOpened, meta: Meta) -> ChatState:
        """A chat without lines."""
        return ChatState.of(opened, meta)

    def decide(self, state: ChatState, command: Any, context: Context) -> msgspec.Struct:
        """See the commands above."""
        match command:
            case Say(text=text):
                if context.role is not HOST:
                    if state.mode is Mode.OFF:
                        raise ChatOff
                    if state.paused:
                        raise ChatPaused
                    if _muted(context.actor, context.people):
                        raise Muted
                return LineSaid(clean(text, max_chars=MAX_LINE_CHARS, what="The line"))
            case HideLine(line=line, hidden=hidden):
                if line not in state.lines or state.lines[line].erased:
                    raise UnknownLine
                return LineHidden(line, hidden)
            case SetChat(mode=mode, paused=paused):
                return ChatSet(mode, paused)
        raise AssertionError(f"no rule for {command!r}")

    def apply(self, state: ChatState, event: Any, meta: Meta) -> None:
        """See the events above."""
        match event:
            case LineSaid(text=text):
                to_host = state.mode is Mode.TO_HOST and meta.actor != HOST_ACTOR
                state.lines[meta.offset] = Line(meta.offset, meta.actor, text, meta.at_ms, to_host)
                state.order.append(meta.offset)
                state.by_actor.setdefault(meta.actor, []).append(meta.offset)
                if to_host:
                    state.to_host.setdefault(meta.actor, []).append(meta.offset)
                state.touch(meta.offset, meta.offset)
            case LineHidden(line=line, hidden=hidden):
                state.lines[line].hidden = hidden
                state.touch(line, meta.offset)
            case ChatSet(mode=mode, paused=paused):
                if mode is not state.mode:
                    state.mode_at = meta.offset
                state.mode = mode
                state.paused = paused
                state.settings_at = meta.offset

    def person_changed(self, state: ChatState, actor: str, person: Person, meta: Meta) -> None:
        """A new name, a mute or its end shows on every line of that person."""
        for line in state.by_actor.get(actor, ()):
            state.touch(line, meta.offset)

    def texts_of(self, state: ChatState, actor: str) -> Iterable[int]:
        """All lines of a person."""
        return state.by_actor.get(actor, ())

    def person_erased(self, state: ChatState, actor: str, meta: Meta) -> None:
        """All lines of that person disappear, for the host too."""
        for id in state.by_actor.pop(actor, ()):
            line = state.lines[id]
            line.text, line.erased = "", True
            state.touch(id, meta.offset)
        if state.to_host.pop(actor, None):
            state.erased_at[actor] = meta.offset

    def audience(self, state: ChatState, who: Who) -> Audience:
        """By role and mode."""
        if who.role is HOST:
            return Audience("host", state.opened_at)
        return Audience(_AUDIENCES[state.mode], state.mode_at)

    def tells_apart(self, state: ChatState) -> bool:
        """All of a role read the same."""
        return False

    def view(self, state: ChatState, audience: str, people: People, history: int = HISTORY_ENTRIES) -> View:
        """The settings and the latest lines; `history` says where they begin and whether there are more."""
        latest: list[Line] = []
        more = False
        for line in _newest_first(state, audience, people):
            if len(latest) == history:
                more = True
                break
            latest.append(line)
        first = latest[-1].id if more else 0
        return {
            "kind": self.kind,
            "settings": _settings(state),
            "history": {"from": first, "more": more},
            "lines": {str(line.id): _line(line, audience, people) for line in reversed(latest)},
        }

    def changes(self, state: ChatState, audience: str, people: People, after: int) -> list[Op]:
        """The settings, and each line that came, changed or went."""
        ops: list[Op] = []
        if state.settings_at > after:
            ops.append(Set(("settings",), _settings(state)))
        changed = [line for _, line in state.touched.after(after) if line is not None]
        for id in reversed(changed):
            line = state.lines[id]
            if _visible(line, audience, people):
                ops.append(Put(("lines",), str(id), _line(line, audience, people)))
            elif _addressed(line, audience):  # of all others not even the number is told
                ops.append(Remove(("lines",), str(id)))
        return ops

    def older(self, state: ChatState, audience: str, people: People, before: int, limit: int) -> list[View]:
        """Lines before `before` that this audience may read, oldest first."""
        found: list[View] = []
        for line in _newest_first(state, audience, people, before):
            found.append(_line(line, audience, people))
            if len(found) == limit:
                break
        return found[::-1]

    def personal(self, state: ChatState, actor: str) -> tuple[int, View] | None:
        """The latest lines that the actor said to the host alone; nobody else's view has them."""
        own = state.to_host.get(actor, [])
        changed = own[-1] if own else state.erased_at.get(actor)
        if changed is None:
            return None
        shown = [state.lines[id] for id in own[-OWN_LINES:]]
        return changed, {"lines": [{"id": line.id, "text": line.text, "at_ms": line.at_ms} for line in shown]}

    def changed(self, state: ChatState) -> int:
        """The latest of settings and lines."""
        return max(state.settings_at, state.touched.changed)


def _newest_first(state: ChatState, audience: str, people: People, before: int | None = None) -> Iterator[Line]:
    # Reading back in a long room must not walk over all that came since.
    end = len(state.order) if before is None else bisect_left(state.order, before)
    lines = (state.lines[state.order[i]] for i in range(end - 1, -1, -1))
    return (line for line in lines if _visible(line, audience, people))


def _addressed(line: Line, audience: str) -> bool:
    """Whether the line was ever meant for this audience."""
    match audience:
        case "host":
            return True
        case "room":
            return not line.to_host
        case "host_lines":
            return line.by == HOST_ACTOR
    return False


def _visible(line: Line, audience: str, people: People) -> bool:
    if line.erased:
        return False
    if audience == "host":
        return True
    return _addressed(line, audience) and not line.hidden and not _muted(line.by, people)


def _muted(actor: str, people: People) -> bool:
    person = people.get(actor)
    return person is not None and person.muted


def _line(line: Line, audience: str, people: People) -> View:
    person = people.get(line.by)
    view: View = {
        "id": line.id,
        "by": line.by,
        "name": person.name if person is not None else HOST_NAME,
        "host": line.by == HOST_ACTOR,
        "text": line.text,
        "at_ms": line.at_ms,
    }
    if audience == "host":
        view["hidden"] = line.hidden
        view["muted"] = _muted(line.by, people)
        view["to_host"] = line.to_host
    return view


def _settings(state: ChatState) -> View:
    return {"mode": state.mode.value, "paused": state.paused}
