"""What is read from others, byte by byte: each decoder by itself, and what must hold whatever the bytes are.

`python -m tests.torture.decoders NAME RUNS SEED SEEDS_DIR` lets atheris (libFuzzer) look for bytes that break one: it
sees which branches of wslive its inputs reach, and goes on from those that reach new ones. It ends with 0 after so many
inputs; the first that breaks something is printed, and ends it with another code.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import NamedTuple

from tests.torture.mutations import worse_bytes

FIELDS = b"\n"
"""Between the frames of one connection: JSON needs none within."""
ROOMY_BYTES = 1 << 24
"""Written again, a frame may be longer than it was."""
SMALL_BYTES = 300
"""A limit for messages that short inputs reach, too."""

Check = Callable[[bytes], bool]
"""Raises where a decoder breaks; whether the bytes were accepted."""


def texts(data: bytes) -> list[bytes | str]:
    """The bytes, and as text if they are any: a WebSocket hands on either."""
    try:
        return [data, data.decode()]
    except UnicodeDecodeError:
        return [data]


def client_frame(data: bytes) -> bool:
    """A frame of a client: refused in a sentence, or a message that can be written and read again."""
    from wslive.wire.codec import FrameError, decode_client, encode

    found = []
    for form in texts(data):
        try:
            found.append(decode_client(form, ROOMY_BYTES))
        except FrameError as error:
            if not str(error):
                raise
    assert len(found) in (0, len(texts(data))), "its bytes and its text are not the same"
    for message in found:
        assert decode_client(encode(message), ROOMY_BYTES) == message == found[0]
    return bool(found)


def server_frame(data: bytes) -> bool:
    """A frame of a server: the same; and what it says of a view can be applied, twice as well as once."""
    from wslive.core.view import patch
    from wslive.wire.codec import FrameError, decode_server, encode
    from wslive.wire.messages import Delta

    try:
        message = decode_server(data)
    except FrameError as error:
        if not str(error):
            raise
        return False
    again = decode_server(encode(message))
    assert again == message
    if isinstance(message, Delta) and all(op.path for op in message.ops):
        view = patch({}, message.ops)
        assert patch(view, message.ops) == view
    return True


def session(data: bytes) -> bool:
    """All frames of one connection: after each it stands where the table says, and after its end nothing follows."""
    from wslive.wire.codec import encode
    from wslive.wire.messages import Hello
    from wslive.wire.session import MAX_ERRORS, Close, Phase, Reply, Session

    session, phases = Session(), list(Phase)
    for part in data.split(FIELDS):
        before = session.phase
        effect = session.receive(texts(part)[-1])
        assert phases.index(session.phase) >= phases.index(before), "a connection never goes back"
        assert session.errors <= MAX_ERRORS + 1
        match effect:
            case None:
                assert before is Phase.CLOSED
            case Close():
                assert session.phase is Phase.CLOSED
                assert effect.code.sentence
            case Reply():
                assert session.phase is before
                assert encode(effect.message)
            case message:
                assert isinstance(message, Hello) == (before is Phase.NEW)
                session.admitted()
                assert session.phase is Phase.JOINED
    return session.phase is Phase.JOINED


def packet(data: bytes) -> bool:
    """A Socket.IO packet: of a kind that a client may send, or told as one that cannot be understood."""
    import socketio

    from wslive.socketio.packets import EMITTED, Emitted, packet_class

    kinds = socketio.packet
    found = packet_class({}.get)(encoded_packet=texts(data)[-1])
    if found.packet_type in (kinds.CONNECT, kinds.DISCONNECT, kinds.ACK):
        return True
    assert found.packet_type in (kinds.EVENT, kinds.BINARY_EVENT)
    assert found.id is None
    name, emitted = found.data
    assert name == EMITTED
    assert isinstance(emitted, Emitted)
    return emitted.event is not None


def frames(data: bytes) -> bool:
    """Bytes of a WebSocket: however they are cut, they are the same messages, and break the same rule if any."""
    from wslive.server.websocket.rfc6455 import Receiver, Violation

    def heard(parts: list[bytes]) -> tuple[list[object], int | None]:
        receiver, messages = Receiver(SMALL_BYTES), list[object]()
        try:
            for part in parts:
                messages.extend(receiver.feed(part))
        except Violation as violation:
            if not violation.reason:
                raise
            return messages, violation.code
        return messages, None

    whole = heard([data])
    for step in (1, 2 + len(data) % 7):
        assert heard([data[at : at + step] for at in range(0, len(data), step)]) == whole
    return whole[1] is None


class Decoder(NamedTuple):
    """One of them.

    Attributes:
        check: What must hold.
        samples: Inputs that it takes.
        most_bytes: The longest input that atheris tries.
    """

    check: Check
    samples: list[bytes]
    most_bytes: int = 4096


def decoders() -> dict[str, Decoder]:
    """All of them, by name."""
    from tests.websocket.raw import Opcode, frame
    from tests.wire.samples import CLIENT, SERVER

    clients = [text.encode() for _, text in CLIENT]
    messages = [
        frame(Opcode.TEXT, b"Hello"),
        frame(Opcode.BINARY, b"*" * 130),
        frame(Opcode.TEXT, "Łó".encode()[:3], is_final=False) + frame(Opcode.PING, b"?") + frame(0, "Łó".encode()[3:]),
        frame(Opcode.CLOSE, b"\x03\xe8bye"),
    ]
    packets = [b'2["message","Hello"]', b'217["vote",3]', b'2/admin,1["vote",0]', b'0{"token":"secret"}', b"1"]
    packets += [b"312[1]", b'51-["message",{"_placeholder":true,"num":0}]']
    return {
        "client_frame": Decoder(client_frame, clients),
        "server_frame": Decoder(server_frame, [text.encode() for _, text in SERVER]),
        "session": Decoder(session, [FIELDS.join(clients)]),
        "packet": Decoder(packet, packets),
        # Fed byte by byte: enough for messages on either side of the limit.
        "frames": Decoder(frames, messages, most_bytes=2 * SMALL_BYTES),
    }


def main(name: str, runs: str, seed: str, folder: str) -> None:
    """See above."""
    import atheris

    with atheris.instrument_imports(include=["wslive", "socketio.packet"]):
        import wslive.server.websocket.rfc6455
        import wslive.socketio.packets
        import wslive.wire.session  # noqa: F401

        check, samples, longest_bytes = decoders()[name]

    def one(data: bytes) -> None:
        check(data)

    def mutated(data: bytes, most_bytes: int, seed: int) -> bytes:
        # What msgspec reads it reads in C, where no branches are seen: every other input comes from a whole sample.
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, most_bytes))
        return worse_bytes(rng, rng.choice(samples))[:most_bytes]

    arguments = [sys.argv[0], f"-runs={runs}", f"-seed={seed}", f"-max_len={longest_bytes}", folder]
    atheris.Setup(arguments, one, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
