import inspect

import msgspec
import pytest

from tests.wire.samples import CLIENT, SERVER
from wslive.core.commands import Command as CoreCommand
from wslive.wire import messages
from wslive.wire.codec import decode_client, decode_server, encode
from wslive.wire.messages import ClientMessage, Command, ServerMessage

KINDS = [c for c in vars(messages).values() if inspect.isclass(c) and issubclass(c, msgspec.Struct)]
SENT = [c for c in KINDS if c.__module__ == messages.__name__ and c.__name__ not in ("Notice", "Arrivals")]


def test_the_samples_are_of_every_kind() -> None:
    assert {type(message) for message, _ in CLIENT} == set(ClientMessage.__args__)
    assert {type(message) for message, _ in SERVER} == set(ServerMessage.__args__)
    assert set(SENT) == set(ClientMessage.__args__) | set(ServerMessage.__args__)


@pytest.mark.parametrize(("message", "frame"), [*CLIENT, *SERVER], ids=lambda value: type(value).__name__)
def test_a_message_is_written_as_the_protocol_says(message: msgspec.Struct, frame: str) -> None:
    assert encode(message).decode() == frame


@pytest.mark.parametrize(("message", "frame"), CLIENT, ids=lambda value: type(value).__name__)
def test_what_a_client_sent_is_read_from_text_and_from_bytes(message: ClientMessage, frame: str) -> None:
    for form in (frame, frame.encode()):
        read = decode_client(form)
        assert type(read) is type(message)
        assert encode(read).decode() == frame


@pytest.mark.parametrize(("message", "frame"), SERVER, ids=lambda value: type(value).__name__)
def test_what_a_server_sent_is_read_as_it_was(message: ServerMessage, frame: str) -> None:
    assert decode_server(frame) == message


@pytest.mark.parametrize(("message", "frame"), CLIENT, ids=lambda value: type(value).__name__)
def test_fields_of_a_later_version_are_passed_over(message: ClientMessage, frame: str) -> None:
    later = frame[:-1] + ',"since_version_9":{"deep":[1,2,{"a":null}]}}'
    assert encode(decode_client(later)).decode() == frame


@pytest.mark.parametrize("kind", SENT, ids=lambda kind: kind.__name__)
def test_types_are_names_with_underscores(kind: type[msgspec.Struct]) -> None:
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str)
    assert tag.replace("_", "") == kind.__name__.lower()


def test_a_hello_needs_nothing_but_its_type() -> None:
    hello = decode_client(b'{"type":"hello"}')
    assert encode(hello) == b'{"type":"hello"}'


def test_a_command_for_the_room_is_the_same_command() -> None:
    command = Command("r1", 3, "say", msgspec.Raw(b'{"text":"hi"}'))
    assert isinstance(command, CoreCommand)
    assert (command.ref, command.activity, command.kind, bytes(command.body)) == ("r1", 3, "say", b'{"text":"hi"}')


def test_a_command_without_a_body_has_an_empty_one() -> None:
    command = decode_client(b'{"type":"command","ref":"r","activity":0,"kind":"end_room"}')
    assert isinstance(command, Command)
    assert bytes(command.body) == b"{}"
