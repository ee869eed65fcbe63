from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import Any
from urllib.parse import urljoin

import pytest
import zxingcpp
from tornado.httpclient import HTTPResponse

from tests.server.conftest import OpenHall
from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, Hall
from wslive.core.errors import RoomUnavailable, StoreUnwritable
from wslive.eventlog.memory import MemoryLog
from wslive.server.access import network

NETWORK = "127.0.0.2"
PLOTLY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"


def policy(response: HTTPResponse) -> dict[str, str]:
    """The content security policy, by directive."""
    header = response.headers["Content-Security-Policy"]
    return {name: values for name, _, values in (part.strip().partition(" ") for part in header.split(";"))}


async def reachable(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the network in; its base URL."""
    monkeypatch.setattr(network, "addresses", lambda: [NETWORK])
    body = json.dumps({"audience": "network"})
    answer = await hall.http("/api/audience", method="POST", body=body, bearer=hall.server.hosting_token)
    return str(json.loads(answer.body)["links"][0])


def qr_text(svg: bytes) -> str:
    """What a camera reads in a drawing by segno: strokes of one module's height."""
    size = int(re.search(rb'viewBox="0 0 (\d+) ', svg)[1])  # type: ignore[index]
    scale = 8
    image = bytearray(b"\xff") * (size * scale) ** 2
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", re.search(rb' d="([^"]+)"', svg)[1].decode()):  # type: ignore[index]
        if command == "h":
            for row in range(int(y - 0.5) * scale, int(y + 0.5) * scale):
                start = row * size * scale + int(x) * scale
                image[start : start + int(numbers) * scale] = bytes(int(numbers) * scale)
            x += int(numbers)
        else:
            dx, dy = map(float, numbers.split())
            x, y = (dx, dy) if command == "M" else (x + dx, y + dy)
    shape = (size * scale, size * scale)
    found = zxingcpp.read_barcode(memoryview(bytes(image)).cast("B", shape))
    assert found is not None
    return str(found.text)


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/", "/r/{code}", "/r/{code}/screen", "/r/ABCDEF", "/r/k7m-2qx"])
async def test_a_page_is_the_same_whether_its_room_is_there_or_not(path: str, hall: Hall):
    response = await hall.http(path.format(code=hall.code))
    assert response.code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<!doctype html>" in response.body.lower()
    assert hall.code.encode() not in response.body


@pytest.mark.parametrize("path", ["/", "/r/{code}", "/r/{code}/screen"])
async def test_a_page_runs_our_files_alone_and_talks_to_us_alone(path: str, hall: Hall):
    response = await hall.http(path.format(code=hall.code))
    rules = policy(response)
    host = f"127.0.0.1:{hall.server.port}"
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["connect-src"] == f"'self' ws://{host} wss://{host}"
    assert rules["base-uri"] == "'none'"
    assert rules["frame-ancestors"] == "'self'"
    assert rules["style-src"] == (f"'self' {PLOTLY_STYLE}" if path.endswith("screen") else "'self'")
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "Server" not in response.headers


async def test_every_file_that_a_page_names_is_there(hall: Hall):
    for path in ("/", f"/r/{hall.code}", f"/r/{hall.code}/screen"):
        page = (await hall.http(path)).body.decode()
        named = re.findall(r'(?:src|href)="([^"#]+)"', page)
        assert named
        for name in named:
            assert (await hall.http(urljoin(path, name))).code == 200, (path, name)


# ── about a room, before joining ──────────────────────────────────────────────────────────────────────────────────


async def test_before_joining_people_are_told_the_title_and_what_is_kept_where(open_hall: OpenHall):
    hall = await open_hall(store_name="the file lectures.db on the lab's server")
    answer = json.loads((await hall.http(f"/r/{hall.code.lower()}/about")).body)
    assert answer["title"] == "Sorting 101"
    assert "kept in the file lectures.db on the lab's server" in answer["kept"]


@pytest.mark.parametrize("state", ["unknown", "locked", "ended"])
async def test_of_a_room_that_cannot_be_joined_strangers_are_told_one_thing(state: str, hall: Hall):
    host = await hall.host()
    if state != "unknown":
        await host.done(0, {"locked": "lock", "ended": "end_room"}[state])
    code = "ABCDEF" if state == "unknown" else hall.code
    response = await hall.http(f"/r/{code}/about")
    assert response.code == 404
    assert json.loads(response.body) == {"code": "room_unavailable", "message": RoomUnavailable.sentence}


async def test_about_waits_for_what_is_just_being_stored(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    host = await hall.host()
    with log.held("append") as reached:
        await host.ask(0, "lock", ref="r1")
        await reached()
        asking = asyncio.create_task(hall.http(f"/r/{hall.code}/about"))
        for _ in range(3):  # by then it has arrived
            await hall.http("/health")
        assert not asking.done()
    assert (await asking).code == 404
    assert (await host.answer("r1"))["type"] == "ack"
    assert await host.done(CHAT, "say", {"text": "the room goes on"})


async def test_with_the_store_out_of_reach_about_says_when_to_come_back(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    log.fail("record", StoreUnwritable("out of reach"))
    response = await hall.http("/r/ABCDEF/about")
    assert (response.code, response.headers["Retry-After"]) == (503, "1")
    assert json.loads(response.body)["code"] == "temporarily_unavailable"


# ── the link ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def link(hall: Hall, **request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((await hall.http(f"/r/{hall.code}/link", **request)).body)
    return answer


async def test_a_loopback_address_is_said_to_be_one_and_is_never_drawn(hall: Hall):
    assert await link(hall) == {
        "link": f"{hall.server.url}/r/{hall.code}",
        "reachable": False,
        "address": f"127.0.0.1:{hall.server.port}",
    }
    response = await hall.http(f"/r/{hall.code}/qr.svg")
    assert response.code == 404
    assert response.body.decode() == "Only this computer can join; a QR code would lead nowhere."


async def test_the_link_for_others_is_told_and_drawn(hall: Hall, monkeypatch: pytest.MonkeyPatch):
    url = await reachable(hall, monkeypatch)
    expected = f"{url}/r/{hall.code}"
    assert await link(hall) == {"link": expected, "reachable": True, "address": url.removeprefix("http://")}
    response = await hall.http(f"/r/{hall.code}/qr.svg")
    assert response.headers["Content-Type"] == "image/svg+xml"
    assert response.headers["Cache-Control"] == "no-store"
    assert qr_text(response.body) == expected


async def test_a_public_address_is_the_link_for_others(open_hall: OpenHall):
    hall = await open_hall(public_url="https://live.example.org/rooms")
    expected = f"https://live.example.org/rooms/r/{hall.code}"
    for headers in ({}, {"Host": "live.example.org"}):
        assert await link(hall, headers=headers) == {
            "link": expected,
            "reachable": True,
            "address": "live.example.org",
        }
        assert qr_text((await hall.http(f"/r/{hall.code}/qr.svg", headers=headers)).body) == expected


async def test_a_name_of_this_machine_that_leads_to_loopback_is_not_for_others(hall: Hall):
    told = await link(hall, headers={"Host": f"{socket.gethostname()}:{hall.server.port}"})
    assert told["reachable"] is False


async def test_whoever_came_over_the_network_is_told_the_way_they_came(
    open_hall: OpenHall, monkeypatch: pytest.MonkeyPatch
):
    hall = await open_hall(host="0.0.0.0")
    monkeypatch.setattr(network, "addresses", lambda: ["192.0.2.7"])
    assert (await link(hall))["link"] == f"http://192.0.2.7:{hall.server.port}/r/{hall.code}"
    monkeypatch.setattr(
        "wslive.server.http.pages.is_loopback", lambda host: host == "127.0.0.1"
    )  # .2 stands for a network
    told = await link(hall, url=f"http://{NETWORK}:{hall.server.port}")
    assert told == {
        "link": f"http://{NETWORK}:{hall.server.port}/r/{hall.code}",
        "reachable": True,
        "address": f"{NETWORK}:{hall.server.port}",
    }


# ── names that are not ours, methods that are not there ───────────────────────────────────────────────────────────

PATHS = ["/", "/r/{code}", "/r/{code}/screen", "/r/{code}/about", "/r/{code}/link", "/r/{code}/qr.svg", "/health"]
PATHS += ["/static/client.js", "/nothing", "/api/server", "/api/nothing"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_forged_host_is_refused_everywhere(path: str, hall: Hall, caplog: pytest.LogCaptureFixture):
    response = await hall.http(path.format(code=hall.code), headers={"Host": "evil.example"})
    assert response.code == 403
    sentence = "This server does not answer to the name 'evil.example'."
    if path.startswith("/api/") or path.endswith(("about", "link", "health")):
        answer = json.loads(response.body)
        assert answer["code"] == "not_allowed"
        assert answer["message"].startswith(sentence)
    else:
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.body.decode().startswith(sentence)
    assert caplog.text == ""


@pytest.mark.parametrize("host", ["a b", "127.0.0.1:80:80@evil", "127.0.0.1; script-src *", "127.0.0.1\\evil"])
async def test_a_host_that_is_none_gets_no_page(host: str, hall: Hall):
    response = await hall.http("/", headers={"Host": host})
    assert response.code in (400, 403)
    assert "Content-Security-Policy" not in response.headers


@pytest.mark.parametrize("path", PATHS)
async def test_another_method_is_refused_and_leaves_no_trace(path: str, hall: Hall, caplog: pytest.LogCaptureFixture):
    response = await hall.http(path.format(code=hall.code), method="POST", body="x=1")
    assert response.code == (404 if "nothing" in path else 405)
    if path.startswith("/api/"):
        assert set(json.loads(response.body)) == {"code", "message"}
    assert hall.code not in caplog.text


@pytest.mark.parametrize(
    "path", ["/nothing", "/r/", "/r/a/b", "/r/way-too-long-to-be-a-code", "/api/nothing", "/..", "/ws/x"]
)
async def test_an_address_that_leads_nowhere_says_so(path: str, hall: Hall):
    response = await hall.http(path)
    assert response.code == 404
    text = json.loads(response.body)["message"] if path.startswith("/api/") else response.body.decode()
    assert text.startswith("There is nothing at this address.")


async def test_a_mistake_of_ours_is_an_answer_without_a_traceback_and_a_log_without_the_code(
    open_hall: OpenHall, caplog: pytest.LogCaptureFixture
):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    log.fail("record", ZeroDivisionError())
    response = await hall.http("/r/ABCDEF/about")
    assert response.code == 500
    assert set(json.loads(response.body)) == {"code", "message"}
    assert "ZeroDivisionError" not in response.body.decode()
    assert "ZeroDivisionError" in caplog.text
    assert "ABCDEF" not in caplog.text


async def test_the_server_says_that_it_is_alive(hall: Hall):
    response = await hall.http("/health")
    assert (response.code, json.loads(response.body)) == (200, {"status": "alive"})


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_file_is_sent_once_and_then_confirmed(hall: Hall):
    first = await hall.http("/static/client.js")
    assert (first.code, first.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert first.headers["Cache-Control"] == "no-cache"
    again = await hall.http("/static/client.js", headers={"If-None-Match": first.headers["Etag"]})
    assert (again.code, again.body) == (304, b"")
    changed = await hall.http("/static/client.js", headers={"If-None-Match": '"another"'})
    assert changed.body == first.body


async def test_files_may_be_used_by_the_pages_of_notebooks_and_nothing_else_may(hall: Hall):
    assert (await hall.http("/static/lib.js")).headers["Access-Control-Allow-Origin"] == "*"
    for path in ("/", f"/r/{hall.code}/about", f"/r/{hall.code}/link", "/health", "/api/server"):
        assert "Access-Control-Allow-Origin" not in (await hall.http(path)).headers


async def test_a_large_file_is_compressed_for_whoever_takes_that(hall: Hall):
    plain = await hall.http("/static/plotly.min.js", decompress_response=False)
    small = await hall.http("/static/plotly.min.js", decompress_response=False, headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Vary"] == small.headers["Vary"] == "Accept-Encoding"
    assert len(small.body) < len(plain.body) / 2


@pytest.mark.parametrize("name", ["nothing.js", "../server/app.py", "..%2fserver%2fapp.py", "/etc/passwd", "web/", "."])
async def test_only_our_files_are_files(name: str, hall: Hall):
    assert (await hall.http(f"/static/{name}")).code == 404


async def test_without_plotly_the_answer_says_what_to_install(hall: Hall, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wslive.server.http.cells.find_spec", lambda name: None)
    response = await hall.http("/static/plotly.min.js")
    assert response.code == 404
    assert "the plotly package is not installed" in response.body.decode()
    assert (await hall.http(f"/r/{hall.code}/screen")).code == 200
