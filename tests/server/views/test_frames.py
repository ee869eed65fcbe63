from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.server.conftest import OpenHall
from tests.server.hall import CHAT, UNHURRIED, Hall, Person, counts, open_poll
from tests.small_room import HOST, LEDGER, VIEWER, SmallRoom, person
from wslive.core import room_view
from wslive.core.roles import Role, Who
from wslive.core.room import Room
from wslive.core.view import Audience, patch
from wslive.server.views.frames import DeltaFrames
from wslive.server.views.members import Member, Members
from wslive.wire.codec import decode_server
from wslive.wire.messages import Delta

ADA, BOB, CLEO = person("p_ada"), person("p_bob"), person("p_cleo")
POLL = {"question": "Which?", "options": ["quick", "merge"]}


def payload(frame: bytes) -> bytes:
    """What a frame of less than 64 KiB carries."""
    return frame[2:] if frame[1] < 126 else frame[4:]


@pytest.fixture
def small() -> SmallRoom:
    small = SmallRoom()
    for who in (ADA, BOB, CLEO):
        small.send(who, "join", name=who.actor)
    return small


def open_small_poll(small: SmallRoom, **fields: Any) -> int:
    return small.send(HOST, "open_activity", kind="poll", body={**POLL, **fields})


# ── one frame for many ────────────────────────────────────────────────────────────────────────────────────────────


def test_readers_of_the_same_audiences_share_one_frame(small: SmallRoom):
    poll = open_small_poll(small)
    since = small.send(ADA, "cast_vote", poll, round=1, options=["o1"]) - 1
    frames = DeltaFrames(small.room, since)
    assert frames.of(BOB) is frames.of(CLEO)
    assert frames.of(BOB) is frames.of(VIEWER)


def test_whoever_did_something_gets_a_frame_of_their_own(small: SmallRoom):
    poll = open_small_poll(small)
    since = small.send(ADA, "cast_vote", poll, round=1, options=["o1"]) - 1
    frames = DeltaFrames(small.room, since)
    assert b'"me"' in frames.of(ADA)
    assert b'"me"' not in frames.of(BOB)


def test_the_ledger_has_a_frame_of_its_own(small: SmallRoom):
    poll = open_small_poll(small)
    since = small.send(ADA, "cast_vote", poll, round=1, options=["o1"]) - 1
    frames = DeltaFrames(small.room, since)
    assert b"p_ada" in frames.of(LEDGER)
    assert b"p_ada" not in frames.of(HOST)


def test_only_what_changed_is_in_a_frame(small: SmallRoom):
    since = small.room.head.offset
    small.send(ADA, "say", CHAT, text="hello")
    delta = decode_server(payload(DeltaFrames(small.room, since).of(BOB)))
    assert isinstance(delta, Delta)
    assert (delta.from_, delta.to) == (since, since + 1)
    assert {op.path[:2] for op in delta.ops} == {("activities", str(CHAT))}


@pytest.mark.parametrize("results", ["live", "after_vote", "after_close", "host_only"])
@pytest.mark.parametrize("who", [HOST, LEDGER, VIEWER, ADA, BOB], ids=lambda who: who.actor + "+" * who.ledger)
def test_a_frame_brings_every_reader_to_the_view_of_a_snapshot(who: Any, results: str, small: SmallRoom):
    poll = open_small_poll(small, results=results)
    for act in (
        lambda: small.send(ADA, "cast_vote", poll, round=1, options=["o1"]),
        lambda: small.send(BOB, "cast_vote", poll, round=1, options=["o2"]),
        lambda: small.send(ADA, "say", CHAT, text="hello"),
        lambda: small.send(ADA, "retract_vote", poll, round=1),
        lambda: small.send(HOST, "set_chat", CHAT, mode="to_host", paused=False),
        lambda: small.send(BOB, "say", CHAT, text="for the host alone"),
        lambda: small.send(HOST, "close", poll),
        lambda: small.send(HOST, "mute", person="p_ada", muted=True),
        lambda: small.send(HOST, "set_chat", CHAT, mode="on", paused=True),
        lambda: small.send(ADA, "rename", name="Ada L."),
        lambda: small.send(HOST, "start_round", poll),
    ):
        since = small.room.head.offset
        view = copy.deepcopy(room_view.snapshot(small.room, who))
        act()
        delta = decode_server(payload(DeltaFrames(small.room, since).of(who)))
        assert isinstance(delta, Delta)
        assert patch(view, delta.ops) == room_view.snapshot(small.room, who)


# ── who gets which ────────────────────────────────────────────────────────────────────────────────────────────────


class Nowhere:
    """The way out of a member whom nobody sends anything."""

    is_clear = True
    stuck_since_s = straight = None

    def post(self, frame: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError


def joined(*readers: Who) -> Members:
    """Members without connections."""
    members = Members()
    for who in readers:
        members.add(Member(who, Nowhere(), lambda code: None))
    return members


def frames_by_reader(frames: DeltaFrames, members: Members) -> dict[Member, bytes]:
    """What each member is sent; nobody twice."""
    parcels, failed = frames.parcels(members)
    assert not failed
    given = [(member, frame) for frame, to in parcels.items() for member in to]
    assert len(dict(given)) == len(given)
    return dict(given)


@pytest.mark.parametrize("results", ["live", "after_vote", "after_close", "host_only"])
def test_everybody_is_given_the_frame_that_is_theirs(results: str, small: SmallRoom):
    poll = open_small_poll(small, results=results)
    members = joined(HOST, ADA, BOB, VIEWER, LEDGER, ADA, CLEO, VIEWER)
    for act in (
        lambda: small.send(ADA, "cast_vote", poll, round=1, options=["o1"]),
        lambda: small.send(BOB, "say", CHAT, text="hello"),
        lambda: small.send(HOST, "set_chat", CHAT, mode="to_host", paused=False),
        lambda: small.send(BOB, "say", CHAT, text="for the host alone"),
        lambda: small.send(HOST, "close", poll),
        lambda: small.send(HOST, "reopen", poll),
        lambda: small.send(CLEO, "cast_vote", poll, round=1, options=["o2"]),
        lambda: small.send(HOST, "mute", person="p_ada", muted=True),
        lambda: open_small_poll(small, results=results, secret=results == "after_close"),
    ):
        since = small.room.head.offset
        act()
        frames = DeltaFrames(small.room, since)
        assert frames_by_reader(frames, members) == {member: frames.of(member.who) for member in members}


def test_of_a_thousand_who_only_watch_one_is_looked_at(small: SmallRoom, monkeypatch: pytest.MonkeyPatch):
    poll = open_small_poll(small)
    members = joined(ADA, *(person(f"p_{i}") for i in range(1000)))
    since = small.send(ADA, "cast_vote", poll, round=1, options=["o1"]) - 1
    asked: list[str] = []
    audience = room_view.audience

    def counted(room: Room, part: str, who: Who) -> Audience:
        asked.append(who.actor)
        return audience(room, part, who)

    monkeypatch.setattr(room_view, "audience", counted)
    parcels, _ = DeltaFrames(small.room, since).parcels(members)
    assert sorted(map(len, parcels.values())) == [1, 1000]
    assert len(asked) == 1


def test_who_is_behind_is_given_nothing(small: SmallRoom):
    members = joined(ADA, BOB)
    ada, bob = members
    members.fall_behind(ada, small.room.head.offset)
    since = small.send(ADA, "say", CHAT, text="hello") - 1
    assert list(frames_by_reader(DeltaFrames(small.room, since), members)) == [bob]


@pytest.mark.parametrize("broken", ["audience", "personal_changes"])
def test_a_mistake_costs_those_it_concerns_their_frame_and_nobody_else(
    broken: str, small: SmallRoom, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    members = joined(ADA, BOB, HOST)
    ada, bob, host = members
    since = small.send(ADA, "say", CHAT, text="hello") - 1
    works = getattr(room_view, broken)

    def breaks(*args: Any) -> Any:
        if any(isinstance(arg, Who) and arg.role is Role.PARTICIPANT for arg in args):
            raise ZeroDivisionError
        return works(*args)

    monkeypatch.setattr(room_view, broken, breaks)
    parcels, failed = DeltaFrames(small.room, since).parcels(members)
    given = {member for to in parcels.values() for member in to}
    assert (set(failed), given) == (({ada, bob}, {host}) if broken == "audience" else ({ada}, {bob, host}))
    assert "could not be made" in caplog.text


# ── who is sent what, on raw frames ───────────────────────────────────────────────────────────────────────────────


def knows_counts(who: Person) -> bool:
    """Whether any frame so far held a tally."""
    return any('"counts":{' in frame for frame in who.frames)


async def test_results_after_voting_go_to_those_who_have_voted(hall: Hall):
    host, ada, bob, viewer = await hall.host(), await hall.join("Ada"), await hall.join("Bob"), await hall.host()
    viewer = await hall.come(role="viewer")
    poll = await open_poll(host, results="after_vote")
    first = await ada.vote(poll, "o1")
    assert counts(await ada.at(first), poll) == {"o1": 1, "o2": 0, "o3": 0}
    for other in (bob, viewer):
        assert (await other.at(first))["activities"][str(poll)]["tally"]["answered"] == 1
        assert not knows_counts(other)
    retracted = await ada.done(poll, "retract_vote", {"round": 1})
    assert counts(await ada.at(retracted), poll) is None
    seen = len(ada.frames)
    second = await bob.vote(poll, "o2")
    assert counts(await bob.at(second), poll) == {"o1": 0, "o2": 1, "o3": 0}
    await ada.at(second)
    assert '"counts":{' not in "".join(ada.frames[seen:])
    late = await hall.join("Late")
    assert not knows_counts(late)


async def test_results_after_closing_go_to_everybody_then_and_to_nobody_before(hall: Hall):
    host, ada, viewer = await hall.host(), await hall.join(), await hall.come(role="viewer")
    poll = await open_poll(host, results="after_close")
    voted = await ada.vote(poll, "o1")
    for other in (ada, viewer):
        await other.at(voted)
        assert not knows_counts(other)
    assert counts(await host.at(voted), poll) == {"o1": 1, "o2": 0, "o3": 0}
    closed = await host.done(poll, "close")
    for other in (ada, viewer):
        assert counts(await other.at(closed), poll) == {"o1": 1, "o2": 0, "o3": 0}
    reopened = await host.done(poll, "reopen")
    for other in (ada, viewer):
        assert counts(await other.at(reopened), poll) is None


async def test_results_for_the_host_alone_go_to_nobody_else(hall: Hall):
    host, ada, viewer = await hall.host(), await hall.join(), await hall.come(role="viewer")
    poll = await open_poll(host, results="host_only")
    await ada.vote(poll, "o1")
    await host.done(poll, "close")
    end = await host.done(poll, "start_round")
    late = await hall.back(ada)
    for other in (ada, viewer, late):
        await other.at(end)
        assert not knows_counts(other)
    assert (await host.at(end))["activities"][str(poll)]["tally"]["earlier"][0]["counts"]["o1"] == 1


async def test_single_ballots_go_to_the_ledger_alone(hall: Hall):
    host, ledger = await hall.host(), await hall.host(ledger=True)
    ada, bob, viewer = await hall.join("Ada"), await hall.join("Bob"), await hall.come(role="viewer")
    poll = await open_poll(host)
    end = await ada.vote(poll, "o2")
    actor = ada.welcome["actor"]
    assert (await ledger.at(end))["activities"][str(poll)]["ballots"][f"1/{actor}"]["options"] == ["o2"]
    for other in (host, ada, bob, viewer):
        await other.at(end)
        assert all('"ballots"' not in frame for frame in other.frames)


async def test_what_is_mine_goes_to_my_connections_and_nobody_elses(hall: Hall):
    host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
    phone = await hall.back(ada)
    poll = await open_poll(host)
    for member in (host, bob):
        await member.at(poll)
    seen = {member: len(member.frames) for member in (host, bob)}
    end = await ada.vote(poll, "o2")
    for connection in (ada, phone):
        mine = (await connection.at(end))["me"]["activities"][str(poll)]
        assert mine == {"round": 1, "options": ["o2"]}
    for member in (host, bob):
        await member.at(end)
        assert '"me"' not in "".join(member.frames[seen[member] :])


async def test_what_people_write_to_the_host_goes_to_the_host_and_back_to_them(open_hall: OpenHall):
    hall = await open_hall(line_rate=UNHURRIED)
    host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
    await host.done(CHAT, "set_chat", {"mode": "to_host", "paused": False})
    end = await ada.done(CHAT, "say", {"text": "a whisper"})
    assert "a whisper" in str(await host.at(end))
    assert "a whisper" in str((await ada.at(end))["me"])
    await bob.at(end)
    late = await hall.come(role="viewer")
    for other in (bob, late):
        assert "a whisper" not in "".join(other.frames)


async def test_a_hidden_line_and_a_muted_persons_lines_are_sent_to_nobody_who_comes_later(hall: Hall):
    host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
    rude = await ada.done(CHAT, "say", {"text": "something rude"})
    loud = await bob.done(CHAT, "say", {"text": "something loud"})
    await host.done(CHAT, "hide_line", {"line": rude, "hidden": True})
    end = await host.done(0, "mute", {"person": bob.welcome["actor"], "muted": True})
    late = await hall.join("Late")
    assert "something" not in "".join(late.frames)
    assert str((await ada.at(end))["activities"][str(CHAT)]["lines"]) == "{}"
    page = await late.answer(await older(late, loud + 1))
    assert page["entries"] == []


async def older(who: Person, before: int) -> str:
    await who.send({"type": "read_older", "ref": "older", "activity": CHAT, "before": before})
    return "older"
