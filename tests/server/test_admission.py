from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.server.conftest import OpenHall
from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, UNHURRIED, Hall, Person, lines, open_poll
from wslive.core.errors import InvalidToken, RoomUnavailable, TemporarilyUnavailable
from wslive.core.roles import Role
from wslive.eventlog.memory import MemoryLog
from wslive.server.access.tokens import Claims
from wslive.wire.close_codes import CloseCode
from wslive.wire.messages import Hello

REF = "a-ref-that-nobody-guesses"


async def refused(hall: Hall, **hello: Any) -> tuple[str, str, int | None, str]:
    """Somebody is not let in: code and message of the refusal, code and reason of the closing."""
    person = await hall.connect()
    answer = await person.hello(**{"room": hall.code, **hello})
    assert answer["type"] == "refused", answer
    return (answer["code"], answer["message"], *await person.closed())


def code_of(refusal: tuple[Any, ...]) -> tuple[str, int]:
    return refusal[0], refusal[2]


UNAVAILABLE = ("room_unavailable", RoomUnavailable.sentence, CloseCode.ROOM_UNAVAILABLE, RoomUnavailable.sentence)


# ── participants ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_newcomer_gets_a_name_an_actor_and_a_token(hall: Hall):
    ada = await hall.join("Ada")
    assert ada.welcome["role"] == "participant"
    assert ada.welcome["room"] == hall.code
    assert ada.view["me"] == {
        "actor": ada.welcome["actor"],
        "role": "participant",
        "name": "Ada",
        "muted": False,
        "activities": {},
    }
    assert ada.token


async def test_whoever_gives_no_name_is_a_guest(hall: Hall):
    await hall.join("Ada")
    guest = await hall.come()
    blank = await hall.come(name="  ")
    assert [g.view["me"]["name"] for g in (guest, blank)] == ["Guest 2", "Guest 3"]


async def test_a_token_brings_the_same_person_back(hall: Hall):
    ada = await hall.join("Ada")
    back = await hall.come(name="Somebody else", token=ada.token)
    assert back.welcome["actor"] == ada.welcome["actor"]
    assert back.view["me"]["name"] == "Ada"
    assert back.view["people"]["count"] == 1
    assert "token" not in back.welcome


async def test_a_hello_that_is_sent_again_does_not_join_twice(hall: Hall):
    first, second = await hall.join("Ada", ref=REF), await hall.join("Ada", ref=REF)
    assert first.welcome["actor"] == second.welcome["actor"]
    assert first.token == second.token
    assert second.view["people"]["count"] == 1


async def test_two_hellos_at_once_with_one_ref_are_one_person(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    with log.held("append") as reached:
        joining = [asyncio.create_task(hall.join("Ada", ref=REF)) for _ in range(5)]
        await reached()
    people = await asyncio.gather(*joining)
    assert len({person.welcome["actor"] for person in people}) == 1
    assert people[0].view["people"]["count"] == 1


async def test_the_same_ref_in_another_room_is_somebody_else(hall: Hall):
    ada = await hall.join("Ada", ref=REF)
    await hall.make_room("Another")
    other = await hall.join("Ada", ref=REF)
    assert other.welcome["actor"] != ada.welcome["actor"]


async def test_a_ref_that_could_be_guessed_makes_nobody_come_back(hall: Hall):
    first, second = await hall.join("Ada", ref="1"), await hall.join("Eve", ref="1")
    assert first.welcome["actor"] != second.welcome["actor"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "x" * 100}, "text_too_long"),
        ({"name": "\u200b"}, "empty_text"),
        ({"ref": "x" * 65}, "bad_command"),
        ({"ref": "white space in a long ref"}, "bad_command"),
    ],
)
async def test_a_name_or_ref_that_is_none_is_told_to_its_sender(fields: dict[str, str], code: str, hall: Hall):
    assert code_of(await refused(hall, **fields)) == (code, CloseCode.REFUSED)
    assert (await hall.join("Ada")).view["people"]["count"] == 1


@pytest.mark.parametrize("spell", [str.lower, lambda c: f"{c[:3]}-{c[3:]}", lambda c: f" {c[:3]} {c[3:].lower()} "])
async def test_a_code_may_be_written_as_people_write_it(spell: Any, hall: Hall):
    ada = await hall.join("Ada", room=spell(hall.code))
    assert ada.welcome["room"] == hall.code


async def test_nobody_becomes_more_than_their_token_says(hall: Hall):
    ada, viewer = await hall.join("Ada"), await hall.come(role="viewer")
    for token in (ada.token, viewer.token):
        assert code_of(await refused(hall, role="host", token=token)) == ("wrong_host_key", CloseCode.REFUSED)
    assert code_of(await refused(hall, role="participant", token=viewer.token)) == (
        "invalid_token",
        CloseCode.INVALID_TOKEN,
    )
    assert code_of(await refused(hall, role="viewer", token=ada.token)) == ("invalid_token", CloseCode.INVALID_TOKEN)


async def test_only_a_host_gets_the_ledger(hall: Hall):
    host = await hall.host()
    poll = await open_poll(host)
    ada = await hall.join("Ada", ledger=True)
    viewer = await hall.come(role="viewer", ledger=True)
    end = await ada.vote(poll, "o1")
    for other in (ada, viewer):
        assert "ballots" not in (await other.at(end))["activities"][str(poll)]


# ── one refusal for strangers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", ["unknown", "ended", "locked", "full"])
@pytest.mark.parametrize("role", ["participant", "viewer"])
async def test_strangers_are_told_the_same_whatever_the_reason(state: str, role: str, open_hall: OpenHall):
    hall = await open_hall(max_participants=1)
    host = await hall.host()
    if state == "unknown":
        hall.code = "ABCDEF"
    elif state == "ended":
        await host.done(0, "end_room")
    elif state == "locked":
        await host.done(0, "lock")
    else:
        await hall.join("Ada")
        if role == "viewer":
            assert await hall.come(role="viewer")  # onlookers take nobody's place
            return
    assert await refused(hall, role=role, name="Eve") == UNAVAILABLE
    assert await refused(hall, role=role, name="x" * 1000) == UNAVAILABLE


async def test_into_a_locked_room_come_those_who_were_in_it(hall: Hall):
    host, ada, viewer = await hall.host(), await hall.join("Ada", ref=REF), await hall.come(role="viewer")
    await host.done(0, "lock")
    assert (await hall.come(token=ada.token)).welcome["actor"] == ada.welcome["actor"]
    assert (await hall.come(ref=REF)).welcome["actor"] == ada.welcome["actor"]
    assert (await hall.come(role="viewer", token=viewer.token)).welcome["actor"] == viewer.welcome["actor"]
    assert await hall.host()
    await host.done(0, "lock", {"locked": False})
    assert await hall.join("Bob")


async def test_no_more_people_than_the_limit_come_in_however_many_come_at_once(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log, max_participants=3)
    ada = await hall.join("Ada")
    strangers = [await hall.connect() for _ in range(10)]
    with log.held("append") as reached:
        hellos = [
            asyncio.create_task(stranger.hello(room=hall.code, name=f"P{i}")) for i, stranger in enumerate(strangers)
        ]
        await reached()
    answers = await asyncio.gather(*hellos)
    assert sorted(a["type"] for a in answers) == ["refused"] * 8 + ["welcome"] * 2
    assert (await hall.come(token=ada.token)).view["people"]["count"] == 3


async def test_whoever_is_removed_makes_room_for_somebody_else(open_hall: OpenHall):
    hall = await open_hall(max_participants=1)
    host, ada = await hall.host(), await hall.join("Ada")
    assert await refused(hall, name="Bob") == UNAVAILABLE
    await host.done(0, "remove_person", {"person": ada.welcome["actor"]})
    assert (await hall.join("Bob")).view["people"]["count"] == 1


async def test_a_failed_join_keeps_no_place(open_hall: OpenHall):
    hall = await open_hall(max_participants=1)
    assert (await refused(hall, name="x" * 100))[0] == "text_too_long"
    assert await hall.join("Ada")


# ── hosts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_host_key_makes_the_host(hall: Hall):
    host = await hall.host()
    assert (host.welcome["actor"], host.welcome["role"]) == ("host", "host")
    assert "token" not in host.welcome
    assert host.view["me"]["name"] == "Host"


@pytest.mark.parametrize("key", ["", "hk_wrong", None])
async def test_a_wrong_host_key_and_a_wrong_code_are_told_alike(key: str | None, hall: Hall):
    wrong_key = await refused(hall, role="host", token=key)
    assert code_of(wrong_key) == ("wrong_host_key", CloseCode.REFUSED)
    assert await refused(hall, role="host", token=key, room="ABCDEF") == wrong_key
    assert await refused(hall, role="host", token=hall.host_key, room="ABCDEF") == wrong_key


async def test_the_host_key_of_one_room_opens_no_other(hall: Hall):
    key = hall.host_key
    await hall.make_room("Another")
    assert code_of(await refused(hall, role="host", token=key)) == ("wrong_host_key", CloseCode.REFUSED)


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────

INVALID = ("invalid_token", CloseCode.INVALID_TOKEN)


def tampered(token: str) -> list[str]:
    payload, _, mac = token.partition(".")
    return [
        "",
        "nonsense",
        "a.b",
        "a.b.c",
        f"{payload}.",
        f".{mac}",
        f"{payload}.{mac[:-2]}",
        f"{payload[:-4]}.{mac}",
        f"{mac}.{payload}",
        f"{token}\N{SNOWMAN}",
    ]


async def test_a_token_that_is_not_ours_tells_nothing_about_rooms(hall: Hall):
    ada = await hall.join("Ada")
    assert ada.token
    for token in tampered(ada.token):
        here = await refused(hall, token=token)
        assert code_of(here) == INVALID
        assert await refused(hall, token=token, room="ABCDEF") == here


async def test_a_token_of_another_room_is_invalid_here_and_tells_nothing_about_rooms(hall: Hall):
    ada = await hall.join("Ada")
    await hall.make_room("Another")
    here = await refused(hall, token=ada.token)
    assert code_of(here) == INVALID
    assert await refused(hall, token=ada.token, room="ABCDEF") == here


async def test_where_hosts_let_people_in_no_token_tells_into_which_rooms(hall: Hall):
    ada = await hall.join("Ada")
    assert ada.token
    own, door = hall.code, hall.server.context.door
    await hall.make_room("Open")
    door.let_in = {hall.code}

    async def knock(code: str, token: str) -> None:
        hello = Hello(code, token=token)
        await door.check_stranger(hello, None)
        await door.admit(hello, None)

    for token in (ada.token, *tampered(ada.token)):
        for code in (hall.code, "ABCDEF"):
            with pytest.raises(InvalidToken):
                await knock(code, token)
    with pytest.raises(TemporarilyUnavailable, match="let people in again"):
        await door.check_stranger(Hello(own, token=ada.token), None)


async def test_a_token_of_a_deleted_room_is_told_so(hall: Hall):
    ada = await hall.join("Ada")
    await hall.http(f"/api/rooms/{hall.code}", method="DELETE", bearer=hall.host_key)
    assert await refused(hall, token=ada.token) == UNAVAILABLE
    await hall.make_room("Another")
    assert await refused(hall, token=ada.token) == UNAVAILABLE


async def test_a_token_for_somebody_who_never_joined_is_invalid(hall: Hall):
    signer = hall.server.context.door.signer
    token = signer.sign(Claims(hall.room, "p_nobody", Role.PARTICIPANT))
    assert code_of(await refused(hall, token=token)) == INVALID


async def ticket_of(person: Person) -> str:
    await person.send({"type": "get_ticket", "ref": "t"})
    answer = await person.answer("t")
    assert answer["expires_in_s"] > 0
    return str(answer["ticket"])


async def test_a_ticket_is_no_token(hall: Hall):
    ticket = await ticket_of(await hall.join("Ada"))
    assert code_of(await refused(hall, token=ticket)) == INVALID


# ── removed, ended ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_was_sent_out_cannot_come_back(hall: Hall):
    host, ada = await hall.host(), await hall.join("Ada", ref=REF)
    ticket = await ticket_of(ada)
    await host.done(0, "remove_person", {"person": ada.welcome["actor"]})
    assert (await ada.closed())[0] == CloseCode.REMOVED
    assert code_of(await refused(hall, token=ada.token)) == ("removed", CloseCode.REMOVED)
    assert code_of(await refused(hall, ref=REF)) == ("removed", CloseCode.REMOVED)
    by_ticket = await hall.connect(ticket=ticket)
    assert (await by_ticket.hello())["code"] == "removed"
    assert (await by_ticket.closed())[0] == CloseCode.REMOVED


async def test_whoever_is_sent_out_while_coming_in_does_not_come_in(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    host = await hall.host()
    actor = hall.server.context.door.signer.actor_for(hall.room, REF)
    eve = await hall.connect()
    with log.held("append") as reached:
        await eve.send({"type": "hello", "room": hall.code, "name": "Eve", "ref": REF})
        await reached()
        await host.ask(0, "remove_person", {"person": actor}, ref="out")
        await host.since_now()  # it is queued
    assert (await host.answer("out"))["type"] == "ack"
    code, _ = await eve.closed()
    assert code == CloseCode.REMOVED
    assert json.loads(eve.frames[-1])["code"] == "removed"


async def test_of_an_ended_room_those_who_were_in_it_are_told_so(hall: Hall):
    host, ada, viewer = await hall.host(), await hall.join("Ada"), await hall.come(role="viewer")
    await host.done(0, "end_room")
    ended = ("room_has_ended", CloseCode.ROOM_ENDED)
    assert code_of(await refused(hall, token=ada.token)) == ended
    assert code_of(await refused(hall, token=viewer.token, role="viewer")) == ended


async def test_an_ended_room_is_not_opened_for_strangers(open_hall: OpenHall):
    hall = await open_hall(room_idle_s=0.05, sweep_interval_s=0.02, away_after_s=0.01)
    node, host, ada = hall.server.context.node, await hall.host(), await hall.join("Ada")
    await host.done(0, "end_room")
    for person in (host, ada):
        await person.closed()
    async with asyncio.timeout(20):
        while hall.code in node.live:  # noqa: ASYNC110 (nothing tells us)
            await asyncio.sleep(0.01)
    for hello in ({}, {"role": "viewer"}, {"ref": REF, "name": "Eve"}):
        assert await refused(hall, **hello) == UNAVAILABLE
        assert hall.code not in node.live
    assert code_of(await refused(hall, token=ada.token)) == ("room_has_ended", CloseCode.ROOM_ENDED)
    assert (await hall.host()).view["room"]["ended"] is True


async def test_the_host_may_still_look_at_an_ended_room(open_hall: OpenHall):
    hall = await open_hall(host_rate=UNHURRIED)
    host = await hall.host()
    await host.done(CHAT, "say", {"text": "last words"})
    await host.done(0, "end_room")
    await host.closed()
    again = await hall.host()
    assert again.view["room"]["ended"] is True
    assert lines(again.view) == ["last words"]
    assert (await again.command(CHAT, "say", {"text": "one more"}))["code"] == "room_has_ended"


async def test_a_room_that_ends_while_somebody_comes_in_is_told_to_a_stranger_like_any_other(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    host = await hall.host()
    eve = await hall.connect()
    with log.held("append") as reached:
        await host.ask(0, "end_room")
        await reached()
        await eve.send({"type": "hello", "room": hall.code, "name": "Eve"})
        await eve.since_now()
    assert await eve.closed() == (CloseCode.ROOM_UNAVAILABLE, RoomUnavailable.sentence)


# ── invitations ───────────────────────────────────────────────────────────────────────────────────────────────────


def invitation(hall: Hall, number: int = 1, room: str = "") -> str:
    return hall.server.context.door.signer.invitation(room or hall.room, number)


async def test_an_invitation_makes_one_person_however_often_the_hello_is_sent(hall: Hall):
    paper = invitation(hall)
    first = await hall.join("Ada", invitation=paper, ref=REF)
    again = await hall.join("Ada", invitation=paper.lower(), ref=REF)
    assert again.welcome["actor"] == first.welcome["actor"]
    answer = await refused(hall, name="Eve", invitation=paper, ref="another-ref-that-nobody-guesses")
    assert answer[0] == "not_allowed"
    assert "has been used already" in answer[1]
    host = await hall.host()
    assert [person["level"] for person in host.view["people"]["names"].values()] == [2]


async def test_ten_who_come_at_once_with_one_invitation_are_one_person(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    paper = invitation(hall)
    with log.held("append") as reached:
        people = [await hall.connect() for _ in range(10)]
        for i, person in enumerate(people):
            hello = {"type": "hello", "room": hall.code, "ref": f"a-ref-of-its-own-{i}", "invitation": paper}
            await person.send(hello)
        await reached()
    answers = [await person.next("welcome", "refused") for person in people]
    assert [answer["type"] for answer in answers].count("welcome") == 1
    assert (await hall.host()).view["people"]["count"] == 1


async def test_an_invitation_opens_a_locked_room_but_no_full_or_ended_one(open_hall: OpenHall):
    hall = await open_hall(max_participants=1)
    host = await hall.host()
    await host.done(0, "lock", {"locked": True})
    await hall.join("Ada", invitation=invitation(hall))
    assert (await refused(hall, invitation=invitation(hall, 2))) == UNAVAILABLE
    await host.done(0, "end_room")
    assert (await refused(hall, invitation=invitation(hall, 3))) == UNAVAILABLE


def altered(paper: str) -> str:
    return paper[:-1] + ("A" if paper[-1] != "A" else "B")


@pytest.mark.parametrize("forge", [altered, lambda paper: f"2{paper[1:]}", lambda paper: "x"])
async def test_a_made_up_invitation_is_told_as_a_wrong_code(forge: Any, hall: Hall):
    assert (await refused(hall, invitation=forge(invitation(hall)))) == UNAVAILABLE


NONE = ["", "1", "1-", "-", "01-ABCDEFGHJK", "1234567-ABCDEFGHJK", "\uff11-ABCDEFGHJK", "1-ключ"]


@pytest.mark.parametrize("paper", NONE)
async def test_what_is_no_invitation_is_none(paper: str, hall: Hall):
    assert hall.server.context.door.signer.invited_as(hall.room, paper) is None


async def test_an_invitation_is_for_one_room(hall: Hall):
    paper = invitation(hall)
    await hall.make_room("Another")
    assert (await refused(hall, invitation=paper)) == UNAVAILABLE


async def test_about_tells_a_locked_rooms_title_to_the_invited(hall: Hall):
    host = await hall.host()
    await host.done(0, "lock", {"locked": True})
    assert (await hall.http(f"/r/{hall.code}/about")).code == 404
    assert (await hall.http(f"/r/{hall.code}/about", bearer="1-ABCDEFGHJK")).code == 404
    assert (await hall.http(f"/r/{hall.code}/about", bearer=invitation(hall))).code == 200


async def test_what_is_kept_of_a_wrong_code_is_short(hall: Hall):
    await refused(hall, room="A" * 10_000)
    await refused(hall, invitation="B" * 10_000)
    (network,) = hall.server.context.door.guesses._networks.values()
    assert max(map(len, network.codes)) < 60
