import msgspec
import pytest

from wslive.core.roles import HOSTS, PARTICIPANTS, SPEAKERS
from wslive.core.room_messages import COMMANDS, EVENTS_BY_KEY, EVENTS_BY_TYPE, SERVER_COMMANDS


def test_only_a_name_may_be_changed_by_others_than_the_host() -> None:
    assert {kind for kind, spec in COMMANDS.items() if spec.roles != HOSTS} == {"rename", "join"}
    assert COMMANDS["rename"].roles == SPEAKERS
    assert COMMANDS["join"].roles == PARTICIPANTS


def test_what_only_the_server_sends_is_known() -> None:
    assert set(COMMANDS) >= SERVER_COMMANDS == {"join", "open_room", "erase_person"}


@pytest.mark.parametrize("spec", EVENTS_BY_KEY.values(), ids=lambda spec: spec.kind)
def test_each_event_is_found_again_by_its_type(spec: object) -> None:
    assert spec in EVENTS_BY_TYPE.values()


@pytest.mark.parametrize("spec", EVENTS_BY_TYPE.values(), ids=lambda spec: spec.kind)
def test_the_names_of_events_and_their_fields_are_kept_for_ever(spec: object) -> None:
    """Logs hold these names: add a field with a default or a new version, never change one."""
    fields = {f.encode_name for f in msgspec.structs.fields(spec.type)}  # type: ignore[attr-defined]
    assert (spec.kind, spec.version) in KEPT  # type: ignore[attr-defined]
    assert fields >= KEPT[spec.kind, spec.version]  # type: ignore[attr-defined]


KEPT = {
    ("room_opened", 1): {"title"},
    ("joined", 1): {"name"},
    ("renamed", 1): {"person", "name"},
    ("person_muted", 1): {"person", "muted"},
    ("person_removed", 1): {"person"},
    ("person_erased", 1): {"person"},
    ("locked", 1): {"locked"},
    ("staged", 1): {"activity"},
    ("activity_opened", 1): {"kind", "version", "body", "keep_open"},
    ("room_ended", 1): set(),
}
