"""`wslive ping`: round-trip times over a WebSocket, as ping(8) shows those of packets."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field

import click

from wslive.core.errors import NotConnected


@dataclass
class Tally:
    """What has come of the questions so far; times are in milliseconds."""

    url: str = ""
    began_at_s: float = 0.0
    asked: int = 0
    times_ms: list[float] = field(default_factory=list)
    trouble: str = ""

    def lines(self) -> list[str]:
        """The summary."""
        lost = self.asked - len(self.times_ms)
        took_ms = 1e3 * (time.monotonic() - self.began_at_s)
        lines = [
            "",
            f"--- {self.url} ping statistics ---",
            f"{self.asked} sent, {len(self.times_ms)} answered, {lost / self.asked:.0%} lost, time {took_ms:.0f} ms",
        ]
        if self.times_ms:
            mean = sum(self.times_ms) / len(self.times_ms)
            deviation = math.sqrt(max(0.0, sum(t * t for t in self.times_ms) / len(self.times_ms) - mean * mean))
            lines += [
                "round trip min/avg/max/mdev = "
                f"{min(self.times_ms):.3f}/{mean:.3f}/{max(self.times_ms):.3f}/{deviation:.3f} ms"
            ]
        return lines


@click.command("ping")
@click.argument("url")
@click.option("-c", "--count", type=click.IntRange(min=1), metavar="N", help="End after N questions; else by Ctrl-C.")
@click.option(
    "-i",
    "--interval",
    "interval_s",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long to wait between two questions.",
)
@click.option(
    "-W",
    "--timeout",
    "timeout_s",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long to wait for the connection, and for an answer.",
)
def ping_command(url: str, count: int | None, interval_s: float, timeout_s: float) -> None:
    """Measure round trips to a server over a WebSocket.

    URL is a server's address or a join link. It is the server that is measured; of a join link it is also said whether
    its room is there. Where no WebSocket gets through, it says what is in the way: nobody
    listening, a certificate, a proxy, or something else than wslive.

    The exit code is 0 if anything was answered, 1 if nothing was, 2 if there was no connection at all.
    """
    tally = Tally()
    try:
        asyncio.run(_ping(tally, url, count, interval_s, timeout_s))
    except KeyboardInterrupt:
        pass
    if tally.asked:
        click.echo("\n".join(tally.lines()))
    if tally.trouble:
        click.echo(tally.trouble, err=True)
    raise SystemExit(0 if tally.times_ms else 1)


async def _ping(tally: Tally, url: str, count: int | None, interval_s: float, timeout_s: float) -> None:
    from wslive.client.echo import (
        NoAnswer,
        about_room,
        open_echo,
    )  # here: the other commands' --help need not load Tornado

    echo = await open_echo(url, timeout_s)
    tally.url, tally.began_at_s = echo.url, time.monotonic()
    click.echo(f"PING {echo.url}")
    try:
        room = await about_room(url, timeout_s)
        if room is not None:
            click.echo(f"{room} What follows measures its server.")
        while True:
            tally.asked += 1
            try:
                tally.times_ms.append(1e3 * await echo.ask(timeout_s))
                click.echo(f"answer {tally.asked}: time={tally.times_ms[-1]:.3f} ms")
            except NoAnswer as error:
                click.echo(f"answer {tally.asked}: {error}")
            if tally.asked == count:
                return
            await asyncio.sleep(interval_s)
    except NotConnected as error:
        tally.trouble = str(error)
    finally:
        await echo.close()
