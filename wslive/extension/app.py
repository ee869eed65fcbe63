"""The extension: `c.WSLive` in Jupyter's configuration, the store of this Jupyter Server, its start and its end."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.utils import url_path_join
from traitlets import Bool, Dict, Enum, TraitError, Unicode, default, validate

from wslive.core.errors import LogError, WsliveError
from wslive.eventlog.sqlite import SqliteLog
from wslive.extension import handlers
from wslive.extension.audience import ALLOWED, Allowed, Audience, clamped
from wslive.extension.mount import Mount, WithoutCodes, claimed_by
from wslive.server import discovery
from wslive.server.access.network import EVERYWHERE, addresses, base_url
from wslive.server.access.origins import is_loopback
from wslive.server.app import Server
from wslive.server.settings import Rate, ServerSettings

ALLOWED_VARIABLE = "WSLIVE_AUDIENCE_ALLOWED"
"""What the operator of a hub sets in `c.Spawner.environment`."""


class WSLive(ExtensionApp):
    """Live polls and chat for notebooks, inside this Jupyter Server."""

    name = "wslive"
    load_other_extensions = True

    _file: Path | None = None

    enabled = Bool(True, help="Whether rooms live in this Jupyter Server; else each user's own server has them.").tag(
        config=True
    )
    audience_allowed = Enum(
        ALLOWED,
        help="Whom hosts may let into their rooms without Jupyter's login: never anybody, hub_users (only people who "
        "have logged in at the hub and whom it lets onto this server), or anyone with the link. On a hub the operator "
        f"decides, by {ALLOWED_VARIABLE} in c.Spawner.environment; this setting can only allow less there.",
    ).tag(config=True)
    store = Unicode(help="The file that keeps the rooms; without it one in Jupyter's data folder.").tag(config=True)
    limits = Dict(
        help="Any of wslive's server settings that is a number or a rate, e.g. "
        "{'max_participants': 500, 'line_rate': (1, 5)}."
    ).tag(config=True)

    @default("audience_allowed")
    def _default_audience_allowed(self) -> Allowed:
        return _operators_choice()

    @validate("limits")
    def _check_limits(self, proposal: Any) -> Any:
        if unknown := set(proposal.value) - _LIMITS.keys():
            raise TraitError(
                f"c.WSLive.limits knows no {', '.join(sorted(unknown))}; it knows {', '.join(sorted(_LIMITS))}."
            )
        return {name: _limit(name, value) for name, value in proposal.value.items()}

    # ── start ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def initialize_handlers(self) -> None:
        """Put the handlers into Jupyter's web application; the store is opened when its loop runs."""
        if not self.enabled:
            self.log.info("wslive: switched off (c.WSLive.enabled)")
            return
        assert self.serverapp is not None
        application = self.serverapp.web_app
        requests = self.serverapp.log.getChild("wslive")
        requests.addFilter(WithoutCodes())
        self._mount = Mount(url_path_join(self.serverapp.base_url, "wslive"), requests)
        # Not by `self.handlers`: those take a base URL for a pattern.
        application.add_handlers(".*$", handlers.routes(self._mount))  # type: ignore[no-untyped-call]
        self.serverapp.io_loop.add_callback(self._begin)

    async def _begin(self) -> None:
        mount, store = self._mount, self._store_path()
        try:
            self._check_settings()
            mount.server = await self._open(store)
        except (WsliveError, OSError) as error:
            its_path = " c.WSLive.store is its path." if isinstance(error, LogError) else ""
            mount.trouble = f"wslive opens no rooms in this Jupyter Server. {error}{its_path}"
            self.log.error("%s", mount.trouble)
        except Exception:
            # Whoever asks for a room waits until it is certain whether there are any.
            mount.trouble = "wslive opens no rooms in this Jupyter Server; its log says why."
            self.log.exception("%s", mount.trouble)
        else:
            mount.audience = self._audience(mount.server)
            self.log.info("wslive: rooms at %s/, kept in %s", mount.path, store)
        try:
            self._make_findable(store)
        finally:
            mount.ready.set()

    def _check_settings(self) -> None:
        assert self.serverapp is not None
        if not self._linked:
            # Jupyter goes on with what it has read so far, which may be without an operator's "never".
            raise WsliveError("Its settings, c.WSLive, cannot be read; the log of the Jupyter Server says why.")
        if self.serverapp.sock:
            raise WsliveError("Jupyter listens on a Unix socket, which browsers do not reach: start it with a port.")
        module = claimed_by(self.serverapp.web_app, self._mount.path, handlers.__name__)
        if module is not None:
            raise WsliveError(
                f"Another extension, {module}, answers at {self._mount.path}/ too. Disable one of the two: "
                "`jupyter server extension list`."
            )

    async def _open(self, store: Path) -> Server:
        assert self.serverapp is not None
        store.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings = ServerSettings(
            port=self.serverapp.port,
            secret_path=store.with_name(store.name + ".key"),
            store_name="a file of the host's Jupyter",
            may_open_network=self._allowed() == "anyone",
        )
        log = await SqliteLog.open(store)
        try:
            server = Server(replace(settings, **self.limits), log)
        except BaseException:
            await log.close()
            raise
        server.begin()
        server.context.node.on_change = self._note_activity
        return server

    def _audience(self, server: Server) -> Audience:
        assert self.serverapp is not None
        return Audience(
            server,
            self._allowed(),
            path=self._mount.path,
            is_direct=not self.serverapp.allow_remote_access,
            addresses=self._addresses(),
            audit=self.log,
        )

    def _allowed(self) -> Allowed:
        if not _is_hub():
            return self.audience_allowed
        operators = _operators_choice()
        allowed = clamped(self.audience_allowed, operators)
        if allowed != self.audience_allowed:
            self.log.warning(
                "wslive: c.WSLive.audience_allowed = %r allows more than this hub's operator, so %r counts",
                self.audience_allowed,
                allowed,
            )
        return allowed

    def _note_activity(self) -> None:
        # Jupyter looks for keys with this ending when it decides whether it is idle.
        assert self.serverapp is not None
        self.serverapp.web_app.settings["wslive_last_activity"] = datetime.now(UTC)

    # ── addresses and files ───────────────────────────────────────────────────────────────────────────────────────

    def _addresses(self) -> list[str]:
        """Where others reach this Jupyter, as far as it can know."""
        if public := os.environ.get("JUPYTERHUB_PUBLIC_URL"):
            return [url_path_join(public, "wslive")]
        assert self.serverapp is not None
        ip, port = self.serverapp.ip, self.serverapp.port
        if _is_hub() or is_loopback(ip):
            return []  # the proxy in front of it has the address
        found = addresses() if ip in EVERYWHERE else [ip]
        return [self._secured(base_url(address, port)) + self._mount.path for address in found]

    def _local_url(self) -> str:
        """Where the kernels reach it."""
        assert self.serverapp is not None
        ip = self.serverapp.ip
        local = "[::1]" if ip == "::" else "127.0.0.1" if ip in EVERYWHERE else ip
        return self._secured(base_url(local.strip("[]"), self.serverapp.port)) + self._mount.path

    def _secured(self, url: str) -> str:
        assert self.serverapp is not None
        return url.replace("http:", "https:", 1) if self.serverapp.certfile else url

    def _store_path(self) -> Path:
        if self.store:
            return Path(self.store).expanduser().resolve()
        return Path(jupyter_data_dir()) / "wslive" / f"jupyter-{self._root_id()}.db"

    def _root_id(self) -> str:
        """What tells the folder that this Jupyter Server serves from others."""
        assert self.serverapp is not None
        return hashlib.sha256(os.path.realpath(self.serverapp.root_dir).encode()).hexdigest()[:12]

    def _make_findable(self, store: Path) -> None:
        """Let this server's kernels find it; the file is their user's alone, and holds the hosting token."""
        assert self.serverapp is not None
        server = self._mount.server
        running = discovery.Running(
            url=self._local_url(),
            pid=os.getpid(),
            hosting_token="" if server is None else server.hosting_token,
            store=str(store),
            own=False,
            started_at=time.time(),
            name=f"jupyter:{self._root_id()}",
            jupyter=True,
            trouble=self._mount.trouble,
        )
        try:
            self._file = discovery.write(running, self.serverapp.port)
        except OSError as error:
            self.log.error("wslive: kernels will not find this server: %s: %s", error.strerror, error.filename)

    # ── end ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def stop_extension(self) -> None:
        """Tell people, store what is queued, close the store."""
        if not self.enabled:
            return
        await self._mount.ready.wait()
        if self._file is not None:
            discovery.remove(self._file)
        if self._mount.server is not None:
            await self._mount.server.stop()


_LIMITS = {
    field.name: type(field.default)
    for field in fields(ServerSettings)
    if type(field.default) in (int, float, Rate) and field.name != "port"
}
"""The settings that are numbers or rates, with their types."""


def _limit(name: str, value: Any) -> int | float | Rate:
    """A limit as the server takes it.

    Raises:
        TraitError: It is none.
    """
    kind = _LIMITS[name]
    if kind is Rate and isinstance(value, Rate):
        return value
    if kind is Rate:
        numbers = list(value) if isinstance(value, list | tuple) else []
        if len(numbers) == 2 and all(_is_positive(number) for number in numbers):
            return Rate(*numbers)
        wanted = "two positive numbers, how many a second and how many at once, like (1, 5)"
    elif _is_positive(value) and (kind is float or isinstance(value, int)):
        number: int | float = value
        return number
    else:
        wanted = "a positive number" if kind is float else "a positive whole number"
    raise TraitError(f"c.WSLive.limits[{name!r}] has to be {wanted}, not {value!r}.")


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _is_hub() -> bool:
    return "JUPYTERHUB_SERVICE_PREFIX" in os.environ


def _operators_choice() -> Allowed:
    wanted = os.environ.get(ALLOWED_VARIABLE, "")
    if not wanted:
        return "hub_users" if _is_hub() else "anyone"
    # A misspelt value must not open anything.
    return next((allowed for allowed in ALLOWED if allowed == wanted.strip().lower()), "never")
