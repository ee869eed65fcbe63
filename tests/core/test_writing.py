"""From commands to events, where a box is in between."""

import msgspec
import pytest

from tests.small_room import HOST, LEDGER, SmallRoom, person
from wslive.core.commands import Command
from wslive.core.errors import BallotsLost, SecretPollClosed, TemporarilyUnavailable
from wslive.core.writing import filed_under

ADA, BOB = person("p_ada"), person("p_bob")


@pytest.fixture
def small() -> SmallRoom:
    small = SmallRoom()
    small.join("p_ada")
    small.join("p_bob")
    return small


def cast(ref: str, poll: int, *options: str, round: int = 1) -> Command:
    return Command(ref, poll, "cast_vote", msgspec.Raw(msgspec.json.encode({"round": round, "options": options})))


def test_a_secret_vote_stands_in_the_log_without_name_ref_and_choice(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    offset = small.submit(ADA, cast("adas-own-ref", poll, "o2"))
    event = small.log[offset - 1]
    assert (event.kind, event.activity) == ("sealed", poll)
    assert event.actor.startswith("s_")
    written = msgspec.json.encode(event)
    assert not any(text in written for text in (b"p_ada", b"adas-own-ref", b"o2", b"vote"))


def test_what_a_box_held_follows_at_once_whatever_closes_it(small: SmallRoom) -> None:
    def closing(kind: str, activity: int, body: dict[str, object]) -> list[str]:
        poll = small.poll(secret=True, keep_open=True)
        small.vote(ADA, poll, "o2")
        before = len(small.log)
        small.send(HOST, kind, activity or poll, **body)
        return [event.kind for event in small.log[before:]]

    assert closing("close", 0, {}) == ["voting_ended", "ballots_counted"]
    assert closing("start_round", 0, {}) == ["round_started", "ballots_counted"]
    assert closing("discard", 0, {}) == ["poll_discarded", "ballots_counted"]
    poll = small.poll(secret=True, keep_open=True)
    small.vote(ADA, poll, "o2")
    small.poll()
    assert [event.kind for event in small.log[-2:]] == ["activity_opened", "ballots_counted"]
    first, second = (small.poll(secret=True, keep_open=True) for _ in range(2))
    small.vote(ADA, first, "o2")
    small.send(HOST, "end_room")
    assert [event.kind for event in small.log[-4:]] == ["room_ended", *["ballots_counted"] * 3]  # one had a new round
    assert {event.activity for event in small.log[-3:]} >= {first, second}
    assert small.keys == {}


def test_a_retry_is_found_while_the_box_is_open_and_cannot_be_afterwards(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    command = cast("r1", poll, "o2")
    offset = small.submit(ADA, command)
    assert filed_under(small.room, ADA, command) != ("p_ada", "r1")
    assert small.submit(ADA, command) == offset
    small = small.folded()  # a restart, with the key
    assert small.submit(ADA, command) == offset
    assert small.submit(BOB, command) == offset + 1  # another person's
    small.send(HOST, "close", poll)
    with pytest.raises(SecretPollClosed):
        small.submit(ADA, command)


def test_without_the_key_an_open_box_takes_nothing_and_can_be_closed(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.vote(ADA, poll, "o2")
    small = SmallRoom.of(small.log)
    with pytest.raises(BallotsLost):
        small.vote(BOB, poll, "o1")
    assert small.seen(ADA, poll)["status"]["lost"]
    small.send(HOST, "close", poll)
    shown = small.seen(LEDGER, poll)
    assert shown["tally"] == {"answered": 0, "counts": {"o1": 0, "o2": 0, "o3": 0}, "earlier": []}
    assert shown["status"]["lost"]
    small.send(HOST, "start_round", poll)
    small.vote(BOB, poll, "o1")
    assert "lost" not in small.seen(ADA, poll)["status"]
    small.send(HOST, "close", poll)
    assert small.seen(HOST, poll)["tally"]["counts"] == {"o1": 1, "o2": 0, "o3": 0}
    assert SmallRoom.of(small.log).view(HOST) == small.view(HOST)


def test_a_box_that_has_no_key_yet_sends_people_away_for_a_moment(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    small.keys.clear()
    with pytest.raises(TemporarilyUnavailable):
        small.vote(ADA, poll, "o2")
