import msgspec
import pytest

from tests.small_room import HOST, LEDGER, VIEWER, SmallRoom, person, plain
from wslive.core import room_view
from wslive.core.errors import UnknownActivity
from wslive.core.room import NAMES_SHOWN_UP_TO
from wslive.core.view import Put, Remove, Set, patch

ADA = person("p_ada")


@pytest.fixture
def small() -> SmallRoom:
    small = SmallRoom(title="Sorting 101")
    small.join("p_ada", "Ada")
    return small


def test_the_whole_view_of_a_new_room(small: SmallRoom) -> None:
    assert small.view(ADA) == {
        "room": {
            "title": "Sorting 101",
            "opened_at_ms": 1_700_000_000_000,
            "locked": False,
            "ended": False,
            "stage": 0,
        },
        "people": {"count": 1, "names": {"p_ada": {"name": "Ada", "joined_at_ms": 1_700_000_002_000}}},
        "activities": {
            "2": {
                "kind": "chat",
                "settings": {"mode": "on", "paused": False},
                "history": {"from": 0, "more": False},
                "lines": {},
            }
        },
        "me": {"actor": "p_ada", "role": "participant", "name": "Ada", "muted": False, "activities": {}},
    }


def test_the_host_sees_who_is_muted_and_others_do_not(small: SmallRoom) -> None:
    small.send(HOST, "mute", person="p_ada")
    assert small.view(HOST)["people"]["names"]["p_ada"]["muted"] is True
    assert "muted" not in small.view(VIEWER)["people"]["names"]["p_ada"]
    assert small.view(ADA)["me"]["muted"] is True


def test_host_and_viewer_are_told_what_they_are(small: SmallRoom) -> None:
    assert small.view(HOST)["me"] == {
        "actor": "host",
        "role": "host",
        "name": "Host",
        "muted": False,
        "activities": {},
    }
    assert small.view(VIEWER)["me"]["role"] == "viewer"


def test_a_removed_person_is_no_longer_listed(small: SmallRoom) -> None:
    small.join("p_bob", "Bob")
    small.send(HOST, "remove_person", person="p_bob")
    assert small.view(ADA)["people"] == {"count": 1, "names": small.view(ADA)["people"]["names"]}
    assert list(small.view(ADA)["people"]["names"]) == ["p_ada"]


def test_in_a_big_room_participants_are_told_counts_and_the_host_names(small: SmallRoom) -> None:
    before = {who: small.view(who) for who in (ADA, HOST, VIEWER)}
    at = small.room.head.offset
    for number in range(NAMES_SHOWN_UP_TO):
        small.join(f"p_{number}")
    assert small.view(ADA)["people"] == {"count": NAMES_SHOWN_UP_TO + 1}
    assert small.view(VIEWER)["people"] == {"count": NAMES_SHOWN_UP_TO + 1}
    assert len(small.view(HOST)["people"]["names"]) == NAMES_SHOWN_UP_TO + 1
    for who, view in before.items():
        assert patch(view, small.changes(who, at)) == small.view(who)


def test_names_come_back_when_the_room_is_small_again(small: SmallRoom) -> None:
    for number in range(NAMES_SHOWN_UP_TO):
        small.join(f"p_{number}")
    view, at = small.view(ADA), small.room.head.offset
    small.send(HOST, "remove_person", person="p_7")
    assert patch(view, small.changes(ADA, at)) == small.view(ADA)
    assert len(small.view(ADA)["people"]["names"]) == NAMES_SHOWN_UP_TO


def test_nothing_changed_is_no_operation(small: SmallRoom) -> None:
    small.vote(ADA, small.poll(), "o1")
    for who in (HOST, LEDGER, ADA, VIEWER):
        assert small.changes(who, small.room.head.offset) == []


def test_a_vote_changes_the_tally_and_nothing_else(small: SmallRoom) -> None:
    poll = small.poll()
    at = small.room.head.offset
    small.vote(ADA, poll, "o2")
    tally = {"answered": 1, "counts": {"o1": 0, "o2": 1, "o3": 0}, "earlier": []}
    path = ("activities", str(poll), "tally")
    mine = Set(("me", "activities", str(poll)), {"round": 1, "options": ["o2"]})
    assert small.changes(VIEWER, at) == [Set(path, tally)]
    assert small.changes(HOST, at) == [Set(path, tally)]
    assert small.changes(ADA, at) == [Set(path, tally), mine]


def test_people_come_and_go_one_by_one(small: SmallRoom) -> None:
    at = small.room.head.offset
    small.join("p_bob", "Bob")
    small.join("p_eve", "Eve")
    small.send(HOST, "remove_person", person="p_eve")
    bob = {"name": "Bob", "joined_at_ms": small.room.person("p_bob").joined_at_ms}
    assert small.changes(VIEWER, at) == [
        Set(("people", "count"), 2),
        Put(("people", "names"), "p_bob", bob),
        Remove(("people", "names"), "p_eve"),
    ]


def test_the_parts_a_tick_sends_are_the_changes_that_a_resume_sends(small: SmallRoom) -> None:
    poll = small.poll()
    at = small.room.head.offset
    small.vote(ADA, poll, "o1")
    small.send(ADA, "say", 2, text="done")
    small.send(HOST, "lock")
    for who in (HOST, LEDGER, ADA, VIEWER):
        ops = []
        for part in room_view.parts(small.room):
            if room_view.changed(small.room, part) > at:
                group = room_view.audience(small.room, part, who)
                if group.since > at:
                    ops += room_view.whole_part(small.room, part, group.name)
                else:
                    ops += room_view.part_changes(small.room, part, group.name, at)
        assert ops + room_view.personal_changes(small.room, who, at) == room_view.changes(small.room, who, at)


def test_older_entries_are_those_of_the_readers_audience(small: SmallRoom) -> None:
    first = small.send(ADA, "say", 2, text="first")
    second = small.send(ADA, "say", 2, text="second")
    small.send(HOST, "hide_line", 2, line=first)
    texts = {
        who.role: [line["text"] for line in room_view.older(small.room, who, 2, second + 1, 10)] for who in (HOST, ADA)
    }
    assert texts == {HOST.role: ["first", "second"], ADA.role: ["second"]}


def test_a_poll_has_nothing_older(small: SmallRoom) -> None:
    assert room_view.older(small.room, ADA, small.poll(), 99, 10) == []
    with pytest.raises(UnknownActivity):
        room_view.older(small.room, ADA, 99, 99, 10)


def test_a_view_is_plain_json_data(small: SmallRoom) -> None:
    poll = small.poll("$n^2$", "b", max_choices=2)
    small.vote(ADA, poll, "o1", "o2")
    small.send(ADA, "say", 2, text="hello")
    for who in (HOST, LEDGER, ADA, VIEWER):
        view = room_view.snapshot(small.room, who)
        assert plain(view) == view
        assert msgspec.json.decode(msgspec.json.encode(view)) == view
