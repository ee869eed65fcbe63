"""What RFC 6455 asks of a server, as a table: what is sent, what has to come back, and how the connection ends.

Written from the RFC and from Unicode's table of well-formed UTF-8 (chapter 3, table 3-7). Cases that Autobahn's fuzzing
client has too carry its numbers, so that the two can be read side by side; cases of our own begin with 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tests.websocket.raw import Frame, Opcode, close, fragments, frame, pieces

TEXT, BINARY, CONTINUATION = Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION

PROTOCOL_ERROR = 1002
NOT_UTF8 = 1007


class Dialect(Protocol):
    """What is spoken on a WebSocket of ours, as far as the cases need it: it answers texts."""

    name: str
    path: str
    max_bytes: int
    too_big: int
    """The code with which it closes on a larger message."""

    def asks(self, text: bytes) -> bytes:
        """A message that carries a text."""
        ...

    def answers(self, text: bytes) -> Frame:
        """What comes back."""
        ...

    def takes(self, text: bytes) -> bool:
        """Whether it can carry the text."""
        ...

    def binary(self, payload: bytes) -> Frame | int:
        """What comes back for a binary message: an answer, or the code with which it closes."""
        ...


@dataclass(frozen=True)
class Case:
    """One conversation.

    Attributes:
        number: Autobahn's, or one of ours.
        says: What it is about, with the paragraph.
        sends: What is written, each by a write of its own.
        answers: The frames that have to come back; pongs may overtake texts.
        fails: The code of a violation: the server must end the connection, with this code or without a word (§7.1.7).
            None: nothing is wrong, and the server answers the close frame in `last`.
        last: What is written when all answers have come; with `fails` only where it is not in `sends`.
        closes: The code that has to come back for a close frame; None for none.
    """

    number: str
    says: str
    sends: list[bytes]
    answers: list[Frame] = field(default_factory=list)
    fails: int | None = None
    last: bytes = close(1000)
    closes: int | None = 1000


def pong(payload: bytes = b"") -> Frame:
    """A pong."""
    return Frame(Opcode.PONG, payload)


def ping(payload: bytes = b"", **options: bool) -> bytes:
    """A ping's bytes."""
    return frame(Opcode.PING, payload, **options)


def cases(by: Dialect) -> Iterator[Case]:
    """All of them, in one dialect."""
    for family in (_sizes, _masks_and_lengths, _pings, _reserved, _fragments, _utf8, _closing):
        yield from family(by)


def _sizes(by: Dialect) -> Iterator[Case]:
    """§5.2, §5.6: texts and bytes of all lengths."""
    most = by.max_bytes - len(by.asks(b""))
    for number, size in enumerate((0, 125, 126, 127, 128, most - 1, most), 1):
        text = b"*" * size
        yield Case(f"1.1.{number}", f"a text of {size} bytes", [frame(TEXT, by.asks(text))], [by.answers(text)])
        answer = by.binary(text)
        yield Case(
            f"1.2.{number}",
            f"{size} bytes",
            [frame(BINARY, text)],
            [answer] if isinstance(answer, Frame) else [],
            answer if isinstance(answer, int) else None,
        )
    text = b"*" * most
    whole = frame(TEXT, by.asks(text))
    yield Case("1.1.8", "a long text in writes of 997 bytes", list(pieces(whole, 997)), [by.answers(text)])
    yield Case("0.1.1", "one byte more than is taken", [frame(TEXT, by.asks(text + b"*"))], fails=by.too_big)
    halves = list(pieces(by.asks(text + b"*"), by.max_bytes // 2))
    yield Case("0.1.2", "one byte more, in fragments", [b"".join(fragments(TEXT, halves))], fails=by.too_big)
    for number, size in enumerate((by.max_bytes + 1, 65536, 1 << 20, 1 << 31, 1 << 32, (1 << 63) - 1), 1):
        head = frame(TEXT, b"", claims=size)
        yield Case(f"0.1.3.{number}", f"a length of {size} is refused before it comes", [head], fails=by.too_big)
    head = frame(TEXT, by.asks(b"*"), is_final=False) + frame(CONTINUATION, b"", claims=by.max_bytes)
    yield Case("0.1.4", "so is that of a fragment with which it is too much", [head], fails=by.too_big)
    head = frame(TEXT, b"", claims=1 << 63)
    yield Case("0.1.7", "a length with its highest bit set", [head], fails=by.too_big)
    yield Case(
        "0.1.5",
        "a hundred messages in one write",
        [frame(TEXT, by.asks(b"*")) * 100],
        [by.answers(b"*")] * 100,
    )
    yield Case("0.1.6", "byte by byte", list(pieces(frame(TEXT, by.asks(b"*" * 130)), 1)), [by.answers(b"*" * 130)])


def _masks_and_lengths(by: Dialect) -> Iterator[Case]:
    """§5.1, §5.2, §5.3: what a client has to keep to in each frame."""
    hello = by.asks(b"Hello")
    for number, mask in enumerate((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0"), 1):
        says = f"the mask {mask.hex()}"
        yield Case(f"0.2.{number}", says, [frame(TEXT, hello, mask=mask)], [by.answers(b"Hello")])
    for size in range(9):
        text = b"*" * size
        yield Case(f"0.2.5.{size}", "masks end anywhere", [frame(TEXT, by.asks(text))], [by.answers(text)])
    unmasked = {
        "a text": frame(TEXT, hello, mask=None),
        "a ping": frame(Opcode.PING, b"Hello", mask=None),
        "a close": frame(Opcode.CLOSE, b"\x03\xe8", mask=None),
        "an empty text": frame(TEXT, b"", mask=None),
    }
    for number, (what, sent) in enumerate(unmasked.items(), 1):
        yield Case(f"0.2.6.{number}", f"{what} without a mask (§5.1)", [sent], fails=PROTOCOL_ERROR)
    second = [frame(TEXT, hello[:3], is_final=False), frame(CONTINUATION, hello[3:], mask=None)]
    yield Case("0.2.7", "a second fragment without a mask", [b"".join(second)], fails=PROTOCOL_ERROR)
    for number, (length_bytes, size) in enumerate(((2, 5), (2, 80), (8, 5), (8, 80), (8, 126), (8, 9000)), 1):
        sent = frame(TEXT, by.asks(b"*" * size), length_bytes=length_bytes)
        says = f"a length in {length_bytes} bytes, longer than needed: clients should not, and are heard all the same"
        yield Case(f"0.2.8.{number}", says, [sent], [by.answers(b"*" * size)])


def _pings(by: Dialect) -> Iterator[Case]:
    """§5.5.2, §5.5.3: pings are answered, pongs are not."""
    full = bytes(range(125))
    yield Case("2.1", "a ping without payload", [ping()], [pong()])
    yield Case("2.2", "a ping with a text", [ping(b"Hello, world!")], [pong(b"Hello, world!")])
    yield Case(
        "2.3",
        "a ping with bytes",
        [ping(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
        [pong(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
    )
    yield Case("2.4", "a ping of 125 bytes", [ping(full)], [pong(full)])
    yield Case("2.5", "a ping of 126 bytes (§5.5)", [ping(full + b"*")], fails=PROTOCOL_ERROR)
    yield Case("2.6", "a ping of 125 bytes byte by byte", list(pieces(ping(full), 1)), [pong(full)])
    unasked = frame(Opcode.PONG)
    named = frame(Opcode.PONG, b"unasked")
    yield Case("2.7", "a pong that nobody asked for", [unasked])
    yield Case("2.8", "a pong with payload that nobody asked for", [named])
    yield Case("2.9", "such a pong, then a ping", [named + ping(b"Hello")], [pong(b"Hello")])
    ten = [b"ping %d" % number for number in range(10)]
    pongs = [pong(payload) for payload in ten]
    yield Case("2.10", "ten pings", [ping(payload) for payload in ten], pongs)
    yield Case("2.11", "ten pings byte by byte", list(pieces(b"".join(map(ping, ten)), 1)), pongs)
    for number, payload in enumerate((b"", b"Hello"), 1):
        head = frame(Opcode.PING, payload, length_bytes=2)
        yield Case(f"0.3.{number}", "a ping whose length is in two bytes (§5.5)", [head], fails=PROTOCOL_ERROR)
    yield Case(
        "0.3.3", "a ping whose length is in eight bytes", [frame(Opcode.PING, claims=1 << 40)], fails=PROTOCOL_ERROR
    )
    yield Case(
        "0.3.4",
        "a ping between two texts in one write",
        [frame(TEXT, by.asks(b"1")) + ping(b"!") + frame(TEXT, by.asks(b"2"))],
        [by.answers(b"1"), pong(b"!"), by.answers(b"2")],
    )


def _reserved(by: Dialect) -> Iterator[Case]:
    """§5.2: bits and opcodes that mean nothing yet."""
    hello, answer = by.asks(b"Hello"), by.answers(b"Hello")
    good = frame(TEXT, hello)
    yield Case("3.1", "RSV3 in a text", [frame(TEXT, hello, reserved=1)], fails=PROTOCOL_ERROR)
    yield Case("3.2", "a text, RSV2, a ping", [good], [answer], 1002, frame(TEXT, hello, reserved=2) + ping())
    yield Case("3.3", "a text, RSV2 and RSV3", [good], [answer], 1002, frame(TEXT, hello, reserved=3))
    drops = list(pieces(frame(TEXT, hello, reserved=4), 1))
    yield Case("3.4", "RSV1, byte by byte", drops, fails=PROTOCOL_ERROR)
    yield Case("3.5", "RSV1 and RSV3 in bytes", [frame(BINARY, b"\0\xff", reserved=5)], fails=PROTOCOL_ERROR)
    yield Case("3.6", "RSV1 and RSV2 in a ping", [frame(Opcode.PING, b"*", reserved=6)], fails=PROTOCOL_ERROR)
    yield Case("3.7", "all three in a close", [frame(Opcode.CLOSE, reserved=7)], fails=PROTOCOL_ERROR)
    first, second = frame(TEXT, hello[:3], is_final=False), frame(CONTINUATION, hello[3:], reserved=1)
    yield Case("0.4.1", "RSV3 in a second fragment", [first + second], fails=PROTOCOL_ERROR)
    for number, opcode in enumerate((3, 4, 5, 6, 7), 1):
        yield Case(f"4.1.{number}", f"opcode {opcode}", [frame(opcode, b"*")], fails=PROTOCOL_ERROR)
        after = frame(opcode, b"*") + ping()
        yield Case(f"0.4.2.{number}", f"a text, opcode {opcode}, a ping", [good], [answer], 1002, after)
        yield Case(f"0.4.3.{number}", f"opcode {opcode} begins fragments", [frame(opcode, is_final=False)], fails=1002)
    for number, opcode in enumerate((11, 12, 13, 14, 15), 1):
        yield Case(f"4.2.{number}", f"opcode {opcode}", [frame(opcode)], fails=PROTOCOL_ERROR)
        after = frame(opcode, b"*") + ping()
        yield Case(f"0.4.4.{number}", f"a text, opcode {opcode}, a ping", [good], [answer], 1002, after)


def _fragments(by: Dialect) -> Iterator[Case]:
    """§5.4: messages in fragments, and what may come between."""
    text = by.asks(b"fragment1fragment2")
    answer = by.answers(b"fragment1fragment2")
    one, two = fragments(TEXT, [text[:-9], text[-9:]])
    lost = frame(CONTINUATION, b"nothing to continue", is_final=False)
    last = frame(CONTINUATION, b"nothing to continue")

    def at_a_time(data: bytes) -> Iterator[tuple[str, list[bytes]]]:
        yield "frame by frame", [data]
        yield "byte by byte", list(pieces(data, 1))

    yield Case("5.1", "a ping in two fragments", [ping(b"1", is_final=False) + frame(CONTINUATION, b"2")], fails=1002)
    pongs = frame(Opcode.PONG, b"1", is_final=False) + frame(CONTINUATION, b"2")
    yield Case("5.2", "a pong in two fragments", [pongs], fails=PROTOCOL_ERROR)
    yield Case("5.3", "a text in two fragments", [one, two], [answer])
    yield Case("5.4", "the same in one write", [one + two], [answer])
    yield Case("5.5", "the same byte by byte", list(pieces(one + two, 1)), [answer])
    yield Case("5.6", "a ping between two fragments", [one, ping(b"!"), two], [pong(b"!"), answer])
    yield Case("5.7", "the same in one write", [one + ping(b"!") + two], [pong(b"!"), answer])
    yield Case("5.8", "the same byte by byte", list(pieces(one + ping(b"!") + two, 1)), [pong(b"!"), answer])
    for number, (how, sends) in enumerate(at_a_time(last + frame(TEXT, text)), 9):
        yield Case(f"5.{number}", f"a last fragment of nothing, {how}", sends, fails=PROTOCOL_ERROR)
    for number, (how, sends) in enumerate(at_a_time(lost + frame(TEXT, text)), 12):
        yield Case(f"5.{number}", f"a fragment of nothing, {how}", sends, fails=PROTOCOL_ERROR)
    yield Case("5.15", "a fragment after the last", [one + two], [answer], 1002, lost + one + two)
    yield Case("5.16", "fragments of nothing before those of a text", [lost + one + two] * 2, fails=PROTOCOL_ERROR)
    yield Case("5.17", "last fragments of nothing before those of a text", [last + one + two] * 2, fails=PROTOCOL_ERROR)
    yield Case("5.18", "a text within a text", [one + frame(TEXT, text)], fails=PROTOCOL_ERROR)
    yield Case("0.5.1", "bytes within a text", [one + frame(BINARY, b"*")], fails=PROTOCOL_ERROR)
    yield Case("0.5.2", "the beginning of a text within a text", [one + one], fails=PROTOCOL_ERROR)
    five = fragments(TEXT, list(pieces(text, len(text) // 5 + 1)))
    between = [*five[:2], ping(b"1"), *five[2:4], ping(b"2"), *five[4:]]
    answers = [pong(b"1"), pong(b"2"), answer]
    yield Case("5.19", "five fragments with pings between", between, answers)
    yield Case("5.20", "the same in two writes", [b"".join(between[:3]), b"".join(between[3:])], answers)
    bare = [frame(TEXT, b"", is_final=False), frame(CONTINUATION, b"", is_final=False), frame(CONTINUATION, text)]
    yield Case("0.5.3", "fragments may be empty", [b"".join(bare)], [answer])
    drops = fragments(TEXT, list(pieces(text, 1)))
    yield Case("0.5.4", "fragments of one byte", [b"".join(drops)], [answer])
    crowd = b"".join(part + frame(Opcode.PONG) for part in drops)
    yield Case("0.5.5", "fragments of one byte with pongs between", [crowd], [answer])
    yield Case("0.5.6", "two texts in fragments, one after the other", [(one + two) * 2], [answer, answer])
    chunks = fragments(BINARY, [b"\xf0\x9f", b"\x97\xb3"])
    binary = by.binary("🗳".encode())
    if isinstance(binary, Frame):
        yield Case("0.5.7", "bytes in fragments", [b"".join(chunks)], [binary])


# ── UTF-8 ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_KOSME = "κόσμε".encode()
_CUT = _KOSME + b"\xed\xa0\x80" + b"edited"
"""A well-formed beginning, a surrogate, a well-formed end."""


def well_formed() -> Iterator[tuple[str, bytes]]:
    """Texts at the edges of what UTF-8 can write."""
    yield "6.2.1", "Hello-µ@ßöäüàá-UTF-8!!".encode()
    yield "6.5.1", _KOSME
    for number, point in enumerate((0, 0x80, 0x800, 0x10000), 1):
        yield f"6.7.{number}", chr(point).encode()
    for number, point in enumerate((0x7F, 0x7FF, 0xFFFF, 0x10FFFF), 1):
        yield f"6.9.{number}", chr(point).encode()
    for number, point in enumerate((0xD7FF, 0xE000, 0xFFFD, 0x10FFFF), 1):
        yield f"6.11.{number}", chr(point).encode()
    noncharacters = [plane << 16 | end for plane in range(17) for end in (0xFFFE, 0xFFFF)]
    for number, point in enumerate([*noncharacters, 0xFDD0, 0xFDEF], 1):
        yield f"6.22.{number}", chr(point).encode()
    for number, point in enumerate((0xFFF9, 0xFFFA, 0xFFFB, 0xFFFC, 0xFFFD), 1):
        yield f"6.23.{number}", chr(point).encode()
    yield "0.6.1", "🗳️👩‍👩‍👧‍👦".encode()


def ill_formed() -> Iterator[tuple[str, bytes]]:
    """Bytes that are no UTF-8, one kind after the other."""
    yield "6.3.1", _CUT
    kosme = list(range(1, len(_KOSME)))
    ends = [end for end in kosme if not _is_well_formed(_KOSME[:end])]
    yield from ((f"6.6.{number}", _KOSME[:end]) for number, end in enumerate(ends, 1))
    yield from (("6.8.1", b"\xf8\x88\x80\x80\x80"), ("6.8.2", b"\xfc\x84\x80\x80\x80\x80"))
    longest = (b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf")
    yield from ((f"6.10.{number}", text) for number, text in enumerate(longest, 1))
    yield "6.11.5", b"\xf4\x90\x80\x80"
    stray = [
        b"\x80",
        b"\xbf",
        b"\x80\xbf",
        b"\x80\xbf\x80",
        b"\x80\xbf\x80\xbf",
        b"\x80\xbf\x80\xbf\x80",
        bytes(range(0x80, 0xC0)),
    ]
    yield from ((f"6.12.{number}", text) for number, text in enumerate(stray, 1))
    lonely = [range(0xC0, 0xE0), range(0xE0, 0xF0), range(0xF0, 0xF8), range(0xF8, 0xFC), range(0xFC, 0xFE)]
    for number, firsts in enumerate(lonely, 1):
        yield f"6.13.{number}", b"".join(bytes((first, 0x20)) for first in firsts)
    cut = [b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80"]
    cut += [b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf"]
    yield from ((f"6.14.{number}", text) for number, text in enumerate(cut, 1))
    yield "6.15.1", b"".join(cut)
    impossible = [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]
    yield from ((f"6.16.{number}", text) for number, text in enumerate(impossible, 1))
    slash = [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf"]
    yield from ((f"6.17.{number}", text) for number, text in enumerate(slash, 1))
    overlong = [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf", b"\xfc\x83\xbf\xbf\xbf\xbf"]
    yield from ((f"6.18.{number}", text) for number, text in enumerate(overlong, 1))
    nul = [b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80", b"\xfc\x80\x80\x80\x80\x80"]
    yield from ((f"6.19.{number}", text) for number, text in enumerate(nul, 1))
    halves = [0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80, 0xDFFF]
    yield from ((f"6.20.{number}", _surrogate(half)) for number, half in enumerate(halves, 1))
    pairs = [(high, low) for high in halves[:4] for low in (0xDC00, 0xDFFF)]
    for number, (high, low) in enumerate(pairs, 1):
        yield f"6.21.{number}", _surrogate(high) + _surrogate(low)


def _surrogate(half: int) -> bytes:
    return chr(half).encode(errors="surrogatepass")


def _is_well_formed(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _utf8(by: Dialect) -> Iterator[Case]:
    """§5.6, §8.1: a text is UTF-8 as a whole; a fragment need not be."""
    for number, texts in enumerate(([b""], [b"", b"", b""], [b"", b"middle", b""]), 1):
        text = b"".join(texts)
        begin, end = by.asks(b"|").split(b"|")
        parts = [begin + texts[0], *texts[1:]]
        parts[-1] += end
        yield Case(f"6.1.{number}", "texts and fragments may be empty", fragments(TEXT, parts), [by.answers(text)])
    for number, text in well_formed():
        if by.takes(text):
            says = f"{text.hex()} is well formed"
            yield Case(number, says, [frame(TEXT, by.asks(text))], [by.answers(text)])
            bytewise = fragments(TEXT, list(pieces(by.asks(text), 1)))
            yield Case(f"{number}.1", f"{says}, byte by byte", [b"".join(bytewise)], [by.answers(text)])
    for number, text in ill_formed():
        asked = by.asks(text)
        yield Case(number, f"{text.hex()} is no UTF-8", [frame(TEXT, asked)], fails=NOT_UTF8)
        bytewise = fragments(TEXT, list(pieces(asked, 1)))
        yield Case(f"{number}.1", f"{text.hex()}, byte by byte", [b"".join(bytewise)], fails=NOT_UTF8)
    yield from _at_once(by)


def _at_once(by: Dialect) -> Iterator[Case]:
    """What is no UTF-8 any more is refused before the rest comes: nothing that follows could mend it."""
    begin = by.asks(b"|").split(b"|")[0] + _KOSME
    for number, bad in enumerate((b"\xf4\x90", b"\xed\xa0\x80", b"\xff", b"\xc0"), 1):
        sends = [frame(TEXT, begin, is_final=False), frame(CONTINUATION, bad, is_final=False)]
        yield Case(f"6.4.{number}", f"fragments that go on with {bad.hex()}", sends, fails=NOT_UTF8)
        whole = frame(TEXT, begin + bad + b"*" * 100)
        yield Case(f"0.6.2.{number}", f"a frame that holds {bad.hex()}, then nothing", [whole], fails=NOT_UTF8)


# ── closing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _closing(by: Dialect) -> Iterator[Case]:
    """§5.5.1, §7: how a connection ends."""
    hello, answer = by.asks(b"Hello"), by.answers(b"Hello")
    good = frame(TEXT, hello)
    one, two = fragments(TEXT, [hello[:3], hello[3:]])
    yield Case("7.1.1", "a text, then a close", [good], [answer])
    yield Case("7.1.2", "two closes: the second is not looked at", [], last=close(1000) * 2)
    yield Case("7.1.3", "a ping after a close is not answered", [], last=close(1000) + ping())
    yield Case("7.1.4", "a text after a close is not answered", [], last=close(1000) + good)
    yield Case("7.1.5", "a close between two fragments", [one], last=close(1000) + two)
    yield Case("7.3.1", "a close without payload", [], last=close(), closes=None)
    yield Case("7.3.2", "a close with half a code", [frame(Opcode.CLOSE, b"*")], fails=PROTOCOL_ERROR)
    yield Case("7.3.3", "a close with a code", [], last=close(1000))
    yield Case("7.3.4", "a close with a reason", [], last=close(1000, b"Hello World!"))
    yield Case("7.3.5", "a close with the longest reason", [], last=close(1000, b"*" * 123))
    yield Case("7.3.6", "a close with a reason that is too long", [close(1000, b"*" * 124)], fails=PROTOCOL_ERROR)
    for number, bad in enumerate((_CUT, b"\xce", b"\xff"), 1):
        sent = close(1000, bad)
        yield Case(f"7.5.{number}", f"a close whose reason {bad.hex()} is no UTF-8", [sent], fails=NOT_UTF8)
    good_codes = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for number, code in enumerate(good_codes, 1):
        yield Case(f"7.7.{number}", f"the code {code}", [], last=close(code), closes=code)
    bad_codes = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535, 1015)
    for number, code in enumerate(bad_codes, 1):
        sent = close(code)
        yield Case(f"7.9.{number}", f"the code {code}, which nobody may send (§7.4)", [sent], fails=PROTOCOL_ERROR)
        yield Case(f"0.7.1.{number}", f"the code {code} after a text", [good], [answer], 1002, sent)
    for number, code in enumerate((1012, 1013, 1014), 1):
        says = f"the code {code}, registered since"
        yield Case(f"0.7.2.{number}", says, [], last=close(code), closes=code)
    yield Case("0.7.3", "a close in two fragments", [frame(Opcode.CLOSE, b"\x03\xe8", is_final=False)], fails=1002)
    yield Case("0.7.4", "a close byte by byte", [], last=close(1000, b"by"))
