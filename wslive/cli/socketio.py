"""What `wslive serve` has to say about Socket.IO: its options, and the room that its clients come to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wslive.cli.additions import Addition

if TYPE_CHECKING:
    from wslive.server.app import Extension, Server

WHAT_FOR = "--socketio-room, --socketio-option and --socketio-client belong to --socketio: give that too."

_OPTIONS = (
    click.option("--socketio", is_flag=True, help="Let Socket.IO clients in too; see docs/from_socketio.md."),
    click.option(
        "--socketio-room",
        metavar="CODE|TITLE",
        help="The room of Socket.IO clients that name none: one that is there, or one that is made under this title.",
    ),
    click.option(
        "--socketio-option",
        "socketio_options",
        multiple=True,
        metavar="TEXT",
        help="An option of that room's poll, which asks its title. Given at least twice.",
    ),
    click.option(
        "--socketio-client",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="A copy of the client's script from npm, to be served as /socket.io/socket.io.js.",
    ),
)


@dataclass
class SocketIo(Addition):
    """What was asked for."""

    options = _OPTIONS
    package = "socketio"
    extra = "socketio"

    socketio: bool
    socketio_room: str | None
    socketio_options: tuple[str, ...]
    socketio_client: Path | None

    def check(self, is_wished: bool, others: dict[str, Any]) -> None:
        """See `Addition.check`."""
        if not is_wished and (self.socketio_room or self.socketio_options or self.socketio_client):
            raise click.UsageError(WHAT_FOR)
        if self.socketio_options and not self.socketio_room:
            raise click.UsageError("--socketio-option needs the question: give it as --socketio-room.")

    def extension(self) -> Extension:
        """What the server is extended by."""
        from wslive.socketio.gateway import Gateway

        self._gateway = Gateway(client_file=self.socketio_client)
        return self._gateway

    async def open_room(self, server: Server) -> list[str]:
        """Find or make the room, and return what there is to say about it.

        Raises:
            Refused: There is no such room, or its title or options cannot be.
        """
        from wslive.notebook import keys, local_server
        from wslive.socketio.rooms import default_room

        if self.socketio_room is None:
            return [f"Socket.IO clients come in with io('{server.url}?room=CODE')"]
        room = await default_room(self._gateway.context.node, self.socketio_room, self.socketio_options)
        self._gateway.default_code = room.code
        if room.host_key is not None:
            name = local_server.name_of(server.url)
            try:
                keys.keep_host(keys.HostKey(name, room.code, room.title, room.host_key, time.time()))
            except OSError as error:
                click.echo(f"The room's host key cannot be kept ({error}). Keep it: {room.host_key}", err=True)
        return [
            f"Socket.IO clients come in with io('{server.url}'), to the room {room.title!r}.",
            f"Everybody else joins it at {server.url}/r/{room.code}",
            f'To host it from a notebook of yours: wslive.host("{room.title}", server="{server.url}")',
        ]
