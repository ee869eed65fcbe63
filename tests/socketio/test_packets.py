from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio import packet

from wslive.socketio.packets import EMITTED, MAX_ATTACHMENTS, Emitted, ack_packet, event_packet, packet_class

Packet = packet_class({"sid 1": "pid 1"}.__getitem__)


def decoded(text: str | bytes) -> Any:
    return Packet(encoded_packet=text)


def emitted(text: str) -> Emitted:
    found = decoded(text)
    assert found.packet_type in (packet.EVENT, packet.BINARY_EVENT)
    assert found.id is None  # python-socketio is not to answer
    name, what = found.data
    assert name == EMITTED
    assert isinstance(what, Emitted)
    return what


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('2["message","Hello"]', Emitted("message", "Hello")),
        ('2["message","Hello","and more"]', Emitted("message", "Hello")),
        ('217["vote",3]', Emitted("vote", 3, 17)),
        ('2["vote"]', Emitted("vote")),
        ('2/admin,1["vote",0]', Emitted("vote", 0, 1)),
        ('2["connect",{}]', Emitted("connect", {})),
        ('2["disconnect"]', Emitted("disconnect")),
        ('51-["message",{"_placeholder":true,"num":0}]', Emitted("message", {"_placeholder": True, "num": 0})),
    ],
)
def test_what_a_client_emits_is_handed_on_whole(text: str, expected: Emitted):
    assert emitted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "7", "9[]", "2", "2{}", '2["message"', "2[]", "2[3]", '2[["message"]]', '4{"message":"I refuse"}',
        "6[]", '5["message"]', '50-["message"]', "51-", '299-["message",1', "2" + "[" * 100_000, "2" + "9" * 200,
        f'5{MAX_ATTACHMENTS + 1}-["message",{{}}]', "512345678901-[]", r'2["message","\ud800"]',
        r'2["new-user","a\udfff"]', r'0{"token":"a secret of its own \ud800"}', '2["vote",NaN]',
    ],
)  # fmt: skip
def test_what_is_no_packet_is_handed_on_as_such(text: str):
    assert emitted(text) == Emitted(None)


@given(st.text())
def test_no_text_breaks_it(text: str):
    kinds = (packet.CONNECT, packet.DISCONNECT, packet.ACK, packet.EVENT, packet.BINARY_EVENT)
    assert decoded(text).packet_type in kinds


@given(st.binary())
def test_no_bytes_break_it(data: bytes):
    assert decoded(data).data in (None, [EMITTED, Emitted(None)])


def test_binary_attachments_are_counted_and_not_kept():
    found = decoded('52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    assert found.add_attachment(b"1" * 1000) is False
    assert found.add_attachment(b"2" * 1000) is True
    assert found.attachments == [None, None]
    assert found.data == [EMITTED, Emitted("message", {"_placeholder": True, "num": 0})]


def test_connecting_disconnecting_and_acknowledging_stay_what_they_are():
    assert decoded('0{"token":"secret"}').data == {"token": "secret"}
    assert decoded("1").packet_type == packet.DISCONNECT
    assert (decoded("312[1]").id, decoded("312[1]").data) == (12, [1])


def test_the_answer_to_a_connect_carries_what_to_show_when_coming_back():
    assert json.loads(Packet(packet.CONNECT, {"sid": "sid 1"}).encode()[1:]) == {"sid": "sid 1", "pid": "pid 1"}


def test_events_and_answers_are_plain_text():
    assert event_packet("message", "Ünï") == '2["message","\\u00dcn\\u00ef"]'
    assert json.loads(event_packet("update", {"0": {"votes": None}})[1:]) == ["update", {"0": {"votes": None}}]
    assert ack_packet(17, {"ok": True}) == '317[{"ok":true}]'
    assert ack_packet(0, {"ok": True}) == '30[{"ok":true}]'
