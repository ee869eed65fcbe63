from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from tornado.simple_httpclient import HTTPStreamClosedError

from tests.server.conftest import OpenHall
from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, UNHURRIED, Hall, counts, open_poll
from wslive.core.errors import NotAppended, StoreUnwritable
from wslive.eventlog.memory import MemoryLog
from wslive.server.http import api
from wslive.wire.close_codes import CloseCode

OUT_OF_REACH = StoreUnwritable("out of reach")


async def ask(hall: Hall, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    response = await hall.http(path, **request)
    return response.code, json.loads(response.body)


async def create(hall: Hall, title: Any = "Another", **request: Any) -> tuple[int, dict[str, Any]]:
    request.setdefault("bearer", hall.server.hosting_token)
    return await ask(hall, "/api/rooms", method="POST", body=json.dumps({"title": title}), **request)


async def events(hall: Hall, query: str = "") -> list[dict[str, Any]]:
    response = await hall.http(f"/api/rooms/{hall.code}/events{query}", bearer=hall.host_key)
    assert response.code == 200
    assert response.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.body.splitlines()]


# ── which server ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_names_its_version_process_and_audience_and_no_secret(hall: Hall):
    status, answer = await ask(hall, "/api/server")
    assert status == 200
    assert {"wslive", "pid", "audience"} <= set(answer)
    assert hall.server.hosting_token not in str(answer)


# ── making rooms ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_hosting_token_makes_a_room_and_the_answer_makes_a_host(hall: Hall):
    status, made = await create(hall, "Another")
    assert status == 201
    assert set(made) == {"room", "code", "host_key", "link"}
    assert made["link"] == f"{hall.server.url}/r/{made['code']}"
    hall.code, hall.host_key = made["code"], made["host_key"]
    host = await hall.host()
    assert host.view["room"]["title"] == "Another"
    assert list(host.view["activities"]) == [str(CHAT)]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic {token}"}],
)
async def test_without_the_hosting_token_nobody_makes_a_room(headers: dict[str, str], hall: Hall):
    headers = {name: value.format(token=hall.server.hosting_token) for name, value in headers.items()}
    status, answer = await create(hall, bearer=None, headers=headers)
    assert (status, answer["code"]) == (403, "hosting_not_allowed")
    assert "WSLIVE_HOST_TOKEN" in answer["message"]


async def test_where_anyone_may_host_anyone_does(open_hall: OpenHall):
    hall = await open_hall(anyone_may_host=True)
    assert (await create(hall, bearer=None))[0] == 201


async def test_the_hosting_token_may_be_given_by_the_operator(open_hall: OpenHall):
    hall = await open_hall(hosting_token="ht_from_the_operator")
    assert (await create(hall, bearer="ht_from_the_operator"))[0] == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "bad_command"),
        ("nonsense", "bad_command"),
        ("[]", "bad_command"),
        ("{}", "bad_command"),
        ('{"title": 7}', "bad_command"),
        ('{"title": null}', "bad_command"),
        ("[" * 5000, "bad_command"),
        ('{"title": ""}', "empty_text"),
        ('{"title": "' + "x" * 1000 + '"}', "text_too_long"),
    ],
)
async def test_a_body_that_is_none_is_refused_with_what_is_missing(body: str, code: str, hall: Hall):
    status, answer = await ask(hall, "/api/rooms", method="POST", body=body, bearer=hall.server.hosting_token)
    assert (status, answer["code"]) == (400, code)


async def test_half_a_surrogate_pair_is_no_text(hall: Hall, caplog: pytest.LogCaptureFixture):
    for title in (r'"\ud800"', r'"\udc00\ud800"'):
        body = f'{{"title":{title}}}'
        status, answer = await ask(hall, "/api/rooms", method="POST", body=body, bearer=hall.server.hosting_token)
        assert (status, answer["code"]) == (400, "bad_command")
    assert caplog.text == ""


async def test_a_body_beyond_all_measure_is_not_read(open_hall: OpenHall):
    log = MemoryLog()
    hall = await open_hall(log)
    body = json.dumps({"title": "Another", "x": "x" * 100_000})
    with contextlib.suppress(OSError, HTTPStreamClosedError):  # cut off while we were still sending
        response = await hall.http("/api/rooms", method="POST", body=body, bearer=hall.server.hosting_token)
        assert response.code in (400, 413)
    assert len(await log.rooms()) == 1


async def test_a_page_of_others_may_not_make_rooms_even_where_anyone_may(open_hall: OpenHall):
    hall = await open_hall(anyone_may_host=True)
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{hall.server.port}"):
        status, answer = await create(hall, headers={"Origin": origin})
        assert (status, answer["code"]) == (403, "not_allowed")
    assert (await create(hall, headers={"Origin": hall.server.url}))[0] == 201


async def test_a_store_that_does_not_take_a_room_says_when_to_come_back(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    log.fail("append", NotAppended("the disk is full"))
    status, answer = await create(hall)
    assert (status, answer["code"]) == (503, "temporarily_unavailable")
    assert (await create(hall))[0] == 201


# ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_host_reads_the_log_line_by_line_and_without_refs(hall: Hall):
    host, ada = await hall.host(), await hall.join("Ada", ref="a-ref-of-adas-alone")
    poll = await open_poll(host)
    await ada.vote(poll, "o2", ref="another-ref-of-hers")
    found = await events(hall)
    assert [(e["offset"], e["actor"], e["activity"], e["kind"]) for e in found] == [
        (1, "host", 0, "room_opened"),
        (2, "host", 0, "activity_opened"),
        (3, ada.welcome["actor"], 0, "joined"),
        (4, "host", 0, "activity_opened"),
        (5, ada.welcome["actor"], poll, "vote_cast"),
    ]
    assert found[4]["body"] == {"round": 1, "options": ["o2"]}
    assert set(found[4]) == {"offset", "at_ms", "actor", "activity", "kind", "version", "body"}
    assert "-ref-of-" not in str(found)


async def test_the_log_is_narrowed_down_by_activity_place_and_number(hall: Hall):
    host, ada = await hall.host(), await hall.join("Ada")
    poll = await open_poll(host)
    for option in ("o1", "o2", "o3"):
        await ada.vote(poll, option)
    assert [e["offset"] for e in await events(hall, f"?activity={poll}")] == [poll, poll + 1, poll + 2, poll + 3]
    assert [e["offset"] for e in await events(hall, "?after=4")] == [5, 6, 7]
    assert [e["offset"] for e in await events(hall, "?limit=2")] == [1, 2]
    assert [e["offset"] for e in await events(hall, f"?activity={poll}&after=4&limit=1")] == [5]
    assert await events(hall, "?limit=0") == []
    assert await events(hall, "?after=999999999999999") == []


async def test_a_long_log_comes_in_parts_and_whole(open_hall: OpenHall, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api, "_PAGE_EVENTS", 7)
    hall = await open_hall(host_rate=UNHURRIED)
    host = await hall.host()
    for i in range(40):
        end = await host.done(CHAT, "say", {"text": f"{i}"})
    assert [e["offset"] for e in await events(hall)] == list(range(1, end + 1))
    assert len(await events(hall, f"?activity={CHAT}&limit=20")) == 20


@pytest.mark.parametrize(
    "query", ["activity=x", "after=-1", "limit=1e3", "after=" + "9" * 16, "after=" + "9" * 5000, "after=²"]
)
async def test_a_number_that_is_none_is_refused(query: str, hall: Hall):
    status, answer = await ask(hall, f"/api/rooms/{hall.code}/events?{query}", bearer=hall.host_key)
    assert (status, answer["code"]) == (400, "bad_command")


async def test_a_query_that_is_no_text_is_refused(hall: Hall):
    status, answer = await ask(hall, f"/api/rooms/{hall.code}/events?after=%ff", bearer=hall.host_key)
    assert (status, answer["code"]) == (400, "bad_command")


@pytest.mark.parametrize(("method", "path"), [("GET", "/events"), ("DELETE", "")])
async def test_a_room_is_its_hosts_alone_and_a_wrong_code_is_told_like_a_wrong_key(method: str, path: str, hall: Hall):
    ada = await hall.join("Ada")
    wrong = []
    for code in (hall.code, "ABCDEF"):
        for key in (None, "", "hk_wrong", hall.server.hosting_token, ada.token):
            wrong.append(await ask(hall, f"/api/rooms/{code}{path}", method=method, bearer=key))
    wrong.append(await ask(hall, f"/api/rooms/ABCDEF{path}", method=method, bearer=hall.host_key))
    assert all(answer == wrong[0] for answer in wrong)
    assert (wrong[0][0], wrong[0][1]["code"]) == (403, "wrong_host_key")
    assert await hall.host()


async def test_a_log_that_cannot_be_read_says_when_to_come_back(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    log.fail("read", OUT_OF_REACH)
    status, answer = await ask(hall, f"/api/rooms/{hall.code}/events", bearer=hall.host_key)
    assert (status, answer["code"]) == (503, "temporarily_unavailable")
    assert len(await events(hall)) == 2


async def test_half_a_log_is_never_passed_off_for_the_whole(
    open_hall: OpenHall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(api, "_PAGE_EVENTS", 2)
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log, host_rate=UNHURRIED)
    host = await hall.host()
    for i in range(10):
        await host.done(CHAT, "say", {"text": f"{i}"})
    log.spare("read", 2)
    log.fail("read", OUT_OF_REACH)
    with pytest.raises(HTTPStreamClosedError):
        await hall.http(f"/api/rooms/{hall.code}/events", bearer=hall.host_key)
    assert "could not be read to the end" in caplog.text
    assert "Traceback" not in caplog.text
    assert len(await events(hall)) == 12


# ── erasing ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_host_erases_a_person_and_everybodys_replica_forgets_the_texts(hall: Hall):
    host, ada, bob = await hall.host(), await hall.join("Ada Lovelace"), await hall.join("Bob")
    poll = await open_poll(host)
    await ada.vote(poll, "o2")
    assert (await ada.command(CHAT, "say", {"text": "my telephone is 0123"}))["type"] == "ack"
    assert (await host.command(CHAT, "set_chat", {"mode": "to_host", "paused": False}))["type"] == "ack"
    assert (await ada.command(CHAT, "say", {"text": "only for the host: 0456"}))["type"] == "ack"
    assert (await host.command(CHAT, "set_chat", {"mode": "on", "paused": False}))["type"] == "ack"
    end = (await bob.command(CHAT, "say", {"text": "hello"}))["offset"]
    for person in (host, ada, bob):
        await person.at(end)
    assert "0123" in str(bob.view)
    assert "0456" in str(ada.view)
    path = f"/api/rooms/{hall.code}/people/{ada.welcome['actor']}"
    status, answer = await ask(hall, path, method="DELETE", bearer=hall.host_key)
    assert (status, answer["erased"]) == (200, ada.welcome["actor"])
    for person in (host, ada, bob):
        view = str(await person.at(answer["offset"]))
        assert not [text for text in ("Lovelace", "0123", "0456") if text in view]
    assert host.view["people"]["names"][ada.welcome["actor"]]["name"] == "Erased"
    assert counts(host.view, poll)["o2"] == 1
    told = str(await events(hall))
    assert not [text for text in ("Lovelace", "0123", "0456") if text in told]
    assert "hello" in told


async def test_only_the_host_erases_and_only_people_of_the_room(hall: Hall):
    ada = await hall.join("Ada")
    path = f"/api/rooms/{hall.code}/people/{ada.welcome['actor']}"
    status, answer = await ask(hall, path, method="DELETE", bearer=ada.token)
    assert (status, answer["code"]) == (403, "wrong_host_key")
    status, answer = await ask(hall, f"/api/rooms/{hall.code}/people/p_nobody", method="DELETE", bearer=hall.host_key)
    assert (status, answer["code"]) == (400, "unknown_person")
    assert (await hall.host()).view["people"]["names"][ada.welcome["actor"]]["name"] == "Ada"


# ── deleting ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_host_deletes_a_room_with_everything_in_it(hall: Hall):
    ada = await hall.join("Ada")
    assert await ask(hall, f"/api/rooms/{hall.code.lower()}", method="DELETE", bearer=hall.host_key) == (
        200,
        {"deleted": hall.code},
    )
    assert (await ada.closed())[0] == CloseCode.ROOM_DELETED
    assert (await ask(hall, f"/r/{hall.code}/about"))[0] == 404
    status, _ = await ask(hall, f"/api/rooms/{hall.code}", method="DELETE", bearer=hall.host_key)
    assert status == 403


async def test_a_room_that_could_not_be_deleted_says_when_to_come_back(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    log.fail("delete", OUT_OF_REACH)
    status, answer = await ask(hall, f"/api/rooms/{hall.code}", method="DELETE", bearer=hall.host_key)
    assert (status, answer["code"]) == (503, "temporarily_unavailable")
    assert await hall.host()
