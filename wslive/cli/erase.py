"""`wslive erase`: take a person's names and texts, or a whole room, out of a store. For whoever has no host key."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from wslive.core.errors import StoreInUse, UnknownPerson
from wslive.core.room import Room


@click.command("erase")
# Resolved, since its keys lie beside it and not beside a link to it.
@click.argument("store", type=click.Path(dir_okay=False, exists=True, resolve_path=True, path_type=Path))
@click.option("--room", "code", metavar="CODE", required=True, help="The room's join code.")
@click.option("--person", metavar="ID|NAME", help="Whose names and texts to erase; their ballots stay counted.")
@click.option("--whole-room", is_flag=True, help="Remove the room with everything in it.")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
def erase_command(store: Path, code: str, person: str | None, whole_room: bool, yes: bool) -> None:
    """Erase a person's names and texts, or a room.

    The bytes are overwritten in the store and its side files; copies made before, such as backups, are not reached. The
    chain over what remains verifies still. The server must not run meanwhile: while it does, a host erases with
    `room.erase(person)` and `room.delete()`.
    """
    if (person is None) is not whole_room:
        raise click.UsageError("Say whom to erase with --person, or give --whole-room.")
    if not yes:
        what = "the whole room" if person is None else f"what {person} has written in room"
        click.confirm(f"Erase {what} {code}? It cannot be undone.", abort=True)
    click.echo(asyncio.run(_erase(store, code, person)))


async def _erase(store: Path, code: str, person: str | None) -> str:
    from wslive.audit.backup import key_of
    from wslive.eventlog.sqlite import SqliteLog
    from wslive.server.rooms.node import Node
    from wslive.server.settings import ServerSettings

    try:
        log = await SqliteLog.open(store)
    except StoreInUse:
        raise StoreInUse(
            f"A server is running on {store}. Stop it first; or let the room's host do it in a notebook, with "
            "room.erase(person) or room.delete()."
        ) from None
    try:
        # With the server's own keys: a poll that is secret still has its ballots read.
        node = Node(log, ServerSettings(secret_path=key_of(store)))
        live = await node.find(code)
        if person is None:
            await node.delete(live)
            return f"Room {code} is gone."
        id = await live.task.look(lambda room: _id_of(room, person))
        offset = await node.erase(live, id)
        await node.close()
        return f"What {id} had written is gone; event {offset} says so. Their ballots stay counted."
    finally:
        await log.close()


def _id_of(room: Room, person: str) -> str:
    """The id of somebody by id or name, whoever was sent out included.

    Raises:
        UnknownPerson: Nobody, or several.
    """
    if room.people.get(person) is not None:
        return person
    found = [id for id, known in room.people.items() if known.name == person]
    if len(found) > 1:
        raise UnknownPerson(f"{len(found)} people are called {person!r}; say whom by id: {', '.join(found)}.")
    if not found:
        raise UnknownPerson(
            f"Nobody called {person!r} was in this room. `wslive export --what people --names` lists all."
        )
    return found[0]
