"""The room in the words of the three programs, and their words as wishes to the room. Pure.

    broadcast chat   message
    named chat       new-user → user-connected · send-message → get-message · user-disconnected
    live vote        vote → update

Nobody says which program a client is, so each gets all events and listens to its own. Lines and arrivals are told once,
in the order of the log; `update` is the whole tally, and the last one is always the true one. A client that comes back
is told its position in the log (`POSITION`), from which what it missed is told.
"""

from __future__ import annotations

import colorsys
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from wslive.client.replica import Replica
from wslive.core.errors import BadCommand, ChatOff, PollClosed, UnknownCommand, UnknownOption
from wslive.core.events import Position
from wslive.core.view import Op, View
from wslive.wire.messages import Delta, Presence, Snapshot, Welcome

POSITION = "wslive:position"
"""Carries a position as its only argument. Socket.IO clients from 4.6 on keep the last text that came as the last
argument of an event and show it when they come back, whether somebody listens to that event or not."""

KNOWN_EVENTS = ("message", "new-user", "send-message", "vote")

_INDEX = re.compile(r"[0-9]{1,4}")

_GOLDEN_ANGLE = 0.381966
"""Steps of this part of the colour circle stay apart however many there are."""


class Hole(Exception):
    """More has happened than can be told line by line; the client has to begin anew."""


class Told(NamedTuple):
    """An event for the client."""

    event: str
    payload: Any


class _At(NamedTuple):
    """When what is told happened, as far as the view says; 0 where it does not."""

    at_ms: int
    told: Told


class Author(NamedTuple):
    """Which Socket.IO connection said a line."""

    sid: str
    lineage: str


class Name(NamedTuple):
    """Come in under a name, or take another one; None leaves it to the room."""

    name: str | None


class Do(NamedTuple):
    """A command to an activity."""

    activity: int
    kind: str
    body: dict[str, Any]


class Poll(NamedTuple):
    """The poll that the client saw last: a vote is an index into its options."""

    activity: int
    round: int
    options: tuple[str, ...]


class Programs:
    """What one client has been told."""

    def __init__(
        self, own: str, lineage: str, author_of: Callable[[int], Author | None], told_to: int | None = None
    ) -> None:
        """Start before the welcome.

        Args:
            own: The actor that the client is, or will be once it joins: nobody is told of their own coming.
            lineage: What stays the same when the client comes back.
            author_of: Which Socket.IO connection said the line of an id; None for everybody else's.
            told_to: The offset up to which the client was told before; None for one that begins.
        """
        self.recovered = False
        """Whether all that came since `told_to` was told at the welcome."""
        self._own = own
        self._lineage = lineage
        self._author_of = author_of
        self._replica = Replica()
        self._told_to = told_to
        self._names: dict[str, str] | None = None
        self._here: set[str] | None = None
        self._announced: set[str] = set()
        self._poll: Poll | None = None
        self._tally: dict[str, Any] | None = None

    @property
    def offset(self) -> int:
        """How far the client has been told."""
        return self._replica.offset

    @property
    def name(self) -> str:
        """What the client is called; "" before it is a participant."""
        return str(self._replica.view["me"]["name"])

    # ── from the room ─────────────────────────────────────────────────────────────────────────────────────────────

    def welcome(self, welcome: Welcome) -> list[Told]:
        """What a client is told when it comes in, or when it has become somebody else: a participant.

        Args:
            welcome: With the whole view.

        Raises:
            Hole: More lines came since the last news than the view has.
        """
        begins = self._replica.position is None
        self._replica.welcome(welcome)
        if not begins:
            self._check_history()
            return self._news(people=True) + self.presence(welcome.presence)
        self.recovered = self._told_to is not None and not self._has_hole()
        if not self.recovered:
            self._told_to = welcome.position.offset
        self._names = self._names_told()
        self.presence(welcome.presence)
        return [*(told for _, told in self._lines()), *self._update(), self._position()]

    def delta(self, delta: Delta) -> list[Told]:
        """What has changed."""
        if not self._replica.delta(delta):
            return []
        return self._news(people=_touches(delta.ops, "people"))

    def snapshot(self, snapshot: Snapshot) -> list[Told]:
        """The same from a whole view, for a client that was too slow for deltas.

        Raises:
            Hole: More lines came since than the view has.
        """
        self._replica.snapshot(snapshot)
        self._check_history()
        return self._news(people=True)

    def presence(self, presence: Presence) -> list[Told]:
        """Who came back or left. Who comes for the first time is told by `delta`, before their first line."""
        names, before = self._names, self._here
        if presence.here is None or names is None:
            self._here = None
            return []
        here = self._here = set(presence.here)
        if before is None:
            self._announced = here & names.keys()
            return []
        told = []
        for actor in here - before - self._announced - {self._own}:
            if actor in names:
                self._announced.add(actor)
                told.append(Told("user-connected", names[actor]))
        for actor in (before - here) & self._announced:
            self._announced.discard(actor)
            told.append(Told("user-disconnected", names[actor]))
        return [*told, self._position()] if told else []

    def _news(self, *, people: bool) -> list[Told]:
        told = _in_order(self._people() if people else [], self._lines())
        if told:
            told.append(self._position())
        return [*told, *self._update()]

    def _people(self) -> list[_At]:
        before, names = self._names, self._names_told()
        self._names = names
        if before is None or names is None:
            self._here = None  # the next presence message begins anew
            return []
        told = []
        for actor, name in names.items():
            if actor == self._own:
                continue
            if actor not in before:
                self._announced.add(actor)
                joined_at_ms = self._replica.view["people"]["names"][actor]["joined_at_ms"]
                told.append(_At(joined_at_ms, Told("user-connected", name)))
            elif before[actor] != name and actor in self._announced:
                told.append(_At(0, Told("user-disconnected", before[actor])))
                told.append(_At(0, Told("user-connected", name)))
        for actor in (before.keys() - names.keys()) & self._announced:
            self._announced.discard(actor)
            told.append(_At(0, Told("user-disconnected", before[actor])))
        return told

    def _lines(self) -> list[_At]:
        chat = self._chat()
        if chat is None:
            return []
        kept: dict[str, Any] = chat[1]["lines"]
        told_to = self._told_to or 0
        lines = sorted((line for line in kept.values() if line["id"] > told_to), key=lambda line: int(line["id"]))
        kept.clear()  # what was told is told: a long room must not gather here, once a client
        self._told_to = self._replica.offset
        told = []
        for line in lines:
            author = self._author_of(line["id"])
            who = author.sid if author is not None else line["by"].removeprefix("p_")
            told.append(_At(line["at_ms"], Told("message", f"{who[:2]} said {line['text']}")))
            if author is None or author.lineage != self._lineage:
                told.append(_At(line["at_ms"], Told("get-message", {"message": line["text"], "name": line["name"]})))
        return told

    def _update(self) -> list[Told]:
        stage = str(self._replica.view["room"]["stage"])
        poll = self._replica.view["activities"].get(stage)
        tally: dict[str, Any] = {}
        self._poll = None
        if poll is not None and poll["kind"] == "poll":
            options, counts = poll["definition"]["options"], poll["tally"]["counts"]
            self._poll = Poll(int(stage), poll["status"]["round"], tuple(o["id"] for o in options))
            tally = {
                str(index): {
                    "votes": None if counts is None else counts[option["id"]],
                    "label": option["text"],
                    "color": color(option["id"]),
                }
                for index, option in enumerate(options)
            }
        if tally == self._tally:
            return []
        self._tally = tally
        return [Told("update", tally)]

    def _position(self) -> Told:
        position = self._replica.position
        assert position is not None, "nothing is told before the welcome"
        return Told(POSITION, f"{position.epoch}.{position.offset}.{position.chain}")

    def _names_told(self) -> dict[str, str] | None:
        names = self._replica.view["people"].get("names")
        return None if names is None else {actor: person["name"] for actor, person in names.items()}

    def _chat(self) -> tuple[int, View] | None:
        activities = self._replica.view.get("activities", {}).items()
        return next(((int(id), a) for id, a in activities if a["kind"] == "chat"), None)

    def _check_history(self) -> None:
        if self._has_hole():
            raise Hole

    def _has_hole(self) -> bool:
        """Whether the view may lack lines that the client has not been told."""
        chat = self._chat()
        return chat is not None and chat[1]["history"]["more"] and chat[1]["history"]["from"] > (self._told_to or 0)

    # ── from the client ───────────────────────────────────────────────────────────────────────────────────────────

    def wish(self, event: str, payload: Any) -> Name | Do:
        """What an event of the client wishes.

        Raises:
            UnknownCommand: No event of these programs.
            BadCommand: A payload of the wrong type.
            UnknownOption · PollClosed: An index that is no option; no poll to vote in.
        """
        match event:
            case "message" | "send-message":
                return self._say(event, payload)
            case "vote":
                return self._vote(payload)
            case "new-user":
                if payload is not None and not isinstance(payload, str):
                    raise BadCommand(f'"new-user" takes a name as text, not {_kind(payload)}.')
                return Name(payload)
        known = ", ".join(KNOWN_EVENTS)
        raise UnknownCommand(f"This server does not know the event {event[:40]!r}. It knows {known}.")

    def _say(self, event: str, payload: Any) -> Do:
        if not isinstance(payload, str):
            raise BadCommand(f'"{event}" takes a text, not {_kind(payload)}.')
        chat = self._chat()
        if chat is None:
            raise ChatOff("This room has no chat.")
        return Do(chat[0], "say", {"text": payload})

    def _vote(self, payload: Any) -> Do:
        # The originals used the index as a key, where 1 and "1" are the same.
        index = int(payload) if isinstance(payload, str) and _INDEX.fullmatch(payload) else payload
        if not isinstance(index, int) or isinstance(index, bool):
            raise BadCommand(f'"vote" takes the index of an option, a number from 0 on, not {_kind(payload)}.')
        poll = self._poll
        if poll is None:
            raise PollClosed("Not counted: there is no question just now.")
        if not 0 <= index < len(poll.options):
            raise UnknownOption(f"There is no option {index}; they go from 0 to {len(poll.options) - 1}.")
        return Do(poll.activity, "cast_vote", {"round": poll.round, "options": [poll.options[index]]})


def parse_position(text: object) -> Position | None:
    """A position as `POSITION` carried it; None for anything else (the client kept another event's text)."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) != 3 or not (parts[1].isascii() and parts[1].isdigit()) or len(parts[1]) > 18:
        return None
    return Position(parts[0], int(parts[1]), parts[2])


@lru_cache(1024)
def color(option: str) -> str:
    """The colour of an option: always the same for the same id, and the first ones far apart."""
    number = int(option[1:]) if option[1:].isascii() and option[1:].isdigit() else zlib.crc32(option.encode())
    red, green, blue = colorsys.hls_to_rgb((0.6 + number * _GOLDEN_ANGLE) % 1, 0.55, 0.6)
    return f"rgb({red * 255:.0f}, {green * 255:.0f}, {blue * 255:.0f})"


def _in_order(people: list[_At], lines: list[_At]) -> list[Told]:
    """Whoever came while lines were said comes between them, and always before a line of their own."""
    told = []
    waiting = deque(sorted(people, key=lambda at: at.at_ms))
    for line in lines:
        while waiting and waiting[0].at_ms <= line.at_ms:
            told.append(waiting.popleft().told)
        told.append(line.told)
    return [*told, *(at.told for at in waiting)]


def _touches(ops: Iterable[Op], part: str) -> bool:
    return any(not op.path or op.path[0] == part for op in ops)


def _kind(payload: Any) -> str:
    match payload:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return f"the text {payload[:20]!r}"
        case list():
            return "a list"
    return "an object"
