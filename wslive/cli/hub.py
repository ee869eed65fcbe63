"""What `wslive serve` has to say about JupyterHub: its options, and the settings that the hub gives."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from wslive.cli.additions import Addition

if TYPE_CHECKING:
    from wslive.server.access.identity import Identity
    from wslive.server.access.tokens import Signer
    from wslive.server.settings import ServerSettings

_KEPT_BY_THE_PROXY_S = 3600.0
WHAT_FOR = "--hosts-group belongs to --hub: give that too."
NOT_WITH = "--hub does not go with {}: the hub says where to listen and who people are."

_OPTIONS = (
    click.option("--hub", is_flag=True, help="Be a service of the JupyterHub that starts this; see docs/jupyter.md."),
    click.option(
        "--hosts-group",
        "hosts_groups",
        multiple=True,
        metavar="GROUP",
        help="With --hub: a group of the hub whose members may open rooms. Without one nobody may.",
    ),
    click.option(
        "--recheck",
        "recheck_s",
        default=600.0,
        show_default=True,
        type=click.FloatRange(min=1),
        metavar="SECONDS",
        help="With --hub: how often to ask it whether the logins of those who are connected still count.",
    ),
)


@dataclass
class Hub(Addition):
    """What was asked for."""

    options = _OPTIONS
    package = "jupyterhub"
    extra = "hub"

    hub: bool
    hosts_groups: tuple[str, ...]
    recheck_s: float

    def check(self, is_wished: bool, others: dict[str, Any]) -> None:
        """See `Addition.check`."""
        if not is_wished and self.hosts_groups:
            raise click.UsageError(WHAT_FOR)
        # What these would open is the hub's to give.
        for name in ("anyone_may_host", "own", "allow_origin", "socketio"):
            if is_wished and others.get(name):
                raise click.UsageError(NOT_WITH.format(f"--{name.replace('_', '-')}"))

    def settings(self, settings: ServerSettings) -> ServerSettings:
        """The server's settings, as the hub wants them.

        Raises:
            BadCommand: No hub has started this process.
        """
        from wslive.hub import listening

        host, port, base_path = listening()
        logging.getLogger("wslive.hub").setLevel(logging.INFO)
        public_url = settings.public_url or os.environ.get("JUPYTERHUB_PUBLIC_URL") or None
        return replace(
            settings,
            host=host,
            port=port,
            base_path=base_path,
            public_url=public_url,
            # Nobody has it: members of the groups host, and whoever runs as the same user on this computer does not.
            hosting_token=None,
            any_host=True,
            may_open_network=False,
            vouch_interval_s=self.recheck_s,
            # The hub's proxy keeps its connections, and a request that meets the end of one is answered with 503.
            idle_http_s=_KEPT_BY_THE_PROXY_S,
        )

    def identity(self, keys: Signer) -> Identity:
        """Who vouches for people."""
        from wslive.hub import BELIEVED_FOR_S, HubIdentity

        return HubIdentity(keys, self.hosts_groups, believed_for_s=min(BELIEVED_FOR_S, self.recheck_s))

    def greeting(self, url: str) -> str:
        """What the log of the hub shows of the start."""
        if not self.hosts_groups:
            return f"wslive for the hub at {url}: nobody may open rooms, since no --hosts-group is given."
        return f"wslive for the hub at {url}: members of {' and '.join(self.hosts_groups)} may open rooms."
