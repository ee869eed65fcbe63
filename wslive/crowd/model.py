"""How a synthetic person thinks: pure draws from a seed. The package's docstring states the model."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass

from wslive.core.text import MAX_LINE_CHARS

SYNTHETIC = " (synthetic)"

NAMES = (
    "Robin Alex Sam Kim Noa Ari Sasha Jules Mika Toni Dana Eden Luca Remy Yael Ines Tariq Aiko Bruno Chidi Elif Farid "
    "Greta Hana Igor Jonas Kofi Leila Mateo Nadia Omar Priya Quinn Rosa Soren Tomas Uma Viktor Wanda Xenia Yusuf Zoe "
    "Amara Björn Clara Deniz Emil Freya Gael Hugo"
).split()

LINES = (
    "I would say {mine}.",
    "Pretty sure it is {mine}.",
    "Why not {other}?",
    "{other} cannot be right, can it?",
    "Can somebody explain {other}?",
    "I was torn between {mine} and {other}.",
    "What speaks against {other}?",
    "{mine}, because everything else breaks somewhere.",
    "Did we not have {other} last week?",
    "My neighbour says {other}, I say {mine}.",
    "@{name}: why do you think so?",
    "@{name}: good point.",
    "I would like to see an example.",
    "Is there more than one right answer?",
    "Hm, not so sure any more.",
)
WITHOUT_A_QUESTION = ("Hello!", "Hi everybody.", "Is this the right room?", "I can hear you well.", "When do we start?")
CHANGED = ("Changed my mind: {mine}.", "@{name} convinced me: {mine}.", "On second thought {mine}.")


@dataclass(frozen=True)
class Behaviour:
    """The figures of the response model; times in seconds, shares from 0 to 1."""

    arrive_within_s: float = 12.0
    think_median_s: float = 7.0
    think_sigma: float = 0.6
    answer_share: float = 0.92
    further_choice: float = 0.4
    drift_s: float = 60.0
    drift_pull: float = 0.6
    reconsider_mean_s: float = 45.0
    stubbornness: float = 0.5
    retract_share: float = 0.05
    line_mean_s: float = 50.0
    leave_mean_s: float = 240.0
    away_median_s: float = 8.0
    pace: float = 1.0
    """Everything happens this many times as fast."""


@dataclass(frozen=True)
class Question:
    """A poll as a person sees it: one round of it, in one wording."""

    activity: int
    round: int
    text: str
    options: tuple[tuple[str, str], ...]
    """(id, text) of each."""
    max_choices: int
    changeable: bool

    @property
    def key(self) -> str:
        """What opinions are drawn from: the same words find the same people of the same opinion."""
        return f"{self.text}/{'/'.join(text for _, text in self.options)}/{self.round}"


class Mind:
    """What one person draws."""

    def __init__(
        self, behaviour: Behaviour, seed: int, number: int, leaning: str | None = None, lines: tuple[str, ...] = ()
    ) -> None:
        """Make person `number` of the crowd that `seed` makes."""
        self.behaviour = behaviour
        self._seed = seed
        self._number = number
        self._leaning = leaning
        self._lines = lines or LINES
        self._coming = self._stream("coming")
        self._talking = self._stream("talking")
        self._answers: dict[str, random.Random] = {}

    @property
    def name(self) -> str:
        """A name that says it is nobody's."""
        again = self._number // len(NAMES)
        return NAMES[self._number % len(NAMES)] + (f" {again + 1}" if again else "") + SYNTHETIC

    # ── when ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def arrives_after_s(self) -> float:
        """From the beginning; the first one is there at once."""
        return (
            0.0 if self._number == 0 else self._coming.uniform(0, self.behaviour.arrive_within_s) / self.behaviour.pace
        )

    def leaves_after_s(self) -> float:
        """From joining or coming back."""
        return self._about(self._coming, self.behaviour.leave_mean_s)

    def stays_away_s(self) -> float:
        """From leaving."""
        return self._log_normal(self._coming, self.behaviour.away_median_s, 0.6)

    def speaks_after_s(self) -> float:
        """From the line before."""
        return self._about(self._talking, self.behaviour.line_mean_s)

    def thinks_s(self, question: Question) -> float:
        """From seeing a question."""
        return self._log_normal(self._of(question), self.behaviour.think_median_s, self.behaviour.think_sigma)

    def reconsiders_after_s(self, question: Question) -> float:
        """From answering."""
        return self._about(self._of(question), self.behaviour.reconsider_mean_s)

    # ── what ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def answers(self, question: Question) -> bool:
        """Whether this person answers the question at all."""
        return self._stream(f"answers {question.key}").random() < self.behaviour.answer_share

    def answer(self, question: Question, age_s: float) -> tuple[str, ...]:
        """The ids of the options chosen, in the order of the poll.

        Args:
            question: What is asked.
            age_s: For how long this person has known the question, in seconds of the model.
        """
        rng = self._of(question)
        share = shares(self._seed, question, self._leaning, self.behaviour, age_s)
        chosen = {rng.choices(range(len(share)), share)[0]}
        while len(chosen) < min(question.max_choices, len(share)) and rng.random() < self.behaviour.further_choice:
            others = [i for i in range(len(share)) if i not in chosen]
            chosen.add(rng.choices(others, [share[i] for i in others])[0])
        return tuple(question.options[i][0] for i in sorted(chosen))

    def retracts(self, question: Question) -> bool:
        """Whether this person takes the answer back instead of reconsidering it."""
        return self._of(question).random() < self.behaviour.retract_share

    def is_stubborn(self, question: Question) -> bool:
        """Whether the answer stays, whatever else speaks."""
        return self._of(question).random() < self.behaviour.stubbornness

    def says_so(self) -> bool:
        """Whether a change of mind is told."""
        return self._talking.random() < 0.3

    def line(
        self, question: Question | None, mine: tuple[str, ...], last_speaker: str, *, changed: bool = False
    ) -> str:
        """Something to say.

        Args:
            question: What is on stage, if anything.
            mine: The ids of this person's own answer.
            last_speaker: The name of who spoke before; "" for nobody.
            changed: Whether the line is about having changed one's mind.
        """
        rng = self._talking
        if question is None:
            return rng.choice(WITHOUT_A_QUESTION)
        own = [text for id, text in question.options if id in mine] or [rng.choice(question.options)[1]]
        others = [text for id, text in question.options if text not in own] or own
        words = {"mine": own[0], "other": rng.choice(others), "name": last_speaker.removesuffix(SYNTHETIC)}
        known = [line for line in (CHANGED if changed else self._lines) if last_speaker or "{name}" not in line]
        known = known or [line for line in LINES if "{name}" not in line]
        # In one pass: an option may be a formula with braces of its own.
        line = re.sub("{(mine|other|name)}", lambda gap: words[gap[1]], rng.choice(known))
        return line if len(line) <= MAX_LINE_CHARS else "That is a long one."

    def _of(self, question: Question) -> random.Random:
        return self._answers.setdefault(question.key, self._stream(question.key))

    def _stream(self, of: str) -> random.Random:
        # Seeding with text does not depend on the process, as its hash would.
        return random.Random(f"{self._seed}/{self._number}/{of}")

    def _about(self, rng: random.Random, mean_s: float) -> float:
        return rng.expovariate(1 / mean_s) / self.behaviour.pace

    def _log_normal(self, rng: random.Random, median_s: float, sigma: float) -> float:
        return rng.lognormvariate(math.log(median_s), sigma) / self.behaviour.pace


def shares(seed: int, question: Question, leaning: str | None, behaviour: Behaviour, age_s: float) -> list[float]:
    """What part of those who have known the question for `age_s` seconds is for each option."""
    rng = random.Random(f"{seed}/{question.key}")
    draws = [rng.gammavariate(2, 1) for _ in question.options]
    drawn = rng.randrange(len(draws))
    texts = [text for _, text in question.options]
    favourite = texts.index(leaning) if leaning in texts else drawn
    pull = behaviour.drift_pull * (1 - math.exp(-age_s / behaviour.drift_s))
    return [(1 - pull) * draw / sum(draws) + pull * (i == favourite) for i, draw in enumerate(draws)]
