"""A real JupyterHub: its proxy from npm, the dummy authenticator, servers as plain processes of this user."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.end_to_end.lab import FOLDERS

PROXY = Path(__file__).parents[2] / "node_modules" / ".bin" / "configurable-http-proxy"
PASSWORD = "a password of the tests"

CONFIG = """
import os, sys
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root", "--LabApp.expose_app_in_browser=True"]
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
c.JupyterHub.services = []
c.JupyterHub.load_roles = []
c.JupyterHub.db_url = "sqlite:///{root}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{root}/cookie_secret"

def let(spawner):
    folders = {folders!r}
    home = {homes!r} + "/" + spawner.user.name
    own = {{name: home + "/" + folder for name, folder in folders.items() if name != "HOME"}}
    own["JUPYTER_PLATFORM_DIRS"] = "1"
    spawner.environment = {{**spawner.environment, **own, **{settings!r}.get(spawner.user.name, {{}})}}

c.Spawner.pre_spawn_hook = let
"""

DOC = Path(__file__).parents[2] / "docs" / "jupyter.md"

MORE = """
c.JupyterHub.load_groups = {{"lecturers": {{"users": ["lena"]}}, "students": {{"users": ["ada", "bob"]}}}}
c.Authenticator.admin_users = {{"dean"}}
more = [f"access:services!service={{name}}" for name in {names!r}]
for name, port, options in {services!r}:
    command = ["wslive", "serve", "--hub", "--store", "{root}/" + name + ".db", *options]
    url = f"http://127.0.0.1:{{port}}"
    c.JupyterHub.services.append({{"name": name, "url": url, "command": command, "oauth_no_confirm": True}})
for role in c.JupyterHub.load_roles:
    if role["name"] == "server":
        role["scopes"] += more
c.JupyterHub.load_roles += [
    {{"name": "class", "groups": ["lecturers", "students"], "scopes": more}},
    {{"name": "more", "services": {names!r}, "scopes": ["read:users:groups"]}},
]
"""
"""More services like the documented one, for two groups instead of for everybody."""

TESTS = """
c.JupyterHub.services.append({{"name": "tests", "api_token": {token!r}}})
scopes = ["admin:servers", "admin:users", "list:users", "tokens"]
c.JupyterHub.load_roles.append({{"name": "tests", "scopes": scopes, "services": ["tests"]}})
"""


def documented(service_port: int, store: Path, hub: str) -> str:
    """The lines that docs/jupyter.md gives to operators, with a port, a path and a hub's address of this machine."""
    _, _, section = DOC.read_text("utf-8").partition("### One server for a class")
    _, _, block = section.partition("```python\n")
    lines, _, _ = block.partition("```")
    here = {"http://127.0.0.1:8766": f"http://127.0.0.1:{service_port}", "/srv/wslive/rooms.db": str(store)}
    for there, replaced in {**here, "https://hub.example.org": hub}.items():
        assert lines.count(there) == 1, f"{there} is not in the lines of docs/jupyter.md"
        lines = lines.replace(there, replaced)
    return lines


class Hub:
    """One hub, ended with everything that it started.

    Attributes:
        url: Its address behind the proxy.
        service: That of wslive as its service, as docs/jupyter.md has it.
    """

    def __init__(
        self, root: Path, settings: dict[str, dict[str, str]], services: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Prepare a hub below `root`.

        Args:
            root: An empty folder.
            settings: The environments that the operator gives to users.
            services: With them wslive is a service as documented, and these are more of the kind, by name, with their
                options. They are for two groups, the lecturer Lena and the students Ada and Bob; Dean is an
                administrator.
        """
        self.root = root
        self.homes = root / "homes"
        self.homes.mkdir(parents=True)
        self._token = secrets.token_hex(16)
        port, hub_port, proxy_port, service_port, *more_ports = free_ports(4 + len(services or {}))
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.service = self.service_of("wslive")
        own = CONFIG.format(
            port=port,
            hub_port=hub_port,
            proxy_port=proxy_port,
            proxy=str(PROXY),
            password=PASSWORD,
            homes=str(self.homes),
            root=root,
            folders=FOLDERS,
            settings=settings,
        )
        if services is not None:
            more = [(name, at, list(found)) for (name, found), at in zip(services.items(), more_ports, strict=True)]
            own += documented(service_port, root / "rooms.db", self.url)
            own += MORE.format(names=list(services), services=more, root=root)
        (root / "jupyterhub_config.py").write_text(own + TESTS.format(token=self._token))

    def service_of(self, name: str) -> str:
        """The address of one of its services."""
        return f"{self.url}/services/{name}"

    def __enter__(self) -> Self:
        assert PROXY.exists(), "The hub's proxy is missing. Install it: tools/node.sh"
        with (self.root / "hub.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(self.root / "jupyterhub_config.py")],
                cwd=self.root,
                env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 90
        while True:
            try:
                self.api("GET", "users")
            except (URLError, OSError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self._end()
                    raise RuntimeError(f"The hub did not start:\n{self.log()[-4000:]}") from None
                time.sleep(0.1)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            # The hub ends its proxy and, as it is told to by default, every user's server.
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Call the hub's REST interface."""
        request = Request(
            f"{self.url}/hub/api/{path}",
            None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"token {self._token}"},
        )
        with urlopen(request, timeout=150) as response:
            body = response.read()
        return json.loads(body) if body else None

    def start_server(self, user: str, files: Mapping[str, str] | None = None) -> None:
        """Make a user with these files at home, and start their server."""
        (self.homes / user).mkdir()
        for folder in FOLDERS.values():
            (self.homes / user / folder).mkdir(mode=0o700)
        for path, text in (files or {}).items():
            (self.homes / user / path).write_text(text)
        self.add(user)
        self.api("POST", f"users/{user}/server")
        deadline = time.monotonic() + 120
        while not self.api("GET", f"users/{user}")["server"]:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def add(self, user: str) -> None:
        """Make a user, unless as a member of a group it is there already."""
        if user not in {one["name"] for one in self.api("GET", "users")}:
            self.api("POST", f"users/{user}")

    def running(self, user: str) -> dict[str, Any]:
        """What the file says by which the kernels of a user's server find their rooms."""
        (file,) = (self.homes / user / FOLDERS["JUPYTER_RUNTIME_DIR"] / "wslive").glob("server-*.json")
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def kernel_environment(self, user: str) -> dict[str, str]:
        """The environment of a kernel of a user's server."""
        folders = {name: str(self.homes / user / folder) for name, folder in FOLDERS.items()}
        own = {**folders, "JUPYTER_PLATFORM_DIRS": "1", "JPY_PARENT_PID": str(self.running(user)["pid"])}
        return {**os.environ, **self._given(user), **own}

    def notebook_environment(self, user: str) -> dict[str, str]:
        """That of a user whose server need not run: with a token that may all that its user may."""
        self.add(user)
        token = self.api("POST", f"users/{user}/tokens", {})["token"]
        home = self.homes / user
        folders = {name: str(home / folder) for name, folder in FOLDERS.items()}
        own = {**folders, "JUPYTER_PLATFORM_DIRS": "1", "WSLIVE_SERVER": self.service, "JUPYTERHUB_USER": user}
        return {**os.environ, **own, "JUPYTERHUB_API_TOKEN": token}

    def _given(self, user: str) -> dict[str, str]:
        """What the hub gave to a user's server, and so to its kernels."""
        block = Path(f"/proc/{self.running(user)['pid']}/environ").read_text()
        pairs = (line.partition("=") for line in block.split("\0"))
        return {name: value for name, _, value in pairs if name.startswith(("JUPYTERHUB_", "WSLIVE_"))}

    def status(self, path: str, headers: dict[str, str] | None = None) -> int:
        """The status of a page behind the proxy, for somebody without a login, redirects followed to the hub."""
        try:
            with urlopen(Request(f"{self.url}/{path}", headers=headers or {}), timeout=30) as response:
                return int(response.status) if "/hub/" not in response.url else 302
        except HTTPError as error:
            return error.code

    def log(self) -> str:
        """What the hub, its proxy and the servers have printed."""
        return (self.root / "hub.log").read_text(errors="replace")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in taken]
    for one in taken:
        one.close()
    return ports
