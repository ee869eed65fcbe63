from wslive.core.roles import HOSTS, PARTICIPANTS, SPEAKERS, Role, Who


def test_viewers_are_in_no_set_that_a_command_names() -> None:
    assert Role.VIEWER not in HOSTS | PARTICIPANTS | SPEAKERS


def test_only_hosts_host_and_both_others_speak() -> None:
    assert frozenset({Role.HOST}) == HOSTS
    assert frozenset({Role.PARTICIPANT}) == PARTICIPANTS
    assert HOSTS | PARTICIPANTS == SPEAKERS


def test_nobody_gets_single_ballots_unasked() -> None:
    assert not Who("host", Role.HOST).ledger


def test_a_role_on_the_wire_is_its_name() -> None:
    assert [role.value for role in Role] == ["host", "participant", "viewer"]
