"""A room in the hands of its host: what `wslive.host()` returns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from wslive.client.connection import Status
from wslive.client.http import fetch, fetch_json
from wslive.core.errors import NotAllowed, PollHasBallots, UnknownActivity
from wslive.core.text import counted
from wslive.core.view import View
from wslive.crowd import Behaviour, Crowd
from wslive.crowd.model import SYNTHETIC
from wslive.notebook import charts, keys
from wslive.notebook.calls import blocking
from wslive.notebook.charts import LiveChart
from wslive.notebook.chat import HostChat
from wslive.notebook.invitations import Invitation, Invitations
from wslive.notebook.live import TIMEOUT_S, HostLive, shown_time
from wslive.notebook.local_server import ServerAt
from wslive.notebook.people import People, Person, person_id
from wslive.notebook.poll import Poll, opening
from wslive.notebook.saved import room_html
from wslive.notebook.shown import Shown

CallT = TypeVar("CallT", bound=Callable[..., object])
Results = Literal["live", "after_vote", "after_close", "host_only"]


class HostRoom(HostLive, Shown):
    """A room that this notebook hosts.

    Display it for the join link, the people, the chat and the question on stage; `with room:` lets go of it at the
    end, which ends nothing for the people in it.
    """

    part = "room"

    def __init__(self, at: ServerAt, code: str, host_key: str) -> None:
        """Prepare the connection of the host's kernel, which alone is told single ballots."""
        HostLive.__init__(self, at.url, code, host_key)
        Shown.__init__(self, self)
        self.at = at
        self.resumed = ""
        """"Resumed: opened 23 Nov 09:14, 212 people, 3 polls" where the room was there already."""
        self.links: list[str] = []
        """Join links that other devices can follow, the best one first; empty while only this computer can join, and
        where only the browser knows the address by which Jupyter is reached: then the displayed room shows it."""
        self.is_open_here = False
        """Whether people are let in at that address."""

    # ── questions ─────────────────────────────────────────────────────────────────────────────────────────────────

    @blocking
    async def poll(
        self,
        question: str,
        options: Sequence[str],
        *,
        multiple: bool | int = False,
        results: Results | None = None,
        changeable: bool = True,
        key: str | None = None,
        secret: bool = False,
        keep_open: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> Poll:
        """Ask a question, or get the poll that asks it already: running the cell again asks nobody twice.

        Args:
            question: Up to 500 characters; LaTeX between `$…$`.
            options: 2 to 50 different texts of up to 200 characters.
            multiple: True for any number of options at once, a number for at most so many.
            results: Who sees the tally: "live" (the default) everybody, "after_vote" those who have answered,
                "after_close" everybody once it is closed, "host_only" nobody else.
            changeable: Whether people can change and take back their answer.
            key: A name of your own. The poll of that name is found whatever its text; a changed text is taken over.
            secret: Nobody, this host neither, can find out who chose what once it is closed, and nobody sees a result
                before. `results` is "after_close" (the default then) or "host_only".
            keep_open: Leave the question before this one open.
            timeout_s: How long to wait for the server, in seconds.

        Raises:
            PollHasBallots: The poll of that key has another text and ballots.
            TooFewOptions · TooManyOptions · DuplicateOption · EmptyText · TextTooLong: About the texts.
            TypeError · ValueError: About the other arguments.
            Unconfirmed: No answer in time; the question stays queued.
        """
        body = opening(question, options, multiple, results, changeable, key, secret)
        found = self._find(body)
        if found is not None:
            if _content(found.definition) == body:
                return found.poll
            if found.has_ballots:
                raise PollHasBallots
            only_text = {**_content(found.definition), "question": body["question"], "options": body["options"]} == body
            if only_text:
                await found.poll.aio.edit(body["question"], body["options"], timeout_s=timeout_s)
                return found.poll
            # Nobody has answered, and what differs cannot be edited: ask anew under the same key.
            await found.poll.aio.discard(timeout_s=timeout_s)
        wish = {"kind": "poll", "body": body, "keep_open": keep_open}
        return self._poll(await self.command(0, "open_activity", wish, timeout_s))

    @property
    def polls(self) -> list[Poll]:
        """Every poll that was not discarded, in the order asked."""
        return [self._poll(int(id)) for id in self.read(lambda view: [id for id, _ in _polls(view)])]

    @property
    def stage(self) -> Poll | None:
        """The poll that people see first, if one is on stage."""
        on_stage = self.read(lambda view: view["room"]["stage"])
        return next((poll for poll in self.polls if poll.id == on_stage), None)

    # ── the others ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def chat(self) -> HostChat:
        """The chat."""
        id = self.peek(lambda view: next(int(i) for i, a in view["activities"].items() if a["kind"] == "chat"))
        return self.part_of("chat", lambda: HostChat(self, id))

    @property
    def people(self) -> People:
        """The people."""
        return self.part_of("people", lambda: People(self))

    @blocking
    async def lock(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Let nobody new in, but who has an invitation (see `invitations`)."""
        await self.command(0, "lock", {"locked": True}, timeout_s)

    @blocking
    async def unlock(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Let people in again."""
        await self.command(0, "lock", {"locked": False}, timeout_s)

    @blocking
    async def invitations(self, count: int, *, timeout_s: float = TIMEOUT_S) -> Invitations:
        """The first `count` invitations to this room: each lets one person in, once, also while it is locked.

        So whoever hands out one to each person, and locks the room, has one ballot a person. Called again they are the
        same; a larger number adds some.

        Raises:
            ValueError: Less than one.
            BadCommand: More than the room may have people.
        """
        if count < 1:
            raise ValueError(f"One invitation at least, not {count}.")
        path = f"/api/rooms/{self.code}/invitations?count={count}"
        found = await fetch_json(self.server, path, bearer=self._host_key, timeout_s=timeout_s)
        made = [Invitation(i["invitation"], i["used"]) for i in found["invitations"]]
        title = self.connection.replica.view["room"]["title"]
        return Invitations(title, self.links[0] if self.links else self.link, made)

    @blocking
    async def let_in(self, audience: str = "network", *, timeout_s: float = TIMEOUT_S) -> None:
        """Choose who can reach the room: "this_computer", "network" (phones in the same network), or an https address.

        Where the room lives in a Jupyter Server, "network" is whoever reaches that, without its login.

        Raises:
            HostingNotAllowed · NotAllowed · BadCommand: The server does not do that; the message says why.
        """
        body = {"audience": audience, "room": self.code}
        token = self.at.hosting_token
        answer = await fetch_json(
            self.server, "/api/audience", method="POST", body=body, bearer=token, timeout_s=timeout_s
        )
        self._set_links(answer["links"], here=answer.get("here", False))

    async def learn_links(self) -> None:
        """Ask the server at which addresses others reach the room already."""
        answer = await fetch_json(self.server, f"/api/server?room={self.code}")
        self._set_links(answer["audience"], here=answer.get("here", False))

    @blocking
    async def rehearse(self, size: int = 20, *, seconds: float = 15.0, seed: int = 42) -> None:
        """Let a synthetic audience in, which joins, votes and chats like people, and wait until it has gone.

        Everybody in it is called "… (synthetic)", and it comes only while no people are here.

        Args:
            size: How many.
            seconds: For how long.
            seed: The same seed answers the same.

        Raises:
            NotAllowed: There are people in this room.
        """
        names = self.connection.replica.view["people"]["names"].values()
        people = [person for person in names if not person["name"].endswith(SYNTHETIC)]
        if people:
            raise NotAllowed(
                f"{counted(len(people), 'person is', 'people are')} in this room: answers of a rehearsal would mix "
                "with theirs. Rehearse in a room of its own: wslive.host(…, new=True)."
            )
        # Sixty seconds of a lively hall, in the time there is.
        behaviour = Behaviour(pace=max(1.0, 60.0 / seconds), leave_mean_s=3600.0)
        await Crowd(self.server, self.code, size, seed, behaviour=behaviour).run(seconds)

    # ── keeping and ending ────────────────────────────────────────────────────────────────────────────────────────

    @blocking
    async def save(self, path: str | Path, *, timeout_s: float = 60.0) -> Path:
        """Write everything that happened here to a file of JSON lines, names and single ballots included.

        Raises:
            OSError: The file cannot be written.
        """
        events = await self.events(timeout_s=timeout_s)
        title = self.connection.replica.view["room"]["title"]
        lines: list[View] = [{"room": self.code, "title": title, "events": len(events)}, *events]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        target = Path(path)
        await asyncio.to_thread(target.write_text, text, "utf-8")
        return target

    @blocking
    async def end(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """End the room for everyone. What was answered stays until `delete`."""
        if not self.connection.replica.view["room"]["ended"]:
            await self.command(0, "end_room", {}, timeout_s)
        self.refresh_saved()
        for shown in list(self._parts.values()):
            if isinstance(shown, Shown):
                shown.refresh_saved()

    @blocking
    async def erase(self, person: Person | str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Erase a person's names and all that they have written, here, on every page and in the server's files.

        What they have voted stays counted, under an id that leads to nobody any more. They are not sent out: who is to
        go is removed first. Works in a room that has ended, too.

        Args:
            person: A `Person`, an id or a name; somebody who was removed is found by id alone.
            timeout_s: How long to wait, in seconds.

        Raises:
            UnknownPerson: Nobody of that name or id, or several of that name.
        """
        names = self.connection.replica.view["people"].get("names", {})
        is_id = isinstance(person, str) and person.startswith("p_")
        id = person if is_id else person_id(names, person)
        path = f"/api/rooms/{self.code}/people/{id}"
        done = await fetch_json(self.server, path, method="DELETE", bearer=self._host_key, timeout_s=timeout_s)
        if self.connection.status is Status.LIVE:
            with suppress(TimeoutError):
                await self.connection.changed(
                    lambda view: self.connection.replica.offset >= done["offset"], timeout_s=timeout_s
                )

    @blocking
    async def delete(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Remove the room and everything in it from the server, for good."""
        path = f"/api/rooms/{self.code}"
        await fetch(self.server, path, method="DELETE", bearer=self._host_key, timeout_s=timeout_s)
        keys.forget_host(self.at.name, self.code)
        await self.let_go()

    @blocking
    async def close(self) -> None:
        """Let go of the room here; it goes on for everybody, and `host()` finds it again."""
        await self.let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def on_change(self, call: CallT) -> CallT:
        """Call a function with this room now and after each change, presence included; a decorator."""
        name = f"room {call.__module__}.{call.__qualname__}"
        self.reactions.add(name, lambda: call(self), lambda: (self.connection.replica.offset, self.online))
        return call

    # ── charts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def chart(self, make: Callable[[HostRoom], Any]) -> LiveChart:
        """A chart of one's own that updates by itself; a decorator.

        Args:
            make: Called with this room now and after each change; returns a Plotly figure or its dictionary. A
                function of the same name replaces the earlier one. Exceptions show below the cell.
        """
        return self._chart(f"chart {make.__module__}.{make.__qualname__}", make.__name__, make)

    def votes_over_time(self, poll: Poll | None = None) -> LiveChart:
        """How the ballots of a poll (the one on stage without it) came in, one line an option.

        Raises:
            UnknownActivity: Nothing has been asked.
            ValueError: The poll is secret: it keeps no ballots and no times.
        """
        poll = poll or self.stage or next(iter(reversed(self.polls)), None)
        if poll is None:
            raise UnknownActivity("Nothing has been asked in this room yet.")
        if poll.secret:
            raise ValueError("A secret poll keeps no single votes, so there is nothing to show over time.")
        return self._chart(f"votes over time {poll.id}", "votes_over_time", charts.votes_over_time(poll))

    def chat_activity(self) -> LiveChart:
        """Chat lines a minute."""
        return self._chart("chat activity", "chat_activity", charts.chat_activity)

    def presence(self) -> LiveChart:
        """How many people are here, from now on."""
        return self._chart("presence", "presence", charts.presence())

    def _chart(self, key: str, name: str, make: Callable[[HostRoom], Any]) -> LiveChart:
        made = charts.LiveChart(self, name, make)
        self._parts[key] = made
        self.reactions.add(key, made.draw, lambda: (self.connection.replica.offset, self.online))
        return made

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def saved_html(self) -> str:
        """What a saved notebook shows: the title, how many people, the polls; no names, no lines."""
        return self.peek(lambda view: room_html(view, [p for _, p in _polls(view)]))

    def describe_resumed(self) -> None:
        """Note that the room was there already."""
        view = self.connection.replica.view
        opened = shown_time(view["room"]["opened_at_ms"])
        people = counted(view["people"]["count"], "person", "people")
        self.resumed = f"Resumed: opened {opened}, {people}, {counted(len(_polls(view)), 'poll')}"

    def __repr__(self) -> str:
        title, joined, ended = self.peek(
            lambda view: (view["room"]["title"], view["people"]["count"], view["room"]["ended"])
        )
        state = "ended" if ended else self.connection.status.value
        return f"<HostRoom {title!r} at {self.link}: {state}, {joined} joined, host key ••••>"

    def _set_links(self, urls: list[str], *, here: bool = False) -> None:
        # The server may be somebody else's, and these are links in the notebook's page: no javascript: address.
        self.links = [f"{url}/r/{self.code}" for url in urls if url.startswith(("http://", "https://"))]
        self.is_open_here = here
        for widget in list(self.widgets):
            widget.refresh_invitation()

    def _poll(self, id: int) -> Poll:
        return self.part_of(id, lambda: Poll(self, id))

    def _find(self, body: View) -> _Found | None:
        """The poll that a call of `poll` means: by key, else by content; the latest one first."""
        for id, view in reversed(_polls(self.connection.replica.view)):
            definition = view["definition"]
            same = definition["key"] == body["key"] if body["key"] is not None else _content(definition) == body
            if same:
                tallies = [view["tally"], *view["tally"]["earlier"]]
                return _Found(self._poll(int(id)), definition, any(t["answered"] for t in tallies))
        return None


class _Found:
    def __init__(self, poll: Poll, definition: View, has_ballots: bool) -> None:
        self.poll = poll
        self.definition = definition
        self.has_ballots = has_ballots


def _polls(view: View) -> list[tuple[str, View]]:
    return [(id, a) for id, a in view["activities"].items() if a["kind"] == "poll" and not a["status"]["discarded"]]


def _content(definition: View) -> View:
    """What makes two polls the same, in the shape of the command that opens one."""
    return {
        "question": definition["question"],
        "options": [o["text"] for o in definition["options"]],
        "max_choices": definition["max_choices"],
        "results": definition["results"],
        "changeable": definition["changeable"],
        "key": definition["key"],
        "secret": definition.get("secret", False),
    }
