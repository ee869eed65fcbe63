"""What the terminal shows during the demo."""

import io
from typing import Any

from rich.console import Console

from wslive.cli.demo_view import Screen
from wslive.core.view import View


def room(*, counts: dict[str, int] | None = None, is_open: bool = True, lines: int = 0, polls: bool = True) -> View:
    counts = counts or {"o1": 4, "o2": 29, "o3": 5}
    activities: dict[str, Any] = {
        "2": {
            "kind": "chat",
            "lines": {
                str(id): {"name": "Robin (synthetic)", "text": f"[red]line {id}"} for id in range(10, 10 + lines)
            },
        }
    }
    if polls:
        activities["3"] = {
            "kind": "poll",
            "definition": {
                "question": "Which sort is stable?",
                "options": [{"id": f"o{i}", "text": text} for i, text in enumerate(("quick", "merge", "heap"), 1)],
            },
            "status": {"open": is_open, "discarded": False},
            "tally": {"answered": sum(counts.values()), "counts": counts},
        }
    return {"room": {"title": "Sorting 101", "stage": 3 if polls else 0}, "activities": activities}


def drawn(view: View, *, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=90, color_system=None, highlight=False, markup=False)
    with Screen(console, lambda: view, lambda: 47, 50) as screen:
        screen.draw()
    return out.getvalue()


def test_a_terminal_shows_bars_the_talk_and_who_is_here():
    told = drawn(room(lines=6), terminal=True)
    assert "Sorting 101" in told
    assert "Which sort is stable?" in told
    bars = {line.split()[1]: line.count("█") for line in told.splitlines() if "█" in line}
    assert bars == {"quick": 5, "merge": 36, "heap": 6}
    assert "47 of 50 here · 38 answered" in told
    assert "[red]line 15" in told  # what people write is text, never markup
    assert "[red]line 11" not in told  # only the latest lines


def test_without_a_terminal_there_is_a_plain_line():
    told = drawn(room(lines=6), terminal=False)
    assert told == ("00:00  47 of 50 here · 38 answered: quick 4, merge 29, heap 5 · 0 chat lines a minute\n")


def test_a_closed_poll_is_marked_and_a_room_without_one_says_so():
    assert "heap 5 (closed)" in drawn(room(is_open=False), terminal=False)
    assert "Which sort is stable? (closed)" in drawn(room(is_open=False), terminal=True)
    assert "no question yet" in drawn(room(polls=False), terminal=False)
    assert "Sorting 101" in drawn(room(polls=False), terminal=True)


def test_bars_of_a_poll_without_answers_are_empty():
    assert "█" not in drawn(room(counts={"o1": 0, "o2": 0, "o3": 0}), terminal=True)
