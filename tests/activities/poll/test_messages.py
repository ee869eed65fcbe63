import msgspec
import pytest

from wslive.activities.poll.model import Poll

KEPT = {
    ("poll_opened", 1): {"question", "options", "max_choices", "results", "changeable", "key"},
    ("poll_opened", 2): {"question", "options", "max_choices", "results", "changeable", "key", "secret"},
    ("ballots_counted", 1): {"round", "answered", "counts", "unread"},
    ("vote_cast", 1): {"round", "options"},
    ("vote_retracted", 1): {"round"},
    ("voting_ended", 1): set(),
    ("voting_resumed", 1): set(),
    ("round_started", 1): {"round"},
    ("poll_edited", 1): {"question", "options", "marked"},
    ("poll_discarded", 1): set(),
}


@pytest.mark.parametrize("key", KEPT, ids=lambda key: key[0])
def test_the_names_of_events_and_their_fields_are_kept_for_ever(key: tuple[str, int]) -> None:
    """Logs hold these names: add a field with a default or a new version, never change one."""
    spec = Poll.events_by_key[key]
    assert {field.encode_name for field in msgspec.structs.fields(spec.type)} >= KEPT[key]


def test_commands_are_wishes_and_events_are_facts() -> None:
    assert set(Poll.commands) >= {"open", "cast_vote", "retract_vote", "close", "reopen", "start_round", "edit"}
    assert not set(Poll.commands) & {kind for kind, _ in Poll.events_by_key}


@pytest.mark.parametrize("spec", Poll.commands.values(), ids=lambda spec: spec.type.__name__)
def test_a_command_of_a_later_version_is_understood(spec: object) -> None:
    fields = msgspec.structs.fields(spec.type)  # type: ignore[attr-defined]
    assert all(field.encode_name == field.name for field in fields)
    assert not spec.type.__struct_config__.forbid_unknown_fields  # type: ignore[attr-defined]
