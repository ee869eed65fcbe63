"""Charts of a room that update by themselves: some ready made, the rest by a function of one's own.

    @room.chart
    def loudest(room):
        lines = room.chat.to_frame()
        return px.bar(lines["name"].value_counts())

    loudest            # draws now, and again whenever something in the room changes

The figure is made in the kernel, on the thread of the callbacks; plotly.js is in the page once, however many there are.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wslive.activities.poll.chart import escape
from wslive.core.math import flatten
from wslive.core.view import View
from wslive.notebook.saved import note_html
from wslive.notebook.shown import Shown

if TYPE_CHECKING:
    from wslive.notebook.live import Live
    from wslive.notebook.question import Question

LEAST_INTERVAL_S = 0.1
"""Between two drawings: a chart that follows a full hall would do nothing but draw."""

Make = Callable[[Any], Any]


class LiveChart(Shown):
    """A Plotly chart made by a function of the room, again after each change."""

    part = "figure"

    def __init__(self, live: Live, name: str, make: Make) -> None:
        """Draw what `make(room)` returns: a Plotly figure, or the dictionary of one."""
        super().__init__(live)
        self.name = name
        self._make = make

    @property
    def figure(self) -> Any:
        """The figure of this moment."""
        return self._make(self.live)

    def draw(self) -> None:
        """Make the figure and show it."""
        self.widget.figure = as_json(self.figure)
        time.sleep(LEAST_INTERVAL_S)  # on the callbacks' thread: what changes meanwhile is drawn once

    def saved_html(self) -> str:
        """What a saved notebook shows."""
        return note_html(self.name.replace("_", " "), "is a live chart: run the cell to draw it. Last drawn")

    def __repr__(self) -> str:
        return f"<LiveChart {self.name}>"


def as_json(figure: Any) -> dict[str, Any]:
    """A figure as plain data."""
    if hasattr(figure, "to_json"):
        made: dict[str, Any] = json.loads(figure.to_json())
        return made
    return dict(figure)


# ── ready made ────────────────────────────────────────────────────────────────────────────────────────────────────────


def votes_over_time(poll: Question) -> Make:
    """How the ballots of a poll's round came in, one line an option."""

    def make(room: Live) -> dict[str, Any]:
        def take(view: View) -> tuple[View, list[tuple[int, str]]]:
            shown = view["activities"][str(poll.id)]
            prefix = f"{shown['status']['round']}/"
            ballots = ((b["at_ms"], b["options"]) for key, b in shown["ballots"].items() if key.startswith(prefix))
            return shown["definition"], sorted((at_ms, option) for at_ms, options in ballots for option in options)

        definition, cast = room.peek(take)
        traces = []
        for option in definition["options"]:
            times = [_iso(at_ms) for at_ms, chosen in cast if chosen == option["id"]]
            counts = list(range(1, len(times) + 1))
            if cast:  # every line reaches from the first vote to the last
                times, counts = [_iso(cast[0][0]), *times, _iso(cast[-1][0])], [0, *counts, len(times)]
            line = {"shape": "hv", "width": 2.5}
            traces.append(
                {"type": "scatter", "mode": "lines", "name": _label(option), "x": times, "y": counts, "line": line}
            )
        return _figure(traces, "Votes over time", "votes", showlegend=True)

    return make


def chat_activity(room: Live) -> dict[str, Any]:
    """Chat lines a minute, of the latest ones."""

    def take(view: View) -> list[int]:
        chats = (a for a in view["activities"].values() if a["kind"] == "chat")
        return [line["at_ms"] for chat in chats for line in chat["lines"].values()]

    lines = room.peek(take)
    minutes = Counter(at_ms // 60_000 * 60_000 for at_ms in lines)
    span = range(min(minutes), max(minutes) + 1, 60_000) if minutes else ()
    trace = {
        "type": "bar",
        "x": [_iso(m) for m in span],
        "y": [minutes[m] for m in span],
        "marker": {"color": "#4a7bf0"},
    }
    return _figure([trace], "Chat lines a minute", "lines")


def presence() -> Make:
    """How many people are here, since the chart was made."""
    seen: list[tuple[int, int]] = []

    def make(room: Live) -> dict[str, Any]:
        now_ms, online = int(time.time() * 1000), room.online
        if not seen or seen[-1][1] != online:
            seen.append((now_ms, online))
        points = [*seen, (now_ms, online)]
        trace = {
            "type": "scatter",
            "mode": "lines",
            "fill": "tozeroy",
            "x": [_iso(at_ms) for at_ms, _ in points],
            "y": [number for _, number in points],
            "line": {"shape": "hv", "width": 2.5, "color": "#1d9e75"},
        }
        return _figure([trace], "People here", "people")

    return make


def _label(option: View) -> str:
    """An option's text as Plotly shows it: its legend would take some tags for markup."""
    return escape(flatten(option.get("math"), option["text"]))


def _figure(data: list[dict[str, Any]], title: str, unit: str, *, showlegend: bool = False) -> dict[str, Any]:
    soft = "rgba(128,138,155,0.22)"
    return {
        "data": data,
        "layout": {
            "title": {"text": title, "font": {"size": 15}, "x": 0, "xref": "paper"},
            "height": 300 if showlegend else 260,
            "margin": {"l": 40, "r": 12, "t": 40, "b": 32},
            "showlegend": showlegend,
            # Below the axis: beside the title there is no room for it in a notebook's width.
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.16, "yanchor": "top"},
            "xaxis": {"showgrid": False, "automargin": True},
            "yaxis": {"rangemode": "tozero", "gridcolor": soft, "tickformat": ",d", "title": {"text": unit}},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
        },
    }


def _iso(at_ms: int) -> str:
    # Plotly knows no time zones; what people see is the clock on their wall.
    return (
        datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().replace(tzinfo=None).isoformat(timespec="milliseconds")
    )
