"""`wslive verify`: is a store whole, and are its tallies what its votes say?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wslive.core.text import counted

if TYPE_CHECKING:
    from wslive.audit.recount import Poll, Recount
    from wslive.audit.store import RoomReport


@click.command("verify")
@click.argument("store", type=click.Path(dir_okay=False, path_type=Path))
def verify_command(store: Path) -> None:
    """Check a store, and count every poll in it again.

    Offsets, body hashes, the chain over all events, that no command is in it twice, and that the checkpoint a room is
    opened with is what its events come to; then the votes of each poll, by other code than the server's. The store
    is only read, and a server may be using it. The exit code is 1 where something differs, and each place is named.
    """
    from wslive.audit.store import verify

    report = verify(store)
    for problem in report.problems:
        click.echo(f"DIFFERS  {problem}")
    for room in report.rooms:
        _tell(room)
    events = counted(sum(room.events for room in report.rooms), "event")
    polls = counted(sum(len(room.recount.polls) for room in report.rooms), "poll")
    checked = f"Checked {counted(len(report.rooms), 'room')}, {events}, {polls}"
    if not report.is_sound:
        click.echo(f"{checked}: the store is NOT what was acknowledged. Restore it from a backup.")
        sys.exit(1)
    click.echo(f"{checked}: nothing differs.")


def _tell(report: RoomReport) -> None:
    click.echo(f"Room {report.code}  {report.recount.title!r}")
    erased = ""
    if report.erased or report.people_erased:
        people = counted(report.people_erased, "person", "people")
        erased = f" ({counted(report.erased, 'body', 'bodies')} erased, of {people})"
    click.echo(f"  {counted(report.events, 'event')}{erased}, head {report.events}:{report.head}")
    if report.problems:
        for problem in report.problems:
            click.echo(f"  DIFFERS  {problem}")
    else:
        click.echo("  offsets without a gap, bodies and chain sound, every ref once")
        if report.checkpoint_at:
            click.echo(f"  the checkpoint is what the log comes to at event {report.checkpoint_at}")
    for activity, poll in report.recount.polls.items():
        _tell_poll(report.recount, activity, poll)


def _tell_poll(recount: Recount, activity: int, poll: Poll) -> None:
    more = ", discarded" if poll.discarded else ""
    if poll.is_secret:
        more += ", secret: sealed, and counted by the server alone when it closes"
    click.echo(f"  poll {activity}  {poll.question!r}: {counted(poll.votes, 'vote')}{more}")
    for number, answered, counts in recount.tallies(activity):
        if poll.is_secret and number not in poll.counted:
            people = counted(len(poll.put_in.get(number, ())), "person has", "people have")
            click.echo(f"    round {number}: open; {people} put something in")
            continue
        told = ", ".join(f"{text!r} {counts.get(id, 0)}" for id, text in poll.options.items())
        click.echo(f"    round {number}: {answered} answered: {told}")
