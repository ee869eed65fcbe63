"""The crowd as a whole: it starts everybody, lets everybody finish, and closes the ledger."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence

from wslive.client.http import fetch_json
from wslive.crowd.ledger import Ledger
from wslive.crowd.model import Behaviour, Mind
from wslive.crowd.person import Company, Person, Stats


class Crowd:
    """A synthetic audience of one room. The package's docstring states how it behaves.

    Attributes:
        size: How many people there are.
    """

    def __init__(
        self,
        server: str,
        code: str,
        size: int = 50,
        seed: int = 42,
        ledger: str | os.PathLike[str] | None = None,
        *,
        behaviour: Behaviour | None = None,
        leaning: str | None = None,
        lines: Sequence[str] = (),
    ) -> None:
        """Prepare a crowd; `run` makes it come.

        Args:
            server: The server's base URL.
            code: The room's join code.
            size: How many people, each with a connection of their own.
            seed: The same seed makes the same people with the same opinions.
            ledger: A file that gets a line for each acknowledged command; it is appended to.
            behaviour: The figures of the response model.
            leaning: The text of the option that the talk draws people to, where a question has it.
            lines: What people say instead of `wslive.crowd.model.LINES`; {mine}, {other} and {name} are filled in.
        """
        self.size = size
        self._company = Company(server, code, Ledger(ledger))
        behaviour = behaviour or Behaviour()
        self._people = [
            Person(
                self._company,
                Mind(behaviour, seed, number, leaning, tuple(lines)),
                random.Random(f"{seed}/{number}/network"),
            )
            for number in range(size)
        ]

    @property
    def stats(self) -> Stats:
        """What has happened so far."""
        return self._company.stats

    @property
    def here(self) -> int:
        """How many people are connected now."""
        return sum(person.is_here for person in self._people)

    async def run(self, duration_s: float | None = None) -> Stats:
        """Come, take part, and go; once a crowd.

        Args:
            duration_s: For how long, in seconds; None: until `stop`, or until the room ends for everybody. Commands
                that are on their way at the end are waited for.

        Returns:
            What has happened.

        Raises:
            RoomUnavailable: There is no such room, or nobody new may come in.
            NotConnected: No wslive server answers there now. (Once there was one, everybody waits for it.)
        """
        await fetch_json(self._company.server, f"/r/{self._company.code}/about")
        self._company.ledger.open()
        loop = asyncio.get_running_loop()
        timer = None if duration_s is None else loop.call_later(duration_s, self.stop)
        try:
            async with asyncio.TaskGroup() as group:
                for person in self._people:
                    group.create_task(person.live())
        finally:
            if timer is not None:
                timer.cancel()
            self._company.ledger.close()
        return self.stats

    def stop(self) -> None:
        """Let everybody finish and go; `run` returns then."""
        self._company.is_stopping = True
        for person in self._people:
            person.stop()
