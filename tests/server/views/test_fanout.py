from __future__ import annotations

import asyncio
import copy
import itertools
import random
import re
import socket
from typing import Any

import msgspec
import pytest

from tests.server.conftest import OpenHall, OpenLine
from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, UNHURRIED, Hall, Person, counts, lines, open_poll
from tests.server.line import turn
from tests.small_room import HOST, SmallRoom, person
from wslive.activities.poll.model import Poll
from wslive.core.errors import NotAppended
from wslive.core.roles import Role, Who
from wslive.core.view import View
from wslive.eventlog.memory import MemoryLog
from wslive.server.access import network
from wslive.server.settings import ServerSettings
from wslive.server.views.fanout import Fanout
from wslive.server.views.members import Member
from wslive.server.websocket.carrier import Carrier
from wslive.wire.close_codes import CloseCode

NEVER_S = 3600.0
"""An interval that no test sees the end of."""

RATES = {"vote_rate": UNHURRIED, "line_rate": UNHURRIED, "host_rate": UNHURRIED, "read_rate": UNHURRIED}


# ── ticks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_change_after_quiet_leaves_at_once(open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=NEVER_S)
    host = await hall.host()
    viewer = await hall.come(role="viewer")
    poll = await open_poll(host)
    assert counts(await viewer.at(poll), poll) == {"o1": 0, "o2": 0, "o3": 0}


async def test_within_the_interval_after_a_tick_nothing_leaves_but_acks(open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=NEVER_S, **RATES)
    ada, host = await hall.join(), await hall.host()
    poll = await open_poll(host)
    await ada.at(poll)
    for i in range(50):
        await ada.vote(poll, f"o{1 + i % 3}")
    assert "delta" not in [frame["type"] for frame in await ada.since_now()]
    assert host.deltas == ada.deltas == 1


async def test_many_votes_are_few_deltas_and_the_last_one_is_true(open_hall: OpenHall):
    hall = await open_hall(**RATES)
    host, viewer = await hall.host(ledger=True), await hall.come(role="viewer")
    poll = await open_poll(host)
    people = [await hall.join(f"P{i}") for i in range(10)]
    rng = random.Random(4)
    last: dict[int, str] = {}

    async def vote_often(i: int) -> int:
        for _ in range(40):
            last[i] = f"o{rng.randint(1, 3)}"
            offset = await people[i].vote(poll, last[i])
        return offset

    end = max(await asyncio.gather(*map(vote_often, range(10))))
    truth = {option: list(last.values()).count(option) for option in ("o1", "o2", "o3")}
    for watcher in (host, viewer, people[3]):
        assert counts(await watcher.at(end), poll) == truth
        assert watcher.deltas < 400


async def test_chat_and_tally_leave_in_one_stream(open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=0.2, **RATES)
    host, ada = await hall.host(), await hall.join()
    poll = await open_poll(host)
    for i in range(10):
        await ada.vote(poll, "o1")
        end = await ada.done(CHAT, "say", {"text": f"line {i}"})
    view = await host.at(end)
    assert lines(view) == [f"line {i}" for i in range(10)]
    positions = [(f["from"], f["to"]) for f in map(msgspec.json.decode, host.frames) if f["type"] == "delta"]
    assert all(before[1] == after[0] for before, after in itertools.pairwise(positions))
    assert positions[-1][1] == end


async def bustle(hall: Hall, host: Person, people: list[Person], rng: random.Random, steps: int) -> int:
    """Things that happen in a room; returns the last offset. Polls of all kinds are opened on the way."""
    polls = [await open_poll(host, results=results, keep_open=True) for results in RESULTS]
    closed: set[int] = set()
    offset = polls[-1]

    def something() -> tuple[Person, int, str, Any]:
        person, poll = rng.choice(people), rng.choice(polls)
        match rng.randint(0, 9):
            case 0:
                return host, CHAT, "say", {"text": f"host says {rng.random()}"}
            case 1 | 2:
                return person, CHAT, "say", {"text": f"a line {rng.random()}"}
            case 3:
                closed.symmetric_difference_update({poll})
                return host, poll, "close" if poll in closed else "reopen", None
            case 4:
                return host, 0, "mute", {"person": person.welcome["actor"], "muted": rng.random() < 0.5}
            case 5:
                return person, 0, "rename", {"name": f"N{rng.randint(1, 99)}"}
            case 6:
                return person, poll, "retract_vote", {"round": 1}
            case 7:
                return host, CHAT, "set_chat", {"mode": rng.choice(["on", "on", "to_host", "off"]), "paused": False}
        return person, poll, "cast_vote", {"round": 1, "options": [rng.choice(["o1", "o2", "o3"])]}

    for _ in range(steps):
        person, *wish = something()
        answer = await person.command(*wish)  # some are refused: muted, closed, nothing to retract
        offset = answer.get("offset", offset)
    return offset


RESULTS = ["live", "after_vote", "after_close", "host_only"]


@pytest.mark.parametrize("seed", range(3))
async def test_every_member_under_load_gets_a_chain_without_gaps_and_ends_with_the_true_view(
    seed: int, open_hall: OpenHall
):
    hall = await open_hall(tick_interval_s=0.002, slice_size=2, name_rate=UNHURRIED, **RATES)
    rng = random.Random(seed)
    host = await hall.host()
    ledger = await hall.host(ledger=True)
    viewer = await hall.come(role="viewer")
    people = [await hall.join(f"P{i}") for i in range(6)]

    async def come_and_go() -> None:
        for i in range(15):
            guest = await hall.join(f"Guest {i}")
            await guest.since_now()
            await guest.leave()

    moving = asyncio.create_task(come_and_go())
    await bustle(hall, host, people, rng, 120)
    await moving
    end = await host.done(CHAT, "say", {"text": "the end"})
    for member in [host, viewer, *people]:
        assert await member.at(end) == await hall.view_of(member)
    fresh = await hall.host(ledger=True)
    assert await ledger.at(end) == fresh.view


@pytest.mark.parametrize("seed", range(3))
async def test_a_resume_from_any_position_gives_the_view_of_a_fresh_snapshot(seed: int, open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=0.001, name_rate=UNHURRIED, **RATES)
    rng = random.Random(100 + seed)
    host = await hall.host()
    people = [await hall.join(f"P{i}") for i in range(3)]
    watchers = [await hall.host(ledger=True), await hall.come(role="viewer"), people[0]]
    stands: list[tuple[Person, View, Any]] = []
    for watcher in watchers:
        stands.append((watcher, copy.deepcopy(watcher.view), watcher.position))
    for _ in range(6):
        end = await bustle(hall, host, people, rng, 12)
        for watcher in watchers:
            await watcher.at(end)
            stands.append((watcher, copy.deepcopy(watcher.view), watcher.position))
    for watcher, view, position in stands:
        at_that_time = Person(watcher.socket)
        at_that_time.view, at_that_time.position = view, position
        at_that_time.welcome, at_that_time.token = watcher.welcome, watcher.token
        ledger = watcher is watchers[0]
        again = await hall.back(at_that_time, ledger=ledger)
        assert again.welcome["mode"] == "resume"
        assert again.position == watcher.position
        assert again.view == watcher.view
        await again.leave()
    fresh = await hall.host(ledger=True)
    assert watchers[0].view == fresh.view


class Direct:
    """A fan-out of three members in slices of two, called by hand; each member's socket is read at the end."""

    def __init__(self, open_line: OpenLine, **settings_: Any) -> None:
        self.small = SmallRoom()
        settings = ServerSettings(slice_size=2, tick_interval_s=0.0, **settings_)
        self.fanout = Fanout(settings, lambda reader: reader(self.small.room))
        self.lines = [open_line() for _ in range(3)]
        self.members = [
            Member(Who(f"v_{i}", Role.VIEWER), x.outbox, lambda code: None) for i, x in enumerate(self.lines)
        ]
        for member in self.members:
            self.fanout.add(member, self.small.room, None, None, "K7M2QX")

    async def tick(self) -> Member:
        """Something happens, and a tick begins; returns who waits for the second slice."""
        self.small.send(HOST, "say", CHAT, text="hello")
        last = list(self.fanout.members)[2]
        self.fanout.committed(self.small.room)
        await asyncio.sleep(0)
        return last

    async def spans(self, member: Member) -> list[tuple[int, int]]:
        """From where to where the deltas go that a member is sent, up to the room's head."""
        line = self.lines[self.members.index(member)]
        found = await line.read_until(b'"to":%d' % self.small.room.head.offset)
        return [(int(a), int(b)) for a, b in re.findall(rb'"type":"delta","from":(\d+),"to":(\d+)', found)]


async def test_a_tick_does_not_begin_before_the_last_one_is_sent(open_line: OpenLine):
    direct = Direct(open_line)
    await turn()  # the welcomes have left
    last = await direct.tick()
    direct.fanout.remove(next(member for member in direct.members if member is not last))
    direct.small.send(HOST, "say", CHAT, text="and now there are so few that no slices are needed")
    direct.fanout.committed(direct.small.room)
    assert await direct.spans(last) == [(2, 3), (3, 4)]


async def test_while_a_hall_comes_in_it_is_not_told_of_each_but_of_all_else_at_once(open_line: OpenLine):
    direct = Direct(open_line, presence_interval_s=NEVER_S)
    room = direct.small.room
    for number in range(101):
        direct.small.send(person(f"p_{number}"), "join")
    direct.fanout.committed(room)
    first = room.head.offset
    assert await direct.spans(direct.members[2]) == [(2, first)]
    for number in range(2):
        direct.small.send(person(f"p_late_{number}"), "join")
        direct.fanout.committed(room)
    direct.small.send(HOST, "say", CHAT, text="welcome")
    direct.fanout.committed(room)
    assert await direct.spans(direct.members[2]) == [(first, first + 3)]


async def test_in_a_small_room_everybody_who_comes_is_told_of(open_line: OpenLine):
    direct = Direct(open_line, presence_interval_s=NEVER_S)
    spans = []
    for number in range(3):
        direct.small.send(person(f"p_{number}"), "join")
        direct.fanout.committed(direct.small.room)
        spans += await direct.spans(direct.members[2])
    assert spans == [(2, 3), (3, 4), (4, 5)]


async def test_news_do_not_overtake_what_was_posted_in_the_same_turn(open_line: OpenLine):
    direct = Direct(open_line)
    await direct.tick()
    await direct.spans(direct.members[0])
    direct.members[0].outbox.post(b"<an ack>")
    await direct.tick()
    found = await direct.lines[0].read_until(b'"to":%d' % direct.small.room.head.offset)
    assert found.index(b"<an ack>") < found.index(b'"delta"')
    assert await direct.spans(direct.members[1]) == [(2, 3), (3, 4)]


async def test_whoever_is_sent_an_ack_in_this_turn_gets_the_news_by_the_same_send(
    open_line: OpenLine, monkeypatch: pytest.MonkeyPatch
):
    direct = Direct(open_line)
    await turn()  # the welcomes have left
    of_voter = direct.lines[2].carrier
    writes: list[bytes] = []
    write = type(of_voter).write

    def noted(carrier: Carrier, data: bytes) -> None:
        if carrier is of_voter:
            writes.append(data)
        write(carrier, data)

    monkeypatch.setattr(type(of_voter), "write", noted)
    voter, watchers = direct.members[2], direct.members[:2]
    voter.outbox.post(b"<an ack>")
    direct.small.send(HOST, "say", CHAT, text="hello")
    direct.fanout.committed(direct.small.room)
    (data,) = writes  # before anybody else has a turn
    await turn()
    assert writes == [data]
    assert data.startswith(b"<an ack>")
    assert b'"delta"' in data
    for member in (voter, *watchers):
        assert await direct.spans(member) == [(2, 3)]


async def test_what_a_socket_does_not_take_of_a_frame_follows_when_it_can(open_line: OpenLine):
    direct = Direct(open_line)
    slow, line = direct.members[0], direct.lines[0]
    sent = 0
    while slow not in direct.fanout.members.behind:
        direct.small.send(HOST, "say", CHAT, text="x" * 400)
        direct.fanout.committed(direct.small.room)
        await turn()
        sent += 1
    seen = direct.fanout.members.behind[slow]
    assert sent > 3
    reading = asyncio.ensure_future(direct.spans(slow))
    while not reading.done():
        if slow.outbox.is_clear:
            direct.fanout.drained(slow)  # whoever owns the outbox does that
        await asyncio.sleep(0)
    spans = reading.result()
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert (seen, direct.small.room.head.offset) == spans[-1]
    assert slow not in direct.fanout.members.behind
    assert line.full == 0


async def test_catching_up_does_not_overtake_a_slice_that_is_still_to_come(open_line: OpenLine):
    direct = Direct(open_line)
    await turn()  # the welcomes have left
    last = await direct.tick()
    direct.small.send(HOST, "say", CHAT, text="meanwhile")
    direct.fanout.drained(last)
    direct.fanout.committed(direct.small.room)
    assert await direct.spans(last) == [(2, 3), (3, 4)]


# ── resuming ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_stands_at_the_head_is_resumed_with_nothing(hall: Hall):
    ada = await hall.join()
    again = await hall.back(ada)
    assert (again.welcome["mode"], again.welcome["ops"]) == ("resume", [])


async def test_more_changes_than_the_limit_are_a_snapshot(open_hall: OpenHall):
    hall = await open_hall(max_resume_ops=10, **RATES)
    host, ada = await hall.host(), await hall.join()
    for i in range(20):
        await host.done(CHAT, "say", {"text": f"line {i}"})
    again = await hall.back(ada)
    assert again.welcome["mode"] == "snapshot"
    assert len(lines(again.view)) == 20


@pytest.mark.parametrize(
    "change",
    [{"epoch": "another"}, {"chain": "0123456789abcdef"}, {"offset": 10**9}, {"offset": -1}, {"offset": 10**30}],
    ids=str,
)
async def test_a_position_of_another_log_is_a_reset(change: dict[str, Any], hall: Hall):
    ada = await hall.join()
    position = {**msgspec.to_builtins(ada.position), **change}
    again = await hall.back(ada, position=position)
    assert again.welcome["mode"] == "reset"
    assert again.view == ada.view


async def test_a_newcomer_is_not_resumed_from_the_position_of_somebody_else(hall: Hall):
    ada = await hall.join("Ada")
    position = msgspec.to_builtins(ada.position)
    bob = await hall.join("Bob", position=position)
    viewer = await hall.come(role="viewer", position=position)
    assert bob.welcome["mode"] == viewer.welcome["mode"] == "snapshot"
    assert bob.view["me"]["name"] == "Bob"


async def test_a_log_that_an_older_copy_was_put_in_place_of_resets_its_readers(open_hall: OpenHall):
    inner = MemoryLog()
    log = FaultyLog(inner)
    hall = await open_hall(log, drain_s=0)
    host, ada = await hall.host(), await hall.join()
    saved = await inner.read(hall.room)
    poll = await open_poll(host)
    end = await ada.vote(poll, "o1")
    await ada.at(end)

    older = MemoryLog()
    record = await inner.record(hall.code)
    assert record is not None
    await older.create(record)
    await older.append(hall.room, await older.head(hall.room), saved)
    log.inner = older
    log.fail("append", NotAppended("the log is another one"))
    assert (await ada.command(poll, "retract_vote", {"round": 1}))["code"] == "temporarily_unavailable"
    assert (await ada.closed())[0] == CloseCode.STORE_TROUBLE
    assert (await host.closed())[0] == CloseCode.STORE_TROUBLE
    again = await hall.back(ada)
    assert again.welcome["mode"] == "reset"
    assert str(poll) not in again.view["activities"]


# ── slow readers ──────────────────────────────────────────────────────────────────────────────────────────────────

NARROW = {"receive_buffer_bytes": 4096, "max_queue": 1}


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's sockets buffer little, so that little has to be sent until one is full."""
    listen = network.listen

    def listen_narrow(host: str, port: int) -> list[socket.socket]:
        sockets = listen(host, port)
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return sockets

    monkeypatch.setattr(network, "listen", listen_narrow)


async def fill(host: Person, count: int) -> int:
    """The host says long lines, one tick each; returns the last offset."""
    for i in range(count):
        offset = await host.done(CHAT, "say", {"text": f"{i} ".ljust(499, "x")})
        await host.at(offset)
    return offset


@pytest.mark.usefixtures("narrow")
async def test_a_reader_that_does_not_read_keeps_nobody_waiting_and_is_caught_up_exactly(open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=0.0, **RATES)
    host, bob = await hall.host(), await hall.join("Bob")
    slow = await hall.join("Slow", connect=NARROW)
    end = await fill(host, 150)
    assert lines(await bob.at(end)) == lines(host.view)
    assert await slow.at(end) == await hall.view_of(slow)
    assert slow.deltas < bob.deltas / 2
    end = await host.done(CHAT, "say", {"text": "and on it goes"})
    assert lines(await slow.at(end))[-1] == "and on it goes"


@pytest.mark.usefixtures("narrow")
async def test_a_reader_that_missed_more_than_the_limit_gets_a_snapshot(open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=0.0, max_resume_ops=50, **RATES)
    host = await hall.host()
    slow = await hall.join("Slow", connect=NARROW)
    end = await fill(host, 150)
    assert await slow.at(end) == await hall.view_of(slow)
    assert any(msgspec.json.decode(frame)["type"] == "snapshot" for frame in slow.frames)


@pytest.mark.usefixtures("narrow")
async def test_acks_of_a_slow_reader_are_queued_and_all_arrive(open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=0.0, **RATES)
    host = await hall.host()
    poll = await open_poll(host)
    slow = await hall.join("Slow", connect=NARROW)
    await fill(host, 100)
    refs = [await slow.ask(poll, "cast_vote", {"round": 1, "options": [f"o{1 + i % 3}"]}) for i in range(30)]
    end = await host.done(CHAT, "say", {"text": "the end"})
    answers = [await slow.answer(ref) for ref in refs]
    assert [a["type"] for a in answers] == ["ack"] * 30
    await slow.at(max(end, *(a["offset"] for a in answers)))
    assert slow.view == await hall.view_of(slow)


@pytest.mark.usefixtures("narrow")
async def test_a_reader_that_is_stuck_is_closed_and_may_come_back(open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=0.0, max_stuck_s=0.1, sweep_interval_s=0.02, away_after_s=0.0, **RATES)
    host = await hall.host()
    stuck = await hall.join("Stuck", connect=NARROW)
    end = await fill(host, 100)
    while ("Stuck", "left") not in host.notices:
        await host.receive()
    assert (await stuck.closed())[0] == CloseCode.SLOW_READER
    assert not CloseCode.SLOW_READER.is_final
    again = await hall.back(stuck)
    assert again.welcome["mode"] == "resume"
    assert await again.at(end) == await hall.view_of(again)


@pytest.mark.usefixtures("narrow")
async def test_a_slow_reader_that_goes_on_asking_is_closed_before_it_costs_memory(open_hall: OpenHall):
    hall = await open_hall(
        tick_interval_s=0.0, max_outbox_bytes=64 * 1024, sweep_interval_s=0.02, away_after_s=0.0, **RATES
    )
    host = await hall.host()
    greedy = await hall.join("Greedy", connect=NARROW)
    end = await fill(host, 100)
    for i in range(10):
        await greedy.send({"type": "read_older", "ref": f"page-{i}", "activity": CHAT, "before": end + 1, "limit": 200})
    while ("Greedy", "left") not in host.notices:
        await host.receive()
    assert (await greedy.closed())[0] == CloseCode.SLOW_READER
    pages = [frame for frame in greedy.frames if '"type":"page"' in frame]
    assert len(pages) < 5  # of 62 kB each


@pytest.mark.usefixtures("narrow")
async def test_a_welcome_larger_than_the_outbox_closes_nobody_who_reads(open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=0.0, max_outbox_bytes=1024, sweep_interval_s=0.01, **RATES)
    host = await hall.host()
    await fill(host, 150)
    late = await hall.connect(**NARROW)
    await late.hello(room=hall.code, name="Late")
    assert lines(late.view) == lines(host.view)
    end = await host.done(CHAT, "say", {"text": "welcome"})
    assert lines(await late.at(end))[-1] == "welcome"


@pytest.mark.usefixtures("narrow")
async def test_presence_that_a_slow_reader_missed_is_told_when_it_reads_again(open_hall: OpenHall):
    hall = await open_hall(tick_interval_s=0.0, presence_interval_s=0.0, **RATES)
    host = await hall.host()
    slow = await hall.join("Slow", connect=NARROW)
    end = await fill(host, 100)
    bob = await hall.join("Bob")
    while host.presence["online"] < 2:
        await host.receive()
    del bob
    await slow.at(end)
    while slow.presence.get("online") != 2:
        await slow.receive()
    assert slow.deltas < host.deltas


# ── leaving and being sent out ────────────────────────────────────────────────────────────────────────────────────


async def test_at_the_end_of_the_room_everybody_sees_it_and_is_closed(open_hall: OpenHall):
    hall = await open_hall(slice_size=2)
    host = await hall.host()
    members = [host, await hall.come(role="viewer"), *[await hall.join(f"P{i}") for i in range(5)]]
    end = await host.done(0, "end_room")
    for member in members:
        assert await member.closed() == (CloseCode.ROOM_ENDED, CloseCode.ROOM_ENDED.sentence)
        assert member.position is not None
        assert member.position.offset == end
        assert member.view["room"]["ended"] is True


async def test_whoever_is_removed_is_closed_on_all_connections_and_nobody_else(hall: Hall):
    host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
    phone = await hall.back(ada)
    end = await host.done(0, "remove_person", {"person": ada.welcome["actor"]})
    for connection in (ada, phone):
        assert (await connection.closed())[0] == CloseCode.REMOVED
    assert ada.welcome["actor"] not in (await bob.at(end))["people"]["names"]
    assert await bob.since_now() is not None
    assert await host.since_now() is not None


async def test_whoever_is_removed_is_here_no_more_and_leaves_without_a_notice(open_hall: OpenHall):
    hall = await open_hall(presence_interval_s=0.0)
    host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
    await host.done(0, "remove_person", {"person": ada.welcome["actor"]})
    while host.presence["here"] != [bob.welcome["actor"]]:
        await host.receive()
    assert host.presence["online"] == 1
    assert ("Ada", "left") not in host.notices


async def test_a_view_that_cannot_be_made_closes_its_reader_and_nobody_else(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    host, ledger, ada = await hall.host(), await hall.host(ledger=True), await hall.join()
    poll = await open_poll(host)
    await ledger.at(poll)
    changes = Poll.changes

    def broken(self: Poll, state: Any, audience: str, people: Any, after: int) -> Any:
        if audience == "ledger":
            raise ZeroDivisionError
        return changes(self, state, audience, people, after)

    monkeypatch.setattr(Poll, "changes", broken)
    end = await ada.vote(poll, "o1")
    assert counts(await host.at(end), poll) == counts(await ada.at(end), poll) == {"o1": 1, "o2": 0, "o3": 0}
    assert (await ledger.closed())[0] == CloseCode.STORE_TROUBLE
    assert "ZeroDivisionError" in caplog.text
    assert counts(await host.at(await ada.vote(poll, "o2")), poll) == {"o1": 0, "o2": 1, "o3": 0}


# ── presence ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_everybody_is_told_who_comes(open_hall: OpenHall):
    hall = await open_hall(presence_interval_s=0.0)
    host, ada = await hall.host(), await hall.join("Ada")
    bob = await hall.join("Bob")
    for member in (host, ada):
        while ("Bob", "joined") not in member.notices:
            await member.receive()
        assert member.presence["online"] == 2
        assert set(member.presence["here"]) == {ada.welcome["actor"], bob.welcome["actor"]}


async def test_hosts_and_viewers_are_not_counted(hall: Hall):
    await hall.host()
    await hall.come(role="viewer")
    ada = await hall.join()
    assert ada.welcome["presence"] == {"type": "presence", "online": 1, "here": [ada.welcome["actor"]]}


async def test_whoever_is_away_for_long_has_left(open_hall: OpenHall):
    hall = await open_hall(presence_interval_s=0.0, away_after_s=0.1, sweep_interval_s=0.02)
    host, ada = await hall.host(), await hall.join("Ada")
    await ada.leave()
    while ("Ada", "left") not in host.notices:
        await host.receive()
    assert host.notices == [("Ada", "joined"), ("Ada", "left")]
    assert (host.presence["online"], host.presence["here"]) == (0, [])


async def test_a_reload_is_not_a_leave(open_hall: OpenHall):
    hall = await open_hall(presence_interval_s=0.0, sweep_interval_s=0.01)
    host, ada = await hall.host(), await hall.join("Ada")
    await ada.leave()
    await hall.back(ada)
    bob = await hall.join("Bob")
    while ("Bob", "joined") not in host.notices:
        await host.receive()
    assert host.notices == [("Ada", "joined"), ("Bob", "joined")]
    assert set(host.presence["here"]) == {ada.welcome["actor"], bob.welcome["actor"]}


async def test_a_second_tab_is_no_second_person_and_its_end_no_leave(open_hall: OpenHall):
    hall = await open_hall(presence_interval_s=0.0, away_after_s=0.0, sweep_interval_s=0.01)
    host, ada = await hall.host(), await hall.join("Ada")
    tab = await hall.back(ada)
    assert tab.welcome["presence"]["online"] == 1
    await tab.leave()
    bob = await hall.join("Bob")
    await bob.leave()
    while ("Bob", "left") not in host.notices:
        await host.receive()
    assert ("Ada", "left") not in host.notices
    assert host.notices.count(("Ada", "joined")) == 1


async def test_above_a_hundred_people_only_the_host_is_told_names(open_hall: OpenHall):
    hall = await open_hall(presence_interval_s=0.0)
    host = await hall.host()
    people = [await hall.join(f"P{i}") for i in range(101)]
    for member in (host, people[0]):
        while member.presence["online"] < 101:
            await member.receive()
    assert len(host.presence["here"]) == 101
    assert "here" not in people[0].presence
    assert "notices" not in people[0].presence
    end = await people[0].done(0, "rename", {"name": "Somebody"})
    assert len((await host.at(end))["people"]["names"]) == 101
    assert (await people[5].at(end))["people"] == {"count": 101}
    assert all("Somebody" not in frame for frame in people[5].frames)


async def test_a_flood_of_newcomers_is_counted_and_not_listed(open_hall: OpenHall):
    hall = await open_hall(presence_interval_s=NEVER_S)
    first = await hall.join("First")
    while ("First", "joined") not in first.notices:
        await first.receive()
    people = [await hall.join(f"P{i}") for i in range(25)]
    await people[-1].leave()
    live = hall.server._node.live[hall.code]
    live.fanout._read(live.fanout._send_presence)
    while first.presence.get("online") != 26:
        await first.receive()
    assert "notices" not in first.presence


@pytest.mark.parametrize(
    ("least_s", "took_s", "interval_s"),
    [(0.05, 0.001, 0.05), (0.05, 0.04, 0.12), (0.05, 0.08, 0.12), (0.05, 3.0, 0.05), (1.0, 3.0, 1.0)],
)
async def test_a_room_whose_ticks_take_long_gets_fewer_of_them(least_s: float, took_s: float, interval_s: float):
    fanout = Fanout(ServerSettings(tick_interval_s=least_s), lambda reader: None)
    fanout._tick_took_s = took_s
    assert fanout._interval_s(SmallRoom().room) == pytest.approx(interval_s)


@pytest.mark.parametrize(
    ("least_s", "took_s", "interval_s"), [(0.05, 0.001, 0.12), (1.0, 0.001, 1.0), (0.05, 0.05, 0.15)]
)
async def test_and_so_does_one_whose_answers_are_held_for_them(least_s: float, took_s: float, interval_s: float):
    fanout = Fanout(ServerSettings(tick_interval_s=least_s), lambda reader: None)
    fanout.is_busy = lambda: True
    fanout._tick_took_s = took_s
    assert fanout._interval_s(SmallRoom().room) == pytest.approx(interval_s)
    assert fanout.due_s() == fanout._last_tick_s + fanout._interval_s(SmallRoom().room)


@pytest.mark.parametrize(("late_s", "counts_from_s"), [(0.005, 0.0), (0.5, 0.5)])
async def test_a_tick_that_is_hardly_late_makes_the_next_no_later(
    late_s: float, counts_from_s: float, open_line: OpenLine, monkeypatch: pytest.MonkeyPatch
):
    direct = Direct(open_line)
    due_s = direct.fanout._last_tick_s = direct.fanout._loop.time()
    monkeypatch.setattr(direct.fanout._loop, "time", lambda: due_s + late_s)
    direct.small.send(HOST, "say", CHAT, text="hello")
    direct.fanout.committed(direct.small.room)
    monkeypatch.undo()
    assert direct.fanout._last_tick_s == pytest.approx(due_s + counts_from_s)


async def test_how_long_a_tick_took_is_known_when_its_last_slice_is_sent(open_hall: OpenHall):
    hall = await open_hall(slice_size=2, tick_interval_s=0.0, **RATES)
    people = [await hall.join() for _ in range(5)]
    fanout = hall.server._node.live[hall.code].fanout
    fanout._tick_took_s = float("nan")
    await people[0].done(CHAT, "say", {"text": "hello"})
    await people[-1].until(lambda view: lines(view) == ["hello"])
    async with asyncio.timeout(30):
        while fanout._tick_took_s != fanout._tick_took_s:  # noqa: ASYNC110 - until it is a number
            await asyncio.sleep(0)
    assert 0 < fanout._tick_took_s < 30
