"""The people of a room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from wslive.core.errors import UnknownPerson
from wslive.core.text import counted
from wslive.core.view import View
from wslive.notebook import frames
from wslive.notebook.calls import HasAio, blocking
from wslive.notebook.live import TIMEOUT_S
from wslive.notebook.saved import note_html
from wslive.notebook.shown import Shown
from wslive.wire.messages import Arrivals

if TYPE_CHECKING:
    from wslive.notebook.live import Live

CallT = TypeVar("CallT", bound=Callable[..., object])

_COMING_S = 2.0
"""How long to wait for somebody who has just come in, before it is said that nobody is called so."""


class Person(NamedTuple):
    """One participant; `here` tells whether they are connected now, `level` how sure it is who they are.

    Level 3 is a login at a JupyterHub: one person, from wherever they come. Level 2 is an invitation of the host's.
    Level 1 is a token that a page or program keeps. Level 0 is a connection alone: whoever opens another one is
    another participant. Socket.IO clients that show nothing are of level 0.
    """

    id: str
    name: str
    joined_at: datetime
    muted: bool
    here: bool
    level: int = 1


class People(Shown, HasAio):
    """Everybody who has joined; iterate over it, or name somebody to the calls below.

    Where a person is asked for, a `Person`, an id or a name does.
    """

    part = "people"

    def __init__(self, live: Live) -> None:
        """Look at the people of a room."""
        super().__init__(live)

    @blocking
    async def mute(self, person: Person | str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Hide all lines of a person, those to come too.

        Raises:
            UnknownPerson: Nobody of that name or id, or several of that name.
        """
        await self._do("mute", person, {"muted": True}, timeout_s)

    @blocking
    async def unmute(self, person: Person | str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Show a person's lines again."""
        await self._do("mute", person, {"muted": False}, timeout_s)

    @blocking
    async def rename(self, person: Person | str, name: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Give a person another name."""
        await self._do("rename", person, {"name": name}, timeout_s)

    @blocking
    async def remove(self, person: Person | str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Send a person out for good. Their ballots stay counted."""
        await self._do("remove_person", person, {}, timeout_s)

    @property
    def online(self) -> int:
        """How many are connected now."""
        return self.live.online

    @property
    def arrivals(self) -> Arrivals:
        """How many new people came in the last minute, and from how many networks: told to the host alone.

        One person with a script can come in many times, and a full hall comes in at once from one network; the server
        cannot tell these apart and lets both in. Whoever sees the hall can: see `lock` and `remove`.
        """
        presence = self.live.connection.presence
        return Arrivals() if presence is None or presence.arrivals is None else presence.arrivals

    @property
    def level(self) -> int | None:
        """How sure it is that nobody is counted twice: the lowest level of anybody here; None before anybody is."""
        return min((person.level for person in self), default=None)

    def on_change(self, call: CallT) -> CallT:
        """Call a function with these people now and when somebody comes, goes or changes; a decorator."""
        name = f"people {call.__module__}.{call.__qualname__}"
        self.live.reactions.add(name, lambda: call(self), self._version)
        return call

    def to_frame(self, backend: str = "pandas") -> Any:
        """Everybody as a data frame: participant, name, joined_at (UTC), muted, here.

        Raises:
            ImportError: The backend is not installed; the message says how.
        """
        frames.check_backend(backend)
        return self._table(backend)

    def to_csv(self, path: str | Path) -> Path:
        """Write the rows of `to_frame` to a file for a spreadsheet; names that it would take for formulas are not.

        Raises:
            OSError: The file cannot be written.
        """
        return frames.write_csv(path, self._table(frames.CSV))

    def _table(self, backend: str) -> Any:
        names = self.live.read(lambda view: dict(view["people"].get("names", {})))
        return frames.people_frame(names, self._here(), backend)

    def __iter__(self) -> Iterator[Person]:
        here = set(self._here())
        return iter(
            Person(
                id,
                p["name"],
                datetime.fromtimestamp(p["joined_at_ms"] / 1000, UTC),
                p.get("muted", False),
                id in here,
                p.get("level", 1),
            )
            for id, p in self.live.read(lambda view: dict(view["people"].get("names", {}))).items()
        )

    def __len__(self) -> int:
        """How many have joined."""
        return self.live.read(lambda view: int(view["people"]["count"]))

    def __repr__(self) -> str:
        joined = self.live.peek(lambda view: view["people"]["count"])
        return f"<People: {joined} joined, {self.live.online} here now>"

    def saved_html(self) -> str:
        """What a saved notebook shows: how many they were, and no name."""
        joined = self.live.peek(lambda view: view["people"]["count"])
        return note_html("People", f"{counted(joined, 'person', 'people')}; names are not kept in the notebook.")

    def _here(self) -> list[str]:
        presence = self.live.connection.presence
        return [] if presence is None else list(presence.here or ())

    async def _do(self, kind: str, person: Person | str, body: View, timeout_s: float) -> None:
        connection = self.live.connection
        if not isinstance(person, Person):
            with suppress(TimeoutError):
                # Whoever has come in this moment may not be in this view yet.
                await connection.changed(lambda view: _ids(_names(view), person), min(timeout_s, _COMING_S))
        id = person_id(_names(connection.replica.view), person)
        await self.live.command(0, kind, {"person": id, **body}, timeout_s)

    def _version(self) -> object:
        people = self.live.connection.replica.view["people"]
        names = tuple(map(id, people.get("names", {}).values()))
        return people["count"], names, self.live.online, tuple(self._here()), self.arrivals


def person_id(names: View, person: Person | str) -> str:
    """The id of somebody given as a `Person`, an id or a name.

    Raises:
        UnknownPerson: Nobody, or several.
    """
    if isinstance(person, Person):
        return person.id
    found = _ids(names, person)
    if len(found) > 1:
        raise UnknownPerson(f"{len(found)} people are called {person!r}; say whom by id: {', '.join(found)}.")
    if not found:
        raise UnknownPerson(f"Nobody called {person!r} is in this room.")
    return found[0]


def _ids(names: View, person: str) -> list[str]:
    return [person] if person in names else [id for id, p in names.items() if p["name"] == person]


def _names(view: View) -> View:
    found: View = view["people"].get("names", {})
    return found
