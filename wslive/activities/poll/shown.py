"""A poll as JSON: the parts of its view."""

from __future__ import annotations

from wslive.activities.poll.state import Ballot, PollState
from wslive.core.view import View


def definition(state: PollState) -> View:
    """`question_math` and an option's `math` are there only where the text has formulas (see core.math).

    `secret` is there only where the poll is.
    """
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
        **({"secret": True} if state.secret else {}),
        "edited": state.edited,
        "opened_at_ms": state.opened_at_ms,
    }


def status(state: PollState) -> View:
    """Whether it takes votes, in which round, and what became of it.

    `lost` is there only where the answers of this round cannot be read, since the key of their box is gone.
    """
    return {
        "open": state.is_open,
        "round": state.round,
        "left_stage": state.left_stage,
        "discarded": state.discarded,
        **({"lost": True} if state.current.unread or state.current.lost else {}),
    }


def tally(state: PollState, audience: str) -> View:
    """Counts of every round for those who may see them; for all others only how many answered."""
    earlier = [{"answered": r.answered, "counts": dict(r.counts)} for r in state.rounds[:-1]]
    return {
        "answered": state.current.answered,
        "counts": None if audience in ("turnout", "sealed") else dict(state.current.counts),
        "earlier": [] if audience == "turnout" else earlier,
    }


def ballot(ballot: Ballot) -> View:
    """One ballot, for the ledger."""
    return {"options": list(ballot.options), "at_ms": ballot.at_ms}
