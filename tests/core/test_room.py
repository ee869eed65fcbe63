import msgspec
import pytest

from tests.small_room import EPOCH, HOST, VIEWER, SmallRoom, person
from wslive.activities import activities
from wslive.core.commands import Command
from wslive.core.errors import (
    BadCommand,
    EmptyText,
    NotAllowed,
    PollClosed,
    QuestionChanged,
    Removed,
    RoomHasEnded,
    RoomUnavailable,
    StoreTooNew,
    TextTooLong,
    UnknownActivity,
    UnknownCommand,
    UnknownPerson,
)
from wslive.core.events import Event, next_event
from wslive.core.roles import Who
from wslive.core.room import ROOM, Room, apply, replay

ADA, BOB = person("p_ada"), person("p_bob")


@pytest.fixture
def small() -> SmallRoom:
    """A room with Ada and Bob."""
    small = SmallRoom()
    small.join("p_ada", "Ada")
    small.join("p_bob", "Bob")
    return small


def an_event(room: Room, kind: str, body: bytes, *, activity: int = ROOM, version: int = 1) -> Event:
    return next_event(
        room.head, at_ms=0, actor="host", ref="x", activity=activity, kind=kind, version=version, body=body
    )


# ── coming in ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_people_come_in_with_their_names(small: SmallRoom) -> None:
    assert small.room.person("p_ada").name == "Ada"
    assert small.room.people_count == 2


@pytest.mark.parametrize("name", [None, "", "   "])
def test_whoever_gives_no_name_is_given_one(small: SmallRoom, name: str | None) -> None:
    small.join("p_3", name)
    assert small.room.person("p_3").name == "Guest 3"


def test_a_given_name_is_not_given_again_after_somebody_was_removed(small: SmallRoom) -> None:
    small.join("p_3")
    small.send(HOST, "remove_person", person="p_3")
    small.join("p_4")
    assert small.room.person("p_4").name == "Guest 4"


def test_nobody_comes_in_twice(small: SmallRoom) -> None:
    assert isinstance(small.refused(ADA, "join", name="Ada again"), BadCommand)
    assert small.room.people_count == 2


def test_a_locked_room_takes_nobody_new_until_it_is_open_again(small: SmallRoom) -> None:
    small.send(HOST, "lock")
    assert isinstance(small.refused(person("p_3"), "join", name="Eve"), RoomUnavailable)
    small.vote(ADA, small.poll(), "o1")  # those inside go on
    small.send(HOST, "lock", locked=False)
    small.join("p_3", "Eve")


def test_joining_a_room_that_has_ended_is_refused_like_any_other(small: SmallRoom) -> None:
    small.send(HOST, "end_room")
    assert isinstance(small.refused(person("p_3"), "join", name="Eve"), RoomUnavailable)


def test_a_room_is_opened_once(small: SmallRoom) -> None:
    assert isinstance(small.refused(HOST, "open_room", title="Another"), BadCommand)


# ── people ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_people_rename_themselves_and_the_host_anybody(small: SmallRoom) -> None:
    small.send(ADA, "rename", name="Countess Ada")
    small.send(HOST, "rename", name="Robert", person="p_bob")
    assert [small.room.person(a).name for a in ("p_ada", "p_bob")] == ["Countess Ada", "Robert"]


def test_people_cannot_rename_each_other(small: SmallRoom) -> None:
    assert isinstance(small.refused(ADA, "rename", name="Bobby", person="p_bob"), NotAllowed)


def test_names_are_cleaned_and_limited(small: SmallRoom) -> None:
    small.send(ADA, "rename", name=" A\u202eda\n ")
    assert small.room.person("p_ada").name == "Ada"
    assert isinstance(small.refused(ADA, "rename", name="\u200b"), EmptyText)
    assert isinstance(small.refused(ADA, "rename", name="a" * 41), TextTooLong)


def test_a_removed_person_can_do_nothing_and_does_not_come_back(small: SmallRoom) -> None:
    poll = small.poll()
    small.vote(ADA, poll, "o1")
    small.send(HOST, "remove_person", person="p_ada")
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o2"]), Removed)
    assert isinstance(small.refused(ADA, "say", 2, text="let me in"), Removed)
    assert isinstance(small.refused(ADA, "rename", name="Eve"), Removed)
    assert isinstance(small.refused(ADA, "join", name="Ada"), RoomUnavailable)
    assert small.room.people_count == 1
    assert small.state(poll).current.answered == 1  # what was answered before stays


def test_nobody_speaks_who_never_came_in(small: SmallRoom) -> None:
    assert isinstance(small.refused(person("p_stranger"), "say", 2, text="hello"), NotAllowed)


@pytest.mark.parametrize(
    ("kind", "body"),
    [("rename", {"name": "X", "person": "p_x"}), ("mute", {"person": "p_x"}), ("remove_person", {"person": "p_x"})],
)
def test_people_who_are_not_there_cannot_be_spoken_of(small: SmallRoom, kind: str, body: dict[str, str]) -> None:
    assert isinstance(small.refused(HOST, kind, **body), UnknownPerson)
    small.join("p_x")
    small.send(HOST, "remove_person", person="p_x")
    assert isinstance(small.refused(HOST, kind, **body), UnknownPerson)


def test_the_host_is_no_participant_to_be_renamed(small: SmallRoom) -> None:
    assert isinstance(small.refused(HOST, "rename", name="Grace"), UnknownPerson)


# ── roles ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", [ADA, VIEWER], ids=["participant", "viewer"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("mute", {"person": "p_bob"}),
        ("remove_person", {"person": "p_bob"}),
        ("lock", {}),
        ("set_stage", {"activity": 0}),
        ("open_activity", {"kind": "poll", "body": {"question": "?", "options": ["a", "b"]}}),
        ("end_room", {}),
        ("open_room", {"title": "Mine"}),
    ],
)
def test_what_the_host_may_nobody_else_may(small: SmallRoom, who: Who, kind: str, body: dict[str, object]) -> None:
    assert isinstance(small.refused(who, kind, **body), NotAllowed)


def test_a_role_is_checked_before_the_body_is_read(small: SmallRoom) -> None:
    assert isinstance(small.refused(ADA, "mute", nonsense=1), NotAllowed)


def test_viewers_only_look(small: SmallRoom) -> None:
    poll = small.poll()
    wishes: list[tuple[str, int, dict[str, object]]] = [
        ("join", ROOM, {}),
        ("rename", ROOM, {"name": "V"}),
        ("say", 2, {"text": "hello"}),
        ("cast_vote", poll, {"round": 1, "options": ["o1"]}),
    ]
    for kind, activity, body in wishes:
        assert isinstance(small.refused(VIEWER, kind, activity, **body), NotAllowed)


# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ref", ["", "a" * 65, "with space", "nul\0", "quote'", "ü", "line\n"])
def test_a_ref_is_a_short_plain_word(small: SmallRoom, ref: str) -> None:
    with pytest.raises(BadCommand, match="ref"):
        small.submit(HOST, Command(ref, ROOM, "lock", msgspec.Raw(b"{}")))


@pytest.mark.parametrize("ref", ["a", "0123456789abcdef", "A-Za_z0-9", "x" * 64])
def test_hexadecimal_and_base64url_refs_are_taken(small: SmallRoom, ref: str) -> None:
    assert small.submit(HOST, Command(ref, ROOM, "lock", msgspec.Raw(b"{}")))


def test_a_command_that_is_not_known_is_refused(small: SmallRoom) -> None:
    poll = small.poll()
    assert isinstance(small.refused(HOST, "dance"), UnknownCommand)
    assert isinstance(small.refused(HOST, "dance", poll), UnknownCommand)
    assert isinstance(small.refused(HOST, "open", poll, question="?", options=["a", "b"]), UnknownCommand)


@pytest.mark.parametrize("activity", [1, 3, 77, -1, 2**62])
def test_an_activity_that_is_not_there_is_refused(small: SmallRoom, activity: int) -> None:
    assert isinstance(small.refused(HOST, "say", activity, text="?"), UnknownActivity)


def test_a_kind_of_activity_that_is_not_installed_is_refused(small: SmallRoom) -> None:
    refusal = small.refused(HOST, "open_activity", kind="karaoke", body={})
    assert isinstance(refusal, UnknownActivity)
    assert "karaoke" in str(refusal)


def test_a_room_that_has_ended_takes_no_command(small: SmallRoom) -> None:
    poll = small.poll()
    small.send(HOST, "end_room")
    assert isinstance(small.refused(HOST, "lock"), RoomHasEnded)
    assert isinstance(small.refused(ADA, "cast_vote", poll, round=1, options=["o1"]), RoomHasEnded)


def test_a_refused_command_is_not_remembered(small: SmallRoom) -> None:
    poll = small.poll()
    small.send(HOST, "close", poll)
    vote = Command("mine", poll, "cast_vote", msgspec.Raw(b'{"round":1,"options":["o1"]}'))
    with pytest.raises(PollClosed):
        small.submit(ADA, vote)
    small.send(HOST, "reopen", poll)
    assert small.submit(ADA, vote) == small.room.head.offset


def test_one_accepted_command_is_exactly_one_event(small: SmallRoom) -> None:
    first = small.poll()
    before = len(small.log)
    small.poll()  # opens one, stages it, closes the one before
    assert len(small.log) == before + 1
    assert not small.state(first).is_open


# ── the stage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_opening_a_poll_stages_it_and_closes_the_one_before(small: SmallRoom) -> None:
    first, second = small.poll(), small.poll()
    assert small.room.stage == second
    assert isinstance(small.refused(ADA, "cast_vote", first, round=1, options=["o1"]), QuestionChanged)
    small.vote(ADA, second, "o1")


def test_a_poll_can_be_kept_open_beside_the_stage(small: SmallRoom) -> None:
    first = small.poll()
    second = small.poll(keep_open=True)
    assert small.room.stage == second
    small.vote(ADA, first, "o1")
    small.vote(ADA, second, "o2")


def test_moving_the_stage_closes_nothing(small: SmallRoom) -> None:
    first = small.poll()
    second = small.poll(keep_open=True)
    small.send(HOST, "set_stage", activity=first)
    assert small.room.stage == first
    small.vote(ADA, second, "o1")
    small.send(HOST, "set_stage", activity=0)
    assert small.room.stage == 0
    small.vote(ADA, first, "o1")


def test_a_chat_is_no_thing_for_the_stage(small: SmallRoom) -> None:
    assert small.room.stage == 0
    assert isinstance(small.refused(HOST, "set_stage", activity=2), UnknownActivity)
    assert isinstance(small.refused(HOST, "set_stage", activity=99), UnknownActivity)


def test_a_discarded_poll_leaves_the_stage_and_does_not_come_back(small: SmallRoom) -> None:
    poll = small.poll()
    small.send(HOST, "discard", poll)
    assert small.room.stage == 0
    assert small.view(ADA)["room"]["stage"] == 0
    assert isinstance(small.refused(HOST, "set_stage", activity=poll), UnknownActivity)


def test_discarding_a_poll_beside_the_stage_leaves_the_stage_alone(small: SmallRoom) -> None:
    first = small.poll()
    second = small.poll(keep_open=True)
    small.send(HOST, "discard", first)
    assert small.room.stage == second


# ── folding ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_id_of_an_activity_is_the_offset_of_its_opening(small: SmallRoom) -> None:
    poll = small.poll()
    assert small.log[poll - 1].kind == "activity_opened"
    assert small.log[poll - 1].offset == poll


def test_a_log_with_a_hole_is_not_folded(small: SmallRoom) -> None:
    with pytest.raises(ValueError, match="Event 3 does not follow offset 1"):
        replay(EPOCH, [small.log[0], small.log[2]], activities())


@pytest.mark.parametrize(
    ("kind", "version", "activity", "body"),
    [
        ("teleported", 1, ROOM, b"{}"),
        ("joined", 2, ROOM, b'{"name":"Ada"}'),
        ("activity_opened", 1, ROOM, b'{"kind":"karaoke","version":1,"body":{},"keep_open":false}'),
        ("activity_opened", 1, ROOM, b'{"kind":"poll","version":9,"body":{},"keep_open":false}'),
        ("line_sung", 1, 2, b"{}"),
    ],
)
def test_an_event_of_a_later_version_is_named_and_leaves_the_room_as_it_was(
    small: SmallRoom, kind: str, version: int, activity: int, body: bytes
) -> None:
    before, head = small.view(HOST), small.room.head
    with pytest.raises(StoreTooNew, match="Update wslive"):
        apply(small.room, an_event(small.room, kind, body, activity=activity, version=version))
    assert (small.view(HOST), small.room.head) == (before, head)


def test_an_event_with_more_fields_than_we_know_is_folded(small: SmallRoom) -> None:
    apply(small.room, an_event(small.room, "locked", b'{"locked":true,"why":"a later version knows"}'))
    assert small.room.is_locked


def test_positions_of_the_past_are_known_and_those_of_the_future_are_not(small: SmallRoom) -> None:
    assert small.room.chain_at(0) == "0" * 16
    for event in small.log:
        assert small.room.chain_at(event.offset) == event.chain[:8].hex()
    assert small.room.chain_at(small.room.head.offset) == small.room.head.position.chain
    assert small.room.chain_at(small.room.head.offset + 1) is None
    assert small.room.chain_at(-1) is None
