"""What can be wished of a poll, and what can happen to it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Results(StrEnum):
    """Who sees the tally while the poll is open."""

    LIVE = "live"
    AFTER_VOTE = "after_vote"
    AFTER_CLOSE = "after_close"
    HOST_ONLY = "host_only"


class Option(msgspec.Struct, frozen=True):
    """One choice. The id never changes; the text may, by an edit."""

    id: str
    text: str


# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────


class OpenPoll(msgspec.Struct, frozen=True):
    """Ask a question. `max_choices` is 1 for a single choice.

    `results` without a value means "live", and "after_close" for a secret poll.
    """

    question: str
    options: list[str]
    max_choices: int = 1
    results: Results | None = None
    changeable: bool = True
    key: str | None = None
    secret: bool = False


class CastVote(msgspec.Struct, frozen=True):
    """Vote in a round, replacing the ballot cast before."""

    round: int
    options: list[str]


class RetractVote(msgspec.Struct, frozen=True):
    """Take the ballot back."""

    round: int


class ClosePoll(msgspec.Struct, frozen=True):
    """End the voting."""


class ReopenPoll(msgspec.Struct, frozen=True):
    """Go on with the voting, in the same round; of a secret poll in a new one."""


class StartRound(msgspec.Struct, frozen=True):
    """Ask again; the ballots so far stay in their round."""


class EditPoll(msgspec.Struct, frozen=True):
    """Change the wording.

    With ballots cast, the options keep their number and ids, and the poll is marked edited. Without, they get new ids:
    an answer to the old wording that is still on its way is refused.
    """

    question: str
    options: list[str]


class DiscardPoll(msgspec.Struct, frozen=True):
    """Take the poll away, ballots and all."""


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────


class PollOpened(msgspec.Struct, frozen=True):
    """A question was asked."""

    question: str
    options: tuple[Option, ...]
    max_choices: int
    results: Results
    changeable: bool
    key: str | None = None
    secret: bool = False


class VoteCast(msgspec.Struct, frozen=True, gc=False):
    """Somebody voted (or changed their vote)."""

    round: int
    options: tuple[str, ...]


class VoteRetracted(msgspec.Struct, frozen=True):
    """Somebody took their ballot back."""

    round: int


class VotingEnded(msgspec.Struct, frozen=True):
    """The host closed the poll."""


class VotingResumed(msgspec.Struct, frozen=True):
    """The voting goes on."""


class RoundStarted(msgspec.Struct, frozen=True):
    """The question was asked again."""

    round: int


class BallotsCounted(msgspec.Struct, frozen=True):
    """A round of a secret poll is over: what its ballots came to, since nobody can read them any more.

    `unread` is how many people have a ballot that could not be read, since the key was lost before.
    """

    round: int
    answered: int
    counts: dict[str, int]
    unread: int = 0


class PollEdited(msgspec.Struct, frozen=True):
    """The wording changed; `marked` where people had answered the old one."""

    question: str
    options: tuple[Option, ...]
    marked: bool


class PollDiscarded(msgspec.Struct, frozen=True):
    """The poll was taken away."""
