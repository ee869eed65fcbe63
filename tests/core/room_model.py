"""What a room should come to, told a second time and differently: plain lists, counted afresh on every question.

The machine in test_room_model.py lets this model and the real rules live through the same commands and compares them.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from wslive.core.roles import Role, Who


@dataclass
class ModelPoll:
    id: int
    options: list[str]
    max_choices: int
    changeable: bool
    results: str
    secret: bool = False
    is_open: bool = True
    round: int = 1
    left_stage: bool = False
    discarded: bool = False
    votes: list[tuple[int, str, list[str]]] = field(default_factory=list)
    """Every accepted vote, (round, actor, options), in order; no options: retracted."""

    def ballots(self, round: int) -> dict[str, list[str]]:
        last: dict[str, list[str]] = {}
        for number, actor, options in self.votes:
            if number == round:
                last[actor] = options
        return {actor: options for actor, options in last.items() if options}

    def tally(self, round: int) -> dict[str, Any]:
        ballots = self.ballots(round)
        chosen = Counter(option for options in ballots.values() for option in options)
        return {"answered": len(ballots), "counts": {option: chosen[option] for option in self.options}}

    def own_ballot(self, actor: str, round: int) -> list[str]:
        """What a person can be told of their own ballot."""
        if self.secret and not self.takes_votes(round):
            return []
        return self.ballots(round).get(actor, [])

    def has_ballots(self) -> bool:
        return any(self.ballots(round) for round in range(1, self.round + 1))

    def takes_votes(self, round: int) -> bool:
        return self.is_open and not self.discarded and round == self.round

    def shows_counts_to(self, who: Who) -> bool:
        if who.role is Role.HOST:
            return not (self.secret and self.is_open)
        if self.discarded or self.results == "host_only":
            return False
        if self.results == "live":
            return True
        if not self.is_open:
            return True
        return self.results == "after_vote" and who.actor in self.ballots(self.round)


@dataclass
class ModelLine:
    id: int
    by: str
    text: str
    to_host: bool
    hidden: bool = False


@dataclass
class Model:
    """A room as its people would tell it."""

    names: dict[str, str] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    locked: bool = False
    ended: bool = False
    stage: int = 0
    polls: dict[int, ModelPoll] = field(default_factory=dict)
    lines: list[ModelLine] = field(default_factory=list)
    mode: str = "on"
    paused: bool = False

    def is_in(self, actor: str) -> bool:
        return actor in self.names and actor not in self.removed

    def open_poll(self, poll: ModelPoll, *, keep_open: bool) -> None:
        before = self.polls.get(self.stage)
        if before is not None and before.is_open and not keep_open:
            before.is_open = False
            before.left_stage = True
        self.polls[poll.id] = poll
        self.stage = poll.id

    def counts_vote(self, actor: str, poll: ModelPoll, round: int, options: list[str]) -> bool:
        return (
            not self.ended
            and self.is_in(actor)
            and poll.takes_votes(round)
            and set(options) <= set(poll.options)
            and 1 <= len(set(options)) <= poll.max_choices
            and (poll.changeable or actor not in poll.ballots(round))
        )

    def may_say(self, who: Who) -> bool:
        if self.ended or who.role is Role.VIEWER:
            return False
        if who.role is Role.HOST:
            return True
        return self.is_in(who.actor) and self.mode != "off" and not self.paused and who.actor not in self.muted

    def lines_for(self, who: Who) -> list[str]:
        if who.role is Role.HOST:
            return [line.text for line in self.lines]
        if self.mode == "off":
            return []
        return [
            line.text
            for line in self.lines
            if not line.hidden
            and not line.to_host
            and line.by not in self.muted
            and (self.mode == "on" or line.by == "host")
        ]

    def own_lines_to_host(self, actor: str) -> list[str]:
        return [line.text for line in self.lines if line.by == actor and line.to_host]
