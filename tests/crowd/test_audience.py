"""A crowd in a real room."""

import asyncio
from dataclasses import replace

import pytest

from tests.crowd.lecture import HURRY, Lecture
from wslive.core.errors import NotConnected, RoomUnavailable
from wslive.crowd import Crowd, read_ledger
from wslive.crowd.audit import compare


async def test_a_crowd_joins_votes_talks_and_goes_and_its_ledger_equals_the_log(lecture: Lecture):
    poll = await lecture.ask()
    crowd = lecture.crowd(12, leaning="merge")
    running = asyncio.create_task(crowd.run())
    await lecture.host.changed(
        lambda view: (
            view["people"]["count"] == 12
            and lecture.poll(poll)["tally"]["answered"] >= 6
            and len(view["activities"]["2"]["lines"]) >= 6
        ),
        timeout_s=60,
    )
    assert crowd.here > 0
    crowd.stop()
    stats = await running
    assert crowd.here == 0
    assert stats.joined == 12
    assert stats.unsettled == 0
    assert all(person["name"].endswith(" (synthetic)") for person in lecture.view["people"]["names"].values())

    entries = read_ledger(lecture.ledger)
    assert len(entries) == stats.acked.total()
    # The host's replica is one delta behind at most; it is waited for, not assumed.
    await lecture.host.changed(lambda view: lecture.host.replica.offset >= max(e.offset for e in entries))
    found = compare(entries, lecture.store, lecture.room)
    assert found.problems == ()
    assert found.votes == stats.votes
    assert found.lines == stats.lines == len(lecture.view["activities"]["2"]["lines"])
    assert found.ballots == lecture.poll(poll)["tally"]["answered"] == len(lecture.poll(poll)["ballots"])


async def test_people_follow_the_polls_that_open_and_close_while_they_are_there(lecture: Lecture):
    crowd = lecture.crowd(6, behaviour=replace(HURRY, leave_mean_s=1000))
    running = asyncio.create_task(crowd.run())
    for _ in range(2):
        poll = await lecture.ask()
        await lecture.answered(poll, 3)
        await lecture.host.command(poll, "start_round", {})
        await lecture.answered(poll, 3)
        await lecture.host.command(poll, "close", {})
    crowd.stop()
    await running
    assert compare(read_ledger(lecture.ledger), lecture.store, lecture.room).problems == ()


async def test_people_may_choose_several_and_answer_only_once_where_answers_stay(lecture: Lecture):
    poll = await lecture.ask(max_choices=2, changeable=False)
    crowd = lecture.crowd(10, behaviour=replace(HURRY, further_choice=0.9, leave_mean_s=1000))
    running = asyncio.create_task(crowd.run())
    await lecture.answered(poll, 8)
    crowd.stop()
    stats = await running
    assert "already_voted" not in stats.refused
    assert max(len(ballot["options"]) for ballot in lecture.poll(poll)["ballots"].values()) == 2


async def test_somebody_who_leaves_comes_back_as_the_same_person(lecture: Lecture):
    await lecture.ask()
    crowd = lecture.crowd(3, behaviour=replace(HURRY, leave_mean_s=0.1))
    running = asyncio.create_task(crowd.run())
    while crowd.stats.came_back < 3:  # noqa: ASYNC110 - coming back changes nothing that an event could tell
        await asyncio.sleep(0.02)
    crowd.stop()
    stats = await running
    assert stats.joined == 3 == lecture.view["people"]["count"]


async def test_a_crowd_goes_home_when_the_room_ends(lecture: Lecture):
    crowd = lecture.crowd(3)
    running = asyncio.create_task(crowd.run())
    await lecture.host.changed(lambda view: view["people"]["count"] == 3, timeout_s=60)
    await lecture.host.command(0, "end_room", {})
    await asyncio.wait_for(running, 60)
    assert crowd.here == 0


async def test_a_paused_chat_is_respected(lecture: Lecture):
    await lecture.host.command(2, "set_chat", {"mode": "on", "paused": True})
    crowd = lecture.crowd(4, behaviour=replace(HURRY, line_mean_s=0.05))
    stats = await crowd.run(1)
    assert stats.lines == 0
    assert stats.refused == {}


async def test_a_crowd_without_a_room_or_a_server_says_so(lecture: Lecture, unused_tcp_port: int):
    with pytest.raises(RoomUnavailable):
        await Crowd(lecture.server.url, "NOSUCH", 2).run(1)
    with pytest.raises(NotConnected, match="connection refused"):
        await Crowd(f"http://127.0.0.1:{unused_tcp_port}", "NOSUCH", 2).run(1)
