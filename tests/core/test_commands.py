import msgspec

from wslive.core.commands import Command


def test_the_body_of_a_command_is_left_for_the_activity_to_read() -> None:
    command = msgspec.json.decode(b'{"ref":"r","activity":3,"kind":"say","body":{"text": 1e400}}', type=Command)
    assert bytes(command.body) == b'{"text": 1e400}'


def test_a_command_survives_a_journey_through_json() -> None:
    command = Command("r", 3, "say", msgspec.Raw(b'{"text":"hi"}'))
    again = msgspec.json.decode(msgspec.json.encode(command), type=Command)
    assert (again.ref, again.activity, again.kind) == ("r", 3, "say")
    assert bytes(again.body) == b'{"text":"hi"}'
