"""A room that only invitations open: one paper, one person, one ballot, whatever is tried with it."""

import asyncio
import random
from pathlib import Path

from tests.server.hall import Hall, counts, open_poll
from tests.torture.figures import Figures, Form
from tests.torture.test_access import opened
from wslive.eventlog.sqlite import SqliteLog


def papers(hall: Hall, count: int) -> list[str]:
    signer = hall.server.context.door.signer
    return [signer.invitation(hall.room, number) for number in range(1, count + 1)]


async def test_one_paper_is_one_person_and_one_ballot(form: Form, figures: Figures):
    count, copies = form.choose((20, 5), (500, 20))
    chance = random.Random(form.seed)
    async with opened() as hall:
        host = await hall.host()
        poll = await open_poll(host)
        await host.done(0, "lock", {"locked": True})
        made = papers(hall, count)
        # Each paper is tried by several at once, each with a ref of their own, as from photographs of it.
        tries = [(paper, f"a-ref-of-somebody-{i}-{j}") for i, paper in enumerate(made) for j in range(copies)]
        chance.shuffle(tries)
        outcomes = {"welcome": 0, "not_allowed": 0}

        async def use(paper: str, ref: str) -> None:
            person = await hall.connect()
            answer = await person.hello(room=hall.code, ref=ref, invitation=paper)
            outcomes[answer.get("code", "welcome")] += 1
            if answer["type"] == "welcome":
                await person.vote(poll, "o2")
            await person.leave()

        for start in range(0, len(tries), 50):
            await asyncio.gather(*(use(*one) for one in tries[start : start + 50]))
        assert outcomes == {"welcome": count, "not_allowed": count * (copies - 1)}
        end = await host.done(0, "lock", {"locked": True})
        view = await host.at(end)
        assert view["people"]["count"] == count
        assert counts(view, poll) == {"o1": 0, "o2": count, "o3": 0}
        assert {person["level"] for person in view["people"]["names"].values()} == {2}
    figures(
        row=11,
        attack="each invitation is tried by several at once, into a locked room",
        holds="One invitation is one person and one ballot.",
        invitations=count,
        tries=len(tries),
        people=count,
        ballots=count,
    )


async def test_a_used_paper_stays_used_over_a_restart(tmp_path: Path):
    kept = {"secret_path": tmp_path / "key"}
    path = tmp_path / "store.db"
    async with opened(await SqliteLog.open(path), **kept) as hall:
        (paper,) = papers(hall, 1)
        ada = await hall.join("Ada", invitation=paper, ref="the-ref-of-the-first-one")
        code, actor = hall.code, ada.welcome["actor"]
    async with opened(await SqliteLog.open(path), **kept) as hall:
        again = await hall.join("Ada", room=code, invitation=paper, ref="the-ref-of-the-first-one")
        assert again.welcome["actor"] == actor
        eve = await hall.connect()
        assert (await eve.hello(room=code, invitation=paper, ref="the-ref-of-somebody-else"))["code"] == "not_allowed"
