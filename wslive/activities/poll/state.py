"""The state of a poll: its wording, its rounds, their ballots and tallies."""

from __future__ import annotations

import msgspec

from wslive.activities.poll.messages import Option, PollOpened
from wslive.core.activity import Meta
from wslive.core.math import segments
from wslive.core.view import Keyed


class Ballot(msgspec.Struct, frozen=True, gc=False):
    """What one participant has cast in one round."""

    options: tuple[str, ...]
    at_ms: int


class Round:
    """The ballots and the tally of one round; counts are kept, never recounted, so a vote costs the same always."""

    __slots__ = ("answered", "ballots", "counts", "lost", "unread")

    def __init__(self, options: tuple[Option, ...]) -> None:
        """Start with no ballots."""
        self.ballots: Keyed[Ballot] = Keyed()
        self.counts: dict[str, int] = {o.id: 0 for o in options}
        self.answered = 0
        self.unread: set[str] = set()
        """Pseudonyms whose ballots cannot be read, since the key of a secret poll is gone."""
        self.lost = 0
        """How many these were when the round was counted."""

    def put(self, actor: str, ballot: Ballot | None, offset: int) -> None:
        """Replace an actor's ballot; None takes it away."""
        before = self.ballots.get(actor)
        if before is not None:
            self.answered -= 1
            for option in before.options:
                self.counts[option] -= 1
        if ballot is not None:
            self.answered += 1
            for option in ballot.options:
                self.counts[option] += 1
        self.ballots.touch(actor, ballot, offset)

    def settle(self, answered: int, counts: dict[str, int], lost: int) -> None:
        """Keep what the ballots came to, and no ballot."""
        self.ballots = Keyed()
        self.unread = set()
        self.lost = lost
        self.answered = answered
        self.counts = dict(counts)


class PollState:
    """One poll. The `…_at` fields are offsets of the last change of a conflated part of the view."""

    def __init__(self, opened: PollOpened, meta: Meta) -> None:
        """Open, in round 1."""
        self.option_ids: set[str] = set()
        """Of all wordings, so that an id never means something else later."""
        self.word(opened.question, opened.options)
        self.max_choices = opened.max_choices
        self.results = opened.results
        self.changeable = opened.changeable
        self.key = opened.key
        self.secret = opened.secret
        self.opened_at_ms = meta.at_ms
        self.is_open = True
        self.left_stage = False
        self.edited = False
        self.discarded = False
        self.rounds: list[Round] = [Round(opened.options)]
        self.counted_at = 0
        """When a round of a secret poll was last counted: then nobody has a ballot of their own any more."""
        self.counted_round = 0
        self.opened_at = self.defined_at = self.status_at = self.tally_at = meta.offset

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
