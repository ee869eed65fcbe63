"""The command line: what there is to type. What a command does is in the module of its name."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from wslive.cli.backup import backup_command
from wslive.cli.bench import bench_command
from wslive.cli.erase import erase_command
from wslive.cli.export import export_command
from wslive.cli.hub import Hub
from wslive.cli.ping import ping_command
from wslive.cli.socketio import SocketIo
from wslive.cli.verify import verify_command
from wslive.core.errors import WsliveError


class Failed(click.ClickException):
    """A command that could not do its work; one sentence says why and what to do."""

    exit_code = 2


class Commands(click.Group):
    """Commands whose errors are a sentence, never a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(context)
        except WsliveError as error:
            raise Failed(str(error)) from None


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    parts = urlsplit(value or "http://example.org")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise click.BadParameter(f"{value!r} is no address; it looks like https://live.example.org")
    return value.rstrip("/") if value else value


def _origins(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        _address(context, parameter, value)
        if urlsplit(value).path.strip("/"):
            raise click.BadParameter(f"{value!r} has a path; an origin is only https://lab.example.org (and a port)")
    return values


def _proxies(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise click.BadParameter(f"{value!r} is neither an address nor a network like 10.0.0.0/8") from None
    return values


# The \b keeps the lines of the paragraph after it as they are.
WHAT_THIS_IS = """Ask a room a question from a notebook cell.

People answer from phones, browsers and other notebooks, and the chart in your notebook moves as they do.

\b
In a notebook, no command is needed:
    import wslive
    room = wslive.host("Sorting 101", audience="network")
    room.poll("Which sort is stable?", ["quick", "merge", "heap"])

The commands here are for a server of its own, and for a first look.
"""


@click.group(
    cls=Commands,
    help=WHAT_THIS_IS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="See it first: `wslive demo`. Each command explains itself with --help.",
)
@click.version_option(package_name="wslive", message="wslive %(version)s")
def main() -> None:
    """Everything is in the commands."""


@main.command("serve")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 lets others in."
)
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 takes a free one."
)
@click.option("--store", default="wslive.db", show_default=True, help="Where rooms are kept: a file, or :memory:.")
@click.option("--public-url", callback=_address, metavar="URL", help="The address at which a proxy shows this server.")
@click.option(
    "--allow-origin",
    multiple=True,
    callback=_origins,
    metavar="ORIGIN",
    help="Let pages of another site connect, e.g. https://lab.example.org. May be given several times.",
)
@click.option(
    "--trusted-proxy",
    multiple=True,
    callback=_proxies,
    metavar="ADDRESS",
    help="A proxy whose X-Forwarded-For counts: an address or a network. May be given several times.",
)
@click.option("--anyone-may-host", is_flag=True, help="Let everybody who reaches this server create rooms.")
@SocketIo.may_be_asked_of
@Hub.may_be_asked_of
@click.option(
    "--metrics",
    is_flag=True,
    help="Count for Prometheus, at /metrics: for this computer alone, or for whoever has WSLIVE_METRICS_TOKEN.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How warnings and errors are written to the standard error.",
)
@click.option("--own", is_flag=True, hidden=True, help="Be the server that a notebook starts for its user.")
def serve_command(**options: Any) -> None:
    """Run a server. It says its address and how to host a room.

    Rooms, questions and answers are kept in the store; started again, the server takes up every room. Ctrl-C ends it:
    people are told, and nothing that was acknowledged is lost.

    To create rooms from another computer or as another user, set WSLIVE_HOST_TOKEN to the same secret there and here.
    """
    from wslive.cli.serve import run

    run(hub=Hub.taken_from(options), socketio=SocketIo.taken_from(options), **options)


main.add_command(bench_command)
main.add_command(ping_command)
main.add_command(verify_command)
main.add_command(backup_command)
main.add_command(export_command)
main.add_command(erase_command)


@main.command("demo")
@click.option("--no-browser", is_flag=True, help="Do not open the notebook in a browser.")
@click.option("--seconds", type=click.FloatRange(min=1), metavar="N", help="End after N seconds; otherwise by Ctrl-C.")
@click.option("--size", default=50, show_default=True, type=click.IntRange(1, 2000), help="How many synthetic people.")
@click.option("--seed", default=42, show_default=True, help="The same seed makes the same people.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="The server's port; a free one without it.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep notebooks, store and ledger in this folder; a temporary one without it.",
)
def demo_command(**options: Any) -> None:
    """Show what wslive does, in a minute.

    Starts a server, a JupyterLab with a host's notebook, and a synthetic audience that joins, votes and chats like
    people. Prints where to look: the notebook, the phone page and the projector. Everything runs on this computer
    alone, and ends with the command.
    """
    from wslive.cli.demo import run

    run(**options)
