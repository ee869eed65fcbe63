"""Bring docs/ up to date with the code: `python -m tools.docs`. tests/test_docs.py fails where they differ.

What the code can tell stands between two comments of a page, `<!-- from the code: NAME -->` and `<!-- end -->`, and is
written here. All else in docs/ is prose, and the tests compare it with the code.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from tools import benchmarks, reliability
from tools.sample_room import ADA, sample
from wslive.activities import BUILT_IN
from wslive.activities.chat.model import OWN_LINES
from wslive.activities.poll.model import MAX_OPTIONS
from wslive.cli import main as main_command
from wslive.core import room, room_messages, text
from wslive.core.activity import HISTORY_ENTRIES, CommandSpec, EventSpec
from wslive.core.errors import refusals
from wslive.core.room_view import snapshot
from wslive.server.access.guesses import ANSWER_STEP_S
from wslive.server.access.tokens import CODE_LENGTH, CODE_SYMBOLS
from wslive.server.connection import MAX_PAGE
from wslive.server.settings import Rate, ServerSettings
from wslive.wire.close_codes import CloseCode
from wslive.wire.session import MAX_ERRORS

DOCS = Path(__file__).resolve().parent.parent / "docs"


def commands() -> dict[str, dict[str, CommandSpec]]:
    """The commands that connections may send, by what they speak to: "room", or a kind of activity."""
    of_room = {kind: spec for kind, spec in room_messages.COMMANDS.items() if kind not in room_messages.SERVER_COMMANDS}
    return {"room": of_room, **{a.kind: dict(a.commands) for a in BUILT_IN}}


def events() -> dict[str, list[EventSpec]]:
    """The events of a log, by what they are about: "room", or a kind of activity."""
    return {
        "room": list(room_messages.EVENTS_BY_KEY.values()),
        **{a.kind: list(a.events_by_key.values()) for a in BUILT_IN},
    }


def settings_sentences() -> dict[str, str]:
    """What each setting means, from the docstring of ServerSettings."""
    doc = inspect.getdoc(ServerSettings) or ""
    _, _, attributes = doc.partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.+(?:\n        .+)*)", attributes, re.MULTILINE)
    return {name: " ".join(sentence.split()) for name, sentence in entries}


# ── the tables ────────────────────────────────────────────────────────────────────────────────────────────────────


def close_codes() -> Iterator[tuple[str, ...]]:
    """Every close code."""
    yield "code", "name", "what it tells people", "then"
    for code in CloseCode:
        yield str(code.value), f"`{code.name.lower()}`", code.sentence, "final" if code.is_final else "come back"


def refusal_codes() -> Iterator[tuple[str, ...]]:
    """Every refusal."""
    yield "code", "what it tells people, where it says nothing more precise"
    for code, refusal in refusals().items():
        yield f"`{code}`", refusal.sentence


def event_kinds() -> Iterator[tuple[str, ...]]:
    """Every kind of event."""
    yield "of", "kind", "version", "body", "what has happened"
    for owner, specs in events().items():
        for spec in specs:
            body = ", ".join(f"`{field.encode_name}`" for field in msgspec.structs.fields(spec.type))
            yield owner, f"`{spec.kind}`", str(spec.version), body or "—", _first_sentence(spec.type)


def settings() -> Iterator[tuple[str, ...]]:
    """Every setting of a server."""
    yield "setting", "default", "unit", "meaning"
    sentences = settings_sentences()
    for field in dataclasses.fields(ServerSettings):
        yield f"`{field.name}`", _default(field.default), _unit(field.name, field.default), sentences[field.name]


def decisions() -> Iterator[tuple[str, ...]]:
    """Every note on a decision, by its title."""
    yield "", "decision"
    for note in sorted(DOCS.glob("decisions/[0-9]*.md")):
        number, _, title = note.read_text("utf-8").partition("\n")[0].removeprefix("# ").partition(". ")
        yield number, f"[{title}]({note.name})"


def cli() -> Iterator[tuple[str, ...]]:
    """Every command with its arguments, and every option that is not hidden."""
    yield "command", "option", "default", "meaning"
    for name, command in main_command.commands.items():
        given = [o.make_metavar(click.Context(command)) for o in command.params if isinstance(o, click.Argument)]
        if given:
            yield f"`wslive {name}`", f"`{' '.join(given)}`", "—", _help_sentence(command)
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                written = ", ".join(option.opts) + (f" {option.metavar}" if option.metavar else "")
                default = f"`{option.default}`" if option.show_default else "—"
                yield f"`wslive {name}`", f"`{written}`", default, " ".join((option.help or "").split())


def limits() -> Iterator[tuple[str, ...]]:
    """What a client may count on, and what it may not exceed."""
    default = ServerSettings()
    yield "what", "limit"
    yield "a frame from a client", f"{default.max_frame_bytes} bytes (`welcome` tells)"
    yield "a `ref`", "64 characters"
    yield "a person's name", f"{text.MAX_NAME_CHARS} characters"
    yield "a room's title", f"{text.MAX_TITLE_CHARS} characters"
    yield "a question", f"{text.MAX_QUESTION_CHARS} characters"
    yield "an option", f"{text.MAX_OPTION_CHARS} characters"
    yield "options of a poll", f"2 to {MAX_OPTIONS}"
    yield "a poll's `key`", f"{text.MAX_KEY_CHARS} characters"
    yield "a chat line", f"{text.MAX_LINE_CHARS} characters"
    yield "lines of a snapshot", f"the latest {HISTORY_ENTRIES}"
    yield "entries of a `page`", str(MAX_PAGE)
    yield "own lines in `me` while only the host reads", f"the latest {OWN_LINES}"
    yield "people of a room", str(default.max_participants)
    yield "people up to whom participants are told names", str(room.NAMES_SHOWN_UP_TO)
    yield "votes and retractions of one person", _rate(default.vote_rate)
    yield "chat lines of one person", _rate(default.line_rate)
    yield "name changes of one person", _rate(default.name_rate)
    yield "pages and tickets that one person asks for", _rate(default.read_rate)
    yield "all that the host of a room does", _rate(default.host_rate)
    yield (
        "new connections of a server",
        f"{_rate(default.handshake_rate)}; then the handshake is answered with 503",
    )
    yield "different wrong codes from one network; then `too_fast`, closed with 4005", _rate(default.guess_rate)
    yield "the same from everywhere", _rate(default.total_guess_rate)
    yield "after a `hello`, refusals leave at multiples of", f"{ANSWER_STEP_S:g} s"
    yield "deltas of a room under load", f"one every {default.tick_interval_s:g} s"
    yield "presence messages of a room", f"one every {default.presence_interval_s:g} s"
    yield "operations of a resume; more become a snapshot", str(default.max_resume_ops)
    on_top = f"{default.max_outbox_bytes} bytes; then it is closed with 4001"
    yield "what may gather for a connection on top of what it does not take", on_top
    yield "time for which a connection may take nothing", f"{default.max_stuck_s:g} s; then it is closed with 4001"
    yield "time until `hello`", f"{default.hello_timeout_s:g} s; then it is closed with 4002"
    yield "frames that are no message, or out of turn", f"{MAX_ERRORS}; then the connection is closed with 4507"
    yield "time away after which somebody has left", f"{default.away_after_s:g} s"
    yield "life of a ticket", f"{default.ticket_life_s:g} s"
    yield "a join code", f"{CODE_LENGTH} of the symbols `{CODE_SYMBOLS}`"


TABLES: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {
    "cli": cli,
    "decisions": decisions,
    "close codes": close_codes,
    "refusals": refusal_codes,
    "events": event_kinds,
    "settings": settings,
    "limits": limits,
    "attacks": reliability.attacks,
    "attacks on others": reliability.attacks_on_others,
    "machines": reliability.machines,
    "benchmarks": benchmarks.results,
    "benchmark notes": benchmarks.notes,
    "benchmark machines": benchmarks.machines,
}

_BLOCK = re.compile(r"(<!-- from the code: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def from_the_code(name: str) -> str:
    """What stands under that name.

    Raises:
        KeyError: The page asks for something that there is not.
    """
    if name == "view":
        return f"```json view\n{_pretty(snapshot(sample().room, ADA))}\n```\n"
    return _markdown(TABLES[name]())


def filled(page: str) -> str:
    """A page as the code is now."""
    return _BLOCK.sub(lambda match: match[1] + from_the_code(match[2]) + match[3], page)


def main() -> int:
    """Bring all pages up to date, and say which have changed."""
    for path in sorted(DOCS.rglob("*.md")):
        before = path.read_text("utf-8")
        after = filled(before)
        if after != before:
            path.write_text(after, "utf-8")
            print(f"updated {path.relative_to(DOCS.parent)}")
    return 0


def _markdown(rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|---" * (len(lines[0].replace(r"\|", "").split("|")) - 2) + "|")
    return "\n".join(lines) + "\n"


def _pretty(value: Any, column: int = 0, width: int = 110) -> str:
    """JSON that breaks its lines only where they would be too long."""
    line = json.dumps(value, ensure_ascii=False)
    if column + len(line) <= width or not isinstance(value, dict):
        return line
    entries = (f"{json.dumps(key)}: {_pretty(v, column + len(key) + 5, width)}" for key, v in value.items())
    return "{" + f",\n{' ' * (column + 1)}".join(entries) + "}"


def _first_sentence(type: type) -> str:
    return " ".join((inspect.getdoc(type) or "").split("\n\n")[0].split())


def _help_sentence(command: click.Command) -> str:
    return " ".join((command.help or "").split("\n\n")[0].split())


def _rate(rate: Rate) -> str:
    return f"{rate.per_s:g} a second, {rate.burst:g} at once"


def _default(value: Any) -> str:
    match value:
        case None | ():
            return "none"
        case bool():
            return "yes" if value else "no"
        case Rate():
            return _rate(value)
        case float():
            return f"{value:g}"
        case str():
            return f"“{value}”" if " " in value else f"`{value}`"
    return str(value)


def _unit(name: str, value: Any) -> str:
    if isinstance(value, Rate):
        return "handshakes" if name.startswith("handshake") else "commands"
    for suffix, unit in (("_s", "seconds"), ("_bytes", "bytes")):
        if name.endswith(suffix):
            return unit
    return "—"


if __name__ == "__main__":
    sys.exit(main())
