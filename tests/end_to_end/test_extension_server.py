"""A Jupyter Server with wslive in it, when things are not as they should be: a message where it is looked for."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError

from tests.end_to_end.jupyter import TIMEOUT_S, JupyterServer

PROXIED = "--ServerApp.allow_remote_access=True"

# What a kernel of the server does: it knows its parent process, and shares the folders of its user.
IN_A_KERNEL = """
import json, sys, warnings
import wslive
try:
    print(json.dumps({{"result": {expression}}}))
except wslive.errors.WsliveError as error:
    print(json.dumps({{"error": type(error).__name__, "message": str(error)}}))
"""


def in_a_kernel(server: JupyterServer, expression: str, parent: JupyterServer | None = None) -> dict[str, Any]:
    """What an expression is for a kernel of the server: {result}, or {error, message}."""
    env = {**server.env, "JPY_PARENT_PID": str((parent or server).pid)}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_KERNEL.format(expression=expression)],
        cwd=server.notebooks,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with JupyterServer(tmp_path_factory.mktemp("server") / "user") as running:
        yield running


def test_a_kernel_finds_its_servers_rooms_by_itself_and_leaves_none_behind(server: JupyterServer) -> None:
    found = in_a_kernel(server, 'wslive.host("Sorting 101").link')
    assert found["result"].startswith(f"{server.base_url}/wslive/r/")
    # A restarted kernel is another process: the same room.
    assert in_a_kernel(server, 'wslive.host("Sorting 101").link') == found
    data = Path(server.env["JUPYTER_DATA_DIR"]) / "wslive"
    assert not (data / "own.db").exists(), "no server of the user's own was started"


def test_another_notebook_of_the_same_user_joins_before_anybody_is_let_in(server: JupyterServer) -> None:
    link = in_a_kernel(server, 'wslive.host("Sorting 101").link')["result"]
    assert in_a_kernel(server, f'repr(wslive.join({link!r}, name="Ada"))')["result"].endswith(": live>")
    code = link.rsplit("/", 1)[1]
    assert "'Sorting 101'" in in_a_kernel(server, f"repr(wslive.watch({code!r}))")["result"]
    # By the address that a hub or proxy shows, too: no way leads there from here.
    public = f"https://hub.invalid/wslive/r/{code}"
    assert in_a_kernel(server, f'repr(wslive.join({public!r}, name="Bob"))')["result"].endswith(": live>")


def test_a_program_of_somebody_else_is_told_to_ask_the_host(server: JupyterServer, tmp_path: Path) -> None:
    room = server.open_room()
    stranger = {"JUPYTER_DATA_DIR": str(tmp_path / "other"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "other")}
    code = f'import wslive\nwslive.join("{server.base_url}/wslive/r/{room["code"]}", name="Eve")'
    env = {**os.environ, **stranger, "JUPYTER_PLATFORM_DIRS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "Nobody is let in here at the moment. Ask the host of the room to let people in." in done.stderr


def test_rooms_people_and_ballots_outlive_a_restart_of_the_server_and_nobody_stays_let_in(tmp_path: Path) -> None:
    host = (
        '(lambda room: [room.resumed, room.code, room.poll("Which?", ["a", "b"]).tally()])(wslive.host("Sorting 101"))'
    )
    with JupyterServer(tmp_path / "user", PROXIED) as server:
        first = in_a_kernel(server, host)["result"]
        code = first[1]
        vote = (
            f'(lambda me: [me.vote("b"), me.actor_id if hasattr(me, "actor_id") else me.connection.actor][1])'
            f'(wslive.join({code!r}, name="Ada"))'
        )
        ada = in_a_kernel(server, vote)["result"]
        server.let_in(code)
        assert server.knock({"room": code}) == "welcome"
        server.stop()
        assert "rooms at" in server.log()
        server.start()
        assert server.knock({"room": code}) == "handshake 403", "a restart lets nobody in that nobody has let in"
        again = in_a_kernel(server, host)["result"]
        assert again[0].startswith("Resumed: ")
        assert again[1:] == [code, {"a": 0, "b": 1}]
        assert in_a_kernel(server, vote)["result"] == ada, "the same person"


def test_people_are_told_when_the_server_ends_and_wait_until_they_are_let_in_again(tmp_path: Path) -> None:
    with JupyterServer(tmp_path / "user", PROXIED) as server:
        room, other = server.open_room("Open"), server.open_room("Other")
        server.let_in(room["code"])
        with server.socket() as socket:
            welcome = server.exchanged(socket, {"type": "hello", "room": room["code"]})
            server.stop()
            while (frame := json.loads(socket.recv(TIMEOUT_S)))["type"] != "bye":
                pass
            assert frame["code"] == 4000
            with pytest.raises(ConnectionClosedError, match="4000"):
                socket.recv(TIMEOUT_S)
        server.start()
        token = welcome["token"]
        assert server.knock({"room": room["code"], "token": token}) == "handshake 403"
        server.let_in(other["code"])
        # Not a final refusal: whoever was here comes back by themselves.
        assert server.knock({"room": room["code"], "token": token}) == "temporarily_unavailable"
        assert server.knock({"room": room["code"]}) == "room_unavailable"
        server.let_in(room["code"])
        assert server.knock({"room": room["code"], "token": token}) == "welcome"


def test_the_code_of_an_open_room_cannot_be_guessed_at_its_page(tmp_path: Path) -> None:
    limits = "--WSLive.limits={'total_guess_rate': (0.001, 3)}"  # a proxy's network is nobody's
    with JupyterServer(tmp_path / "user", PROXIED, limits) as server:
        code = server.open_room("Open")["code"]
        for guess in range(9):
            assert server.ask(f"wslive/r/NONE{guess}")[0] == 403, "no room is open: nothing to be found, nothing counts"
        server.let_in(code)
        asked = [server.ask(f"wslive/r/{guess}{about}")[0] for guess in ("AA", "BB", "BB") for about in ("", "/about")]
        assert asked == [403] * 6, "two different ones"
        assert server.ask(f"wslive/r/{code}")[0] == 200
        assert server.ask("wslive/r/CC")[0] == 403
        answers = [server.ask(f"wslive/r/{guess}{about}") for guess in ("DD", code) for about in ("", "/about")]
        assert [status for status, _, _ in answers] == [429] * 4, "right or wrong"
        assert len({text.partition("again in")[0] for _, _, text in answers[::2]}) == 1
        assert server.knock({"room": code}) == "too_fast"


def test_with_the_last_open_room_the_way_in_is_deleted_too(server: JupyterServer) -> None:
    room, other = server.open_room("Open"), server.open_room("Other")
    for made in (room, other):
        assert len(server.let_in(made["code"])["links"]) > 0
    assert server.call("DELETE", f"wslive/api/rooms/{room['code']}", bearer=room["host_key"])[0] == 200
    asked = f"wslive/api/server?room={other['code']}"
    assert len(server.call("GET", asked)[1]["audience"]) > 0
    assert server.call("DELETE", f"wslive/api/rooms/{other['code']}", bearer="hk_wrong")[0] == 403
    assert len(server.call("GET", asked)[1]["audience"]) > 0
    assert server.call("DELETE", f"wslive/api/rooms/{other['code']}", bearer=other["host_key"])[0] == 200
    assert server.call("GET", asked)[1]["audience"] == []
    assert server.ask("wslive/")[0] == 403, "nobody is let in any more"


def test_a_forged_host_gets_nothing_with_or_without_a_login(server: JupyterServer) -> None:
    room = server.open_room()
    for path in ("wslive/", f"wslive/r/{room['code']}", "wslive/static/page.js", "wslive/api/server", "wslive/ws"):
        for login in ({}, {"Authorization": f"token {server.token}"}):
            status, _, _ = server.ask(path, headers={"Host": "evil.example:8888", **login})
            assert status == 403, path
    bearer = {"Authorization": f"Bearer {server.running['hosting_token']}"}
    status, _, _ = server.ask("wslive/api/server", headers={"Host": "evil.example:8888", **bearer})
    assert status == 403


def test_a_name_that_points_here_may_not_open_the_websocket_as_its_own_origin(server: JupyterServer) -> None:
    """Tornado asks nobody about the origin where Host and Origin are equal."""
    room = server.open_room()
    headers = {"Origin": "http://evil.example"}
    assert server.knock({"room": room["code"]}, headers=headers, host="evil.example") == "handshake 403"
    headers["Authorization"] = f"token {server.token}"
    assert server.knock({"room": room["code"]}, headers=headers, host="evil.example") == "handshake 403"


def test_an_origin_that_is_none_opens_no_websocket_and_leaves_no_traceback(server: JupyterServer) -> None:
    """Tornado and Jupyter take it apart, and fail on it."""
    room = server.open_room()
    headers, ticket = {"Origin": "http://[::1"}, server.ticket(room)
    assert server.knock({"room": room["code"]}, headers=headers) == "handshake 403"
    assert server.knock({}, headers=headers, protocols=[f"wslive.ticket.{ticket}"]) == "handshake 403"
    headers["Authorization"] = f"token {server.token}"
    assert server.knock({"room": room["code"]}, headers=headers) == "handshake 403"
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("allowed", ["never", "hub_users"])
def test_the_operators_veto_holds(tmp_path: Path, allowed: str) -> None:
    with JupyterServer(tmp_path / "user", PROXIED, f"--WSLive.audience_allowed={allowed}") as server:
        room = server.open_room()
        for audience in ("network", "https://hub.example.org"):
            status, answer = server.call("POST", "wslive/api/audience", {"room": room["code"], "audience": audience})
            assert (status, answer["code"]) == (403, "not_allowed")
        assert server.ask(f"wslive/r/{room['code']}")[0] == 403
        assert server.knock({"room": room["code"]}) == "handshake 403"
        told = in_a_kernel(server, 'wslive.host("Sorting 101", audience="network").links')
        assert told["error"] == "NotAllowed"
        assert ("operator" in told["message"]) is True
        assert f"was not opened to network: {allowed}" in server.log()


def test_on_a_hub_the_user_cannot_allow_more_than_the_operator(tmp_path: Path) -> None:
    hub = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "JUPYTERHUB_USER": "ada"}
    config = tmp_path / "user" / "config"
    server = JupyterServer(tmp_path / "user", PROXIED, env=hub)
    (config / "jupyter_wslive_config.py").write_text('c.WSLive.audience_allowed = "anyone"\n')
    with server:
        room = server.open_room()
        status, answer = server.call("POST", "wslive/api/audience", {"room": room["code"], "audience": "network"})
        assert (status, answer["code"]) == (403, "not_allowed")
        assert "WSLIVE_AUDIENCE_ALLOWED" in answer["message"]
        assert "allows more than this hub's operator, so 'hub_users' counts" in server.log()


def test_on_a_hub_the_operator_can_allow_anyone_and_the_user_less(tmp_path: Path) -> None:
    hub = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "JUPYTERHUB_USER": "ada", "WSLIVE_AUDIENCE_ALLOWED": "anyone"}
    with JupyterServer(tmp_path / "ada", PROXIED, env=hub) as server:
        room = server.open_room()
        assert server.let_in(room["code"]) == {"links": [], "here": True}
        assert f"ada: people without a login are let into room {room['room']}" in server.log()
    with JupyterServer(tmp_path / "bob", PROXIED, "--WSLive.audience_allowed=never", env=hub) as server:
        room = server.open_room()
        status, _ = server.call("POST", "wslive/api/audience", {"room": room["code"], "audience": "network"})
        assert status == 403


def test_a_misspelt_permission_opens_nothing(tmp_path: Path) -> None:
    with JupyterServer(tmp_path / "user", PROXIED, env={"WSLIVE_AUDIENCE_ALLOWED": "anybody"}) as server:
        room = server.open_room()
        status, answer = server.call("POST", "wslive/api/audience", {"room": room["code"], "audience": "network"})
        assert (status, answer["code"]) == (403, "not_allowed")


def test_the_settings_are_those_of_wslive_serve_under_jupyters_names(tmp_path: Path) -> None:
    server = JupyterServer(tmp_path / "user", PROXIED)
    config = Path(server.env["JUPYTER_CONFIG_DIR"]) / "jupyter_wslive_config.py"
    config.write_text(
        f"c.WSLive.store = {str(tmp_path / 'here' / 'rooms.db')!r}\nc.WSLive.limits = {{'max_participants': 1}}\n"
    )
    with server:
        assert server.running["store"] == str(tmp_path / "here" / "rooms.db")
        room = server.open_room()
        server.let_in(room["code"])
        assert server.knock({"room": room["code"]}) == "welcome"
        assert server.knock({"room": room["code"]}) == "room_unavailable", "it is full"


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("limits = {'max_people': 1}", "c.WSLive.limits knows no max_people; it knows "),
        ("audience_allowed = 'nobody'", "any of ['never', 'hub_users', 'anyone']"),
    ],
)
def test_with_a_wrong_setting_there_are_no_rooms_and_the_log_names_it(
    tmp_path: Path, setting: str, complaint: str
) -> None:
    """Jupyter itself would go on with the settings that it could read."""
    server = JupyterServer(tmp_path / "user", PROXIED)
    (Path(server.env["JUPYTER_CONFIG_DIR"]) / "jupyter_server_config.py").write_text(f"c.WSLive.{setting}\n")
    with server:
        assert complaint in server.log()
        assert "Its settings, c.WSLive, cannot be read" in server.running["trouble"]
        assert server.call("POST", "wslive/api/rooms", {"title": "Mine"}, bearer="ht_any")[0] == 503
        assert server.ask("wslive/")[0] == 403


def test_switched_off_there_is_nothing_at_its_address(tmp_path: Path) -> None:
    with JupyterServer(tmp_path / "user", "--WSLive.enabled=False", has_rooms=False) as server:
        assert "switched off" in server.log()
        assert server.ask("wslive/r/AAAAAA", headers={"Authorization": f"token {server.token}"})[0] == 404
        assert server.ask("wslive/static/page.js", headers={"Authorization": f"token {server.token}"})[0] == 404
        assert not (Path(server.env["JUPYTER_DATA_DIR"]) / "wslive").exists()


def test_a_second_server_of_the_same_folder_says_who_holds_the_rooms(server: JupyterServer, tmp_path: Path) -> None:
    folders = {name: server.env[name] for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    second = JupyterServer(tmp_path / "second", env=folders)
    second.notebooks = server.notebooks
    with second:
        assert f"process {server.pid}" in second.running["trouble"]
        assert second.running["trouble"] in second.log()
        told = in_a_kernel(second, 'wslive.host("Sorting 101").link')
        assert told["error"] == "NoServer"
        assert f"process {server.pid}" in told["message"]
        # And what to do about it, which works.
        assert f'wslive.host(…, server="{server.base_url}/wslive")' in told["message"]
        there = in_a_kernel(second, f'wslive.host("Sorting 101", server="{server.base_url}/wslive").link')
        assert there["result"].startswith(f"{server.base_url}/wslive/r/")
        status, _, text = second.ask("wslive/", headers={"Authorization": f"token {second.token}"})
        assert (status, text) == (503, second.running["trouble"])
        assert second.ask("wslive/")[0] == 403
        assert second.knock({"room": "AAAAAA"}) == "handshake 503"


def test_a_read_only_data_folder_is_named(tmp_path: Path) -> None:
    server = JupyterServer(tmp_path / "user")
    # Root may write everywhere, so that there is a file where the folder should be.
    (Path(server.env["JUPYTER_DATA_DIR"]) / "wslive").write_text("not a folder")
    with server:
        assert "wslive opens no rooms in this Jupyter Server." in server.log()
        told = in_a_kernel(server, 'wslive.host("Sorting 101", server=None).link')
        assert told["error"] == "NoServer"
        assert str(Path(server.env["JUPYTER_DATA_DIR"]) / "wslive") in told["message"]


CLAIMING = """
from tornado.web import RequestHandler

class Mine(RequestHandler):
    def get(self, path=""):
        self.finish("mine")

def _jupyter_server_extension_points():
    return [{"module": "claiming"}]

def _load_jupyter_server_extension(serverapp):
    base = serverapp.base_url
    serverapp.web_app.add_handlers(".*$", [(base + "wslive/(.*)", Mine)])
"""


@pytest.mark.parametrize("name", ["claiming", "zz_claiming"])
def test_another_extension_at_our_path_is_named_and_nothing_is_opened(tmp_path: Path, name: str) -> None:
    """Whichever of the two Jupyter loads first."""
    (tmp_path / f"{name}.py").write_text(CLAIMING.replace('"claiming"', f'"{name}"'))
    env = {"PYTHONPATH": str(tmp_path)}
    extensions = f"--ServerApp.jpserver_extensions={name}=True"
    with JupyterServer(
        tmp_path / "user", extensions, "--ServerApp.jpserver_extensions=wslive.extension=True", env=env
    ) as server:
        assert f"Another extension, {name}, answers at /wslive/ too. Disable one of the two" in server.log()
        told = in_a_kernel(server, 'wslive.host("Sorting 101").link')
        assert told["error"] == "NoServer"
        assert f"Another extension, {name}," in told["message"]
        assert server.knock({"room": "AAAAAA"}).startswith("handshake "), "no WebSocket opens"


@pytest.mark.parametrize("base", ["/user/ada@example.org/", "/user/%C3%A9va%20m/", "/user/o'neil~a.b/"])
def test_odd_characters_in_the_base_url(tmp_path: Path, base: str) -> None:
    with JupyterServer(tmp_path / "user", f"--ServerApp.base_url={base}", PROXIED) as server:
        found = in_a_kernel(server, 'wslive.host("Sorting 101").link')
        code = found["result"].rsplit("/", 1)[1]
        assert server.ask(f"wslive/r/{code}")[0] == 403
        server.let_in(code)
        assert server.ask(f"wslive/r/{code}")[0] == 200
        assert server.ask("wslive/static/page.js")[0] == 200
        assert server.knock({"room": code}) == "welcome"
        joined = in_a_kernel(server, f'repr(wslive.join({found["result"]!r}, name="Ada"))')
        assert joined["result"].endswith(": live>")


def test_a_kernel_with_another_version_is_told_which_one_to_install(server: JupyterServer) -> None:
    older = 'setattr(wslive.notebook.local_server, "version", lambda name: "0.0.9") or wslive.host("Sorting").link'
    told = in_a_kernel(server, f"__import__('wslive.notebook.local_server') and {older}")
    assert told["error"] == "NoServer"
    assert "This kernel has wslive 0.0.9" in told["message"]
    assert "pip install wslive==" in told["message"]


def test_votes_count_as_activity_and_an_idle_room_does_not(tmp_path: Path) -> None:
    options = ["--ServerApp.shutdown_no_activity_timeout=600", PROXIED]
    with JupyterServer(tmp_path / "user", *options) as server:
        room = server.open_room()
        server.let_in(room["code"])
        before = last_activity(server)
        with server.socket() as socket:
            server.exchanged(socket, {"type": "hello", "room": room["code"]})
            joined = last_activity(server)
            assert joined > before
            server.exchanged(socket, {"type": "ping"})
            assert last_activity(server) == joined, "to be there is no activity"
            server.exchanged(socket, {"type": "command", "activity": 2, "kind": "say", "body": {"text": "Hello"}})
            assert last_activity(server) > joined


def last_activity(server: JupyterServer) -> str:
    """When Jupyter thinks that it was last used; asking is no use."""
    status, _, text = server.ask("api/status?no_track_activity=1", headers={"Authorization": f"token {server.token}"})
    assert status == 200
    return str(json.loads(text)["last_activity"])


def test_starting_takes_no_port_and_ends_cleanly(tmp_path: Path) -> None:
    server = JupyterServer(tmp_path / "user")
    server.start()
    process = next(found for found in server.processes() if found.pid == server.pid)
    ports = {c.laddr.port for c in process.net_connections("tcp") if c.status == "LISTEN"}
    assert ports == {int(server.base_url.split(":")[2].split("/")[0])}
    file = server._file
    server.stop()
    assert server._process.returncode == 0, "it was made to end"
    assert not file.exists()
    assert "Traceback" not in server.log()
