"""Take the figures of the last benchmarks into docs/benchmarks.md: `python -m tools.benchmarks`.

`make bench` leaves a file of figures for each benchmark in build/bench/figures/. Those go into docs/figures/bench/, and
the tables and the picture of the page are made from there.
"""

from __future__ import annotations

import base64
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "build" / "bench" / "figures"
KEPT = ROOT / "docs" / "figures" / "bench"
PICTURE = ROOT / "docs" / "images" / "benchmarks.svg"

ORDER = (
    *("votes", "single", "ack", "connections", "growth", "waiting", "million", "latency"),
    *("opening", "kernel", "page", "import", "serve"),
)
MAX_WAIT_SHARE = 0.03


def taken() -> Iterator[Path]:
    """Take over what was measured; yields what has changed."""
    for path in sorted(MEASURED.glob("*.json")):
        kept = KEPT / path.name
        new = path.read_text("utf-8")
        if not kept.exists() or kept.read_text("utf-8") != new:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(new, "utf-8")
            yield kept


def results() -> Iterator[tuple[str, ...]]:
    """What came out."""
    yield "measured", "wslive", "peer", "ratio", "must", "aim", "reached"
    for _, row in _rows():
        theirs = f"{_spread(row['theirs'])} {row['peer']}" if row["peer"] else "—"
        yield (
            row["what"],
            _spread(row["ours"]),
            theirs,
            "—" if (ratio := _ratio(row)) is None else f"{_shown(ratio)}×",
            row["must"] or "—",
            row["aim"] or "—",
            {True: "yes", False: "**no**", None: "—"}[row["is_reached"]],
        )


def notes() -> Iterator[tuple[str, ...]]:
    """What else there is to know of each."""
    yield "command", "more", "runs of each", "disturbed"
    for report, row in _rows():
        runs = [run for runs in row["runs"].values() for run in runs]
        disturbed = sum(run["waited_share"] > MAX_WAIT_SHARE for run in runs)
        yield (
            f'`make bench ARGS="{report["name"]}"`',
            row["note"] or "—",
            str(report["settings"]["repeats"]),
            # Starting a process is over before there is anything to read.
            f"{disturbed} of {len(runs)}" if any(run["server_share"] for run in runs) else "not told",
        )


def machines() -> Iterator[tuple[str, ...]]:
    """Where this was measured."""
    yield "processor", "cores", "system", "Python", "uvloop", "SQLite", "Tornado", "Node", "benchmarks"
    found: dict[tuple[str, ...], list[str]] = {}
    names = ("cpu", "cores", "system", "python", "uvloop", "sqlite", "tornado", "node")
    for report in _reports():
        key = tuple(str(report["machine"][name] or "none") for name in names)
        found.setdefault(key, []).append(report["name"])
    for key, benchmarks in found.items():
        yield *key, ", ".join(benchmarks)


def _reports() -> list[dict[str, Any]]:
    files = [KEPT / f"{name}.json" for name in ORDER]
    return [{**json.loads(file.read_text("utf-8")), "name": file.stem} for file in files if file.exists()]


def _rows() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for report in _reports():
        for row in report["rows"]:
            yield report, row


def _ratio(row: dict[str, Any]) -> float | None:
    return statistics.median(row["ours"]) / statistics.median(row["theirs"]) if row["theirs"] and row["ours"] else None


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "—"
    if len(values) == 1:
        return _shown(values[0])
    return f"{_shown(statistics.median(values))} ({_shown(min(values))}–{_shown(max(values))})"


# ── the picture ───────────────────────────────────────────────────────────────────────────────────────────────────────


def figure() -> dict[str, Any]:
    """The ratios to the peers as a Plotly figure: more is better everywhere, 1 is the peer."""
    bars = []
    for _, row in _rows():
        ratio = _ratio(row)
        if ratio is not None:
            lower_is_better = row["what"].endswith(("kB", "ms"))
            bars.append((row["name"], 1 / ratio if lower_is_better else ratio, row["peer"].split(",")[0]))
    bars.reverse()
    names = [f"{name} (peer: {peer})" for name, _, peer in bars]
    return {
        "data": [
            {
                "type": "scatter",
                # From the peer to us; a bar would begin where a log scale happens to.
                "x": [1, ratio],
                "y": [name, name],
                "mode": "lines+markers+text",
                "text": ["", f"{_shown(ratio)}×"],
                "textposition": "middle right" if ratio >= 1 else "middle left",
                "cliponaxis": False,
                "line": {"color": colour, "width": 6},
                "marker": {"size": [1, 14]},
            }
            for name, (_, ratio, _) in zip(names, bars, strict=True)
            for colour in ("#2f6fdb" if ratio >= 1 else "#c2571a",)
        ],
        "layout": {
            "title": {"text": "wslive beside its peers in the same run; 1 is the peer, more is better"},
            "font": {"family": "sans-serif", "size": 13},
            "xaxis": {"type": "log", "dtick": 1, "range": [-1, 3], "title": {"text": "times as good as the peer"}},
            "yaxis": {"automargin": True},
            "shapes": [
                {"type": "line", "x0": 1, "x1": 1, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": "#444"}}
            ],
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "showlegend": False,
        },
    }


def draw(figure: dict[str, Any], target: Path) -> None:
    """Draw a figure in the browser that the tests use, with the plotly.js that the plotly package ships."""
    from plotly.offline import get_plotlyjs

    from tests.end_to_end.browser import running_chromium

    with running_chromium() as browser:
        page = browser.new_page()
        page.add_script_tag(content=get_plotlyjs())
        address = page.evaluate(
            "(figure) => Plotly.toImage(figure, { format: 'svg', width: 900, height: 420 })", figure
        )
    header, _, data = address.partition(",")
    target.write_bytes(base64.b64decode(data) if "base64" in header else unquote_to_bytes(data))


def main() -> int:
    """Take over what was measured, draw, and write the tables."""
    # The other way round they import each other: the tables of all pages are in tools.docs.
    from tools import docs

    for path in taken():
        print(f"took {path.relative_to(ROOT)}")
    if any(_rows()):
        draw(figure(), PICTURE)
    return docs.main()


if __name__ == "__main__":
    sys.exit(main())
