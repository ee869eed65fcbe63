"""What is spoken on our WebSockets, as the cases need it; and how a case is held against one of them."""

from __future__ import annotations

from tests.websocket.cases import Case
from tests.websocket.raw import Frame, Opcode, RawSocket, close


class Echo:
    """`/echo`: any text and any bytes, and back comes a text."""

    name, path, max_bytes, too_big = "echo", "/echo", 16_384, 4501

    def asks(self, text: bytes) -> bytes:
        return text

    def answers(self, text: bytes) -> Frame:
        return Frame(Opcode.TEXT, b"Roger that! " + text)

    def takes(self, text: bytes) -> bool:
        return True

    def binary(self, payload: bytes) -> Frame | int:
        return self.answers(payload)


class Room:
    """`/ws`: messages of `wslive.v1`, of which a ping is answered before anything else was said."""

    name, path, max_bytes, too_big = "room", "/ws", 16_384, 4501

    def asks(self, text: bytes) -> bytes:
        return b'{"type":"ping","n":7,"x":"' + text + b'"}'

    def answers(self, text: bytes) -> Frame:
        return Frame(Opcode.TEXT, b'{"type":"pong","n":7}')

    def takes(self, text: bytes) -> bool:
        """JSON has its own way of writing control characters."""
        return min(text, default=32) >= 32

    def binary(self, payload: bytes) -> Frame | int:
        return 4500


def check(case: Case, other: RawSocket) -> None:
    """Hold a conversation: everything that has to come comes, and nothing else does."""
    for sent in case.sends:
        other.send(sent)
    came = [other.frame() for _ in case.answers]
    for is_pong in (False, True):
        assert _pick(came, is_pong) == _pick(case.answers, is_pong)
    if case.fails is None:
        other.send(case.last)
        assert [answer.close_code for answer in other.frames()] == [case.closes]
        return
    if case.answers:
        other.send(case.last)
    # Without a word, or with the code; then the connection is at its end.
    said = other.frame()
    if said is not None:
        assert (said.opcode, said.close_code) == (Opcode.CLOSE, case.fails), said
        other.send(close(case.fails))
        assert other.frame() is None


def _pick(frames: list[Frame | None] | list[Frame], is_pong: bool) -> list[Frame | None]:
    return [frame for frame in frames if frame is None or (frame.opcode == Opcode.PONG) == is_pong]
