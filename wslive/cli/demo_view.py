"""What the terminal shows while the demo runs: the tally, who is here, and the talk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from wslive.core.view import View

BAR_CHARS = 36
TALK_LINES = 4
RATE_OVER_S = 30.0
PLAIN_INTERVAL_S = 5.0


class Screen:
    """The room in a terminal: bars that move, or a plain line now and then where nothing can move."""

    def __init__(self, console: Console, view: Callable[[], View], here: Callable[[], int], size: int) -> None:
        """Draw `view()`, of which `here()` of `size` synthetic people are connected."""
        self._console = console
        self._view = view
        self._here = here
        self._size = size
        self._began_s = time.monotonic()
        self._lines: deque[tuple[float, int]] = deque()
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._plain_due_s = self._began_s

    def __enter__(self) -> Screen:
        """Begin to draw."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; the last picture stays."""
        if self._live is not None:
            self._live.stop()

    def draw(self) -> None:
        """Show what is there now."""
        now_s = time.monotonic()
        self._lines.append((now_s, len(_chat(self._view()))))
        while now_s - self._lines[0][0] > RATE_OVER_S:
            self._lines.popleft()
        if self._live is not None:
            self._live.update(self._panel(), refresh=True)
        elif now_s >= self._plain_due_s:
            self._plain_due_s = now_s + PLAIN_INTERVAL_S
            self._console.print(self._line(now_s - self._began_s))

    @property
    def _lines_per_min(self) -> float:
        (first_s, first), (last_s, last) = self._lines[0], self._lines[-1]
        return 60 * (last - first) / (last_s - first_s) if last_s > first_s else 0.0

    def _line(self, age_s: float) -> str:
        poll = _poll(self._view())
        told = "no question yet"
        if poll is not None:
            tally = ", ".join(f"{text} {count}" for text, count in _tally(poll))
            told = f"{poll['tally']['answered']} answered: {tally}" + ("" if poll["status"]["open"] else " (closed)")
        minutes, seconds = divmod(round(age_s), 60)
        return (
            f"{minutes:02}:{seconds:02}  {self._here()} of {self._size} here · {told} · "
            f"{self._lines_per_min:.0f} chat lines a minute"
        )

    def _panel(self) -> RenderableType:
        view = self._view()
        poll = _poll(view)
        parts: list[RenderableType] = []
        if poll is not None:
            state = "" if poll["status"]["open"] else " (closed)"
            parts += [Text(poll["definition"]["question"] + state, style="bold"), _bars(poll)]
        talk = list(_chat(view).values())[-TALK_LINES:]
        parts += [Text("")] + [
            Text.assemble((line["name"], "dim"), "  ", line["text"], overflow="ellipsis", no_wrap=True) for line in talk
        ]
        answered = poll["tally"]["answered"] if poll is not None else 0
        foot = (
            f"{self._here()} of {self._size} here · {answered} answered · {self._lines_per_min:.0f} chat lines a minute"
        )
        return Panel(Group(*parts), title=view["room"]["title"], subtitle=foot, width=min(self._console.width, 90))


def _bars(poll: View) -> Table:
    table = Table.grid(padding=(0, 1))
    tally = _tally(poll)
    most = max([count for _, count in tally] or [0])
    for text, count in tally:
        length = round(BAR_CHARS * count / most) if most else 0
        table.add_row(Text(text), Text("█" * length, style="blue"), Text(str(count), style="bold"))
    return table


def _tally(poll: View) -> list[tuple[str, int]]:
    counts = poll["tally"]["counts"] or {}
    return [(option["text"], counts.get(option["id"], 0)) for option in poll["definition"]["options"]]


def _poll(view: View) -> View | None:
    """The poll on stage, else the latest one."""
    polls = {
        id: activity
        for id, activity in view["activities"].items()
        if activity["kind"] == "poll" and not activity["status"]["discarded"]
    }
    found: View | None = polls.get(str(view["room"]["stage"])) or next(reversed(polls.values()), None)
    return found


def _chat(view: View) -> View:
    found: View = next(a["lines"] for a in view["activities"].values() if a["kind"] == "chat")
    return found
