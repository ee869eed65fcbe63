"""A poll in the hands of its host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wslive.core.text import MAX_KEY_CHARS, MAX_OPTION_CHARS, MAX_QUESTION_CHARS, clean
from wslive.core.view import View
from wslive.notebook import frames
from wslive.notebook.calls import blocking
from wslive.notebook.live import TIMEOUT_S
from wslive.notebook.question import Question

if TYPE_CHECKING:
    from wslive.notebook.live import HostLive


RESULTS = ("live", "after_vote", "after_close", "host_only")
SECRET_RESULTS = ("after_close", "host_only")


class Poll(Question):
    """One question that this host has asked: a live chart, its controls, and its ballots."""

    live: HostLive

    def tally(self, round: int | None = None) -> dict[str, int]:
        """Votes by option text, in the order of the options; empty while a secret poll is open.

        Args:
            round: Which round, from 1; the latest without it.

        Raises:
            ValueError: There was no such round.

        Warns:
            StaleWarning: There is no connection; the warning says how old the tally is.
        """
        return super().tally(round) or {}

    @blocking
    async def close(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """End the voting; a closed poll stays closed."""
        if self._status()["open"]:
            await self._do("close", {}, timeout_s)
        self.refresh_saved()

    @blocking
    async def reopen(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Go on with the voting in the same round; an open poll stays open. A secret poll goes on in a new round."""
        if not self._status()["open"]:
            await self._do("reopen", {}, timeout_s)

    @blocking
    async def new_round(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Ask again: everybody votes anew, and the ballots so far stay in their round."""
        await self._do("start_round", {}, timeout_s)

    @blocking
    async def edit(
        self, question: str | None = None, options: list[str] | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Change the wording. Once there are ballots the options keep their number and order, and it shows as edited.

        Raises:
            PollHasBallots: There are ballots, and the number of options differs.
        """
        now = self._of(self.live.connection.replica.view)["definition"]
        body = {
            "question": now["question"] if question is None else _question(question),
            "options": [o["text"] for o in now["options"]] if options is None else _options(options),
        }
        await self._do("edit", body, timeout_s)

    @blocking
    async def discard(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take the poll away, ballots and all; a discarded poll stays discarded."""
        if not self._status()["discarded"]:
            await self._do("discard", {}, timeout_s)
        self.refresh_saved()

    @blocking
    async def show(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Put it on stage: what people see first, and what the projector shows."""
        await self.live.command(0, "set_stage", {"activity": self.id}, timeout_s)

    @blocking
    async def to_frame(
        self, backend: str = "pandas", *, history: bool = False, names: bool = False, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """The ballots as a data frame: a row per ballot; with multiple choice a row per chosen option.

        Args:
            backend: "pandas", "polars" or "pyarrow"; the kind of frame never depends on what is installed.
            history: Every vote ever cast instead, changes and retractions (without a choice) included.
            names: Add a column with people's names.
            timeout_s: For the history, in seconds.

        Returns:
            Columns `participant` (an id), `name` (if asked for), `choice` (ordered categories, options without votes
            included), `round`, `cast_at` (UTC). Of a secret poll the rounds that are over: a row per vote, ordered by
            option; `participant` and `cast_at` are empty.

        Raises:
            ValueError: `history` or `names` of a secret poll.
            ImportError: The backend is not installed; the message says how.
            NotConnected: The history could not be fetched.
        """
        # Beside the loop: importing pandas takes a second, in which the connection would stand still.
        await asyncio.to_thread(frames.check_backend, backend)
        return await self._table(backend, history, names, timeout_s)

    @blocking
    async def to_csv(
        self, path: str | Path, *, history: bool = False, names: bool = False, timeout_s: float = TIMEOUT_S
    ) -> Path:
        """Write the rows of `to_frame` to a file for a spreadsheet; texts that it would take for formulas are not.

        Raises:
            OSError: The file cannot be written.
            NotConnected: The history could not be fetched.
        """
        text = await self._table(frames.CSV, history, names, timeout_s)
        return await asyncio.to_thread(frames.write_csv, path, text)

    async def _table(self, backend: str, history: bool, names: bool, timeout_s: float) -> Any:
        view = self._of(self.live.connection.replica.view)
        options = {o["id"]: o["text"] for o in view["definition"]["options"]}
        if self.secret and (history or names):
            raise ValueError("A secret poll has no single votes and no names to show; leave history and names out.")
        if self.secret:
            rows = frames.secret_rows(view["tally"], list(options))
        elif history:
            rows = frames.history_rows(await self.live.events(self.id, timeout_s=timeout_s))
        else:
            rows = frames.ballot_rows(view["ballots"])
        people = dict(self.live.connection.replica.view["people"]["names"]) if names else None
        return await asyncio.to_thread(frames.votes, rows, options, backend, people)

    def figure_widget(self) -> Any:
        """The chart as a live `plotly.graph_objects.FigureWidget`.

        It brings its own copy of plotly.js into the page (5 MB each), so take one or two; displaying the poll itself
        costs nothing like that.
        """
        import plotly.graph_objects as go

        widget = go.FigureWidget(self.figure())

        def redraw(poll: Poll) -> None:
            now = poll.figure()
            with widget.batch_update():
                if len(widget.data) != len(now.data):
                    widget.data = []
                    widget.add_traces(now.data)
                for drawn, wanted in zip(widget.data, now.data, strict=True):
                    drawn.update(wanted.to_plotly_json(), overwrite=True)
                widget.layout.update(now.layout.to_plotly_json(), overwrite=True)

        redraw.__qualname__ = f"figure_widget {id(widget)}"  # each goes on for itself
        self.on_change(redraw)
        return widget

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _status(self) -> View:
        found: View = self._of(self.live.connection.replica.view)["status"]
        return found

    async def _do(self, kind: str, body: View, timeout_s: float) -> None:
        await self.live.command(self.id, kind, body, timeout_s)


def opening(
    question: str,
    options: Sequence[str],
    multiple: bool | int,
    results: str | None,
    changeable: bool,
    key: str | None,
    secret: bool = False,
) -> View:
    """The body of the command that opens a poll, from what `HostRoom.poll` was given.

    Raises:
        TypeError · ValueError: In the words of that call.
        EmptyText · TextTooLong: About the texts.
    """
    texts = _options(options)
    if not isinstance(multiple, int):
        raise TypeError(f"multiple is True, False, or how many options can be chosen at once, not {multiple!r}.")
    if multiple is not True and not 0 <= multiple <= len(texts):
        raise ValueError(f"multiple={multiple}: there are {len(texts)} options; multiple=True lets people choose all.")
    if results is None:
        results = "after_close" if secret else "live"
    if secret and results not in SECRET_RESULTS:
        raise ValueError(
            f"results={results!r}: whoever sees the bars of a secret poll move sees who chose what. "
            f"Use {' or '.join(map(repr, SECRET_RESULTS))}."
        )
    if results not in RESULTS:
        raise ValueError(f"results={results!r} is none of {', '.join(map(repr, RESULTS))}.")
    return {
        "question": _question(question),
        "options": texts,
        "max_choices": len(texts) if multiple is True else int(multiple) or 1,
        "results": results,
        "changeable": changeable,
        "key": None if key is None else clean(key, max_chars=MAX_KEY_CHARS, what="The key"),
        "secret": secret,
    }


def _question(question: str) -> str:
    return clean(question, max_chars=MAX_QUESTION_CHARS, what="The question")


def _options(options: Sequence[str]) -> list[str]:
    if isinstance(options, str | bytes) or not isinstance(options, Iterable):
        raise TypeError(f'options is a list of texts, like ["yes", "no"], not {options!r}.')
    # Numbers are texts to people; None is a mistake.
    texts = [option if option is None else str(option) for option in options]
    return [clean(text, max_chars=MAX_OPTION_CHARS, what=f"Option {n}") for n, text in enumerate(texts, 1)]
