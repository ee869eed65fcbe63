from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.server.conftest import OpenHall
from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, HANG_S, UNHURRIED, Hall, Person, counts, lines, open_poll
from wslive.activities import activities
from wslive.core.errors import InDoubt, NotAppended, Refused, StoreUnwritable
from wslive.core.room import COMMANDS
from wslive.eventlog.memory import MemoryLog
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.connection import MAX_PAGE, Connection
from wslive.server.settings import Rate
from wslive.wire.close_codes import CloseCode
from wslive.wire.session import MAX_ERRORS


def ballot(option: str) -> dict[str, Any]:
    return {"round": 1, "options": [option]}


# ── a vote and its ack ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_vote_reaches_everybody_who_watches(hall: Hall):
    host, ada, viewer = await hall.host(), await hall.join("Ada"), await hall.come(role="viewer")
    poll = await open_poll(host)
    answer = await ada.command(poll, "cast_vote", ballot("o2"), ref="my-first-vote")
    assert answer == {"type": "ack", "ref": "my-first-vote", "offset": poll + 1}
    for watcher in (host, ada, viewer):
        view = await watcher.at(poll + 1)
        assert view["activities"][str(poll)]["tally"] == {
            "answered": 1,
            "counts": {"o1": 0, "o2": 1, "o3": 0},
            "earlier": [],
        }


async def test_no_ack_and_no_delta_leaves_before_the_log_has_it(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    host, ada = await hall.host(), await hall.join()
    poll = await open_poll(host)
    await ada.at(poll)
    with log.held("append") as reached:
        await ada.ask(poll, "cast_vote", ballot("o1"), ref="r1")
        await reached()
        for member in (ada, host):
            assert {frame["type"] for frame in await member.since_now()} <= {"presence"}
    assert (await ada.answer("r1"))["type"] == "ack"
    assert counts(await host.at(poll + 1), poll)["o1"] == 1


async def test_a_retry_on_another_connection_gets_the_same_ack(hall: Hall):
    host, ada = await hall.host(), await hall.join()
    poll = await open_poll(host)
    offset = await ada.vote(poll, "o1", ref="r1")
    again = await hall.back(ada)
    assert await again.vote(poll, "o1", ref="r1") == offset
    assert counts(await host.at(offset), poll)["o1"] == 1


async def test_a_retry_after_a_restart_gets_the_same_ack(open_hall: OpenHall, tmp_path: Path):
    secret = tmp_path / "secret"
    hall = await open_hall(await SqliteLog.open(tmp_path / "store.db"), secret_path=secret)
    host, ada = await hall.host(), await hall.join()
    poll = await open_poll(host)
    offset = await ada.vote(poll, "o1", ref="r1")
    await ada.at(offset)
    await hall.server.stop()

    again = await open_hall(await SqliteLog.open(tmp_path / "store.db"), secret_path=secret)
    again.code = hall.code
    back = await again.back(ada)
    assert back.welcome["mode"] == "resume"
    assert back.welcome["actor"] == ada.welcome["actor"]
    assert await back.vote(poll, "o1", ref="r1") == offset
    end = await back.vote(poll, "o2", ref="r2")
    assert counts(await back.at(end), poll) == {"o1": 0, "o2": 1, "o3": 0}


@pytest.mark.parametrize(
    ("error", "stored"),
    [(NotAppended("the disk is full"), False), (InDoubt("the line broke"), False), (InDoubt("the line broke"), True)],
    ids=["not appended", "in doubt, lost", "in doubt, stored"],
)
async def test_after_a_failed_append_nobody_is_told_a_guess_and_people_go_on(
    error: Exception, stored: bool, open_hall: OpenHall
):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
    poll = await open_poll(host)
    log.fail("append", error, but_do_it=stored)
    answer = await ada.command(poll, "cast_vote", ballot("o1"), ref="r1")
    if stored:
        assert answer == {"type": "ack", "ref": "r1", "offset": poll + 1}
    else:
        assert answer["code"] == "temporarily_unavailable"
        assert answer["retry_after_s"] > 0
    assert (await ada.vote(poll, "o1", ref="r1")) == poll + 1
    end = await bob.vote(poll, "o2")
    for member in (host, ada, bob):
        assert counts(await member.at(end), poll) == {"o1": 1, "o2": 1, "o3": 0}


# ── who may do what ───────────────────────────────────────────────────────────────────────────────────────────────

# h: the host, p: participants; viewers may do nothing, and nobody may send what only the server says.
ROOM_RIGHTS = {
    "rename": "hp",
    "mute": "h",
    "remove_person": "h",
    "lock": "h",
    "set_stage": "h",
    "open_activity": "h",
    "end_room": "h",
    "join": "",
    "open_room": "",
    "erase_person": "",
}
RIGHTS = {
    "poll": {
        "cast_vote": "p",
        "retract_vote": "p",
        "close": "h",
        "reopen": "h",
        "start_round": "h",
        "edit": "h",
        "discard": "h",
    },
    "chat": {"say": "hp", "hide_line": "h", "set_chat": "h"},
}


def test_the_table_of_rights_names_every_command():
    assert set(ROOM_RIGHTS) == set(COMMANDS)
    for kind, rights in RIGHTS.items():
        assert set(rights) | {"open"} == set(activities()[kind].commands)


@pytest.mark.parametrize("role", ["host", "participant", "viewer"])
async def test_every_command_is_refused_to_every_role_that_the_table_does_not_name(role: str, open_hall: OpenHall):
    hall = await open_hall(name_rate=UNHURRIED, host_rate=UNHURRIED)
    host = await hall.host()
    poll = await open_poll(host)
    who = {"host": hall.host, "participant": hall.join, "viewer": lambda: hall.come(role="viewer")}[role]
    member: Person = await who()  # type: ignore[operator]
    wishes = [(0, kind, letters) for kind, letters in ROOM_RIGHTS.items()]
    wishes += [(poll, kind, letters) for kind, letters in RIGHTS["poll"].items()]
    wishes += [(CHAT, kind, letters) for kind, letters in RIGHTS["chat"].items()]
    for activity, kind, letters in sorted(wishes, key=lambda wish: wish[1] == "end_room"):
        # A body that fits no command: who is allowed is told so, and nothing happens.
        answer = await member.command(activity, kind, {"line": "no", "round": "no", "activity": "no", "locked": "no"})
        if role[0] in letters:
            assert answer.get("code") != "not_allowed", (kind, answer)
        else:
            assert answer.get("code") == "not_allowed", (kind, answer)


@pytest.mark.parametrize("kind", ["nobody_knows", "open", ""])
async def test_an_unknown_command_is_refused(kind: str, hall: Hall):
    ada = await hall.join()
    assert (await ada.command(CHAT, kind))["code"] == "unknown_command"
    assert (await ada.command(0, kind))["code"] == "unknown_command"


@pytest.mark.parametrize("activity", [1, 3, 99, -1, 10**30])
async def test_a_command_to_an_unknown_activity_is_refused(activity: int, hall: Hall):
    ada = await hall.join()
    assert (await ada.command(activity, "cast_vote", ballot("o1")))["code"] == "unknown_activity"


@pytest.mark.parametrize("ref", ["", "x" * 65, "a b", "a\0b", "ö"])
async def test_a_ref_that_is_none_is_refused(ref: str, hall: Hall):
    ada = await hall.join()
    await ada.send({"type": "command", "ref": ref, "activity": CHAT, "kind": "say", "body": {"text": "hello"}})
    answer = await ada.next("ack", "refused")
    assert (answer["ref"], answer["code"]) == (ref, "bad_command")


async def test_nobody_votes_for_somebody_else(hall: Hall):
    host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
    poll = await open_poll(host)
    await ada.vote(poll, "o1", ref="the-same-ref")
    assert await bob.vote(poll, "o2", ref="the-same-ref") == poll + 2
    answer = await bob.command(0, "rename", {"name": "Mallory", "person": ada.welcome["actor"]})
    assert answer["code"] == "not_allowed"


# ── rates ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SLOW = Rate(per_s=0.001, burst=2)


async def test_votes_faster_than_the_rate_are_refused_with_when_to_come_back(open_hall: OpenHall):
    hall = await open_hall(vote_rate=SLOW)
    host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
    poll = await open_poll(host)
    for option in ("o1", "o2"):
        await ada.vote(poll, option)
    answer = await ada.command(poll, "cast_vote", ballot("o3"))
    assert answer["code"] == "too_fast"
    assert answer["retry_after_s"] > 0
    phone = await hall.back(ada)
    assert (await phone.command(poll, "retract_vote", {"round": 1}))["code"] == "too_fast"
    assert await bob.vote(poll, "o3")
    assert (await ada.command(CHAT, "say", {"text": "but I may speak"}))["type"] == "ack"


async def test_what_is_stored_already_is_acknowledged_whatever_the_rate(open_hall: OpenHall):
    hall = await open_hall(vote_rate=SLOW)
    host, ada = await hall.host(), await hall.join("Ada")
    poll = await open_poll(host)
    stored = {ref: await ada.vote(poll, option, ref=ref) for ref, option in (("r1", "o1"), ("r2", "o2"))}
    phone = await hall.back(ada)
    assert (await phone.command(poll, "cast_vote", ballot("o3"), ref="r3"))["code"] == "too_fast"
    assert {ref: await phone.vote(poll, "o1", ref=ref) for ref in stored} == stored


@pytest.mark.parametrize(
    ("rate", "wish"),
    [
        ("line_rate", (CHAT, "say", {"text": "hello"})),
        ("name_rate", (0, "rename", {"name": "Ada L."})),
        ("name_rate", (0, "nobody_knows", {})),
    ],
)
async def test_everything_people_do_has_its_rate(rate: str, wish: tuple[Any, ...], open_hall: OpenHall):
    hall = await open_hall(**{rate: SLOW})
    ada = await hall.join()
    assert [(await ada.command(*wish)).get("code") == "too_fast" for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("message", [{"type": "get_ticket"}, {"type": "read_older", "activity": CHAT, "before": 9}])
async def test_asking_has_its_rate_too(message: dict[str, Any], open_hall: OpenHall):
    hall = await open_hall(read_rate=SLOW)
    ada = await hall.join()
    answers = []
    for i in range(3):
        await ada.send({**message, "ref": f"r{i}"})
        answers.append(await ada.answer(f"r{i}"))
    assert [a.get("code") for a in answers] == [None, None, "too_fast"]


async def test_the_host_has_a_rate_of_its_own(open_hall: OpenHall):
    hall = await open_hall(line_rate=SLOW, host_rate=Rate(per_s=0.001, burst=5))
    host = await hall.host()
    answers = [await host.command(CHAT, "say", {"text": "hello"}) for _ in range(6)]
    assert [a.get("code") for a in answers] == [None] * 5 + ["too_fast"]


# ── frames that are none ──────────────────────────────────────────────────────────────────────────────────────────


async def test_nonsense_is_answered_and_goes_on_until_it_is_too_much(hall: Hall):
    ada = await hall.join()
    for _ in range(MAX_ERRORS):
        await ada.send("nonsense")
        assert (await ada.next("refused"))["code"] == "bad_frame"
    assert await ada.done(CHAT, "say", {"text": "I am still here"})
    await ada.send("nonsense")
    assert (await ada.closed())[0] == CloseCode.TOO_MANY_ERRORS


async def test_a_binary_frame_ends_the_connection(hall: Hall):
    ada = await hall.join()
    await ada.send(b"\x00\x01")
    code, reason = await ada.closed()
    assert (code, reason) == (CloseCode.PROTOCOL_ERROR, "messages are text frames, not binary ones")


@pytest.mark.parametrize("letter", ["a", "é"])
async def test_a_frame_over_the_limit_ends_the_connection_with_the_limit(letter: str, open_hall: OpenHall):
    hall = await open_hall(max_frame_bytes=1000)
    ada = await hall.join()
    assert ada.welcome["max_frame_bytes"] == 1000
    room = 1000 - len(json.dumps({"type": "ping", "x": ""}))
    for size in (room, room + 2):
        text = letter * (size // len(letter.encode()))
        await ada.send(json.dumps({"type": "ping", "x": text}, ensure_ascii=False))
    await ada.next("pong")
    code, reason = await ada.closed()
    assert (code, reason) == (CloseCode.FRAME_TOO_BIG, "At most 1000 bytes a message are taken.")


async def test_a_message_beyond_all_measure_is_not_even_read(hall: Hall):
    ada = await hall.join()
    with contextlib.suppress(ConnectionClosed):  # before all of it is sent
        await ada.send("x" * 2_000_000)
    assert (await ada.closed())[0] in (CloseCode.FRAME_TOO_BIG, 1006)  # or cut off while we were still sending
    assert await hall.join("Bob")


async def test_what_comes_before_the_hello_ends_the_connection(hall: Hall):
    early = await hall.connect()
    await early.ask(CHAT, "say", {"text": "hello"})
    assert (await early.closed())[0] == CloseCode.PROTOCOL_ERROR


async def test_a_reason_that_is_too_long_for_a_close_frame_is_cut_between_characters(hall: Hall):
    early = await hall.connect()
    await early.send(json.dumps({"type": "é" * 200}, ensure_ascii=False))
    code, reason = await early.closed()
    assert code == CloseCode.PROTOCOL_ERROR
    assert 115 < len(reason.encode()) <= 123
    assert reason.startswith("This frame is not a message of wslive.v1: Invalid value 'éé")


async def test_a_second_hello_is_out_of_turn(hall: Hall):
    ada = await hall.join()
    await ada.send({"type": "hello", "room": hall.code})
    assert (await ada.next("refused", "welcome"))["code"] == "out_of_turn"


async def test_a_ping_is_answered_before_and_after_the_hello(hall: Hall):
    early = await hall.connect()
    await early.send({"type": "ping", "n": 5})
    assert await early.receive() == {"type": "pong", "n": 5}
    await early.hello(room=hall.code)
    await early.send({"type": "ping", "n": 10**25})
    assert (await early.next("pong"))["n"] == 10**25


async def test_a_connection_without_a_hello_is_closed_after_a_while(open_hall: OpenHall):
    hall = await open_hall(hello_timeout_s=0.05, sweep_interval_s=0.01)
    silent, ada = await hall.connect(), await hall.join()
    await silent.send({"type": "ping"})  # a ping is no hello
    assert (await silent.closed())[0] == CloseCode.HELLO_TIMEOUT
    assert await ada.since_now() is not None


# ── reading back ──────────────────────────────────────────────────────────────────────────────────────────────────


async def page(member: Person, before: int, limit: int | None = None, activity: int = CHAT) -> dict[str, Any]:
    message = {"type": "read_older", "ref": "p", "activity": activity, "before": before}
    await member.send(message if limit is None else {**message, "limit": limit})
    return await member.answer("p")


async def test_older_lines_come_in_pages(open_hall: OpenHall):
    hall = await open_hall(host_rate=UNHURRIED, read_rate=UNHURRIED)
    host = await hall.host()
    for i in range(250):
        await host.ask(CHAT, "say", {"text": f"{i}"}, ref=f"r{i}")
    end = (await host.answer("r249"))["offset"]
    late = await hall.join()
    chat = late.view["activities"][str(CHAT)]
    assert len(chat["lines"]) == 200
    first = chat["history"]["from"]
    assert chat["history"] == {"from": first, "more": True}
    older = await page(late, first)
    assert [entry["text"] for entry in older["entries"]] == [f"{i}" for i in range(50)]
    assert [e["text"] for e in (await page(late, first, 3))["entries"]] == ["47", "48", "49"]
    assert len((await page(late, end + 1, 10**9))["entries"]) == MAX_PAGE
    assert len((await page(late, end + 1, -5))["entries"]) == 1
    assert (await page(late, 0))["entries"] == []
    assert (await page(late, -(10**30)))["entries"] == []


async def test_older_entries_of_an_unknown_activity_are_refused(hall: Hall):
    ada = await hall.join()
    assert (await page(ada, 100, activity=99))["code"] == "unknown_activity"


async def test_a_page_waits_for_what_is_just_being_stored(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    ada = await hall.join()
    with log.held("append") as reached:
        await ada.ask(CHAT, "say", {"text": "hello"})
        await reached()
        await ada.send({"type": "read_older", "ref": "p", "activity": CHAT, "before": 100})
        assert [f["type"] for f in await ada.since_now() if f["type"] != "presence"] == []
    assert [entry["text"] for entry in (await ada.answer("p"))["entries"]] == ["hello"]


async def test_with_the_log_out_of_reach_a_page_is_refused_for_now(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    ada = await hall.join()
    with log.broken(StoreUnwritable("out of reach"), "append", "read"):
        with log.held("read") as reached:
            await ada.ask(CHAT, "say", {"text": "hello"}, ref="r1")
            await reached()
            await ada.send({"type": "read_older", "ref": "p", "activity": CHAT, "before": 100})
            await ada.since_now()
        assert (await ada.answer("p"))["code"] == "temporarily_unavailable"
        assert "r1" not in [frame.get("ref") for frame in await ada.since_now()]  # that one nobody can know


# ── joining, and going before one has joined ──────────────────────────────────────────────────────────────────────


async def test_whoever_goes_while_joining_is_nowhere_afterwards(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log, presence_interval_s=0.0)
    host = await hall.host()
    ref = "a-ref-of-one-who-could-not-wait"
    with log.held("append") as reached:
        hasty = await hall.connect()
        await hasty.send({"type": "hello", "room": hall.code, "name": "Hasty", "ref": ref})
        await reached()
        await hasty.leave()
        while hall.server.connections > 1:  # noqa: ASYNC110 - the server hears of it in a moment
            await asyncio.sleep(0.001)
    end = await host.done(CHAT, "say", {"text": "is anybody there?"})
    assert (await host.at(end))["people"]["count"] == 1
    assert (await hall.host()).welcome["presence"]["online"] == 0
    again = await hall.come(name="Hasty", ref=ref)
    assert again.view["me"]["name"] == "Hasty"
    assert (await host.at(end))["people"]["count"] == 1


async def test_a_hello_is_sent_away_for_now_where_the_store_is_out_of_reach(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    log.fail("append", NotAppended("the disk is full"))
    late = await hall.connect()
    answer = await late.hello(room=hall.code, ref="h1")
    assert (answer["ref"], answer["code"]) == ("h1", "temporarily_unavailable")
    assert (await late.closed())[0] == CloseCode.STORE_TROUBLE
    log.fail("record", StoreUnwritable("out of reach"))
    stranger = await hall.connect()
    assert (await stranger.hello(room="ABCDEF"))["code"] == "temporarily_unavailable"
    assert (await stranger.closed())[0] == CloseCode.STORE_TROUBLE


async def test_a_mistake_while_joining_closes_the_connection_so_that_it_comes_back(
    open_hall: OpenHall, caplog: pytest.LogCaptureFixture
):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    log.fail("record", ZeroDivisionError())
    unlucky = await hall.connect()
    await unlucky.send({"type": "hello", "room": "ABCDEF"})
    assert (await unlucky.closed())[0] == CloseCode.STORE_TROUBLE
    assert "ZeroDivisionError" in caplog.text


async def test_a_connection_may_send_and_leave_at_any_moment(open_hall: OpenHall):
    hall = await open_hall(host_rate=UNHURRIED)
    host = await hall.host()
    for i in range(30):
        rude = await hall.connect()
        await rude.send({"type": "hello", "room": hall.code, "name": f"R{i}"})
        if i % 3:
            await rude.next("welcome")
            await rude.ask(CHAT, "say", {"text": "bye"})
        if i % 2:
            await rude.leave()
        else:
            rude.socket.transport.abort()
    end = await host.done(CHAT, "say", {"text": "the end"})
    assert lines(await host.at(end))[-1] == "the end"


async def test_refusals_do_not_hold_what_was_at_hand_when_they_were_made(open_hall: OpenHall):
    # Not isinstance: it asks proxies whose object is gone.
    of_others = [thing for thing in gc.get_objects() if issubclass(type(thing), Refused)]
    hall = await open_hall(line_rate=Rate(per_s=0.001, burst=1))
    ada = await hall.join()
    for _ in range(5):
        await ada.ask(CHAT, "say", {"text": "Hello"})  # too fast, but for the first
        await ada.ask(99, "cast_vote", {"round": 1, "options": []})
        await ada.ask(0, "rename", {"name": 5})
    assert (await ada.command(0, "no_such_command"))["type"] == "refused"
    kept = [thing for thing in gc.get_objects() if issubclass(type(thing), Refused)]
    kept = [refused for refused in kept if not any(refused is other for other in of_others)]
    assert kept
    assert [refused for refused in kept if refused.__traceback__ or refused.__context__] == []


async def test_a_connection_that_has_ended_does_not_wait_for_the_cyclic_collector(hall: Hall):
    def held() -> int:
        return sum(type(thing) is Connection for thing in gc.get_objects())

    await hall.host()
    gc.collect()
    gc.disable()
    try:
        before = held()
        ada = await hall.join()
        await ada.leave()
        async with asyncio.timeout(HANG_S):
            while held() > before:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
    finally:
        gc.enable()
