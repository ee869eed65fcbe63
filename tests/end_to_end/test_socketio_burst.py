"""Ten thousand clicks at once: one ballot a client, an answer for each click, and the true tally at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.socketio_hall import Client, SocketIoHall, socketio_hall

CLIENTS = 100
CLICKS = 100
UPDATES_PER_S = 20


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[SocketIoHall]:
    """A room with the limits that it has by itself."""
    with socketio_hall(tmp_path) as hall:
        yield hall


@pytest.mark.parametrize(
    ("transports", "changeable"),
    [(["polling", "websocket"], True), (["polling"], False)],
    ids=["as clients are, answers may change", "polling alone, answers are final"],
)
def test_ten_thousand_votes_of_a_hundred_clients_are_a_hundred_ballots(
    hall: SocketIoHall, transports: list[str], changeable: bool
) -> None:
    poll = hall.poll("Which language?", ["JavaScript", "C#", "PHP", "Python", "Go"], changeable=changeable)
    notebook = hall.connect(name="Nora")
    burst = Client("burst.js", hall.url, CLIENTS, CLICKS, transports=transports)
    burst.wait_for(lambda entry: entry == ["answered"], timeout_s=200)

    # What the log says happened.
    cast = {event["offset"]: event for event in hall.events() if event["kind"] == "vote_cast"}
    ballots = {event["actor"]: event["body"]["options"] for event in cast.values()}
    truth = Counter(option for options in ballots.values() for option in options)
    counts = {f"o{number}": truth[f"o{number}"] for number in range(1, 6)}
    assert len(ballots) == CLIENTS
    notebook.wait_for_tally(poll, counts)
    burst.tell(json.dumps(list(counts.values()), separators=(",", ":")))
    report = burst.wait_for(lambda entry: entry[0] == "report")[1]
    burst.close()
    assert len(report) == CLIENTS
    for client in report:
        # Every click was answered: with its offset in the log, or with the reason.
        assert len(client["accepted"]) + sum(client["refused"].values()) == CLICKS
        assert client["refused"].keys() <= ({"too_fast"} if changeable else {"too_fast", "already_voted"})
        assert client["last"] == list(counts.values())
        assert client["updates"] <= UPDATES_PER_S * client["took_s"] + 2
        assert len({cast[offset]["actor"] for offset in client["accepted"]}) == 1
        if not changeable:
            assert len(client["accepted"]) == 1
    accepted = [offset for client in report for offset in client["accepted"]]
    assert sorted(accepted) == sorted(cast)
    assert sum(client["updates"] for client in report) > 0
