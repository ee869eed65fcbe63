"""Which Socket.IO connection said which line of a room.

The broadcast chat shows the sender's id, and the named chat does not send a line back to where it came from. The log
knows people, not connections, so this is remembered here, for the latest lines.
"""

from __future__ import annotations

from wslive.socketio.programs import Author

MAX_LINES = 1000


class Authors:
    """The connections that said the latest lines of one room."""

    def __init__(self) -> None:
        """Start with none."""
        self._authors: dict[int, Author] = {}

    def said(self, line: int, author: Author) -> None:
        """Note whose connection a line came from."""
        self._authors[line] = author
        if len(self._authors) > MAX_LINES:
            del self._authors[next(iter(self._authors))]

    def of(self, line: int) -> Author | None:
        """The connection that said a line; None for everybody else's and for old ones."""
        return self._authors.get(line)
