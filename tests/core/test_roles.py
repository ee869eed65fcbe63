import pytest

from tests.small_room import HOST, SmallRoom, person
from wslive.core.errors import BadCommand
from wslive.core.roles import HOSTS, PARTICIPANTS, SPEAKERS, Level, Role, Who, looking_on, taking_part


def test_viewers_are_in_no_set_that_a_command_names() -> None:
    assert Role.VIEWER not in HOSTS | PARTICIPANTS | SPEAKERS


def test_only_hosts_host_and_both_others_speak() -> None:
    assert frozenset({Role.HOST}) == HOSTS
    assert frozenset({Role.PARTICIPANT}) == PARTICIPANTS
    assert HOSTS | PARTICIPANTS == SPEAKERS


def test_nobody_gets_single_ballots_unasked() -> None:
    assert not Who("host", Role.HOST).ledger


def test_somebody_is_the_same_person_taking_part_and_looking_on() -> None:
    assert looking_on("p_ada") == "v_ada"
    assert [taking_part(actor) for actor in ("v_ada", "p_ada", "host")] == ["p_ada", "p_ada", "host"]


def test_a_role_on_the_wire_is_its_name() -> None:
    assert [role.value for role in Role] == ["host", "participant", "viewer"]


def test_how_sure_it_is_who_somebody_is_stays_with_them_and_is_told_the_host_alone() -> None:
    small = SmallRoom()
    ada, bob = person("p_ada"), person("p_bob")
    small.send(ada, "join", name="Ada", level=Level.LINK)
    small.send(bob, "join", name="Bob")
    small.send(ada, "rename", name="Ada L.")
    for room in (small, small.folded()):
        names = room.view(HOST)["people"]["names"]
        assert {name: shown.get("level") for name, shown in names.items()} == {"p_ada": 0, "p_bob": None}
        assert "level" not in str(room.view(bob)["people"])


def test_a_log_that_says_nothing_of_levels_means_tokens() -> None:
    # Every room of the time before levels, and every join by a token since.
    small = SmallRoom()
    small.join("p_ada", "Ada")
    assert small.log[-1].body == b'{"name":"Ada"}'
    assert small.room.person("p_ada").level is Level.TOKEN


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(BadCommand):
        SmallRoom().send(person("p_ada"), "join", name="Ada", level=7)
