"""Staying connected: one socket after the other, until the server or the caller ends it.

Each socket is opened, hello is said, and what comes goes to `on_message`, first of all the `welcome`. When a socket is
lost, or none could be opened, `on_down` hears why and decides whether to come back; the next try waits for the backoff,
for the server's `bye`, or as long as a refusal asks, but not for the first two once somebody wants something (`hurry`:
what `online`, a look at the page and its button are to a browser). Frames are handled in the socket's own callback: a
flood of them makes no tasks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

import msgspec

from wslive.client.backoff import FIRST_TRY_WITHIN_S, Backoff
from wslive.client.replica import Gap
from wslive.client.socket import Socket, open_socket
from wslive.client.unreachable import CannotConnect
from wslive.core.errors import (
    ConnectionEnded,
    NotConnected,
    TemporarilyUnavailable,
    TooFast,
    WsliveError,
    refusal,
)
from wslive.wire import codec, messages
from wslive.wire.close_codes import CloseCode, is_final

log = logging.getLogger(__name__)

SENTENCES: dict[int | None, str] = {int(code): code.sentence for code in CloseCode}

CONNECT_TIMEOUT_S = 10.0
WELCOME_TIMEOUT_S = 10.0
RETRY_AFTER_S = 1.0
"""When a refusal that time may cure names no time of its own."""
LEAST_PAUSE_S = 0.5
"""Between two tries, however many people hurry: a loop that reads must not knock in every turn."""


class Down(msgspec.Struct, frozen=True):
    """Why there is no connection now.

    Attributes:
        error: For the person at the notebook.
        is_final: The server has spoken; coming back is pointless.
        is_definite: The next try will most likely fail alike (nobody listens there), though that may change one day.
        spread_s: Within how many seconds the server wishes its clients back; 0: it said nothing.
        retry_after_s: How long a refusal asks to wait, of the handshake or of the hello.
    """

    error: WsliveError
    is_final: bool = False
    is_definite: bool = False
    spread_s: float = 0.0
    retry_after_s: float = 0.0


class Link:
    """The sockets of one connection, at most one at a time.

    Attributes:
        is_live: Whether the present socket has been welcomed; until then only hello may be sent.
    """

    def __init__(
        self,
        server: str,
        *,
        hello: Callable[[], messages.Hello],
        on_message: Callable[[messages.ServerMessage], None],
        on_down: Callable[[Down], bool],
        rng: random.Random,
    ) -> None:
        """Prepare; `run` connects.

        Args:
            server: The server's base URL.
            hello: Makes the first message of each socket.
            on_message: Called with every message but those about the link itself; raises `Gap` where what came does
                not continue what was there.
            on_down: Called when there is no connection (any more); returns whether to come back.
            rng: For the delays before coming back.
        """
        self.server = server
        self.is_live = False
        self._hello = hello
        self._on_message = on_message
        self._on_down = on_down
        self._backoff = Backoff(rng)
        self._socket: Socket | None = None
        self._cause: Down | None = None
        self._hurried = asyncio.Event()
        self._outcome: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Stay connected until `on_down` says no. Cancelling closes the socket."""
        while True:
            down = await self._one_socket()
            goes_on = self._on_down(down)
            self._is_decided()
            if not goes_on:
                return
            await self._pause(down)

    def hurry(self) -> asyncio.Future[None]:
        """Make the next try now instead of when it is due; the future is done once that try has led to something."""
        self._hurried.set()
        if self._outcome is None:
            self._outcome = asyncio.get_running_loop().create_future()
        return self._outcome

    def send(self, frame: bytes) -> None:
        """Send a frame, if the link is live."""
        if self._socket is not None and self.is_live:
            self._socket.send(frame)

    def drop(self, down: Down) -> None:
        """Close the present socket, because of `down`; `run` goes on from there."""
        self._cause = self._cause or down
        if self._socket is not None:
            self._socket.drop()

    async def _pause(self, down: Down) -> None:
        """Wait until the next try is due, or somebody hurries."""
        loop = asyncio.get_running_loop()
        earliest_s = loop.time() + max(LEAST_PAUSE_S, down.retry_after_s)
        self._hurried.clear()
        with contextlib.suppress(TimeoutError):
            # Not before the time that was asked for, and not all at that time who were told the same.
            async with asyncio.timeout(down.retry_after_s + self._backoff.delay_s(down.spread_s)):
                await self._hurried.wait()
                await asyncio.sleep(earliest_s - loop.time())

    def _is_decided(self) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not outcome.done():
            outcome.set_result(None)

    async def _one_socket(self) -> Down:
        """Open a socket, say hello, and wait for its end."""
        self._cause = None
        try:
            socket = await open_socket(self.server, self._on_frame, timeout_s=CONNECT_TIMEOUT_S)
        except CannotConnect as error:
            return Down(
                NotConnected(str(error)),
                is_final=error.is_final,
                is_definite=error.is_definite,
                spread_s=FIRST_TRY_WITHIN_S if error.retry_after_s else 0.0,
                retry_after_s=error.retry_after_s,
            )
        self._socket = socket
        timer = asyncio.get_running_loop().call_later(WELCOME_TIMEOUT_S, self._no_welcome)
        try:
            socket.send(codec.encode(self._hello()))
            close_code = await socket.closed()
        finally:
            timer.cancel()
            self._socket, self.is_live = None, False
            await socket.close()
        return self._cause or self._of_close_code(close_code)

    def _of_close_code(self, code: int | None) -> Down:
        reason = SENTENCES.get(code, f"The connection to {self.server} was lost.")
        return Down(ConnectionEnded(reason), is_final=True) if is_final(code) else Down(NotConnected(reason))

    def _no_welcome(self) -> None:
        if not self.is_live:
            self.drop(Down(NotConnected(f"The server at {self.server} did not answer the hello.")))

    def _on_frame(self, frame: str | bytes) -> None:
        if self._socket is None or self._cause is not None:
            return  # what comes after a gap or a bye belongs to nothing any more
        try:
            message = codec.decode_server(frame)
        except codec.FrameError as error:
            # A newer server may say what this version does not know. A change that is missed so shows as a gap.
            log.warning("a frame of %s was not understood: %s", self.server, error)
            return
        match message:
            case messages.Bye(code=code, message=reason, spread_s=spread_s):
                ended = is_final(code)
                why = ConnectionEnded(reason) if ended else NotConnected(reason)
                self._cause = Down(why, is_final=ended, spread_s=spread_s)
                return
            case messages.Refused() if not self.is_live:
                self._cause = _refused_hello(message)
                return
            case messages.Welcome():
                self.is_live = True
                self._backoff.succeeded()
        try:
            self._on_message(message)
        except Gap as gap:
            log.info("%s: %s; resuming", self.server, gap)
            self.is_live = False
            self.drop(Down(NotConnected("The view fell behind and is being brought up to date.")))
        if self.is_live:
            self._is_decided()


def _refused_hello(message: messages.Refused) -> Down:
    error = refusal(message.code, message.message, message.retry_after_s)
    if isinstance(error, TemporarilyUnavailable | TooFast):
        return Down(error, retry_after_s=message.retry_after_s or RETRY_AFTER_S)
    return Down(error, is_final=True)
