"""Which server a notebook talks to, and the user's own one, started when it is first needed.

In this order: the address given by the caller; `WSLIVE_SERVER`; the Jupyter Server that this kernel belongs to, where
wslive is installed with it; the user's own server. That one runs in an operating system session of its own, so an
interrupt or restart of a kernel does not touch it, keeps its rooms in Jupyter's data folder, and ends 30 minutes after
its last connection. All kernels of a user share it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from wslive.client import passes
from wslive.client.http import fetch_json
from wslive.core.errors import NoServer, NotConnected, Refused
from wslive.notebook import private_files
from wslive.server import discovery

START_TIMEOUT_S = 30.0
LOG_TAIL_LINES = 12
OWN = "own"
"""How keys name the user's own server: its rooms stay the same when its port has to change."""


@dataclass(frozen=True)
class ServerAt:
    """A server that answered just now.

    Attributes:
        url: Its base URL.
        name: How keys name it.
        hosting_token: What creating rooms needs there, if this user has it.
    """

    url: str
    name: str
    hosting_token: str | None = field(default=None, repr=False)


async def find(server: str | None = None) -> ServerAt:
    """The server to host on, started if need be.

    Raises:
        NoServer: None answers, and none could be started.
    """
    if url := server or os.environ.get("WSLIVE_SERVER"):
        return await _given(url)
    return await _jupyter() or await _own()


async def known() -> list[ServerAt]:
    """The servers that a bare join code may belong to; nothing is started."""
    urls = [url for url in (os.environ.get("WSLIVE_SERVER"),) if url]
    for url in urls:
        _hub_pass(url)
    own = own_jupyter()
    urls += [running.url for running in [*([own] if own else []), *_running()] if not running.trouble]
    return [ServerAt(url, name_of(url)) for url in dict.fromkeys(u.rstrip("/") for u in urls)]


def name_of(url: str) -> str:
    """How keys name the server at an address."""
    beside = _beside(url)
    return url if beside is None else OWN if beside.own else beside.name or url


def own_jupyter() -> discovery.Running | None:
    """The wslive in the Jupyter Server that has started this kernel, if there is one."""
    parent = os.environ.get("JPY_PARENT_PID")
    return next((r for r in _running() if r.jupyter and str(r.pid) == parent), None)


def pages_urls(url: str) -> list[str]:
    """The base URLs at which a page of this kernel's notebook may reach the server at `url`, the best one first.

    What lives in the same Jupyter Server is reached where the page itself came from, which nobody here knows behind
    hubs and proxies: so without scheme and host.
    """
    own = own_jupyter()
    is_here = (own is not None and own.url == url) or _hub_pass(url) is not None
    return [urlsplit(url).path, url] if is_here else [url]


async def nearest(url: str, code: str) -> str:
    """The base URL by which this kernel had better come into a room that others reach at `url`.

    A link shows the address of a hub or proxy, which may lead nowhere from here; and a room of this kernel's own
    Jupyter Server needs nobody to be let in.
    """
    given = os.environ.get("WSLIVE_SERVER", "").rstrip("/")
    if _hub_pass(given) is not None and urlsplit(given).path == urlsplit(url).path:
        return given  # the link shows the hub's public address; the operator's one is known to be the hub's
    own = own_jupyter()
    if own is None or own.trouble or own.url == url or urlsplit(own.url).path != urlsplit(url).path:
        return url
    try:
        await fetch_json(own.url, f"/r/{code}/about")
    except (NotConnected, Refused):
        return url
    return own.url


async def _given(url: str) -> ServerAt:
    url = url.strip().rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise NoServer(f"{url!r} is no address of a server; it looks like 'http://192.168.1.7:8765'.")
    beside = _beside(url)
    hub_pass = _hub_pass(url)
    try:
        await fetch_json(url, "/api/server")
    except (NotConnected, Refused) as error:
        raise NoServer(str(error)) from None
    token = hub_pass or os.environ.get("WSLIVE_HOST_TOKEN")
    return ServerAt(url, name_of(url), token or (beside.hosting_token if beside else None))


async def _jupyter() -> ServerAt | None:
    own = own_jupyter()
    if own is None:
        return None
    if own.trouble:
        holder = next((r for r in _running() if r.store == own.store and not r.trouble), None)
        elsewhere = f' Or host there: wslive.host(…, server="{holder.url}").' if holder else ""
        raise NoServer(own.trouble + elsewhere)
    try:
        answer = await fetch_json(own.url, "/api/server")
    except (NotConnected, Refused) as error:
        raise NoServer(f"wslive in the Jupyter Server of this kernel does not answer: {error}") from None
    theirs, ours = str(answer["wslive"]), version("wslive")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        raise NoServer(
            f"This kernel has wslive {ours}, and the Jupyter Server that it belongs to has wslive {theirs}. Install "
            f"the same in both: pip install wslive=={theirs} where the kernel runs, then restart the kernel."
        )
    return ServerAt(own.url, own.name, own.hosting_token)


def _hub_pass(url: str) -> str | None:
    """The token of this kernel's server at its hub, where `url` is a service of that hub; kept as a pass, too.

    Whoever gets it is somebody on the hub: so it goes to the address in `WSLIVE_SERVER` alone, which the operator of
    the hub sets, and never to one that stands in a link.
    """
    token = os.environ.get("JUPYTERHUB_API_TOKEN")
    services = os.environ.get("JUPYTERHUB_BASE_URL", "/").rstrip("/") + "/services/"
    is_operators = url.rstrip("/") == os.environ.get("WSLIVE_SERVER", "").rstrip("/")
    if not token or not is_operators or not urlsplit(url).path.startswith(services):
        return None
    passes.keep(url, token)
    return token


def _beside(url: str) -> discovery.Running | None:
    return next((r for r in _running() if r.url == url), None)


def _running() -> list[discovery.Running]:
    found = discovery.found()
    for running in found:
        if running.jupyter and running.hosting_token:
            passes.keep(running.url, running.hosting_token)
    return found


async def _own() -> ServerAt:
    if (own := await _own_running()) is not None:
        return own
    lock = private_files.data_folder() / "own.lock"
    # Two notebooks that start at once must not start two servers on one store. Waiting for the other may take
    # seconds, so it is done beside the loop that all connections of this kernel live on.
    return await asyncio.to_thread(_start_alone, lock)


def _start_alone(lock: Path) -> ServerAt:
    with private_files.locked(lock):
        return asyncio.run(_start())


async def _own_running() -> ServerAt | None:
    _launched[:] = [process for process in _launched if process.poll() is None]
    for running in _running():
        if not running.own:
            continue
        try:
            answer = await fetch_json(running.url, "/api/server", timeout_s=5.0)
        except (NotConnected, Refused):
            continue
        if answer.get("pid") == running.pid:
            return ServerAt(running.url, OWN, running.hosting_token)
    return None


async def _start() -> ServerAt:
    if (own := await _own_running()) is not None:
        return own
    log = private_files.data_folder() / "own.log"
    began = log.stat().st_size if log.exists() else 0
    process = _launch(log)
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while (own := await _own_running()) is None:
                if process.poll() is not None:
                    what = f"Your own server ended at its start (exit code {process.returncode})"
                    raise NoServer(_told(what, log, began))
                await asyncio.sleep(0.05)
    except TimeoutError:
        process.terminate()
        raise NoServer(_told(f"Your own server did not answer within {START_TIMEOUT_S:g} s", log, began)) from None
    return own


_launched: list[subprocess.Popen[bytes]] = []
"""What this process has started, so that those which have ended can be told from those that live."""


def _launch(log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "wslive", "serve", "--own"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # An interrupt or restart of the kernel goes to the kernel's session, and this is another.
            start_new_session=True,
            # The kernel's folder may be on a stick that its owner wants to pull out.
            cwd=log.parent,
        )
    _launched.append(process)
    return process


def _told(what: str, log: Path, began: int) -> str:
    with log.open("rb") as file:
        file.seek(began)
        lines = file.read().decode(errors="replace").splitlines()
    tail = "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:])
    return f"{what}. The end of its log, {log}:\n{tail}" if tail else f"{what}; its log, {log}, is empty."
