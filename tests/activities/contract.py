"""What every activity promises (see wslive.core.activity), as one suite that runs over each of them.

A subclass names the kind and gives bodies that open one; everything else is derived from the activity itself.
"""

import copy
import random
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.activities import guess
from tests.small_room import ALL_HISTORY, HOST, LEDGER, VIEWER, SmallRoom, person, plain
from wslive.activities import activities
from wslive.core import checkpoint, room_view
from wslive.core.activity import Activity, CommandSpec
from wslive.core.commands import Command
from wslive.core.errors import BadCommand, NotAllowed, Refused, UnknownCommand
from wslive.core.roles import Role, Who
from wslive.core.view import View, patch

PEOPLE = [person("p_1"), person("p_2"), person("p_3")]
READERS = [HOST, LEDGER, VIEWER, *PEOPLE]
SEED = 20261123

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


# The same test runs in several classes: that is the point of it.
SHARED = settings(suppress_health_check=[HealthCheck.differing_executors])


class ActivityContract:
    kind: ClassVar[str]
    openings: ClassVar[list[dict[str, Any]]]
    endings: ClassVar[frozenset[str]] = frozenset()
    """Commands after which nothing more can happen: random walks take them at their end only."""

    @property
    def rules(self) -> Activity[Any]:
        return activities()[self.kind]

    def start(self, opening: dict[str, Any]) -> tuple[SmallRoom, int]:
        """A room with three people and the activity."""
        small = SmallRoom(chat=False)
        for who in PEOPLE:
            small.send(who, "join")
        return small, small.open(self.kind, **opening)

    # ── shape ─────────────────────────────────────────────────────────────────────────────────────────────────

    def test_each_event_is_found_by_kind_and_version_and_by_type(self) -> None:
        specs = list(self.rules.events_by_key.values())
        assert list(self.rules.events_by_key) == [(spec.kind, spec.version) for spec in specs]
        assert set(self.rules.events_by_type.values()) <= set(specs)
        assert all(spec.type is type for type, spec in self.rules.events_by_type.items())

    def test_the_opening_event_is_named_after_the_activity(self) -> None:
        assert f"{self.kind}_opened" in {kind for kind, _ in self.rules.events_by_key}

    def test_each_command_names_its_roles_and_none_lets_viewers(self) -> None:
        assert "open" in self.rules.commands
        for spec in self.rules.commands.values():
            assert spec.roles
            assert Role.VIEWER not in spec.roles

    def test_each_command_is_described(self) -> None:
        assert all(spec.type.__doc__ for spec in self.rules.commands.values())

    def test_the_view_is_plain_json_data_that_names_its_kind(self) -> None:
        for opening in self.openings:
            small, id = self.start(opening)
            Walk(self, small, id).take(60)
            for who in READERS:
                view = room_view.snapshot(small.room, who)
                assert plain(view) == view
                assert view["activities"][str(id)]["kind"] == self.kind

    def test_audiences_began_no_later_than_now_and_share_one_view(self) -> None:
        for opening in self.openings:
            small, id = self.start(opening)
            walk = Walk(self, small, id)
            for _ in range(30):
                walk.take(5)
                views: dict[str, View] = {}
                for who in READERS:
                    group = room_view.audience(small.room, str(id), who)
                    assert id <= group.since <= small.room.head.offset
                    view = small.seen(who, id)
                    assert views.setdefault(group.name, view) == view

    def test_who_is_not_told_apart_is_in_one_audience(self) -> None:
        for opening in self.openings:
            small, id = self.start(opening)
            walk = Walk(self, small, id)
            for _ in range(30):
                walk.take(5)
                if not room_view.tells_apart(small.room, str(id)):
                    groups = [room_view.audience(small.room, str(id), who) for who in PEOPLE]
                    assert groups == [groups[0]] * len(groups)

    # ── commands ──────────────────────────────────────────────────────────────────────────────────────────────

    def test_an_unknown_command_is_refused(self) -> None:
        small, id = self.start(self.openings[0])
        for kind in ("dance", "", "__class__", "x" * 5000, "open"):
            with pytest.raises(UnknownCommand):
                small.submit(HOST, Command("r", id, kind, msgspec.Raw(b"{}")))

    def test_roles_that_a_command_does_not_name_are_refused(self) -> None:
        small, id = self.start(self.openings[0])
        for kind, spec in self.rules.commands.items():
            for who in (HOST, VIEWER, PEOPLE[0]):
                if who.role not in spec.roles and kind != "open":
                    assert isinstance(small.refused(who, kind, id), NotAllowed)

    @given(st.data())
    @SHARED
    def test_a_body_of_any_shape_is_refused_or_accepted_and_never_breaks_anything(self, data: st.DataObject) -> None:
        small, id = self.start(data.draw(st.sampled_from(self.openings), label="opening"))
        kind = data.draw(st.sampled_from([kind for kind in self.rules.commands if kind != "open"]), label="command")
        fields = [field.encode_name for field in msgspec.structs.fields(self.rules.commands[kind].type)]
        shape = st.dictionaries(st.sampled_from(fields), JSON) if fields else st.just({})
        body = data.draw(shape | JSON, label="body")
        who = data.draw(st.sampled_from([HOST, PEOPLE[0]]), label="who")
        _try(small, who, Command("r", id, kind, msgspec.Raw(msgspec.json.encode(body))))

    @pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"[]", b"null", b"\xff", b'{"a":' + b"[" * 100_000])
    def test_a_body_that_is_no_object_is_a_bad_command(self, body: bytes) -> None:
        small, id = self.start(self.openings[0])
        for kind, spec in self.rules.commands.items():
            who = HOST if Role.HOST in spec.roles else PEOPLE[0]
            if kind != "open":
                with pytest.raises(BadCommand):
                    small.submit(who, Command("r", id, kind, msgspec.Raw(body)))

    @given(st.data())
    @SHARED
    def test_an_opening_of_any_shape_is_refused_or_accepted(self, data: st.DataObject) -> None:
        small = SmallRoom(chat=False)
        fields = [field.encode_name for field in msgspec.structs.fields(self.rules.commands["open"].type)]
        body = data.draw(st.dictionaries(st.sampled_from(fields), JSON) | JSON, label="body")
        opening = msgspec.json.encode({"kind": self.kind, "body": body})
        _try(small, HOST, Command("r", 0, "open_activity", msgspec.Raw(opening)))

    # ── a thousand commands ───────────────────────────────────────────────────────────────────────────────────

    def test_a_thousand_commands_fold_to_the_same_and_bring_every_reader_to_now(self) -> None:
        for number, opening in enumerate(self.openings):
            small, id = self.start(opening)
            walk = Walk(self, small, id, seed=SEED + number)
            kept: list[tuple[Who, int, View]] = []
            steps = max(1000 // len(self.openings), 250) // 25
            for step in range(steps):
                here = small.room.head.offset
                kept = [*kept[-5 * len(READERS) :], *((who, here, small.view(who)) for who in READERS)]
                walk.take(25)
                if step == steps - 2:
                    walk.end()
                folded = small.folded()
                for who in READERS:
                    assert folded.view(who) == small.view(who)
                if checkpoint.can_be_packed(small.room):
                    small.room = small.unpacked()
                    for who in READERS:
                        assert folded.view(who) == small.view(who)
                for who, after, then in kept:
                    assert patch(copy.deepcopy(then), small.changes(who, after)) == small.view(who)
                    between = [view for other, later, view in kept if other == who and later > after]
                    for view in between:
                        assert patch(copy.deepcopy(view), small.changes(who, after)) == small.view(who)
            assert walk.accepted > 40  # the walk went somewhere

    def test_only_whose_part_changed_have_something_of_their_own_to_hear(self) -> None:
        small, id = self.start(self.openings[0])
        walk = Walk(self, small, id)
        for _ in range(100):
            after = small.room.head.offset
            walk.take(3)
            touched = {actor for actor, _ in small.room.touched.after(after)}
            for who in READERS:
                if room_view.personal_changes(small.room, who, after):
                    assert who.actor in touched

    def test_an_event_is_the_same_after_a_journey_through_the_log(self) -> None:
        for opening in self.openings:
            small, id = self.start(opening)
            Walk(self, small, id).take(200)
            for event in small.log:
                if event.activity == id:
                    decoded = self.rules.events_by_key[event.kind, event.version].decode(event.body)
                    assert msgspec.json.encode(decoded) == event.body

    def test_reading_back_page_by_page_gives_everything_that_is_due_once(self) -> None:
        for opening in self.openings:
            small, id = self.start(opening)
            Walk(self, small, id).take(150)
            for who in READERS:
                group = room_view.audience(small.room, str(id), who).name
                everything = self.rules.older(small.state(id), group, small.room.people, 10**9, ALL_HISTORY)
                pages: list[View] = []
                before = 10**9
                while page := room_view.older(small.room, who, id, before, 7):
                    assert len(page) <= 7
                    pages = page + pages
                    before = page[0]["id"]
                assert pages == everything


class Walk:
    """Seeded commands of everybody, with bodies guessed from what is to be seen."""

    def __init__(self, contract: ActivityContract, small: SmallRoom, id: int, seed: int = SEED) -> None:
        self.small = small
        self.id = id
        self.chance = random.Random(seed)
        self.accepted = 0
        self.commands: dict[str, CommandSpec] = {
            kind: spec for kind, spec in contract.rules.commands.items() if kind not in {"open", *contract.endings}
        }
        self.endings = contract.endings

    def take(self, steps: int) -> None:
        for step in range(steps):
            if step % 5 == 0:  # people do not see everything at once
                known = guess.leaves(self.small.seen(HOST, self.id))
            if self.chance.random() < 0.05:
                kind, activity = self.chance.choice(["rename", "mute"]), 0
                body: dict[str, Any] = {"person": self.chance.choice(PEOPLE).actor}
                body |= {"name": f"N{self.accepted}"} if kind == "rename" else {"muted": self.chance.random() < 0.4}
                who = HOST
            else:
                kind, activity = self.chance.choice(list(self.commands)), self.id
                spec = self.commands[kind]
                body = guess.body(spec.type, self.chance, known)
                who = self.chance.choice([HOST] if Role.PARTICIPANT not in spec.roles else [*PEOPLE, HOST])
            raw = msgspec.Raw(msgspec.json.encode(body))
            ref = f"w{len(self.small.log)}-{self.chance.random()}".replace(".", "_")
            try:
                self.small.submit(who, Command(ref, activity, kind, raw))
            except Refused:
                continue
            self.accepted += 1

    def end(self) -> None:
        for kind in self.endings:
            self.small.send(HOST, kind, self.id)


def _try(small: SmallRoom, who: Who, command: Command) -> None:
    """Send a command; if it is refused, nothing may have changed."""
    before, head = small.view(LEDGER), small.room.head
    try:
        small.submit(who, command)
    except Refused:
        assert (small.view(LEDGER), small.room.head) == (before, head)
