"""`wslive serve`: one server, from its first line on the terminal to its last."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from socket import socket as Socket

import click

from wslive.cli import logs, tuning
from wslive.cli.hub import Hub
from wslive.cli.signals import asked_to_end
from wslive.cli.socketio import SocketIo
from wslive.core.errors import PortInUse
from wslive.core.text import counted
from wslive.eventlog.base import EventLog
from wslive.eventlog.memory import MemoryLog
from wslive.eventlog.sqlite import SqliteLog
from wslive.notebook.private_files import data_folder
from wslive.server import discovery
from wslive.server.access.network import EVERYWHERE, base_url, take_port
from wslive.server.access.origins import is_loopback
from wslive.server.app import Extension, MakeIdentity, Server
from wslive.server.settings import ServerSettings

MEMORY = ":memory:"
OWN_IDLE_END_S = 30 * 60.0
"""How long the user's own server stays after the last connection."""
_LOOK_S = 2.0
"""How long to look who has the port."""


def run(
    *,
    host: str,
    port: int,
    store: str,
    public_url: str | None,
    allow_origin: tuple[str, ...],
    trusted_proxy: tuple[str, ...],
    anyone_may_host: bool,
    own: bool,
    log_format: str = "text",
    metrics: bool = False,
    socketio: SocketIo | None = None,
    hub: Hub | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; the options are those of the command.

    Raises:
        LogError · PortInUse: The server cannot start; the message says what to do.
    """
    logs.configure(log_format)
    metrics_token = os.environ.get("WSLIVE_METRICS_TOKEN") or None
    settings = ServerSettings(
        host=host,
        port=port,
        public_url=public_url,
        allow_origins=allow_origin,
        trusted_proxies=trusted_proxy,
        anyone_may_host=anyone_may_host,
        hosting_token=os.environ.get("WSLIVE_HOST_TOKEN") or None,
        metrics=metrics or metrics_token is not None,
        metrics_token=metrics_token,
    )
    if hub is not None:
        settings = hub.settings(settings)
    path = None if store == MEMORY else Path(store).expanduser().resolve()
    tuning.run(_serve_own(settings) if own else _serve(settings, path, socketio, hub))


async def _serve(settings: ServerSettings, path: Path | None, socketio: SocketIo | None, hub: Hub | None) -> None:
    sockets = await _taken(settings)
    if path is None:
        settings = replace(settings, store_name="the memory of this server alone")
    else:
        settings = replace(settings, store_name=f"the file {path.name} on this server", secret_path=_secret(path))
    extensions = [] if socketio is None else [socketio.extension()]
    server, log = await _started(settings, path, sockets, extensions, None if hub is None else hub.identity)
    try:
        more = [] if socketio is None else await socketio.open_room(server)
    except BaseException:
        await server.stop()
        raise
    place = MEMORY if path is None else str(path)
    greeting = await _greeting(server, place, log, more) if hub is None else hub.greeting(server.url)
    await _until_the_end(server, place, greeting=greeting, findable=hub is None)


async def _serve_own(settings: ServerSettings) -> None:
    """The server that a notebook starts: at the same address and with the same rooms every time."""
    path, port_file = data_folder() / "own.db", data_folder() / "own.port"
    settings = replace(
        settings,
        port=_remembered(port_file),
        store_name="a file on the host's computer",
        secret_path=_secret(path),
        idle_end_s=OWN_IDLE_END_S,
    )
    try:
        sockets = take_port(settings.host, settings.port)
    except PortInUse:
        sockets = take_port(settings.host, 0)
    server, _ = await _started(settings, path, sockets)
    port_file.write_text(str(server.port))
    await _until_the_end(server, str(path), greeting=f"Own server at {server.url}, process {os.getpid()}.", own=True)


async def _taken(settings: ServerSettings) -> list[Socket]:
    """The port, before anything is made on the disk that a start without a port would leave behind.

    Raises:
        PortInUse: Another program has it; a wslive server is named.
    """
    try:
        return take_port(settings.host, settings.port)
    except PortInUse:
        from wslive.client.scheme import is_wslive

        url = base_url("127.0.0.1" if settings.host in EVERYWHERE else settings.host, settings.port)
        if await is_wslive(url, _LOOK_S):
            raise PortInUse(
                f"Another wslive server is running there: {url}. Use it, or choose another port with --port."
            ) from None
        raise


async def _started(
    settings: ServerSettings,
    path: Path | None,
    sockets: Sequence[Socket],
    extensions: Sequence[Extension] = (),
    identity: MakeIdentity | None = None,
) -> tuple[Server, EventLog]:
    try:
        log: EventLog = MemoryLog() if path is None else await SqliteLog.open(path)
        try:
            server = Server(settings, log, extensions, identity)
            await server.start(sockets)
        except BaseException:
            await log.close()
            raise
    except BaseException:
        for socket in sockets:
            socket.close()
        raise
    return server, log


async def _until_the_end(
    server: Server, place: str, *, greeting: str, own: bool = False, findable: bool = True
) -> None:
    with _findable(server, place, own=own) if findable else nullcontext(), asked_to_end() as asked:
        tuning.allow_many_sockets()
        tuning.settle()
        click.echo(greeting)
        ends = [asyncio.create_task(event.wait()) for event in (asked, server.idle)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        if server.connections:
            click.echo("Ending: telling everybody who is connected …")
        await server.stop()
    click.echo("The server has ended. Every answer that was counted is kept." if place != MEMORY else "Ended.")


@contextmanager
def _findable(server: Server, place: str, *, own: bool) -> Iterator[None]:
    """Let this user's notebooks find the server while it runs."""
    running = discovery.Running(server.url, os.getpid(), server.hosting_token, place, own, time.time())
    try:
        file = discovery.write(running, server.port)
    except OSError as error:
        click.echo(
            f"Your notebooks will not find this server by themselves: {error.strerror}: {error.filename}", err=True
        )
        yield
        return
    try:
        yield
    finally:
        discovery.remove(file)


def _secret(store: Path) -> Path:
    """Where the key lies that signs tokens: with the store, so that people stay who they are when it moves."""
    return store.with_name(store.name + ".key")


def _remembered(port_file: Path) -> int:
    try:
        return int(port_file.read_text())
    except (OSError, ValueError):
        return 0


async def _greeting(server: Server, place: str, log: EventLog, more: Sequence[str]) -> str:
    # Even with a public address: on this computer the local one finds the hosting token, and join links know better.
    only_here = is_loopback(server.settings.host) and not server.settings.public_url
    others = server.audience_urls
    rooms = sum(record.ended_at_ms is None for record in await log.rooms())
    lines = [f"wslive {version('wslive')} is running at {server.url}"]
    if not only_here:
        lines += [f"Others reach it at {url}" for url in others] or ["This computer has no address that others reach."]
    if place == MEMORY:
        lines += ["Answers are kept in memory only: they are gone when this server ends."]
    else:
        lines += [f"Answers are kept in {place}" + (f", with {counted(rooms, 'open room')}" if rooms else "")]
    lines += [
        "",
        "To host a room, paste this into a notebook cell on this computer:",
        "",
        "    import wslive",
        f'    room = wslive.host("Sorting 101", server="{server.url}")',
        '    room.poll("Which sort is stable?", ["quick", "merge", "heap"])',
        "",
    ]
    if only_here:
        lines += [
            'Only this computer can join. To let others in: wslive.host(…, audience="network") in the notebook,',
            "or start the server with --host 0.0.0.0.",
        ]
    elif not server.settings.anyone_may_host:
        lines += ["From another computer, hosting needs WSLIVE_HOST_TOKEN set to the same secret there and here."]
    return "\n".join([*lines, *(["", *more, ""] if more else []), "Ctrl-C ends the server."])
