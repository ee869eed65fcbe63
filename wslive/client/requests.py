"""What a connection has asked and has no answer to yet. Kept over reconnects and sent again with the same refs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import msgspec


class Request:
    """One question to the server.

    Attributes:
        ref: Its name; the same however often it is sent.
        frame: What is sent.
        answer: Its result: the offset of a command, the entries of a page, a ticket.
        was_sent_again: Whether the server may have seen it before.
        offset: Where the command is in the log, once that is known: the answer is given when the replica shows it.
    """

    __slots__ = ("answer", "frame", "offset", "ref", "was_sent_again")

    def __init__(self, ref: str, frame: bytes) -> None:
        """Make a question of the running loop."""
        self.ref = ref
        self.frame = frame
        self.was_sent_again = False
        self.offset: int | None = None
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        # Whoever asked may have gone (a time-out, an interrupt) when a refusal comes; asyncio would log it then.
        self.answer.add_done_callback(_looked_at)


class Requests:
    """All open questions of one connection, in the order asked."""

    def __init__(self) -> None:
        """Start with none."""
        self._by_ref: dict[str, Request] = {}
        self._acked: list[Request] = []

    def __len__(self) -> int:
        """How many the server has not answered."""
        return len(self._by_ref)

    def add(self, request: Request) -> None:
        """Keep a question until it is answered."""
        self._by_ref[request.ref] = request

    def forget(self, ref: str) -> None:
        """Ask it no more."""
        self._by_ref.pop(ref, None)

    def unanswered(self) -> Iterator[Request]:
        """What has to be sent again after a reconnect, in the order asked."""
        yield from list(self._by_ref.values())

    def get(self, ref: str) -> Request | None:
        """One that is not answered yet."""
        return self._by_ref.get(ref)

    def answer(self, ref: str, result: Any) -> None:
        """Give the answer to whoever asked."""
        request = self._by_ref.pop(ref, None)
        if request is not None and not request.answer.done():
            request.answer.set_result(result)

    def ack(self, ref: str, offset: int) -> bool:
        """Note where a command is in the log; False for a ref that nobody waits for."""
        request = self._by_ref.pop(ref, None)
        if request is None:
            return False
        request.offset = offset
        self._acked.append(request)
        return True

    def shown(self, offset: int) -> None:
        """The replica has come to `offset`: give the answers of all commands up to there."""
        if not self._acked:
            return
        waiting: list[Request] = []
        for request in self._acked:
            if request.offset is not None and request.offset > offset:
                waiting.append(request)
            elif not request.answer.done():
                request.answer.set_result(request.offset)
        self._acked = waiting

    def show_all(self) -> None:
        """Give the answers of all acked commands: the replica will never come to their offsets."""
        for request in self._acked:
            if not request.answer.done():
                request.answer.set_result(request.offset)
        self._acked.clear()

    def refuse(self, ref: str, error: Exception) -> None:
        """Give an error to whoever asked."""
        request = self._by_ref.pop(ref, None)
        if request is not None and not request.answer.done():
            request.answer.set_exception(error)

    def fail_all(self, error: Exception) -> None:
        """The connection has ended for good."""
        self.show_all()
        for ref in list(self._by_ref):
            self.refuse(ref, error)


def new_ref(offset: int = 0) -> str:
    """A name for a command: 96 random bits. Never from a seeded generator: two runs would send the same refs.

    Args:
        offset: How far the replica has come. With that before them, names that are new lie side by side in the index of
            a store, and not all over it.
    """
    return f"{offset:08x}{secrets.token_urlsafe(12)}"


def raw(body: object) -> msgspec.Raw:
    """The body of a command, from plain data."""
    return msgspec.Raw(msgspec.json.encode(body))


def _looked_at(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()
