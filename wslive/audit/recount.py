"""Polls counted again from the events of a room, by other means than the rules that ran it.

The rules keep a state per activity and change tallies as votes come. Here the votes of a log are gathered into ballots
and counted at the end, from plain JSON and by the names that docs/protocol tells; nothing of `core.room` or of the
poll's own rules is used. What the two agree on is not the mistake of one of them. Each vote is also checked against
what the log says before it: the poll was open, in this round, with these options, and the voter was in the room.

The votes of a secret poll cannot be read. Of them is checked what can be: that none stands there under a name, that
they came while their box was open, that each box was counted once, and that the count is one that so many people can
have made.
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
        is_secret: Whether its votes are sealed.
        put_in: Of a secret poll, who (by pseudonym) put something into the box of each round.
        counted: What the boxes of a secret poll held, as the server counted them: answered, and votes by option.
    """

    question: str
    options: dict[str, str]
    max_choices: int
    changeable: bool
    round: int = 1
    is_open: bool | None = True
    discarded: bool = False
    votes: int = 0
    is_secret: bool = False
    put_in: dict[int, set[str]] = field(default_factory=dict)
    counted: dict[int, tuple[int, dict[str, int]]] = field(default_factory=dict)

    def is_over(self, round: int) -> bool:
        """Whether no vote can come to a round any more."""
        return round < self.round or self.is_open is False


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
        if self.has_ended and kind not in ("person_erased", "ballots_counted"):
            return "it comes after the end of the room"
        if activity == ROOM:
            self._add_room(offset, actor, kind, body)
            return None
        poll = self.polls.get(activity)
        if poll is None:
            return "it is a vote in no poll" if kind.startswith(("vote_", "sealed")) else None
        problem = self._objection(poll, actor, activity, kind, body)
        poll.votes += kind in ("vote_cast", "sealed")
        note_vote(self.ballots, actor, activity, kind, body)
        self._add_poll(poll, actor, activity, kind, body)
        return problem

    def tallies(self, activity: int) -> Iterator[tuple[int, int, dict[str, int]]]:
        """Per round of a poll: its number, how many answered, and the votes of each option that has any."""
        for number in range(1, self.polls[activity].round + 1):
            if number in self.polls[activity].counted:
                yield number, *self.polls[activity].counted[number]
                continue
            cast = [
                options for (_, poll, round), options in self.ballots.items() if (poll, round) == (activity, number)
            ]
            yield number, len(cast), dict(Counter(option for options in cast for option in options))

    def uncounted(self) -> Iterator[str]:
        """What is wrong at the end of the log, a sentence each: boxes that were closed and never counted."""
        for activity, poll in self.polls.items():
            for number in range(1, poll.round + 1) if poll.is_secret else ():
                if (poll.is_over(number) or self.has_ended) and number not in poll.counted:
                    yield f"poll {activity}, round {number}: it is over, and its box was never counted"

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
        self.polls[offset] = Poll(
            opened["question"],
            options,
            opened["max_choices"],
            opened["changeable"],
            is_secret=opened.get("secret", False),
        )
        self._stage = offset

    def _add_poll(self, poll: Poll, actor: str, activity: int, kind: str, body: Mapping[str, Any]) -> None:
        match kind:
            case "voting_ended":
                poll.is_open = False
            case "voting_resumed":
                poll.is_open = True
            case "round_started":
                poll.round += 1
                poll.is_open = True
            case "sealed":
                poll.put_in.setdefault(int(body["box"]), set()).add(actor)
            case "ballots_counted":
                told = {option: n for option, n in body["counts"].items() if n}
                poll.counted[body["round"]] = (body["answered"], told)
                if body["round"] == poll.round:
                    poll.is_open = False
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
        if kind == "sealed":
            return self._objection_to_sealed(poll, actor, body)
        if kind == "ballots_counted":
            return self._objection_to_count(poll, body)
        if kind not in ("vote_cast", "vote_retracted"):
            return None
        if poll.is_secret:
            return "it is a vote under a name in a secret poll"
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

    def _objection_to_sealed(self, poll: Poll, actor: str, body: Mapping[str, Any]) -> str | None:
        if not poll.is_secret:
            return "it is sealed, and the poll is not secret"
        if actor in self.people:
            return "it is a secret vote under a name"
        if poll.is_open is False:
            return "it is a vote in a poll that was closed"
        return None if body["box"] == str(poll.round) else f"it is in box {body['box']}, and {poll.round} was open"

    def _objection_to_count(self, poll: Poll, body: Mapping[str, Any]) -> str | None:
        round, answered, counts = body["round"], body["answered"], body["counts"]
        if not poll.is_secret or round in poll.counted or not (poll.is_over(round) or self.has_ended):
            return "it counts a box that was not to be counted"
        people = len(poll.put_in.get(round, ()))
        if answered + body["unread"] > people:
            return f"it counts {answered} answers, and {people} people gave any"
        chosen = sum(counts.values())
        if not answered <= chosen <= answered * poll.max_choices or any(
            not 0 <= n <= answered for n in counts.values()
        ):
            return f"it counts {chosen} votes of {answered} people, who have up to {poll.max_choices} each"
        return None
