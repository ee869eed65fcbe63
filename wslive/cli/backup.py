"""`wslive backup`: a whole copy of a store, also while its server runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wslive.core.text import counted


@click.command("backup")
@click.argument("store", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
def backup_command(store: Path, target: Path) -> None:
    """Copy a store and its key, and check the copy.

    The server may run and take votes meanwhile; the copy is one state of everything. It can be read by its owner alone,
    and nothing that is there already is overwritten. The exit code is 1 where the copy is not sound, since the store
    is not.
    """
    from wslive.audit.backup import back_up

    report = back_up(store, target)
    events = counted(sum(room.events for room in report.rooms), "event")
    click.echo(f"Copied to {target}: {counted(len(report.rooms), 'room')}, {events}.")
    for room in report.rooms:
        click.echo(f"  room {room.code}, head {room.events}:{room.head}")
    if not report.is_sound:
        click.echo("The copy is as damaged as the store: `wslive verify` says where.")
        sys.exit(1)
    click.echo("The copy was checked: nothing differs.")
