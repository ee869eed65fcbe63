"""A participant in another notebook, and somebody who only looks: what `wslive.join()` and `wslive.watch()` return."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from wslive.client.connection import Status
from wslive.core.errors import NothingToRetract, UnknownActivity, UnknownOption
from wslive.core.roles import Role
from wslive.core.view import View
from wslive.notebook.calls import blocking
from wslive.notebook.chat import Chat
from wslive.notebook.live import TIMEOUT_S, Live
from wslive.notebook.people import People
from wslive.notebook.question import Question
from wslive.notebook.saved import room_html
from wslive.notebook.shown import Shown

Choice = str | int | Sequence[str | int]
"""An option's text or index (from 0), or several of them."""


class Visitor(Live, Shown):
    """Somebody who looks at a room."""

    part = "me"

    def __init__(self, server: str, code: str, role: Role, **options: Any) -> None:
        """Prepare the connection."""
        Live.__init__(self, server, code, role=role, **options)
        Shown.__init__(self, self)

    @property
    def polls(self) -> list[Question]:
        """Every question of the room that was not taken away, in the order asked."""
        return [self._question(id) for id in self.read(_poll_ids)]

    @property
    def poll(self) -> Question:
        """The question on stage; the latest one where none is.

        Raises:
            UnknownActivity: Nothing has been asked yet.
        """
        return self._question(self.read(_current))

    @property
    def chat(self) -> Chat:
        """The chat."""
        id = self.peek(lambda view: next(int(i) for i, a in view["activities"].items() if a["kind"] == "chat"))
        return self.part_of("chat", lambda: Chat(self, id))

    @property
    def people(self) -> People:
        """The people, by name while they are few."""
        return self.part_of("people", lambda: People(self))

    @blocking
    async def wait_for_question(self, *, timeout_s: float | None = None) -> Question:
        """Return the next question that is open on stage, at once if there is one.

        Raises:
            TimeoutError: None came within `timeout_s` seconds.
        """

        def open_on_stage(view: View) -> int:
            staged = view["activities"].get(str(view["room"]["stage"]))
            is_open = staged is not None and staged["kind"] == "poll" and staged["status"]["open"]
            return int(view["room"]["stage"]) if is_open else 0

        return self._question(await self.connection.changed(open_on_stage, timeout_s))

    @blocking
    async def close(self) -> None:
        """Leave; joining again from this notebook is the same person."""
        await self.let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def saved_html(self) -> str:
        """What a saved notebook shows: the title and the results that are due; no names, no lines."""
        return self.peek(lambda view: room_html(view, [view["activities"][str(id)] for id in _poll_ids(view)]))

    def __repr__(self) -> str:
        title = self.peek(lambda view: view["room"]["title"])
        return f"<{type(self).__name__} in {title!r} at {self.link}: {self.connection.status.value}>"

    def _question(self, id: int) -> Question:
        return self.part_of(id, lambda: Question(self, id))


class Viewer(Visitor):
    """Somebody who only looks: no name, no ballot, no line."""


class Participant(Visitor):
    """One person in a room. Display it to vote and write by clicking."""

    @property
    def name(self) -> str:
        """The name under which the others see this person."""
        return self.read(lambda view: str(view["me"]["name"]))

    @blocking
    async def vote(self, choice: Choice, *, poll: Question | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Answer the question on stage (or `poll`), replacing an earlier answer.

        Args:
            choice: An option's text or index (from 0); several in a list where the question takes several. It means
                the options as they are now: if the question changes before the vote arrives, the vote is refused.
            poll: Another question than the one on stage.
            timeout_s: How long to wait for the server, in seconds.

        Raises:
            UnknownOption · TooManyChoices · NoChoice: About the choice.
            RoomHasEnded: Nobody is asked any more.
            PollClosed · QuestionChanged · AlreadyVoted: It came too late, or for the second time.
            Unconfirmed: No answer in time; the vote stays queued and counts once.
        """
        id, view = self._poll_view(poll)
        body = {"round": view["status"]["round"], "options": option_ids(view["definition"], choice)}
        mine = self._ballot(id, view)
        goes_on = not self.connection.replica.view["room"]["ended"] and self.connection.status is not Status.ENDED
        if goes_on and mine is not None and sorted(mine) == sorted(body["options"]):
            return  # this very ballot is counted already: a cell that runs again changes nothing
        await self.command(id, "cast_vote", body, timeout_s)

    @blocking
    async def retract(self, *, poll: Question | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Take the answer back.

        Raises:
            NothingToRetract · PollClosed · AlreadyVoted: There is none, or it is too late, or answers are final.
        """
        id, view = self._poll_view(poll)
        if self._ballot(id, view) is None:
            raise NothingToRetract
        await self.command(id, "retract_vote", {"round": view["status"]["round"]}, timeout_s)

    @blocking
    async def say(self, text: str, *, again: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        """Say a line in the chat. Running the same cell again does not say it again, unless told by `again=True`.

        Raises:
            ChatOff · ChatPaused · Muted · TextTooLong · EmptyText · TooFast: The room did not take it.
        """
        chat = next(int(i) for i, a in self.connection.replica.view["activities"].items() if a["kind"] == "chat")
        await self.speak(chat, text, again, timeout_s)

    @blocking
    async def rename(self, name: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take another name."""
        await self.command(0, "rename", {"name": name}, timeout_s)

    def answer(self, poll: Question | None = None) -> list[str]:
        """This person's answer to the question on stage (or `poll`), as option texts; empty without one."""

        def take(view: View) -> list[str]:
            id = poll.id if poll is not None else _current(view)
            question = view["activities"][str(id)]
            chosen = _ballot(view, id, question) or []
            return [o["text"] for o in question["definition"]["options"] if o["id"] in chosen]

        return self.read(take)

    def _poll_view(self, poll: Question | None) -> tuple[int, View]:
        view = self.connection.replica.view
        id = poll.id if poll is not None else _current(view)
        found: View = view["activities"][str(id)]
        return id, found

    def _ballot(self, id: int, poll: View) -> list[str] | None:
        return _ballot(self.connection.replica.view, id, poll)


def option_ids(definition: View, choice: Choice) -> list[str]:
    """The ids of options given by text or by index (from 0).

    Raises:
        UnknownOption: The poll has no such option; the message lists those it has.
    """
    options = definition["options"]
    chosen: list[str] = []
    for wanted in [choice] if isinstance(choice, str | int | None) else choice:
        if isinstance(wanted, int) and not isinstance(wanted, bool):
            found = options[wanted]["id"] if 0 <= wanted < len(options) else None
        else:
            text = re.sub(r"\s+", " ", str(wanted)).strip()
            found = next((o["id"] for o in options if o["text"] == text), None)
        if found is None:
            texts = ", ".join(repr(o["text"]) for o in options)
            raise UnknownOption(f"The poll has no option {wanted!r}; it has {texts}.")
        chosen.append(found)
    return chosen


def _ballot(view: View, id: int, poll: View) -> list[str] | None:
    """This person's ballot, if it counts in the present round."""
    mine = view["me"]["activities"].get(str(id))
    if mine is None or mine["round"] != poll["status"]["round"] or not mine["options"]:
        return None
    chosen: list[str] = mine["options"]
    return chosen


def _poll_ids(view: View) -> list[int]:
    return [int(id) for id, a in view["activities"].items() if a["kind"] == "poll" and not a["status"]["discarded"]]


def _current(view: View) -> int:
    """The poll on stage, else the latest one."""
    ids = _poll_ids(view)
    if not ids:
        raise UnknownActivity("Nothing has been asked in this room yet.")
    stage: int = view["room"]["stage"]
    return stage if stage in ids else ids[-1]
