import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.samples import CLIENT, SERVER
from wslive.core.view import Op, Put, Remove, Set
from wslive.wire.codec import FrameError, decode_client, decode_server, delta_frame, encode, encode_ops
from wslive.wire.messages import MAX_FRAME_BYTES, ClientMessage, Command, Delta

FRAMES = [frame for _, frame in CLIENT]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["type", "ref", "room", "role", "name", "token", "position", "ledger", "activity", "kind", "body", "before", "n"]
)
TYPES = st.sampled_from(["hello", "command", "read_older", "get_ticket", "ping", "welcome", "delta", "", None, 3])


def decoded(frame: bytes | str) -> ClientMessage | None:
    """The message, or None where the frame is refused; any other exception is a bug."""
    try:
        return decode_client(frame)
    except FrameError:
        return None


# ── frames from clients ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("", "truncated"),
        ('{"type":"ping","n":-1.5}', "int"),
        ("hello", "malformed"),
        ("null", "object"),
        ("[]", "object"),
        ("{}", "type"),
        ('{"type":"dance"}', "dance"),
        ('{"type":null}', "str"),
        ('{"type":"welcome"}', "welcome"),
        ('{"type":"command","ref":"r"}', "activity"),
        ('{"type":"command","ref":1,"activity":0,"kind":"k"}', r"\$\.ref"),
        ('{"type":"command","ref":"r","activity":1e400,"kind":"k"}', "activity|number"),
        ('{"type":"command","ref":"r","activity":' + "9" * 5000 + ',"kind":"k"}', "activity"),
        ('{"type":"command","ref":"r","activity":0,"kind":"k","body":}', "malformed"),
        ('{"type":"hello","role":"king"}', "king"),
        ('{"type":"hello","position":{"epoch":"e1"}}', "offset"),
        ('{"type":"ping","n":NaN}', "malformed"),
        ('{"type":"ping"} {"type":"ping"}', "trailing"),
        ('{"type":"hello","name":"\\ud800"}', "surrogate|truncated|malformed"),
    ],
)
def test_a_frame_that_is_no_message_is_refused_and_the_reason_is_told(frame: str, said: str) -> None:
    for form in (frame, frame.encode()):
        with pytest.raises(FrameError, match=f"(?i){said}"):
            decode_client(form)


@pytest.mark.parametrize("frame", [b"\xff\xfe", b'{"type":"hello","name":"\xed\xa0\x80"}', b"\x00", b"\xef\xbb\xbf{}"])
def test_bytes_that_are_no_text_are_refused(frame: bytes) -> None:
    with pytest.raises(FrameError):
        decode_client(frame)


def test_text_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(FrameError):
        decode_client('{"type":"hello","name":"\ud800"}')


@pytest.mark.parametrize("bomb", ["[" * 8000, '{"a":' * 3000, '{"type":"command","body":' + "[" * 8000])
def test_deep_nesting_is_refused(bomb: str) -> None:
    with pytest.raises(FrameError):
        decode_client(bomb)


def test_the_limit_of_a_frame_is_counted_in_bytes() -> None:
    def ping(padding: str) -> str:
        return f'{{"type":"ping","x":"{padding}"}}'

    empty = len(ping(""))
    assert decode_client(ping("x" * (MAX_FRAME_BYTES - empty)))
    with pytest.raises(FrameError, match=f"{MAX_FRAME_BYTES + 1} bytes; at most {MAX_FRAME_BYTES}"):
        decode_client(ping("x" * (MAX_FRAME_BYTES - empty + 1)))
    long = ping("€" * (MAX_FRAME_BYTES // 2))
    assert len(long) < MAX_FRAME_BYTES < len(long.encode())
    for form in (long, long.encode()):
        with pytest.raises(FrameError, match="at most"):
            decode_client(form)
    assert decode_client(long, max_frame_bytes=2 * MAX_FRAME_BYTES)


@given(st.binary(max_size=200))
def test_random_bytes_never_do_anything_but_be_refused(frame: bytes) -> None:
    decoded(frame)


@given(st.dictionaries(FIELDS | st.text(max_size=4), JSON, max_size=6), TYPES)
def test_random_objects_are_refused_or_are_messages_that_can_be_written_again(
    body: dict[str, object], type: object
) -> None:
    frame = json.dumps({**body, "type": type})
    message = decoded(frame)
    if message is not None:
        assert decoded(encode(message)) is not None


def test_mutated_frames_never_do_anything_but_be_refused() -> None:
    chance = random.Random(20261123)
    pieces = [b"{", b"}", b"[", b'"', b"\\u0000", b"\xff", b"1e999", b"null", b",", b":", b"\\", b" "]
    accepted = 0
    for _ in range(5000):
        frame = bytearray(chance.choice(FRAMES).encode())
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(frame) + 1)
            match chance.randrange(3):
                case 0:
                    frame[at : at + chance.randrange(1, 9)] = b""
                case 1:
                    frame[at:at] = chance.choice(pieces)
                case _:
                    frame[at : at + 1] = chance.randbytes(1)
        accepted += decoded(bytes(frame)) is not None
    assert 0 < accepted < 5000  # the mutations are neither harmless nor hopeless


# ── frames from servers ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "frame", ["", "[]", '{"type":"hello"}', '{"type":"ack"}', '{"type":"delta","ops":[{"op":"x"}]}']
)
def test_what_is_no_message_of_a_server_is_refused(frame: str) -> None:
    with pytest.raises(FrameError):
        decode_server(frame)


@given(st.binary(max_size=200))
def test_random_bytes_from_a_server_are_refused(frame: bytes) -> None:
    with pytest.raises(FrameError):
        decode_server(frame)


# ── deltas put together ───────────────────────────────────────────────────────────────────────────────────────────────

OPS: list[list[Op]] = [[Set(("a",), 1), Put(("b",), "k", "ł")], [], [Remove(("b",), "k")]]


def test_a_delta_of_fragments_is_the_delta_that_would_be_encoded_whole() -> None:
    together = delta_frame(3, 9, "00ff", [encode_ops(ops) for ops in OPS])
    assert together == encode(Delta(3, 9, "00ff", [op for ops in OPS for op in ops]))
    assert decode_server(together) == Delta(3, 9, "00ff", [op for ops in OPS for op in ops])


@pytest.mark.parametrize("fragments", [[], [b""], [b"", b""]])
def test_a_delta_of_nothing_still_moves_the_position(fragments: list[bytes]) -> None:
    assert decode_server(delta_frame(3, 9, "00ff", fragments)) == Delta(3, 9, "00ff", [])


def test_the_samples_are_within_the_limit() -> None:
    assert all(len(frame.encode()) <= MAX_FRAME_BYTES for _, frame in [*CLIENT, *SERVER])


def test_a_body_is_passed_on_byte_by_byte() -> None:
    frame = b'{"type":"command","ref":"r","activity":0,"kind":"k","body":{ "a" : 1.0e2, "a": "\\u00e9" }}'
    command = decode_client(frame)
    assert isinstance(command, Command)
    assert bytes(command.body) == b'{ "a" : 1.0e2, "a": "\\u00e9" }'
    assert msgspec.json.decode(bytes(command.body)) == {"a": "é"}


def test_a_number_too_long_for_an_index_is_read_and_written_again() -> None:
    assert (
        encode(decode_client('{"type":"ping","n":18446744073709551616}')) == b'{"type":"ping","n":18446744073709551616}'
    )
