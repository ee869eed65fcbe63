"""The rules of a poll: who may vote when, what counts, and who sees the tally.

A ballot is what one participant has cast; voting again replaces it. Votes name the round and option ids, never texts
or indexes: a click that was on its way while the host edited, closed or began a new round means what the person saw,
or is refused.

Audiences:
    ledger    the host's kernel: the tally and every ballot
    results   sees the tally
    turnout   sees how many have answered, nothing more
    sealed    the host of a secret poll that is open: the same, and the tallies of the rounds before

A secret poll takes its votes into a box (see `core.secrecy`), one a round. While it is open nobody sees more than the
turnout, the host neither; what it came to is counted when it closes, and from then on there are no ballots, only a
tally. Going on with it is a new round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from wslive.activities.poll import shown
from wslive.activities.poll.messages import (
    BallotsCounted,
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
    SecretPollClosed,
    TooFewOptions,
    TooManyChoices,
    TooManyOptions,
    UnknownOption,
)
from wslive.core.roles import HOST, HOSTS, PARTICIPANTS, Who
from wslive.core.secrecy import Box, largest
from wslive.core.text import MAX_KEY_CHARS, MAX_OPTION_CHARS, MAX_QUESTION_CHARS, clean
from wslive.core.view import Audience, Op, Put, Remove, Set, View

MAX_OPTIONS = 50

_LIVE, _AFTER_VOTE, _HOST_ONLY = Results.LIVE, Results.AFTER_VOTE, Results.HOST_ONLY  # see core.roles


# ── the contract ──────────────────────────────────────────────────────────────────────────────────────────────────

_BY_KEY, _BY_TYPE = event_specs(
    EventSpec("poll_opened", 1, PollOpened),  # without `secret`
    EventSpec("poll_opened", 2, PollOpened),
    EventSpec("vote_cast", 1, VoteCast),
    EventSpec("vote_retracted", 1, VoteRetracted),
    EventSpec("voting_ended", 1, VotingEnded),
    EventSpec("voting_resumed", 1, VotingResumed),
    EventSpec("round_started", 1, RoundStarted),
    EventSpec("ballots_counted", 1, BallotsCounted),
    EventSpec("poll_edited", 1, PollEdited),
    EventSpec("poll_discarded", 1, PollDiscarded),
)


class Poll(Activity[PollState]):
    """The poll activity."""

    kind = "poll"
    state_type = PollState
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
    hidden = frozenset({"cast_vote", "retract_vote"})

    def decide_open(self, command: OpenPoll, others: Mapping[int, PollState], context: Context) -> PollOpened:
        """Check the texts and give the options their ids."""
        key = None if command.key is None else clean(command.key, max_chars=MAX_KEY_CHARS, what="The key")
        if key is not None and any(p.key == key and not p.discarded for p in others.values()):
            raise PollExists
        question, texts = _wording(command.question, command.options)
        if not 1 <= command.max_choices <= len(texts):
            raise BadCommand(f"max_choices is {command.max_choices}; it must be from 1 to {len(texts)}.")
        options = _new_options(texts, used=0)
        results = _results(command)
        return PollOpened(question, options, command.max_choices, results, command.changeable, key, command.secret)

    def initial(self, opened: PollOpened, meta: Meta) -> PollState:
        """An open poll without ballots."""
        return PollState.of(opened, meta)

    def decide(self, state: PollState, command: Any, context: Context) -> msgspec.Struct:
        """See the commands above."""
        if state.discarded:
            # A secret vote may have come before: "not counted", which the other code stands for, would be a guess.
            is_late_secret = state.secret and isinstance(command, CastVote | RetractVote)
            raise (SecretPollClosed if is_late_secret else QuestionChanged)("The host has taken this question away.")
        if type(command) is CastVote:  # see `apply`
            _check_votable(state, command.round)
            chosen = _chosen(state, command.options)
            if not state.changeable and state.current.ballots.get(context.actor) is not None:
                raise AlreadyVoted
            return VoteCast(command.round, chosen)
        match command:
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
                # The box of a secret round is gone, and with it who has a ballot.
                return RoundStarted(state.round + 1) if state.secret else VotingResumed()
            case StartRound():
                return RoundStarted(state.round + 1)
            case EditPoll(question=question, options=texts):
                return _edited(state, question, texts)
            case DiscardPoll():
                return PollDiscarded()
        raise AssertionError(f"no rule for {command!r}")

    def apply(self, state: PollState, event: Any, meta: Meta) -> None:
        """See the events above."""
        if type(event) is VoteCast:  # nearly all of them, and to match them takes as long again
            state.rounds[event.round - 1].put(meta.actor, Ballot(event.options, meta.at_ms), meta.offset)
            state.tally_at = meta.offset
            return
        match event:
            case VoteRetracted(round=round):
                state.rounds[round - 1].put(meta.actor, None, meta.offset)
                state.tally_at = meta.offset
            case VotingEnded():
                _set_open(state, False, meta)
            case VotingResumed():
                state.left_stage = False
                _set_open(state, True, meta)
            case RoundStarted():
                state.rounds.append(Round.of(state.options))
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
            case BallotsCounted(round=round, answered=answered, counts=counts, unread=unread):
                state.rounds[round - 1].settle(answered, counts, unread)
                state.counted_at, state.counted_round = meta.offset, round
                _set_open(state, state.is_open and round != state.round, meta)

    def box(self, state: PollState) -> Box | None:
        """One a round, for the votes of a secret poll."""
        if not state.secret or not state.is_open or state.discarded:
            return None
        longest = VoteCast(state.round, tuple(o.id for o in state.options[-state.max_choices :]))
        return Box(str(state.round), largest(longest, VoteRetracted(state.round)))

    def count(self, state: PollState, box: str) -> BallotsCounted:
        """The tally of its round."""
        round = state.rounds[int(box) - 1]
        return BallotsCounted(int(box), round.answered, dict(round.counts), len(round.unread))

    def apply_unread(self, state: PollState, meta: Meta) -> None:
        """Nobody can say what it was: it may have been a retraction, too."""
        state.current.unread.add(meta.actor)
        state.tally_at = state.status_at = meta.offset

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
        if who.role is HOST:
            if state.secret and state.is_open:
                return Audience("sealed", state.status_at)
            return Audience("ledger" if who.ledger else "results", state.status_at if state.secret else state.opened_at)
        if state.discarded:
            return Audience("turnout", state.status_at)
        if state.results is _LIVE:
            return Audience("results", state.opened_at)
        if state.results is _HOST_ONLY:
            return Audience("turnout", state.opened_at)
        if not state.is_open:
            return Audience("results", state.status_at)
        if state.results is _AFTER_VOTE:
            since = max(state.status_at, state.current.ballots.offset_of(who.actor))
            voted = state.current.ballots.get(who.actor) is not None
            return Audience("results" if voted else "turnout", since)
        return Audience("turnout", state.status_at)

    def tells_apart(self, state: PollState) -> bool:
        """Where who has voted sees more than who has not."""
        return state.results is _AFTER_VOTE and state.is_open

    def view(self, state: PollState, audience: str, people: People, history: int = HISTORY_ENTRIES) -> View:
        """The whole poll as one audience sees it."""
        view: View = {
            "kind": self.kind,
            "definition": shown.definition(state),
            "status": shown.status(state),
            "tally": shown.tally(state, audience),
        }
        if audience == "ledger":
            view["ballots"] = {
                f"{number}/{actor}": shown.ballot(ballot)
                for number, round in enumerate(state.rounds, 1)
                for actor, ballot in round.ballots.items()
            }
        return view

    def changes(self, state: PollState, audience: str, people: People, after: int) -> list[Op]:
        """Three conflated parts, and for the ledger the ballots one by one."""
        ops: list[Op] = []
        if state.defined_at > after:
            ops.append(Set(("definition",), shown.definition(state)))
        if state.status_at > after:
            ops.append(Set(("status",), shown.status(state)))
        if state.tally_at > after:
            ops.append(Set(("tally",), shown.tally(state, audience)))
        if audience == "ledger":
            for number, round in enumerate(state.rounds, 1):
                for actor, ballot in round.ballots.after(after):
                    key = f"{number}/{actor}"
                    if ballot is None:
                        ops.append(Remove(("ballots",), key))
                    else:
                        ops.append(Put(("ballots",), key, shown.ballot(ballot)))
        return ops

    def personal(self, state: PollState, actor: str) -> tuple[int, View] | None:
        """The actor's latest ballot and its round; `options` is empty once retracted."""
        for number in range(len(state.rounds), 0, -1):
            change = state.rounds[number - 1].ballots.last_change(actor)
            if change is not None:
                touched, ballot = change
                return touched, {"round": number, "options": [] if ballot is None else list(ballot.options)}
        if state.counted_at:  # the same for everybody, whether or not they had one
            return state.counted_at, {"round": state.counted_round, "options": []}
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


def _results(command: OpenPoll) -> Results:
    if not command.secret:
        return command.results or Results.LIVE
    results = command.results or Results.AFTER_CLOSE
    if results in (Results.LIVE, Results.AFTER_VOTE):
        raise BadCommand(
            f"A secret poll cannot show results {results.value!r}: from one vote to the next everybody could see who "
            "chose what. Use 'after_close' or 'host_only'."
        )
    return results


def _new_options(texts: list[str], used: int) -> tuple[Option, ...]:
    return tuple(Option(f"o{i}", text) for i, text in enumerate(texts, used + 1))


def _edited(state: PollState, question: str, texts: list[str]) -> PollEdited:
    question, texts = _wording(question, texts)
    if not any(round.answered or round.unread or round.lost for round in state.rounds):
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
    if state.secret and (round < state.round or not state.is_open):
        raise SecretPollClosed
    if round != state.round or state.left_stage:
        raise QuestionChanged
    if not state.is_open:
        raise PollClosed


def _chosen(state: PollState, options: list[str]) -> tuple[str, ...]:
    if len(options) == 1 and options[0] in state.offered_ids:
        return (options[0],)
    wanted = set(options)
    chosen = tuple([o.id for o in state.options if o.id in wanted])  # in the poll's order, each once
    if len(chosen) < len(wanted):
        raise QuestionChanged if wanted <= state.option_ids else UnknownOption
    if not chosen:
        raise NoChoice
    if len(chosen) > state.max_choices:
        raise TooManyChoices(f"You chose {len(chosen)} options; this poll allows {state.max_choices}.")
    return chosen
