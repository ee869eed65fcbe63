"""What a notebook keeps when it is saved: escaped tables and inline SVG, without scripts, names or chat lines."""

from __future__ import annotations

import time
from html import escape

from wslive.core.text import counted
from wslive.core.view import View

_BAR_WIDTH = 320
_BAR_HEIGHT = 16
_CELL = "border:0;padding:2px 10px 2px 0;text-align:left;background:none"
_NUMBER = "border:0;padding:2px 10px 2px 0;text-align:right;background:none;font-variant-numeric:tabular-nums"
_MUTED = "opacity:.7;font-size:90%"


def poll_html(poll: View, *, at_s: float | None = None) -> str:
    """A poll's results: bars where they are due, else how many have answered; and as of when.

    Args:
        poll: One poll's view, as its host's replica holds it.
        at_s: The time to name, in seconds since 1970; now without it.
    """
    definition, status, tally = poll["definition"], poll["status"], poll["tally"]
    answered = tally["answered"]
    notes = [counted(answered, "answer")]
    if status["round"] > 1:
        notes.append(f"round {status['round']}")
    if definition.get("secret"):
        notes.append("secret")
    notes.append(_state(status))
    notes.append(_stamp(at_s))
    head = f"<div><strong>{escape(definition['question'])}</strong></div>"
    foot = f'<div style="{_MUTED}">{" · ".join(notes)}</div>'
    if status["discarded"]:
        return _box(head + foot)
    due = _is_due(poll)
    rows = "".join(_row(o["text"], tally["counts"][o["id"]] if due else None, answered) for o in definition["options"])
    return _box(f'{head}<table style="border-collapse:collapse;margin:4px 0">{rows}</table>{foot}')


def room_html(view: View, polls: list[View], *, at_s: float | None = None) -> str:
    """A room: its title, how many people, and its polls."""
    room = view["room"]
    joined = view["people"]["count"]
    notes = [f"{joined} joined", *(["ended"] if room["ended"] else []), _stamp(at_s)]
    head = f'<div style="font-size:115%"><strong>{escape(room["title"])}</strong></div>'
    told = _box(f'{head}<div style="{_MUTED}">{" · ".join(notes)}</div>')
    return told + "".join(poll_html(poll, at_s=at_s) for poll in polls)


def note_html(title: str, text: str) -> str:
    """One sentence."""
    return _box(f'<strong>{escape(title)}</strong> <span style="{_MUTED}">{escape(text)} {_stamp(None)}</span>')


def poll_text(poll: View) -> str:
    """A poll as plain text, for terminals."""
    definition, status, tally = poll["definition"], poll["status"], poll["tally"]
    lines = [f"{definition['question']} ({_state(status)}, {tally['answered']} answered)"]
    if _is_due(poll):
        width = max(len(o["text"]) for o in definition["options"])
        lines += [f"  {o['text']:<{width}}  {tally['counts'][o['id']]}" for o in definition["options"]]
    return "\n".join(lines)


def _is_due(poll: View) -> bool:
    """Whether the room may see the tally; what it may not see is not shown here, since this may be on the beamer."""
    results = poll["definition"]["results"]
    is_due = results == "live" or (results != "host_only" and not poll["status"]["open"])
    return is_due and poll["tally"]["counts"] is not None


def _state(status: View) -> str:
    return "discarded" if status["discarded"] else "open" if status["open"] else "closed"


def _row(text: str, votes: int | None, answered: int) -> str:
    label = f'<td style="{_CELL}">{escape(text)}</td>'
    if votes is None:
        return f"<tr>{label}</tr>"
    share = votes / answered if answered else 0.0
    bar = (
        f'<svg width="{_BAR_WIDTH}" height="{_BAR_HEIGHT}" role="img" aria-label="{share:.0%}">'
        f'<rect width="{_BAR_WIDTH}" height="{_BAR_HEIGHT}" rx="3" fill="#808a9b" opacity=".18"></rect>'
        f'<rect width="{share * _BAR_WIDTH:.1f}" height="{_BAR_HEIGHT}" rx="3" fill="#4a7bf0"></rect></svg>'
    )
    return (
        f'<tr>{label}<td style="{_CELL}">{bar}</td><td style="{_NUMBER}"><strong>{votes}</strong></td>'
        f'<td style="{_NUMBER};{_MUTED}">{share:.0%}</td></tr>'
    )


def _box(content: str) -> str:
    return f'<div style="font-family:system-ui,sans-serif;line-height:1.45;margin:4px 0 10px">{content}</div>'


def _stamp(at_s: float | None) -> str:
    return time.strftime("%d %b %Y %H:%M", time.localtime(at_s)).lstrip("0")
