"""The rules of a poll: who may vote when, what counts, and who sees the tally.

A ballot is what one participant has cast; voting again replaces it. Votes name the round and option ids, never texts
or indexes: a click that was on its way while the host edited, closed or began a new round means what the person saw,
or is refused.

Audiences:
    ledger    the host's kernel: the tally and every ballot
    results   sees the tally
    turnout   sees how many have answered, nothing more
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from wslive.activities.poll.messages import (
    CastVote,
    ClosePoll,
    DiscardPoll,
    EditPoll,
    OpenPoll,
    Option,
    PollDiscarded,
    PollEdited,
    PollOpened,
    ReopenPoll,
    Results,
    RetractVote,
    RoundStarted,
    StartRound,
    VoteCast,
    VoteRetracted,
    VotingEnded,
    VotingResumed,
)
from wslive.activities.poll.state import Ballot, PollState, Round
from wslive.core.activity import (
    HISTORY_ENTRIES,
    Activity,
    CommandSpec,
    Context,
    EventSpec,
    Meta,
    People,
    event_specs,
)
from wslive.core.errors import (
    AlreadyVoted,
    BadCommand,
    DuplicateOption,
    NoChoice,
    NothingToRetract,
    PollAlreadyOpen,
    PollClosed,
    PollExists,
    PollHasBallots,
    QuestionChanged,
    TooFewOptions,
    TooManyChoices,
    TooManyOptions,
    UnknownOption,
)
from wslive.core.roles import HOSTS, PARTICIPANTS, Role, Who
from wslive.core.text import MAX_KEY_CHARS, MAX_OPTION_CHARS, MAX_QUESTION_CHARS, clean
from wslive.core.view import Audience, Op, Put, Remove, Set, View

MAX_OPTIONS = 50


# ── the contract ──────────────────────────────────────────────────────────────────────────────────────────────────

_BY_KEY, _BY_TYPE = event_specs(
    EventSpec("poll_opened", 1, PollOpened),
    EventSpec("vote_cast", 1, VoteCast),
    EventSpec("vote_retracted", 1, VoteRetracted),
    EventSpec("voting_ended", 1, VotingEnded),
    EventSpec("voting_resumed", 1, VotingResumed),
    EventSpec("round_started", 1, RoundStarted),
    EventSpec("poll_edited", 1, PollEdited),
    EventSpec("poll_discarded", 1, PollDiscarded),
)


class Poll(Activity[PollState]):
    """The poll activity."""

    kind = "poll"
    commands: ClassVar[Mapping[str, CommandSpec]] = {
        "open": CommandSpec(OpenPoll, HOSTS),
        "cast_vote": CommandSpec(CastVote, PARTICIPANTS),
        "retract_vote": CommandSpec(RetractVote, PARTICIPANTS),
        "close": CommandSpec(ClosePoll, HOSTS),
        "reopen": CommandSpec(ReopenPoll, HOSTS),
        "start_round": CommandSpec(StartRound, HOSTS),
        "edit": CommandSpec(EditPoll, HOSTS),
        "discard": CommandSpec(DiscardPoll, HOSTS),
    }
    events_by_key = _BY_KEY
    events_by_type = _BY_TYPE

    def decide_open(self, command: OpenPoll, others: Mapping[int, PollState], context: Context) -> PollOpened:
        """Check the texts and give the options their ids."""
        key = None if command.key is None else clean(command.key, max_chars=MAX_KEY_CHARS, what="The key")
        if key is not None and any(p.key == key and not p.discarded for p in others.values()):
            raise PollExists
        question, texts = _wording(command.question, command.options)
        if not 1 <= command.max_choices <= len(texts):
            raise BadCommand(f"max_choices is {command.max_choices}; it must be from 1 to {len(texts)}.")
        options = _new_options(texts, used=0)
        return PollOpened(question, options, command.max_choices, command.results, command.changeable, key)

    def initial(self, opened: PollOpened, meta: Meta) -> PollState:
        """An open poll without ballots."""
        return PollState(opened, meta)

    def decide(self, state: PollState, command: Any, context: Context) -> msgspec.Struct:
        """See the commands above."""
        if state.discarded:
            raise QuestionChanged("The host has taken this question away.")
        match command:
            case CastVote(round=round, options=options):
                _check_votable(state, round)
                chosen = _chosen(state, options)
                if not state.changeable and state.current.ballots.get(context.actor) is not None:
                    raise AlreadyVoted
                return VoteCast(round, chosen)
            case RetractVote(round=round):
                _check_votable(state, round)
                if state.current.ballots.get(context.actor) is None:
                    raise NothingToRetract
                if not state.changeable:
                    raise AlreadyVoted
                return VoteRetracted(round)
            case ClosePoll():
                if not state.is_open:
                    raise PollClosed("The poll is closed already.")
                return VotingEnded()
            case ReopenPoll():
                if state.is_open:
                    raise PollAlreadyOpen
                return VotingResumed()
            case StartRound():
                return RoundStarted(state.round + 1)
            case EditPoll(question=question, options=texts):
                return _edited(state, question, texts)
            case DiscardPoll():
                return PollDiscarded()
        raise AssertionError(f"no rule for {command!r}")

    def apply(self, state: PollState, event: Any, meta: Meta) -> None:
        """See the events above."""
        match event:
            case VoteCast(round=round, options=options):
                state.rounds[round - 1].put(meta.actor, Ballot(options, meta.at_ms), meta.offset)
                state.tally_at = meta.offset
            case VoteRetracted(round=round):
                state.rounds[round - 1].put(meta.actor, None, meta.offset)
                state.tally_at = meta.offset
            case VotingEnded():
                _set_open(state, False, meta)
            case VotingResumed():
                state.left_stage = False
                _set_open(state, True, meta)
            case RoundStarted():
                state.rounds.append(Round(state.options))
                state.left_stage = False
                state.tally_at = meta.offset
                _set_open(state, True, meta)
            case PollEdited(question=question, options=options, marked=marked):
                state.word(question, options)
                if not marked:  # no ballot anywhere, but retracted ones must stay known to readers behind
                    for past in state.rounds:
                        past.counts = {o.id: 0 for o in options}
                    state.tally_at = meta.offset
                    state.max_choices = min(state.max_choices, len(options))
                state.edited = state.edited or marked
                state.defined_at = meta.offset
            case PollDiscarded():
                state.discarded = True
                _set_open(state, False, meta)

    def stageable(self, state: PollState) -> bool:
        """Until it is discarded."""
        return not state.discarded

    def displaced(self, state: PollState, meta: Meta) -> None:
        """A poll that another one pushed off the stage is closed: its votes get "the question changed"."""
        if state.is_open:
            state.left_stage = True
            _set_open(state, False, meta)

    def audience(self, state: PollState, who: Who) -> Audience:
        """Who sees the tally, by `results`, the poll's status and whether the reader has voted in this round."""
        if who.role is Role.HOST:
            return Audience("ledger" if who.ledger else "results", state.opened_at)
        if state.discarded:
            return Audience("turnout", state.status_at)
        match state.results:
            case Results.LIVE:
                return Audience("results", state.opened_at)
            case Results.HOST_ONLY:
                return Audience("turnout", state.opened_at)
        if not state.is_open:
            return Audience("results", state.status_at)
        if state.results is Results.AFTER_VOTE:
            since = max(state.status_at, state.current.ballots.offset_of(who.actor))
            voted = state.current.ballots.get(who.actor) is not None
            return Audience("results" if voted else "turnout", since)
        return Audience("turnout", state.status_at)

    def view(self, state: PollState, audience: str, people: People, history: int = HISTORY_ENTRIES) -> View:
        """The whole poll as one audience sees it."""
        view: View = {
            "kind": self.kind,
            "definition": _definition(state),
            "status": _status(state),
            "tally": _tally(state, audience),
        }
        if audience == "ledger":
            view["ballots"] = {
                f"{number}/{actor}": _ballot(ballot)
                for number, round in enumerate(state.rounds, 1)
                for actor, ballot in round.ballots.items()
            }
        return view

    def changes(self, state: PollState, audience: str, people: People, after: int) -> list[Op]:
        """Three conflated parts, and for the ledger the ballots one by one."""
        ops: list[Op] = []
        if state.defined_at > after:
            ops.append(Set(("definition",), _definition(state)))
        if state.status_at > after:
            ops.append(Set(("status",), _status(state)))
        if state.tally_at > after:
            ops.append(Set(("tally",), _tally(state, audience)))
        if audience == "ledger":
            for number, round in enumerate(state.rounds, 1):
                for actor, ballot in round.ballots.after(after):
                    key = f"{number}/{actor}"
                    if ballot is None:
                        ops.append(Remove(("ballots",), key))
                    else:
                        ops.append(Put(("ballots",), key, _ballot(ballot)))
        return ops

    def personal(self, state: PollState, actor: str) -> tuple[int, View] | None:
        """The actor's latest ballot and its round; `options` is empty once retracted."""
        for number in range(state.round, 0, -1):
            ballots = state.rounds[number - 1].ballots
            if touched := ballots.offset_of(actor):
                ballot = ballots.get(actor)
                return touched, {"round": number, "options": [] if ballot is None else list(ballot.options)}
        return None

    def changed(self, state: PollState) -> int:
        """The latest of the parts; a ballot changes the tally, so it is covered."""
        return max(state.defined_at, state.status_at, state.tally_at)


def _set_open(state: PollState, is_open: bool, meta: Meta) -> None:
    state.is_open = is_open
    # The tally's audience may change with the status, so its part counts as changed with it.
    state.status_at = state.tally_at = meta.offset


def _wording(question: str, texts: list[str]) -> tuple[str, list[str]]:
    question = clean(question, max_chars=MAX_QUESTION_CHARS, what="The question")
    if len(texts) < 2:
        raise TooFewOptions
    if len(texts) > MAX_OPTIONS:
        raise TooManyOptions(f"The poll has {len(texts)} options; at most {MAX_OPTIONS} are allowed.")
    cleaned = [clean(t, max_chars=MAX_OPTION_CHARS, what=f"Option {i}") for i, t in enumerate(texts, 1)]
    for text in cleaned:
        if cleaned.count(text) > 1:
            raise DuplicateOption(f"Two options have the same text, {text!r}.")
    return question, cleaned


def _new_options(texts: list[str], used: int) -> tuple[Option, ...]:
    return tuple(Option(f"o{i}", text) for i, text in enumerate(texts, used + 1))


def _edited(state: PollState, question: str, texts: list[str]) -> PollEdited:
    question, texts = _wording(question, texts)
    if not any(round.answered for round in state.rounds):
        # A new question: an answer to the old one, on its way just now, must not become an answer to this one.
        return PollEdited(question, _new_options(texts, used=len(state.option_ids)), marked=False)
    if len(texts) != len(state.options):
        raise PollHasBallots(
            "People have answered already, so an edit must keep the number of options (and their order). "
            "Use poll.new_round() or poll.discard() and ask anew."
        )
    options = tuple(Option(before.id, text) for before, text in zip(state.options, texts, strict=True))
    return PollEdited(question, options, marked=True)


def _check_votable(state: PollState, round: int) -> None:
    if round != state.round or state.left_stage:
        raise QuestionChanged
    if not state.is_open:
        raise PollClosed


def _chosen(state: PollState, options: list[str]) -> tuple[str, ...]:
    wanted = set(options)
    chosen = tuple(o.id for o in state.options if o.id in wanted)  # in the poll's order, each once
    if len(chosen) < len(wanted):
        raise QuestionChanged if wanted <= state.option_ids else UnknownOption
    if not chosen:
        raise NoChoice
    if len(chosen) > state.max_choices:
        raise TooManyChoices(f"You chose {len(chosen)} options; this poll allows {state.max_choices}.")
    return chosen


def _definition(state: PollState) -> View:
    """`question_math` and an option's `math` are there only where the text has formulas (see core.math)."""
    options = [
        {"id": o.id, "text": o.text} if math is None else {"id": o.id, "text": o.text, "math": math}
        for o, math in zip(state.options, state.options_math, strict=True)
    ]
    return {
        "question": state.question,
        **({} if state.question_math is None else {"question_math": state.question_math}),
        "options": options,
        "max_choices": state.max_choices,
        "results": state.results.value,
        "changeable": state.changeable,
        "key": state.key,
        "edited": state.edited,
        "opened_at_ms": state.opened_at_ms,
    }


def _status(state: PollState) -> View:
    return {
        "open": state.is_open,
        "round": state.round,
        "left_stage": state.left_stage,
        "discarded": state.discarded,
    }


def _tally(state: PollState, audience: str) -> View:
    """Counts of every round for those who may see them; for all others only how many answered."""
    if audience == "turnout":
        return {"answered": state.current.answered, "counts": None, "earlier": []}
    return {
        "answered": state.current.answered,
        "counts": dict(state.current.counts),
        "earlier": [{"answered": r.answered, "counts": dict(r.counts)} for r in state.rounds[:-1]],
    }


def _ballot(ballot: Ballot) -> View:
    return {"options": list(ballot.options), "at_ms": ballot.at_ms}
