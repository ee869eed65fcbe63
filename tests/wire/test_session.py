from __future__ import annotations

import json
from typing import Any

import pytest

from wslive.wire import messages
from wslive.wire.close_codes import CloseCode
from wslive.wire.session import MAX_ERRORS, Close, Phase, Reply, Session

HELLO = {"type": "hello", "room": "K7M2QX"}
COMMAND = {"type": "command", "ref": "r1", "activity": 4, "kind": "cast_vote", "body": {"round": 1, "options": ["o1"]}}
READ_OLDER = {"type": "read_older", "ref": "r2", "activity": 2, "before": 900}
GET_TICKET = {"type": "get_ticket", "ref": "r3"}
PING = {"type": "ping", "n": 7}


def frame(message: Any) -> str:
    return json.dumps(message, ensure_ascii=False)


def in_phase(phase: Phase, **options: Any) -> Session:
    """A session that came into a phase the way connections do."""
    session = Session(**options)
    if phase is not Phase.NEW:
        session.receive(frame(HELLO))
    if phase is Phase.JOINED:
        session.admitted()
    if phase is Phase.CLOSED:
        session.closed()
    assert session.phase is phase
    return session


def test_a_connection_begins_with_its_hello():
    session = Session()
    effect = session.receive(frame(HELLO))
    assert isinstance(effect, messages.Hello)
    assert effect.room == "K7M2QX"
    assert session.phase is Phase.JOINING


def test_a_connection_is_joined_when_its_hello_was_accepted():
    session = in_phase(Phase.JOINING)
    session.admitted()
    assert session.phase is Phase.JOINED


def test_an_acceptance_that_comes_after_the_end_opens_nothing():
    session = in_phase(Phase.CLOSED)
    session.admitted()
    assert session.phase is Phase.CLOSED


def test_nothing_is_accepted_that_did_not_ask():
    session = Session()
    session.admitted()
    assert session.phase is Phase.NEW


@pytest.mark.parametrize("message", [COMMAND, READ_OLDER, GET_TICKET])
def test_whoever_has_joined_may_command_read_and_ask_for_a_ticket(message: dict[str, Any]):
    session = in_phase(Phase.JOINED)
    effect = session.receive(frame(message))
    assert isinstance(effect, messages.Command | messages.ReadOlder | messages.GetTicket)
    assert effect.ref == message["ref"]
    assert session.phase is Phase.JOINED


@pytest.mark.parametrize("message", [COMMAND, READ_OLDER, GET_TICKET])
def test_what_comes_before_the_hello_ends_the_connection(message: dict[str, Any]):
    session = Session()
    effect = session.receive(frame(message))
    assert isinstance(effect, Close)
    assert effect.code is CloseCode.PROTOCOL_ERROR
    assert session.phase is Phase.CLOSED


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (Phase.JOINING, HELLO),
        (Phase.JOINING, COMMAND),
        (Phase.JOINING, READ_OLDER),
        (Phase.JOINING, GET_TICKET),
        (Phase.JOINED, HELLO),
    ],
)
def test_what_comes_out_of_turn_is_refused_without_a_ref_and_changes_nothing(phase: Phase, message: dict[str, Any]):
    session = in_phase(phase)
    effect = session.receive(frame(message))
    assert isinstance(effect, Reply)
    assert isinstance(effect.message, messages.Refused)
    assert (effect.message.ref, effect.message.code) == ("", "out_of_turn")
    assert session.phase is phase
    assert session.errors == 1


@pytest.mark.parametrize("phase", [Phase.NEW, Phase.JOINING, Phase.JOINED])
def test_a_ping_is_answered_in_every_phase(phase: Phase):
    session = in_phase(phase)
    assert session.receive(frame(PING)) == Reply(messages.Pong(7))
    assert session.phase is phase


@pytest.mark.parametrize("message", [HELLO, COMMAND, READ_OLDER, GET_TICKET, PING, "nonsense"])
def test_nothing_follows_from_what_comes_after_the_end(message: Any):
    assert in_phase(Phase.CLOSED).receive(frame(message)) is None


NONSENSE = [
    "",
    "hello",
    "{",
    "[]",
    "null",
    "{}",
    '{"type":"nobody knows"}',
    '{"type":"command","ref":"r1"}',
    '{"type":"command","ref":7,"activity":4,"kind":"x"}',
    '{"type":"command","ref":"r1","activity":"4","kind":"x"}',
    '{"type":"welcome"}',
    '{"type":"ping","n":1e400}',
    '{"type":"ping","n":' + "9" * 5000 + "}",
    '{"type":"hello","role":"emperor"}',
    '{"type":"hello","room":"\\ud800"}',
    '{"type":"command","ref":"r1","activity":4,"kind":"x","body":' + "[" * 3000 + "]" * 3000 + "}",
    "[" * 10_000,
]


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:40])
def test_what_is_no_message_is_refused_with_the_reason(text: str):
    session = in_phase(Phase.JOINED)
    effect = session.receive(text)
    assert isinstance(effect, Reply)
    assert isinstance(effect.message, messages.Refused)
    assert (effect.message.ref, effect.message.code) == ("", "bad_frame")
    assert "is not a message of wslive.v1" in effect.message.message
    assert session.phase is Phase.JOINED


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:40])
def test_nonsense_in_place_of_the_hello_ends_the_connection(text: str):
    effect = Session().receive(text)
    assert isinstance(effect, Close)
    assert effect.code is CloseCode.PROTOCOL_ERROR


def test_a_connection_may_send_some_nonsense_but_not_go_on_with_it():
    session = in_phase(Phase.JOINED)
    for _ in range(MAX_ERRORS):
        assert isinstance(session.receive("nonsense"), Reply)
    effect = session.receive("nonsense")
    assert isinstance(effect, Close)
    assert effect.code is CloseCode.TOO_MANY_ERRORS
    assert session.phase is Phase.CLOSED


def test_frames_in_order_do_not_make_up_for_nonsense():
    session = in_phase(Phase.JOINED)
    for _ in range(MAX_ERRORS):
        session.receive("nonsense")
        session.receive(frame(PING))
        session.receive(frame(COMMAND))
    assert isinstance(session.receive(frame(HELLO)), Close)


@pytest.mark.parametrize("phase", [Phase.NEW, Phase.JOINING, Phase.JOINED])
def test_a_binary_frame_ends_the_connection(phase: Phase):
    session = in_phase(phase)
    effect = session.receive(frame(PING).encode())
    assert isinstance(effect, Close)
    assert effect.code is CloseCode.PROTOCOL_ERROR
    assert "text frames" in effect.reason
    assert session.phase is Phase.CLOSED


@pytest.mark.parametrize("letter", ["a", "é", "語", "😀"])
def test_a_frame_may_have_as_many_bytes_as_the_limit_and_not_one_more(letter: str):
    def of_size(size: int) -> str:
        empty = frame({"type": "ping", "x": ""})
        left = size - len(empty)
        text = letter * (left // len(letter.encode()))
        text += "a" * (left - len(text.encode()))
        return frame({"type": "ping", "x": text})

    assert len(of_size(300).encode()) == 300
    assert in_phase(Phase.JOINED, max_frame_bytes=300).receive(of_size(300)) == Reply(messages.Pong(0))
    session = in_phase(Phase.JOINED, max_frame_bytes=300)
    effect = session.receive(of_size(301))
    assert isinstance(effect, Close)
    assert effect.code is CloseCode.FRAME_TOO_BIG
    assert "300" in effect.reason
    assert session.phase is Phase.CLOSED
