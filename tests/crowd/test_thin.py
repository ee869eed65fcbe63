"""Thin people against a real server, and against others that answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.crowd.lecture import Lecture
from wslive.crowd.thin import Ears, NotIn, ThinPerson, open_thin
from wslive.wire import messages


def hello(code: str, ref: str = "a-ref-of-somebody", name: str = "Ada") -> messages.Hello:
    return messages.Hello(room=code, ref=ref, name=name)


async def test_somebody_joins_and_is_told_what_happens_and_each_frame_is_decoded_once(lecture: Lecture):
    heard: list[tuple[ThinPerson, messages.ServerMessage]] = []
    came = asyncio.Event()

    def hear(person: ThinPerson, message: messages.ServerMessage) -> None:
        heard.append((person, message))
        came.set()

    ears = Ears(hear)
    people = [
        await open_thin(ears, lecture.server.url, hello(lecture.host.code, f"ref-of-{n}", f"Guest {n}"), timeout_s=10)
        for n in range(3)
    ]

    async def all_at(offset: int) -> None:
        async with asyncio.timeout(10):
            while any(person.offset < offset for person in people):
                came.clear()
                await came.wait()

    await lecture.host.changed(lambda view: view["people"]["count"] == 3)
    await all_at(lecture.host.replica.offset)
    poll = await lecture.ask()
    await all_at(poll)
    deltas = [message for _, message in heard if isinstance(message, messages.Delta) and message.to >= poll]
    assert len(deltas) == 3
    assert deltas[0] is deltas[1] is deltas[2]
    for person in people:
        person.close()
        assert person.lost == ""


async def test_who_does_not_get_in_is_told_why(lecture: Lecture):
    ears = Ears(lambda person, message: None)
    with pytest.raises(NotIn, match="This room cannot be joined"):
        await open_thin(ears, lecture.server.url, hello("AAAAAA"), timeout_s=10)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.22\r\n\r\n<html>", "answered with HTTP 502 by nginx"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "what answers is no WebSocket server"),
        (b"", "the connection was cut before its handshake was done"),
        (None, "no answer within 0.2 s"),
    ],
)
async def test_what_answers_instead_is_told(answer: bytes | None, reason: str):
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        done.set()

    timeout_s = 0.2 if answer is None else 10.0
    async with await asyncio.start_server(handle, "127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        with pytest.raises(NotIn) as caught:
            await open_thin(Ears(lambda person, message: None), url, hello("AAAAAA"), timeout_s=timeout_s)
        async with asyncio.timeout(10):
            await done.wait()
    assert str(caught.value) == reason


async def test_where_nobody_listens_that_is_the_reason(unused_tcp_port: int):
    with pytest.raises(NotIn, match=r"^connection refused$"):
        await open_thin(
            Ears(lambda person, message: None), f"http://127.0.0.1:{unused_tcp_port}", hello("AAAAAA"), timeout_s=5
        )
