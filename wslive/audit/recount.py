"""Polls counted again from the events of a room, by other means than the rules that ran it.

The rules keep a state per activity and change tallies as votes come. Here the votes of a log are gathered into ballots
and counted at the end, from plain JSON and by the names that docs/protocol tells; nothing of `core.room` or of the
poll's own rules is used. What the two agree on is not the mistake of one of them. Each vote is also checked against
what the log says before it: the poll was open, in this round, with these options, and the voter was in the room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ROOM = 0

Ballots = dict[tuple[str, int, int], tuple[str, ...]]
"""The last answer of each (actor, poll, round)."""


def note_vote(ballots: Ballots, actor: str, poll: int, kind: str, body: Mapping[str, Any]) -> None:
    """Bring the ballots up to date by one event; events that are no votes change nothing."""
    if kind == "vote_cast":
        ballots[actor, poll, body["round"]] = tuple(body["options"])
    elif kind == "vote_retracted":
        ballots.pop((actor, poll, body["round"]), None)


@dataclass
class Poll:
    """What the log says of one poll.

    Attributes:
        question: Its present wording.
        options: The texts of its present options, by id.
        max_choices: How many of them one ballot may name.
        changeable: Whether a ballot may be replaced or taken back.
        round: The round that is (or was last) open, from 1.
        is_open: Whether votes are taken; None where an activity that is not known here may have closed it.
        discarded: Whether the host took it away.
        votes: How many votes were cast, replaced ones included.
    """

    question: str
    options: dict[str, str]
    max_choices: int
    changeable: bool
    round: int = 1
    is_open: bool | None = True
    discarded: bool = False
    votes: int = 0


@dataclass
class Recount:
    """A room's polls and ballots, event by event.

    Attributes:
        title: The room's title.
        people: Everybody who ever joined, and whether they are in the room still.
        has_ended: Whether the host has ended the room.
        polls: By activity id.
        ballots: The last answer of each.
    """

    title: str = ""
    people: dict[str, bool] = field(default_factory=dict)
    has_ended: bool = False
    polls: dict[int, Poll] = field(default_factory=dict)
    ballots: Ballots = field(default_factory=dict)
    _stage: int = 0

    def add(self, offset: int, actor: str, activity: int, kind: str, body: Mapping[str, Any]) -> str | None:
        """Take the next event; returns what is wrong with it, if something is.

        Raises:
            KeyError · TypeError · AttributeError: The body has another shape than its kind.
        """
        if self.has_ended and kind != "person_erased":
            return "it comes after the end of the room"
        if activity == ROOM:
            self._add_room(offset, actor, kind, body)
            return None
        poll = self.polls.get(activity)
        if poll is None:
            return "it is a vote in no poll" if kind.startswith("vote_") else None
        problem = self._objection(poll, actor, activity, kind, body)
        poll.votes += kind == "vote_cast"
        note_vote(self.ballots, actor, activity, kind, body)
        self._add_poll(poll, activity, kind, body)
        return problem

    def tallies(self, activity: int) -> Iterator[tuple[int, int, dict[str, int]]]:
        """Per round of a poll: its number, how many answered, and the votes of each option that has any."""
        for number in range(1, self.polls[activity].round + 1):
            cast = [
                options for (_, poll, round), options in self.ballots.items() if (poll, round) == (activity, number)
            ]
            yield number, len(cast), dict(Counter(option for options in cast for option in options))

    def _add_room(self, offset: int, actor: str, kind: str, body: Mapping[str, Any]) -> None:
        match kind:
            case "room_opened":
                self.title = body["title"]
            case "joined":
                self.people[actor] = True
            case "person_removed":
                self.people[body["person"]] = False
            case "room_ended":
                self.has_ended = True
            case "staged":
                self._stage = body["activity"]
            case "activity_opened":
                self._open(offset, body)

    def _open(self, offset: int, body: Mapping[str, Any]) -> None:
        if body["kind"] == "chat":
            return
        if body["kind"] != "poll":
            # Whether it takes the stage is known to its own rules alone.
            for poll in self.polls.values():
                poll.is_open = None if poll.is_open else poll.is_open
            return
        before = self.polls.get(self._stage)
        if before is not None and not body["keep_open"]:
            before.is_open = False
        opened = body["body"]
        options = {option["id"]: option["text"] for option in opened["options"]}
        self.polls[offset] = Poll(opened["question"], options, opened["max_choices"], opened["changeable"])
        self._stage = offset

    def _add_poll(self, poll: Poll, activity: int, kind: str, body: Mapping[str, Any]) -> None:
        match kind:
            case "voting_ended":
                poll.is_open = False
            case "voting_resumed":
                poll.is_open = True
            case "round_started":
                poll.round += 1
                poll.is_open = True
            case "poll_edited":
                poll.question = body["question"]
                poll.options = {option["id"]: option["text"] for option in body["options"]}
                poll.max_choices = min(poll.max_choices, len(poll.options))
            case "poll_discarded":
                poll.is_open, poll.discarded = False, True
                if self._stage == activity:
                    self._stage = 0

    def _objection(self, poll: Poll, actor: str, activity: int, kind: str, body: Mapping[str, Any]) -> str | None:
        if kind == "round_started" and body["round"] != poll.round + 1:
            return f"it starts round {body['round']} after round {poll.round}"
        if kind not in ("vote_cast", "vote_retracted"):
            return None
        has_ballot = (actor, activity, body["round"]) in self.ballots
        if not self.people.get(actor):
            return "it is a vote of somebody who was not in the room"
        if poll.is_open is False:
            return "it is a vote in a poll that was closed"
        if body["round"] != poll.round:
            return f"it is a vote in round {body['round']}, and round {poll.round} was open"
        if has_ballot and not poll.changeable:
            return "it changes a ballot that could not be changed"
        if kind == "vote_retracted":
            return None if has_ballot else "it takes back a ballot that was not there"
        options = body["options"]
        if not 1 <= len(options) <= poll.max_choices or len(set(options)) < len(options):
            return f"it chooses {len(options)} options of at most {poll.max_choices}, each once"
        unknown = set(options) - poll.options.keys()
        return f"it chooses {', '.join(sorted(unknown))}, which the poll does not have" if unknown else None
