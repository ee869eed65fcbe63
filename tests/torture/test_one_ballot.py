"""One person and many votes: one ballot a token. A flood of new people is shown to the host, and hinders no hall."""

import asyncio
import json
import random
import time
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.server.hall import Hall, Person, counts, open_poll
from tests.torture.figures import Figures, Form
from tests.torture.test_access import opened
from wslive.server.settings import Rate, ServerSettings

HALL, HOTEL, CAFE = "203.0.113.7", "198.51.100.9", "192.0.2.1"
PROXIED: dict[str, Any] = {"trusted_proxies": ("127.0.0.1",)}


def at(network: str) -> dict[str, Any]:
    return {"additional_headers": {"X-Forwarded-For": network}}


async def recounted(hall: Hall, poll: int) -> dict[str, str]:
    """Who has voted for what, from the log as the host reads it, by the last vote of each."""
    answer = await hall.http(f"/api/rooms/{hall.code}/events?activity={poll}", bearer=hall.host_key)
    last: dict[str, str] = {}
    for event in map(json.loads, answer.body.splitlines()):
        if event["kind"] == "vote_cast":
            last[event["actor"]] = event["body"]["options"][0]
    return last


async def test_one_token_on_many_connections_is_one_ballot(form: Form, figures: Figures):
    connections, votes = form.choose((10, 20), (50, 400))
    chance = random.Random(form.seed)
    async with opened() as hall:
        host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
        poll = await open_poll(host)
        tabs = [await hall.back(ada) for _ in range(connections)]
        refs = [f"ref{i}" for i in range(votes)]

        async def vote(tab: Person, ref: str) -> None:
            body = {"round": 1, "options": [f"o{int(ref[3:]) % 3 + 1}"]}
            assert (await tab.command(poll, "cast_vote", body, ref=ref))["type"] == "ack"

        async def work(tab: Person) -> None:
            # Each tab sends every vote once, in an order of its own: most are copies of what another has sent.
            for ref in chance.sample(refs, len(refs)):
                await vote(tab, ref)

        await asyncio.gather(*(work(tab) for tab in tabs))
        end = await bob.vote(poll, "o1")
        view = await host.at(end)
        last = await recounted(hall, poll)
        assert sum(counts(view, poll).values()) == 2
        assert view["activities"][str(poll)]["tally"]["answered"] == 2
        assert len(last) == 2
        casts = end - poll
        assert casts == votes + 1, "each ref once in the log"
    figures(
        row=11,
        attack="one token on many connections, each resending the votes of all",
        holds="One ballot a token; each vote is in the log once.",
        connections=connections,
        sent=connections * votes,
        in_the_log=casts - 1,
        ballots_of_this_person=1,
    )


@pytest.mark.parametrize("changeable", [True, False], ids=["changeable", "final"])
async def test_a_race_of_two_connections_is_one_ballot(changeable: bool, form: Form, figures: Figures):
    races = form.choose(30, 1000)
    won = {"o1": 0, "o2": 0}
    async with opened(tick_interval_s=0.005) as hall:
        host, ada = await hall.host(), await hall.join("Ada")
        phone = await hall.back(ada)
        for _ in range(races):
            poll = await open_poll(host, changeable=changeable)
            answers = await asyncio.gather(
                ada.command(poll, "cast_vote", {"round": 1, "options": ["o1"]}),
                phone.command(poll, "cast_vote", {"round": 1, "options": ["o2"]}),
            )
            codes = sorted(answer.get("code", "ack") for answer in answers)
            assert codes == (["ack", "ack"] if changeable else ["ack", "already_voted"])
            end = max(answer.get("offset", 0) for answer in answers)
            tally = counts(await host.at(end), poll)
            assert sum(tally.values()) == 1
            (last,) = (await recounted(hall, poll)).values()
            assert tally[last] == 1
            won[last] += 1
    figures(
        row=11,
        attack="two connections of one person vote at once, " + ("changeable" if changeable else "final"),
        holds="One ballot, that of the vote the log has last; a final one is never replaced.",
        races=races,
        ballots=races,
    )


async def test_a_hello_with_the_same_ref_is_one_person_however_often(form: Form, figures: Figures):
    times = form.choose(50, 2000)
    async with opened() as hall:
        host = await hall.host()
        ref = "a-ref-that-nobody-guesses"

        async def come() -> str:
            person = await hall.join("Ada", ref=ref)
            await person.leave()
            return str(person.welcome["actor"])

        actors = set()
        for start in range(0, times, 50):
            actors |= set(await asyncio.gather(*(come() for _ in range(min(50, times - start)))))
        end = await host.done(0, "lock", {"locked": True})
        assert len(actors) == 1
        assert (await host.at(end))["people"]["count"] == 1
    figures(
        row=11,
        attack="the same hello again and again",
        holds="It is the same person.",
        hellos=times,
        people=1,
    )


async def test_a_flood_is_shown_to_the_host_and_to_nobody_else(form: Form, figures: Figures):
    size = form.choose(60, 500)
    async with opened(presence_interval_s=0.0, sweep_interval_s=0.05, **PROXIED) as hall:
        host, viewer = await hall.host(), await hall.come(role="viewer")
        first = await hall.join("Ada", connect=at(HALL))
        for i in range(size):
            # A script that mints identities, from two networks.
            person = await hall.join(f"Bot {i}", connect=at(HOTEL if i % 3 else CAFE))
            await person.leave()
        while host.presence.get("arrivals", {}).get("last_minute") != size + 1:
            await host.receive()
        told = host.presence["arrivals"]
        most = size - (size + 2) // 3
        assert told == {"last_minute": size + 1, "networks": 3, "largest": most, "from_elsewhere": True}
        await first.done(2, "say", {"text": "who are all these?"})
        for other in (first, viewer):
            await other.since_now()
            assert not [frame for frame in other.frames if "arrivals" in frame]
        again = await hall.come(token=first.token)
        assert again.welcome["actor"] == first.welcome["actor"]
        assert (await hall.host()).presence["arrivals"]["last_minute"] == size + 1, "who comes back is not new"
        log = (await hall.http(f"/api/rooms/{hall.code}/events", bearer=hall.host_key)).body.decode()
        for address in (HALL, HOTEL, CAFE):
            assert address not in log
    figures(
        row=11,
        attack="a script mints identities from two networks",
        holds="The host is told how many and from how many networks; nobody else is, and the log has no address.",
        minted=size,
        told_last_minute=told["last_minute"],
        told_networks=told["networks"],
    )


async def test_a_hall_behind_one_address_is_not_hindered(form: Form, figures: Figures):
    size = form.choose(300, 2000)
    told_to_wait = 0

    async def come(hall: Hall, i: int) -> Person:
        nonlocal told_to_wait
        while True:
            try:
                return await hall.join(f"P{i}", connect=at(HALL))
            except InvalidStatus as refused:  # 503 says for how long; anything else says nothing, and fails
                told_to_wait += 1
                await asyncio.sleep(float(refused.response.headers["Retry-After"]))

    async with opened(handshake_rate=ServerSettings().handshake_rate, **PROXIED) as hall:
        host = await hall.host()
        began_s = time.perf_counter()
        people: list[Person] = []
        for start in range(0, size, 100):
            people += await asyncio.gather(*(come(hall, i) for i in range(start, min(size, start + 100))))
        took_s = time.perf_counter() - began_s
        assert len({person.welcome["actor"] for person in people}) == size
        end = await host.done(0, "lock", {"locked": True})
        assert (await host.at(end))["people"]["count"] == size
        fresh = await hall.host()
        found = fresh.presence["arrivals"]
        assert found["networks"] == 1
        if took_s < 60:
            assert found["last_minute"] == found["largest"] == size
    if form.is_long:
        assert took_s < 60
    figures(
        row=11,
        attack="a hall behind one address comes in at once",
        holds="2,000 people from one address come in within 60 seconds, and none is turned away.",
        people=size,
        turned_away=0,
        told_to_wait=told_to_wait,
        took_s=round(took_s, 1),
    )


async def test_only_max_participants_turns_new_people_away():
    async with opened(max_participants=30, **PROXIED) as hall:

        async def knock(i: int) -> str:
            person = await hall.connect(**at(HALL))
            return str((await person.hello(room=hall.code, name=f"P{i}"))["type"])

        outcomes = await asyncio.gather(*(knock(i) for i in range(50)))
        assert (outcomes.count("welcome"), outcomes.count("refused")) == (30, 20)


RATES: dict[str, tuple[int, str, dict[str, Any]]] = {
    "vote_rate": (0, "cast_vote", {"round": 1, "options": ["o1"]}),
    "line_rate": (2, "say", {"text": "hello"}),
    "name_rate": (0, "rename", {"name": "Another"}),
}


@pytest.mark.parametrize("rate", RATES)
async def test_whoever_is_too_fast_is_told_when_to_come_back_and_may_then(rate: str):
    async with opened(**{rate: Rate(per_s=2, burst=3)}) as hall:
        host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
        activity, kind, body = RATES[rate]
        activity = await open_poll(host) if kind == "cast_vote" else activity
        began_s = time.perf_counter()
        refs = [await ada.ask(activity, kind, body) for _ in range(30)]
        answers = [await ada.answer(ref) for ref in refs]
        most_taken = 3 + 2 * (time.perf_counter() - began_s)
        refused = [answer for answer in answers if answer["type"] == "refused"]
        assert {answer["code"] for answer in refused} == {"too_fast"}
        assert len(answers) - len(refused) <= most_taken
        assert all(0 < answer["retry_after_s"] <= 0.5 for answer in refused)
        # Another person does not pay for it, and the time that was named is enough.
        assert (await bob.command(activity, kind, body))["type"] == "ack"
        await asyncio.sleep(refused[-1]["retry_after_s"])
        assert (await ada.command(activity, kind, body))["type"] == "ack"
