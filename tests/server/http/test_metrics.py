from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tests.server.conftest import OpenHall
from tests.server.faulty_log import FaultyLog
from tests.server.hall import CHAT, Hall, open_poll
from wslive.core.errors import InDoubt
from wslive.eventlog.memory import MemoryLog

Samples = dict[tuple[str, tuple[str, ...]], float]


async def samples(hall: Hall) -> Samples:
    """What Prometheus would read."""
    response = await hall.http("/metrics")
    assert response.code == 200
    families = text_string_to_metric_families(response.body.decode())
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


async def test_what_happens_is_counted(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log, metrics=True)
    host, ada = await hall.host(), await hall.join("Ada")
    poll = await open_poll(host)
    await ada.vote(poll, "o1")
    await host.at(await ada.vote(poll, "o2"))
    refused = await ada.command(CHAT, "hide_line", {"line": 1, "hidden": True})
    assert refused["code"] == "not_allowed"
    log.fail("append", InDoubt("the commit failed"))
    assert (await ada.command(CHAT, "say", {"text": "hello"}))["code"] == "temporarily_unavailable"
    found = await samples(hall)
    assert found["wslive_connections", ()] == 2
    assert found["wslive_rooms", ()] == 1
    assert found["wslive_people", ()] == 1
    assert found["wslive_commands_total", ("cast_vote", "ack")] == 2
    assert found["wslive_commands_total", ("hide_line", "not_allowed")] == 1
    assert found["wslive_store_failures_total", ("in_doubt",)] == 1
    assert found["wslive_welcomes_total", ("snapshot",)] == 2
    assert found["wslive_append_events_sum", ()] >= found["wslive_append_events_count", ()] >= 4
    assert found["wslive_append_seconds_count", ()] == found["wslive_append_events_count", ()]
    assert found["wslive_answer_seconds_count", ()] >= found["wslive_append_seconds_count", ()]
    assert found["wslive_fanout_bytes_total", ()] > found["wslive_fanout_frames_total", ()] > 0


async def test_no_label_is_what_somebody_chose(open_hall: OpenHall):
    hall = await open_hall(metrics=True)
    ada = await hall.join("Ada Lovelace")
    for kind in ("made_up_by_somebody", "another_one"):
        await ada.command(CHAT, kind, {})
    text = (await hall.http("/metrics")).body.decode()
    assert 'wslive_commands_total{kind="other",outcome="unknown_command"} 2.0' in text
    assert not [word for word in ("made_up", "another_one", "Ada", hall.code, "Sorting") if word in text]


async def test_who_is_not_let_in_or_closed_is_counted(open_hall: OpenHall):
    hall = await open_hall(metrics=True)
    stranger = await hall.connect()
    assert (await stranger.hello(room="ZZZZZZ"))["code"] == "room_unavailable"
    await stranger.closed()
    found = await samples(hall)
    assert found["wslive_refused_hellos_total", ("room_unavailable",)] == 1
    assert found["wslive_closed_connections_total", ("room_unavailable",)] == 1


async def test_the_lag_of_the_loop_is_measured(open_hall: OpenHall):
    hall = await open_hall(metrics=True, sweep_interval_s=0.01)
    async with asyncio.timeout(10):
        while (await samples(hall))["wslive_loop_lag_seconds_count", ()] < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_two_servers_in_one_process_count_each_for_themselves(open_hall: OpenHall):
    first, second = await open_hall(metrics=True), await open_hall(metrics=True)
    await first.join("Ada")
    assert (await samples(first))["wslive_connections", ()] == 1
    assert (await samples(second))["wslive_connections", ()] == 0
