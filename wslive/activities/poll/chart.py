"""How a poll's tally looks as a chart, in one place: Python and the browser fill the same template.

    fill(view)      bars, axes and labels as Plotly data; chart.js has its twin, and a test compares what both make
    figure(view)    the same with a title, as `poll.figure()` hands it out

Bars stand upright, one for each option in the poll's order, one colour for all: the axis names the options, so colour
need not, and nobody has to tell colours apart. The round before stays behind as a paler bar to the left. Where options
are many, or too long to stand whole below their bars, the bars lie and every option has rows of its own.
Everything is a plain dictionary; plotly is not imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from wslive.core.math import flatten
from wslive.core.text import counted

Figure = dict[str, Any]

TEMPLATE: Figure = {
    "data": [
        {
            "type": "bar",
            "name": "",
            "marker": {"color": "#4a7bf0"},
            "textposition": "outside",
            "textfont": {"weight": 700},
            "constraintext": "none",  # otherwise it shrinks with the bar until nobody can read it
            "cliponaxis": False,
            "hovertemplate": "%{hovertext}<extra></extra>",
        },
        {
            "type": "bar",
            "name": "",
            "marker": {"color": "#4a7bf0"},
            "opacity": 0.38,
            "hovertemplate": "%{hovertext}<extra></extra>",
        },
    ],
    "layout": {
        "barmode": "overlay",
        "barcornerradius": 5,
        "showlegend": False,
        "legend": {
            "orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "traceorder": "reversed",
        },
        "margin": {"l": 44, "r": 12, "t": 12, "b": 12},
        "xaxis": {
            # Without it Plotly takes options like "2024" or "1/2" for numbers and dates and moves them along a scale.
            "type": "category",
            "tickmode": "array",
            "automargin": True,
            "fixedrange": True,
            "showgrid": False,
            "ticklabelstandoff": 6,
            "tickangle": 0,
        },
        "yaxis": {
            "automargin": True,
            "fixedrange": True,
            "gridcolor": "rgba(128,138,155,0.22)",
            "zerolinecolor": "rgba(128,138,155,0.6)",
            "tickformat": ",d",
        },
        "hoverlabel": {"align": "left"},
    },
    # What only the browser needs.
    "config": {"displayModeBar": False, "displaylogo": False, "showTips": False, "doubleClick": False},
    "labels": {"char_width": 0.56, "min_chars": 7, "max_lines": 5, "most_upright": 6, "lying_share": 0.42},
    # How much of the height a row of lying bars takes, in sizes of its font, and what is around the rows.
    "row_height": 1.3,
    "rows_margin_px": 40,
    "headroom": 1.2,
    # The top of the count axis and the step of its ticks; from [10, 2] on they are repeated times 10, 100, …
    "tops": [[4, 1], [5, 1], [6, 2], [8, 2]],
    "tops_by_ten": [
        [10, 2], [12, 3], [15, 5], [20, 5], [25, 5], [30, 10], [40, 10], [50, 10], [60, 20], [80, 20],
    ],
}  # fmt: skip
"""The look. `data` holds the bars of this round and of the round before."""

MAX_ROWS = 1_000
"""Of one label: it is shown whole."""


def fill(view: Mapping[str, Any], *, width_px: float = 700, font_px: float = 13) -> Figure:
    """A poll's view as Plotly `data` and `layout`.

    Args:
        view: One poll as a replica holds it.
        width_px: How wide the bars' area is: long labels wrap to the width of their bar.
        font_px: The size of the labels.

    Returns:
        `data[0]["y"]` are the counts of this round in the order of the options; `data` is empty where they are not
        shown. Where bars lie (`data[0]["orientation"]` is "h"), the counts are `data[0]["x"]`, and
        `layout["meta"]["rows"]` says how many lines of text the chart needs to have room for.
    """
    options = view["definition"]["options"]
    tally = view["tally"]
    texts = [flatten(o.get("math"), o["text"]) for o in options]
    ticks, rows = labels(texts, width_px, font_px)
    rounds = [*tally["earlier"], tally][-2:] if tally["counts"] is not None else []
    counts = [[r["counts"].get(o["id"], 0) for o in options] for r in rounds]
    top, step = axis_top(max((n for row in counts for n in row), default=0))
    data = []
    for i, (round, row) in enumerate(zip(reversed(rounds), reversed(counts), strict=True)):
        shares = [percent(n, round["answered"]) for n in row]
        trace = {
            **TEMPLATE["data"][i],
            "name": f"Round {len(tally['earlier']) + 1 - i}",
            "hovertext": [f"{escape(t)}: {n} ({s})" for t, n, s in zip(texts, row, shares, strict=True)],
        }
        names = [o["text"] for o in options]
        trace |= {"orientation": "h", "x": row, "y": names} if rows else {"x": names, "y": row}
        if i == 0:
            trace["text"] = [f"{n} · {s}" if rows else f"{n}<br>{s}" for n, s in zip(row, shares, strict=True)]
        if len(rounds) == 2:
            trace |= {"width": 0.38, "offset": 0.02 if i == 0 else -0.4}
        else:
            trace |= {"width": 0.64}
        data.append(trace)
    ends = [-0.5, len(options) - 0.5]
    named = {
        **TEMPLATE["layout"]["xaxis"],
        "tickvals": list(range(len(options))),
        "ticktext": ticks,
        "range": ends[::-1] if rows else ends,  # the first option on top
    }
    counted = {**TEMPLATE["layout"]["yaxis"], "range": [0, top], "dtick": step}
    layout = {**TEMPLATE["layout"], "showlegend": len(rounds) == 2, "xaxis": named, "yaxis": counted}
    if rows:
        layout |= {"xaxis": counted, "yaxis": named, "meta": {"rows": rows}}
        layout["margin"] = {**TEMPLATE["layout"]["margin"], "r": 12 + int(4 * font_px)}  # for what stands beside bars
    return {"data": data, "layout": layout}


def figure(view: Mapping[str, Any], *, as_of_ms: int | None = None, width_px: float = 700) -> Figure:
    """A poll's view as the dictionary of a Plotly figure that says its question, its count and its time.

    Args:
        view: One poll as a replica holds it.
        as_of_ms: When the view was taken, in milliseconds since 1970; None leaves the time out.
        width_px: About how wide the chart will be shown.
    """
    made = fill(view, width_px=width_px)
    definition, status, tally = view["definition"], view["status"], view["tally"]
    question = flatten(definition.get("question_math"), definition["question"])
    notes = [counted(tally["answered"], "answer")]
    if status["round"] > 1:
        notes.append(f"round {status['round']}")
    if definition["max_choices"] > 1:
        notes.append(f"up to {definition['max_choices']} choices each")
    if definition.get("secret"):
        notes.append("secret")
    notes.append("open" if status["open"] else "closed")
    if as_of_ms is not None:
        notes.append(f"{datetime.fromtimestamp(as_of_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC")
    lines = wrap(question, max(20, int(width_px / 9)), 3)
    made["layout"] |= {
        "title": {"text": "<br>".join(map(escape, lines)), "subtitle": {"text": " · ".join(notes)}},
        "margin": {**made["layout"]["margin"], "t": 58 + 22 * len(lines)},
    }
    if "meta" in made["layout"]:
        room_px = made["layout"]["margin"]["t"] + TEMPLATE["rows_margin_px"]
        made["layout"]["height"] = max(450, room_px + int(made["layout"]["meta"]["rows"] * 13 * TEMPLATE["row_height"]))
    if tally["counts"] is None:
        made["layout"]["annotations"] = [
            {"text": "The result is not shown yet.", "showarrow": False}
            | {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
        ]
    return made


def labels(texts: Sequence[str], width_px: float, font_px: float) -> tuple[list[str], int]:
    """Labels that fit below their bars, and 0; or beside lying bars, and how many rows all of them take."""
    rules = TEMPLATE["labels"]
    chars = int(width_px * 0.94 / max(1, len(texts)) / (font_px * rules["char_width"]))
    upright = [wrap(t, max(1, chars), MAX_ROWS) for t in texts]
    most = max(map(len, upright), default=0)
    narrow = chars < rules["min_chars"] and most > 1
    if len(texts) <= rules["most_upright"] and most <= rules["max_lines"] and not narrow:
        return ["<br>".join(map(escape, lines)) for lines in upright], 0
    chars = max(rules["min_chars"], int(width_px * rules["lying_share"] / (font_px * rules["char_width"])))
    lying = [wrap(t, chars, MAX_ROWS) for t in texts]
    return ["<br>".join(map(escape, lines)) for lines in lying], len(texts) * max(map(len, lying))


def wrap(text: str, chars: int, max_lines: int) -> list[str]:
    """Break a text into lines of at most `chars` characters; what does not fit ends in an ellipsis."""
    lines = [""]
    for word in text.split(" "):
        rest = word
        while rest:
            line = lines[-1]
            joined = f"{line} {rest}" if line else rest
            if len(joined) <= chars:
                lines[-1] = joined
                break
            if not line:  # a word longer than a line
                lines[-1], rest = rest[:chars], rest[chars:]
                if not rest:
                    break
            lines.append("")
    if len(lines) > max_lines:
        last = lines[max_lines - 1]
        lines[max_lines - 1 :] = [last[: max(1, chars - 1)].rstrip() + "…"]
    return lines


def axis_top(most: int) -> tuple[int, int]:
    """The top of an axis of counts that leaves room for what stands above the bars, and the step of its ticks."""
    wanted = most * TEMPLATE["headroom"]
    for top, step in TEMPLATE["tops"]:
        if top >= wanted:
            return top, step
    scale = 1
    while True:
        for top, step in TEMPLATE["tops_by_ten"]:
            if top * scale >= wanted:
                return top * scale, step * scale
        scale *= 10


def percent(count: int, answered: int) -> str:
    """A share for people: "58 %" (half up, as browsers round); empty where nobody has answered."""
    return f"{(200 * count + answered) // (2 * answered)} %" if answered else ""


def escape(text: str) -> str:
    """A text that Plotly shows as it is: its labels are a small HTML of their own, and `$…$` is for MathJax."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")
