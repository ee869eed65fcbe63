"""The state of a poll: its wording, its rounds, their ballots and tallies."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from wslive.activities.poll.messages import Option, PollOpened, Results
from wslive.core.activity import Meta
from wslive.core.math import segments
from wslive.core.view import Keyed


class Ballot(msgspec.Struct, frozen=True, gc=False):
    """What one participant has cast in one round."""

    options: tuple[str, ...]
    at_ms: int


class Round(msgspec.Struct):
    """The ballots and the tally of one round; counts are kept, never recounted, so a vote costs the same always."""

    counts: dict[str, int]
    answered: int = 0
    ballots: Keyed[Ballot] = msgspec.field(default_factory=Keyed)
    unread: set[str] = msgspec.field(default_factory=set)
    """Pseudonyms whose ballots cannot be read, since the key of a secret poll is gone."""
    lost: int = 0
    """How many these were when the round was counted."""

    @classmethod
    def of(cls, options: tuple[Option, ...]) -> Self:
        """One without ballots."""
        return cls({o.id: 0 for o in options})

    def put(self, actor: str, ballot: Ballot | None, offset: int) -> None:
        """Replace an actor's ballot; None takes it away."""
        counts = self.counts
        before = self.ballots.touch(actor, ballot, offset)
        if before is not None:
            self.answered -= 1
            for option in before.options:
                counts[option] -= 1
        if ballot is not None:
            self.answered += 1
            for option in ballot.options:
                counts[option] += 1

    def settle(self, answered: int, counts: dict[str, int], lost: int) -> None:
        """Keep what the ballots came to, and no ballot."""
        self.ballots = Keyed()
        self.unread = set()
        self.lost = lost
        self.answered = answered
        self.counts = dict(counts)


class PollState(msgspec.Struct, kw_only=True):
    """One poll. The `…_at` fields are offsets of the last change of a conflated part of the view."""

    max_choices: int
    results: Results
    changeable: bool
    key: str | None
    secret: bool
    opened_at_ms: int
    opened_at: int
    defined_at: int
    status_at: int
    tally_at: int
    rounds: list[Round]
    question: str = ""
    options: tuple[Option, ...] = ()
    offered_ids: frozenset[str] = frozenset()
    option_ids: set[str] = msgspec.field(default_factory=set)
    """Of all wordings, so that an id never means something else later."""
    question_math: list[Any] | None = None
    options_math: list[list[Any] | None] = msgspec.field(default_factory=list)
    is_open: bool = True
    left_stage: bool = False
    edited: bool = False
    discarded: bool = False
    counted_at: int = 0
    """When a round of a secret poll was last counted: then nobody has a ballot of their own any more."""
    counted_round: int = 0

    @classmethod
    def of(cls, opened: PollOpened, meta: Meta) -> Self:
        """Open, in round 1."""
        state = cls(
            max_choices=opened.max_choices,
            results=opened.results,
            changeable=opened.changeable,
            key=opened.key,
            secret=opened.secret,
            opened_at_ms=meta.at_ms,
            opened_at=meta.offset,
            defined_at=meta.offset,
            status_at=meta.offset,
            tally_at=meta.offset,
            rounds=[Round.of(opened.options)],
        )
        state.word(opened.question, opened.options)
        return state

    def word(self, question: str, options: tuple[Option, ...]) -> None:
        """Take up a wording; its formulas are converted here, once, and not for every reader."""
        self.question = question
        self.options = options
        self.offered_ids = frozenset(o.id for o in options)
        self.option_ids.update(self.offered_ids)
        self.question_math = segments(question)
        self.options_math = [segments(o.text) for o in options]

    @property
    def round(self) -> int:
        """The number of the round that is (or was last) open, from 1."""
        return len(self.rounds)

    @property
    def current(self) -> Round:
        """The ballots of that round."""
        return self.rounds[-1]
