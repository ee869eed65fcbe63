"""Frames without I/O. Each rule over a real connection: tests/websocket."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from tornado.util import _websocket_mask_python
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from tests.websocket.raw import frame
from wslive.server.websocket.rfc6455 import (
    BINARY,
    CLOSE,
    NOT_UTF8,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    Closing,
    Incoming,
    Ping,
    Pong,
    Receiver,
    Violation,
    close_frame,
    control_frame,
    text_frame,
    unframed,
    unmask,
)

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70000]


def parsed(data: bytes) -> Frame:
    """One frame as others read it, and nothing behind it."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    parser = Frame.parse(reader.read_exact, mask=False, max_size=None)
    with pytest.raises(StopIteration) as done:
        next(parser)
    with pytest.raises(StopIteration) as at_end:
        next(reader.at_eof())
    assert at_end.value.value is True
    found: Frame = done.value.value
    return found


def heard(receiver: Receiver, pieces: list[bytes]) -> list[Incoming]:
    """What all of it says, asked for as a WebSocket does."""
    found: list[Incoming] = []
    for piece in pieces:
        text = receiver.whole(piece)
        found += receiver.feed(piece) if text is None else [text]
    return found


def test_the_mask_is_taken_off_as_the_rfc_says():
    # It is Tornado's, under a private name: should that go or change, this fails first.
    assert unmask(bytes.fromhex("37fa213d"), bytes.fromhex("7f9f4d5158")) == b"Hello"
    for size in (0, 1, 3, 4, 5, 1000):
        data, mask = random.randbytes(size), random.randbytes(4)
        assert unmask(mask, data) == _websocket_mask_python(mask, data)
        assert unmask(mask, unmask(mask, data)) == data


@pytest.mark.parametrize("size", SIZES)
def test_a_text_frame_is_one_of_rfc_6455(size: int):
    payload = b"x" * size
    found = parsed(text_frame(payload))
    assert (found.opcode, found.fin, bytes(found.data)) == (Opcode.TEXT, True, payload)
    assert unframed(text_frame(payload)) == payload


def test_control_frames_are_too():
    assert parsed(control_frame(PING, b"x")) == Frame(Opcode.PING, b"x")
    assert parsed(close_frame(None)) == Frame(Opcode.CLOSE, b"")
    assert parsed(close_frame(4501, "")) == Frame(Opcode.CLOSE, b"\x11\x95")
    assert parsed(close_frame(1000, "é" * 100)) == Frame(Opcode.CLOSE, b"\x03\xe8" + "é".encode() * 61)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [1, 7, 4096, 10**6])
def test_a_message_arrives_however_it_is_cut(size: int, piece: int):
    receiver = Receiver(max_message_bytes=70000)
    text, blob = "é" * (size // 2) + "x" * (size % 2), random.randbytes(size)
    data = frame(TEXT, text.encode()) + frame(PING, b"?") + frame(BINARY, blob) + frame(CLOSE, b"\x03\xe8bye")
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    assert heard(receiver, pieces) == [text, Ping(b"?"), blob, Closing(1000, "bye")]


@pytest.mark.parametrize("size", SIZES)
def test_a_text_that_came_whole_and_by_itself_is_taken_at_once(size: int):
    receiver = Receiver(max_message_bytes=10**5)
    text = "é" * (size // 2) + "x" * (size % 2)
    taken = receiver.whole(frame(TEXT, text.encode()))
    assert taken == (text if size < 1 << 16 else None)
    assert receiver.whole(frame(TEXT, b"next")) == "next"


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"one") + frame(TEXT, b"two"),
        frame(TEXT, b"one") + b"\x81",
        frame(TEXT, b"x" * 200)[:-1],
        frame(TEXT, b"x" * 70_000)[: 8 + 127],
        frame(TEXT, b"too large"),
        frame(TEXT, b"one", is_final=False),
        frame(BINARY, b"one"),
        frame(PING, b"one"),
        frame(CLOSE, b""),
        b"\x81\x03one",  # without a mask
        b"\x81\x06onesix",
        b"\xc1" + frame(TEXT, b"one")[1:],  # with a reserved bit
        b"\x81\xfe\x00\x00",
        b"\x81",
        b"",
    ],
)
def test_everything_else_is_fed(data: bytes):
    assert Receiver(max_message_bytes=8).whole(data) is None


def test_texts_that_came_together_are_messages_and_not_parts():
    receiver = Receiver(max_message_bytes=65535)
    texts = ["é" * (size // 2) + "x" * (size % 2) for size in SIZES if size < 1 << 16]
    data = b"".join(frame(TEXT, text.encode()) for text in texts)
    assert list(receiver.feed(data)) == texts
    assert receiver.parts == 0
    cuts = random.Random(1).sample(range(len(data)), 9)
    pieces = [data[a:b] for a, b in pairwise([0, *sorted(cuts), len(data)])]
    assert heard(receiver, pieces) == texts
    for spoiled in (b"\x81\x03one", b"\x81\x7e\x00\x7f" + b"x" * 127):  # without a mask
        with pytest.raises(Violation) as unmasked:
            list(Receiver(1000).feed(frame(TEXT, b"one") + spoiled))
        assert unmasked.value.code == PROTOCOL_ERROR
    with pytest.raises(Violation) as too_big:
        list(Receiver(200).feed(frame(TEXT, b"one") + frame(TEXT, b"x" * 201)))
    assert too_big.value.code == TOO_BIG


def test_a_text_in_the_middle_of_another_message_or_frame_is_fed():
    text = frame(TEXT, b"one")
    for before in (frame(TEXT, b"x", is_final=False), frame(BINARY, b"xyz")[:-1], text[:1]):
        receiver = Receiver(max_message_bytes=100)
        assert list(receiver.feed(before)) == []
        assert receiver.whole(text) is None


def test_fragments_are_one_message_and_control_frames_come_between_them():
    rng = random.Random(1)
    text = "Grüße, 世界 🗳 " * 20
    whole = text.encode()
    for _ in range(200):
        cuts = sorted(rng.choices(range(len(whole) + 1), k=rng.randint(0, 6)))
        parts = [whole[a:b] for a, b in pairwise([0, *cuts, len(whole)])]
        data, expected = b"", []
        for number, part in enumerate(parts):
            if rng.random() < 0.3:
                data += frame(PONG, b"!")
                expected.append(Pong(b"!"))
            data += frame(TEXT if number == 0 else 0, part, is_final=number == len(parts) - 1)
        cuts = sorted(rng.choices(range(len(data) + 1), k=rng.randint(0, 9)))
        pieces = [data[a:b] for a, b in pairwise([0, *cuts, len(data)])]
        assert heard(Receiver(len(whole)), pieces) == [*expected, text]


def test_the_limit_is_one_for_all_fragments_and_counts_what_is_announced():
    receiver = Receiver(max_message_bytes=10)
    assert heard(receiver, [frame(TEXT, b"x" * 6, is_final=False)]) == []
    assert heard(receiver, [frame(0, b"x" * 4, is_final=False)]) == []
    with pytest.raises(Violation) as too_big:
        heard(receiver, [frame(0, b"x")[:6]])
    assert too_big.value.code == TOO_BIG
    again = Receiver(max_message_bytes=10)
    assert heard(again, [frame(TEXT, b"x" * 10), frame(TEXT, b"y" * 10)]) == ["x" * 10, "y" * 10]


def test_empty_fragments_without_end_take_no_memory():
    receiver = Receiver(max_message_bytes=10)
    heard(receiver, [frame(TEXT, b"", is_final=False)])
    heard(receiver, [frame(0, b"", is_final=False)] * 10_000)
    assert receiver._parts == []
    assert heard(receiver, [frame(0, b"x")]) == ["x"]


@pytest.mark.parametrize("text", [b"\xff", b"x\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"x\xc3"])
def test_what_is_no_utf_8_fails_with_the_byte_that_breaks_it(text: bytes):
    with pytest.raises(Violation) as whole:
        heard(Receiver(100), [frame(TEXT, text)])
    assert whole.value.code == NOT_UTF8
    receiver = Receiver(100)
    data = frame(TEXT, text + b"x" * 50)
    with pytest.raises(Violation) as at_once:
        heard(receiver, [data[: 6 + len(text) + 1]])
    assert at_once.value.code == NOT_UTF8


def test_what_came_before_a_violation_is_heard():
    receiver = Receiver(100)
    came: list[Incoming] = []
    incoming = receiver.feed(frame(TEXT, b"one") + frame(PING, b"") + b"\x83\x80")
    with pytest.raises(Violation) as violation:
        came.extend(incoming)
    assert violation.value.code == PROTOCOL_ERROR
    assert came == ["one", Ping(b"")]
