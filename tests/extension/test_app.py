"""`c.WSLive`, and what follows from how Jupyter is started; whole servers are in tests/end_to_end."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets import TraitError

from wslive.extension.app import WSLive
from wslive.extension.mount import Mount
from wslive.server.settings import Rate, ServerSettings


def jupyter(**settings: Any) -> SimpleNamespace:
    told = {"ip": "127.0.0.1", "port": 8888, "certfile": "", "sock": "", "root_dir": "/home/ada", "base_url": "/"}
    return SimpleNamespace(**{**told, **settings})


def extension(serverapp: SimpleNamespace, **traits: Any) -> WSLive:
    made = WSLive(**traits)
    made.serverapp = serverapp  # type: ignore[assignment]
    made._mount = Mount("/user/ada/wslive", made.log)
    return made


@pytest.mark.parametrize(
    ("ip", "certfile", "url"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:8888"),
        ("localhost", "", "http://localhost:8888"),
        ("0.0.0.0", "", "http://127.0.0.1:8888"),
        ("", "", "http://127.0.0.1:8888"),
        ("::", "", "http://[::1]:8888"),
        ("::1", "", "http://[::1]:8888"),
        ("192.168.1.7", "cert.pem", "https://192.168.1.7:8888"),
    ],
)
def test_kernels_reach_it_on_this_computer(ip: str, certfile: str, url: str) -> None:
    assert extension(jupyter(ip=ip, certfile=certfile))._local_url() == f"{url}/user/ada/wslive"


def test_a_server_on_the_network_knows_its_addresses_and_one_behind_a_hub_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wslive.extension.app.addresses", lambda: ["192.168.1.7", "10.0.0.3"])
    everywhere = extension(jupyter(ip="0.0.0.0"))
    assert everywhere._addresses() == [
        "http://192.168.1.7:8888/user/ada/wslive",
        "http://10.0.0.3:8888/user/ada/wslive",
    ]
    assert extension(jupyter(ip="192.168.1.9"))._addresses() == ["http://192.168.1.9:8888/user/ada/wslive"]
    assert extension(jupyter())._addresses() == [], "a proxy in front of it has the address"
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    assert everywhere._addresses() == []
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://hub.example.org/user/ada/")
    assert everywhere._addresses() == ["https://hub.example.org/user/ada/wslive"]


def test_each_folder_that_is_served_has_a_store_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path)
    stores = [extension(jupyter(root_dir=str(root)))._store_path() for root in (tmp_path, tmp_path / "link", "/")]
    assert stores[0] == stores[1] != stores[2]
    assert {store.parent for store in stores} == {tmp_path / "wslive"}
    given = extension(jupyter(), store=str(tmp_path / "mine.db"))
    assert given._store_path() == tmp_path / "mine.db"


@pytest.mark.parametrize(
    ("environment", "wanted", "allowed"),
    [
        ({}, None, "anyone"),
        ({}, "never", "never"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}, None, "hub_users"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}, "anyone", "hub_users"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "WSLIVE_AUDIENCE_ALLOWED": "anyone"}, None, "anyone"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "WSLIVE_AUDIENCE_ALLOWED": "never"}, "anyone", "never"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "WSLIVE_AUDIENCE_ALLOWED": "Anyone "}, None, "anyone"),
        ({"WSLIVE_AUDIENCE_ALLOWED": "yes"}, None, "never"),
    ],
)
def test_who_decides_whom_hosts_may_let_in(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], wanted: str | None, allowed: str
) -> None:
    for name in ("JUPYTERHUB_SERVICE_PREFIX", "WSLIVE_AUDIENCE_ALLOWED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert extension(jupyter(), **({"audience_allowed": wanted} if wanted else {}))._allowed() == allowed


def test_limits_are_the_settings_of_wslive_serve() -> None:
    known = ServerSettings()
    limits = WSLive(limits={"max_participants": 10, "line_rate": (1, 5), "tick_interval_s": 1}).limits
    assert limits == {"max_participants": 10, "line_rate": Rate(1, 5), "tick_interval_s": 1}
    for name in ("max_people", "hosting_token", "port", "may_open_network", "anyone_may_host", "any_host", "metrics"):
        with pytest.raises(TraitError, match=f"knows no {name}"):
            WSLive(limits={name: getattr(known, name, 1)})
    for name, wrong, wanted in (
        ("line_rate", 5, "two positive numbers"),
        ("line_rate", (1, 2, 3), "two positive numbers"),
        ("line_rate", (0, 5), "two positive numbers"),
        ("max_participants", "many", "a positive whole number"),
        ("max_participants", 1.5, "a positive whole number"),
        ("max_participants", True, "a positive whole number"),
        ("tick_interval_s", -1, "a positive number"),
        ("tick_interval_s", float("nan"), "a positive number"),
    ):
        with pytest.raises(TraitError, match=re.escape(f"c.WSLive.limits[{name!r}] has to be {wanted}")):
            WSLive(limits={name: wrong})
    with pytest.raises(TraitError, match="audience_allowed"):
        WSLive(audience_allowed="everybody")


async def test_a_mistake_at_the_start_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(self: WSLive) -> None:
        raise RuntimeError

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(WSLive, "_check_settings", broken)
    made = extension(jupyter())
    await made._begin()
    assert made._mount.ready.is_set()
    assert "its log says why" in made._mount.trouble
    await made.stop_extension()
