"""Inputs that nobody has in mind: bytes, frames, handshakes and JSON, made worse by chance from a seed."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.websocket.raw import frame

EDGES = [0, 1, 2, 125, 126, 127, 128, 255, 65535, 65536, 1 << 31, (1 << 53) + 1, 1 << 63, 10**30, -1, -(1 << 63)]
TEXTS = [
    *("", "\0", "\x1b[31m", "‮abc", "​", "﻿", "\ud800", "😀" * 50, "é" * 200, "a" * 5000, "__proto__", "constructor"),
    *("<img src=x onerror=alert(1)>", "=cmd|' /C calc'!A0", "../../etc/passwd", "%00", "' OR 1=1 --", "$\\frac{1}{0}$"),
]


class Written(str):
    """JSON that is written as it stands."""


def chance_bytes(rng: random.Random, most: int) -> bytes:
    """Any bytes, up to so many."""
    return rng.randbytes(rng.randrange(most + 1))


def worse_bytes(rng: random.Random, data: bytes) -> bytes:
    """One to four small accidents."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(7):
            case 0 if at < len(data):
                data = data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
            case 1:
                data = data[:at] + chance_bytes(rng, 8) + data[at:]
            case 2:
                data = data[:at] + data[at + rng.randrange(1, 9) :]
            case 3:
                data = data[:at]
            case 4:
                data = data[:at] + data[rng.randrange(len(data) + 1) :]
            case 5:
                data = (
                    data[:at]
                    + rng.choice((b"\0", b"\xff", b"\xed\xa0\x80", b"\r\n", b'"', b"\\", b"{", b"]"))
                    + data[at:]
                )
            case 6:
                part = data[at : at + rng.randrange(1, 17)]
                data = data[:at] + part * rng.randrange(2, 20) + data[at:]
    return data


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────


NUMBERS = [Written(text) for text in ("1e999", "-1e999", "0.1e-999", "-0", "9" * 400, "1E+5", "-0.0", "1e-400")]
NO_NUMBERS = [Written(text) for text in ("NaN", "Infinity", "00", "1.", "0x1", "-", "+1", "undefined")]
HALVES = [Written(text) for text in (r'"\ud800"', r'"\udc00\ud800"', r'"\u0000"', r'"\u202e"', r'"\uFFFF"')]
NO_TEXTS = [Written(text) for text in (r'"\x"', '"\x01"', '"', "'a'", r'"\u12"')]
BOMBS = [Written(bomb) for size in (50, 400) for bomb in ("[" * size + "]" * size, '{"a":' * size + "1" + "}" * size)]
NO_BOMBS = [Written(bomb) for size in (50, 5000) for bomb in ("[" * size, '{"a":' * size, "[" * size + "]" * size)]


def value(rng: random.Random, *, is_json: bool = False, depth: int = 0) -> Any:
    """Any JSON value, and (unless `is_json`) some that only look like one."""
    match rng.randrange(12 if depth < 3 else 8):
        case 0:
            return rng.choice((None, True, False))
        case 1:
            return rng.choice(EDGES)
        case 2:
            return rng.choice(NUMBERS if is_json or rng.random() < 0.5 else NO_NUMBERS)
        case 3 | 4:
            return rng.choice(TEXTS[:-1] if is_json else TEXTS)
        case 5:
            return rng.choice(HALVES if is_json or rng.random() < 0.5 else NO_TEXTS)
        case 6:
            return rng.choice(BOMBS if is_json or rng.random() < 0.5 else NO_BOMBS)
        case 7:
            return rng.random() * 10 ** rng.randrange(-20, 20)
        case 8 | 9:
            return [value(rng, is_json=is_json, depth=depth + 1) for _ in range(rng.randrange(5))]
        case _:
            size = rng.randrange(5)
            return {rng.choice(TEXTS): value(rng, is_json=is_json, depth=depth + 1) for _ in range(size)}


def worse_json(rng: random.Random, template: Any) -> bytes:
    """A message with something about it that is not right."""
    text = written(rng, _worse(rng, template, is_json=False)).encode(errors="surrogatepass")
    return worse_bytes(rng, text) if rng.random() < 0.2 else text


def worse_wish(rng: random.Random, command: dict[str, Any]) -> bytes:
    """A command as it should be, that wishes something strange: its frame is JSON, and counts as no mistake."""
    worse = {**command, "body": _worse(rng, command["body"], is_json=True)}
    return written(rng, worse).encode(errors="replace")


def _worse(rng: random.Random, template: Any, *, is_json: bool) -> Any:
    if isinstance(template, dict) and template and rng.random() < 0.9:
        name = rng.choice(list(template))
        match rng.randrange(6):
            case 0:
                return {key: kept for key, kept in template.items() if key != name}
            case 1 | 2:
                return {**template, name: value(rng, is_json=is_json)}
            case 3:
                return {**template, rng.choice(TEXTS): value(rng, is_json=is_json)}
            case _:
                return {**template, name: _worse(rng, template[name], is_json=is_json)}
    if isinstance(template, list) and template and rng.random() < 0.8:
        at = rng.randrange(len(template))
        return [*template[:at], _worse(rng, template[at], is_json=is_json), *template[at + rng.randrange(2) :]]
    return value(rng, is_json=is_json)


def written(rng: random.Random, worse: Any) -> str:
    """JSON text; now and then with a key twice, blanks, or escapes where none are needed."""
    if isinstance(worse, Written):
        return worse
    if isinstance(worse, dict):
        items = [(key, written(rng, kept)) for key, kept in worse.items()]
        if items and rng.random() < 0.1:
            items.insert(rng.randrange(len(items) + 1), rng.choice(items))
        blank = " \n\t\r"[rng.randrange(4)] * rng.choice((0, 0, 0, 1, 9))
        return "{" + ",".join(f"{blank}{_text(rng, key)}:{kept}" for key, kept in items) + "}"
    if isinstance(worse, list):
        return "[" + ",".join(written(rng, kept) for kept in worse) + "]"
    return _text(rng, worse) if isinstance(worse, str) else json.dumps(worse)


def _text(rng: random.Random, text: str) -> str:
    return json.dumps(text, ensure_ascii=rng.random() < 0.5)


# ── frames ────────────────────────────────────────────────────────────────────────────────────────────────────────


def worse_frames(rng: random.Random, payload: bytes) -> bytes:
    """A message in frames that are not as they should be, or only look like that."""
    match rng.randrange(9):
        case 0:
            return frame(
                rng.randrange(16), payload[:125], is_final=rng.random() < 0.7, reserved=rng.choice((0, 0, 1, 2, 4))
            )
        case 1:
            return frame(1, payload, mask=None)
        case 2:
            return frame(
                1, payload, length_bytes=rng.choice((2, 8)), claims=abs(rng.choice(EDGES)) % (1 << 63) % (1 << 16)
            )
        case 3:
            return frame(1, payload, length_bytes=8, claims=abs(rng.choice(EDGES)) % (1 << 64))
        case 4:
            parts = [payload[at : at + 1] for at in range(min(len(payload), 300))] or [b""]
            return b"".join(
                frame(1 if at == 0 else 0, part, is_final=at == len(parts) - 1, mask=rng.randbytes(4))
                + (frame(rng.choice((9, 10)), chance_bytes(rng, 5)) if rng.random() < 0.1 else b"")
                for at, part in enumerate(parts)
            )
        case 5:
            return frame(8, rng.choice((b"", b"*", rng.randbytes(2), rng.randbytes(2) + chance_bytes(rng, 130))))
        case 6:
            return frame(rng.choice((9, 10)), chance_bytes(rng, 126), is_final=rng.random() < 0.9)
        case 7:
            return frame(
                rng.choice((0, 1, 2)), chance_bytes(rng, 200), is_final=rng.random() < 0.5, mask=rng.randbytes(4)
            )
        case _:
            return worse_bytes(rng, frame(1, payload, mask=rng.randbytes(4)))


# ── handshakes and other requests ─────────────────────────────────────────────────────────────────────────────────


def worse_request(rng: random.Random, request: bytes) -> bytes:
    """A request with a header, or anything else of it, made worse."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    match rng.randrange(10):
        case 0:
            del lines[rng.randrange(len(lines))]
        case 1:
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
        case 2 | 3:
            at = rng.randrange(len(lines))
            name, colon, _ = lines[at].partition(b":")
            lines[at] = name + colon + b" " + rng.choice((*_HEADER_VALUES, chance_bytes(rng, 40)))
        case 4:
            lines += [b"X-%d: %s" % (number, b"*" * rng.randrange(200)) for number in range(rng.choice((5, 50, 200)))]
        case 5:
            lines.append(b"X: " + b"*" * rng.choice((1000, 16_000, 70_000)))
        case 6:
            method, _, rest = lines[0].partition(b" ")
            lines[0] = rng.choice((b"POST", b"PUT", b"CONNECT", b"get", b"", b"G\0T", b"TRACE", method)) + b" " + rest
        case 7:
            first = lines[0].split(b" ")
            first[1 if len(first) > 1 else 0] = rng.choice(_PATHS)
            lines[0] = b" ".join(first)
        case 8:
            lines[0] = lines[0].rpartition(b" ")[0] + rng.choice(
                (b" HTTP/1.0", b" HTTP/0.9", b" HTTP/2.0", b" HTTP/1.1.1", b"")
            )
        case _:
            return worse_bytes(rng, request)
    ending = rng.choice((b"\r\n",) * 9 + (b"\n",))
    return ending.join([*lines, b"", body])


_HEADER_VALUES = (
    *(b"", b"null", b"websocket", b"Upgrade", b"13", b"8", b"-1", b"1e9", b"close", b"keep-alive, Upgrade", b"chunked"),
    *(
        b"wslive.v1",
        b"wslive.v2",
        b"wslive.v1, wslive.ticket.",
        b"wslive.ticket." + b"A" * 5000,
        b",,,,",
        b"permessage-deflate",
    ),
    *(b"dGhlIHNhbXBsZSBub25jZQ==", b"evil.example", b"127.0.0.1:99999999", b"[::1", b"http://evil.example", b"file://"),
    *(
        b"multipart/form-data; boundary=" + b"x" * 100,
        b"application/x-www-form-urlencoded",
        b"999999999999",
        b"\xff\xfe",
        b"\0",
    ),
    *(b"Bearer ", b"Bearer " + b"x" * 3000, b"Basic Og==", b"a=b; " * 500),
)
_PATHS = (
    *(
        b"/",
        b"*",
        b"",
        b"//",
        b"/ws?",
        b"/ws/../api/rooms",
        b"/r/%00",
        b"/r/" + b"A" * 5000,
        b"/static/../../etc/passwd",
    ),
    *(
        b"/static/%2e%2e/%2e%2e/x",
        b"/api/rooms/ABCDEF/events?after=99999999999999999999",
        b"/api/rooms/ABCDEF/events?limit=-1",
    ),
    *(
        b"http://evil.example/ws",
        b"/ws\xff\xfe",
        b"/%c0%ae",
        b"/r/AAAAAA/qr.svg",
        b"/socket.io/?EIO=4&transport=polling",
    ),
    *(b"/socket.io/?EIO=9&transport=x", b"/health", b"/echo", b"/ws#x", b"/r/AAAAAA/about?" + b"a=1&" * 500),
)
