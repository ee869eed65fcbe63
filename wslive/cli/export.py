"""`wslive export`: what a room holds, for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from wslive.core.errors import RoomUnavailable
from wslive.core.text import counted


@click.command("export")
@click.argument("store", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--room", "code", metavar="CODE", help="The room's join code; not needed where there is only one.")
@click.option(
    "--what",
    type=click.Choice(["events", "ballots", "lines", "people"]),
    default="events",
    show_default=True,
    help="The log, the ballots that count, what was said, or who joined.",
)
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True, help="How.")
@click.option("--names", is_flag=True, help="Tell people's names, too; without it they are ids.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; else the terminal.")
def export_command(store: Path, code: str | None, what: str, form: str, names: bool, output: Path | None) -> None:
    """Write out a room of a store.

    Without names unless they are asked for; what people have said may name them all the same. The store is only read,
    and a server may be using it.
    """
    from wslive.audit.export import as_csv, as_jsonl, export, rooms

    rows = export(store, code or only_room(rooms(store)), what, names=names)
    text = as_csv(rows) if form == "csv" else as_jsonl(rows)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        # With the mark by which spreadsheets know UTF-8.
        output.write_text(text, "utf-8-sig" if form == "csv" else "utf-8", newline="")
    except OSError as error:
        raise click.FileError(str(output), error.strerror or "") from None
    noun = ("person", "people") if what == "people" else (what.removesuffix("s"),)
    click.echo(f"{counted(len(rows), *noun)} written to {output}")


def only_room(codes: list[str]) -> str:
    """The one room of a store.

    Raises:
        RoomUnavailable: There are several, or none.
    """
    if len(codes) != 1:
        told = ", ".join(codes) or "none at all"
        raise RoomUnavailable(f"Say which room with --room; the store has {told}.")
    return codes[0]
