from __future__ import annotations

import json

from tests.server.conftest import OpenHall
from tests.server.faulty_log import FaultyLog
from tests.server.hall import Hall
from wslive.core.errors import NotAppended
from wslive.eventlog.memory import MemoryLog


async def test_a_server_is_alive_and_ready(hall: Hall):
    assert json.loads((await hall.http("/health")).body) == {"status": "alive"}
    response = await hall.http("/ready")
    assert (response.code, json.loads(response.body)) == (200, {"status": "ready"})


async def test_a_server_whose_store_takes_nothing_is_alive_but_not_ready(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    with log.broken(NotAppended("Nothing was stored: database or disk is full"), "probe"):
        response = await hall.http("/ready")
    assert response.code == 503
    assert json.loads(response.body)["reason"] == "Nothing was stored: database or disk is full"
    assert (await hall.http("/health")).code == 200


async def test_why_is_not_told_to_strangers(open_hall: OpenHall):
    log = FaultyLog(MemoryLog())
    hall = await open_hall(log)
    with log.broken(NotAppended("Nothing was stored in /home/ada/rooms.db"), "probe"):
        response = await hall.http("/ready", headers={"X-Forwarded-For": "192.0.2.7"})
    assert response.code == 503
    assert "/home" not in response.body.decode()


async def test_metrics_are_not_there_unless_they_are_wanted(hall: Hall):
    assert (await hall.http("/metrics")).code == 404


async def test_without_a_token_metrics_are_for_this_computer_alone(open_hall: OpenHall):
    hall = await open_hall(metrics=True, public_url="https://live.example.org")
    assert (await hall.http("/metrics")).code == 200
    # A proxy on the same computer comes from loopback, too.
    for headers in ({"Host": "live.example.org"}, {"X-Forwarded-For": "192.0.2.7"}, {"Via": "1.1 proxy"}):
        response = await hall.http("/metrics", headers=headers)
        assert (response.code, json.loads(response.body)["code"]) == (403, "not_allowed")


async def test_with_a_token_metrics_are_for_whoever_has_it(open_hall: OpenHall):
    hall = await open_hall(metrics=True, metrics_token="mt_secret", public_url="https://live.example.org")
    for wrong in (None, "", "mt_other", "mt_secrété"):
        assert (await hall.http("/metrics", bearer=wrong)).code == 403
    assert (await hall.http("/metrics", bearer="mt_secret")).code == 200
    assert (await hall.http("/metrics", bearer="mt_secret", headers={"Host": "live.example.org"})).code == 200
