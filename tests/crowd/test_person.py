"""What one synthetic person does in a real room."""

import asyncio
import random
from dataclasses import replace

from tests.crowd.lecture import HURRY, Lecture
from wslive.crowd.ledger import Ledger
from wslive.crowd.model import Mind
from wslive.crowd.person import Company, Person
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings


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


async def test_a_paused_chat_is_respected(lecture: Lecture):
    await lecture.host.command(2, "set_chat", {"mode": "on", "paused": True})
    crowd = lecture.crowd(4, behaviour=replace(HURRY, line_mean_s=0.05))
    stats = await crowd.run(1)
    assert stats.lines == 0
    assert stats.refused == {}


async def test_somebody_knocks_until_a_server_answers_and_takes_no_for_an_answer(unused_tcp_port: int):
    company = Company(f"http://127.0.0.1:{unused_tcp_port}", "NOSUCH", Ledger(None))
    person = Person(company, Mind(HURRY, seed=1, number=0), random.Random(1))
    living = asyncio.create_task(person.live())
    done, _ = await asyncio.wait({living}, timeout=0.2)
    assert not done
    server = Server(ServerSettings(port=unused_tcp_port), MemoryLog())
    await server.start()
    await asyncio.wait_for(living, 60)
    assert company.stats.refused == {"room_unavailable": 1}
    assert company.stats.joined == 0
    await server.stop()


async def test_somebody_who_is_sent_out_stays_out(lecture: Lecture):
    crowd = lecture.crowd(1)
    running = asyncio.create_task(crowd.run())
    await lecture.host.changed(lambda view: view["people"]["names"], timeout_s=60)
    [actor] = lecture.view["people"]["names"]
    await lecture.host.command(0, "remove_person", {"person": actor})
    await asyncio.wait_for(running, 60)
    assert crowd.here == 0
