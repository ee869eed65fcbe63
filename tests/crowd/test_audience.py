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


async def test_a_crowd_goes_home_when_the_room_ends(lecture: Lecture):
    crowd = lecture.crowd(3)
    running = asyncio.create_task(crowd.run())
    await lecture.host.changed(lambda view: view["people"]["count"] == 3, timeout_s=60)
    await lecture.host.command(0, "end_room", {})
    await asyncio.wait_for(running, 60)
    assert crowd.here == 0


async def test_a_crowd_without_a_room_or_a_server_says_so(lecture: Lecture, unused_tcp_port: int):
    with pytest.raises(RoomUnavailable):
        await Crowd(lecture.server.url, "NOSUCH", 2).run(1)
    with pytest.raises(NotConnected, match="connection refused"):
        await Crowd(f"http://127.0.0.1:{unused_tcp_port}", "NOSUCH", 2).run(1)
