"""How a synthetic person thinks."""

from collections import Counter
from dataclasses import replace
from statistics import median

import pytest

from wslive.core.text import MAX_LINE_CHARS, MAX_NAME_CHARS
from wslive.crowd.model import NAMES, Behaviour, Mind, Question, shares

SORTS = Question(3, 1, "Which sort is stable?", (("o1", "quick"), ("o2", "merge"), ("o3", "heap")), 1, True)
SEVERAL = Question(4, 1, "Which do you know?", tuple((f"o{i}", f"sort {i}") for i in range(1, 6)), 3, True)


def minds(size: int = 400, *, seed: int = 42, leaning: str | None = "merge", **behaviour: float) -> list[Mind]:
    return [Mind(Behaviour(**behaviour), seed, number, leaning) for number in range(size)]


def life(mind: Mind) -> tuple[object, ...]:
    """A stretch of one person's decisions."""
    return (
        mind.name,
        mind.arrives_after_s(),
        mind.answers(SORTS),
        mind.thinks_s(SORTS),
        mind.answer(SORTS, 5),
        mind.reconsiders_after_s(SORTS),
        mind.line(SORTS, ("o1",), "Robin (synthetic)"),
        mind.leaves_after_s(),
    )


def test_the_same_seed_makes_the_same_people_and_another_makes_others():
    assert [life(mind) for mind in minds(20)] == [life(mind) for mind in minds(20)]
    assert [life(mind) for mind in minds(20)] != [life(mind) for mind in minds(20, seed=43)]


def test_what_one_decides_about_a_question_does_not_depend_on_what_came_before():
    first, second = minds(1)[0], minds(1)[0]
    for _ in range(5):
        first.line(SORTS, (), "")
        first.answer(SEVERAL, 0)
    assert first.answer(SORTS, 5) == second.answer(SORTS, 5)
    assert first.answers(SORTS) == second.answers(SORTS)


def test_every_name_says_that_it_is_nobodys_and_is_there_once():
    names = [mind.name for mind in minds(3 * len(NAMES))]
    assert len(set(names)) == len(names)
    assert all(name.endswith(" (synthetic)") and len(name) <= MAX_NAME_CHARS for name in names)


def test_the_talk_draws_the_room_to_the_leaning():
    behaviour = Behaviour()
    at_first = shares(42, SORTS, "merge", behaviour, 0)
    later = shares(42, SORTS, "merge", behaviour, 60)
    at_last = shares(42, SORTS, "merge", behaviour, 1e6)
    assert sum(at_first) == pytest.approx(sum(later)) == pytest.approx(sum(at_last)) == pytest.approx(1)
    assert at_first[1] < later[1] < at_last[1]
    assert at_last[1] == pytest.approx(0.4 * at_first[1] + 0.6)
    assert at_last[0] == pytest.approx(0.4 * at_first[0])


def test_without_a_leaning_the_seed_draws_one():
    favourites = set()
    for seed in range(40):
        at_first, later = (shares(seed, SORTS, None, Behaviour(), age_s) for age_s in (0, 60))
        favourites.add(tuple(after > before for before, after in zip(at_first, later, strict=True)))
    assert favourites == {(True, False, False), (False, True, False), (False, False, True)}


def test_the_answers_follow_the_share_of_the_moment():
    for age_s in (0, 1e6):
        counts = Counter(mind.answer(SORTS, age_s) for mind in minds(3000))
        share = shares(42, SORTS, "merge", Behaviour(), age_s)
        for (id, _), expected in zip(SORTS.options, share, strict=True):
            assert counts[id,] / 3000 == pytest.approx(expected, abs=0.04)


def test_several_choices_are_different_in_order_and_never_too_many():
    answers = [mind.answer(SEVERAL, 0) for mind in minds()]
    assert {len(answer) for answer in answers} == {1, 2, 3}
    assert all(list(answer) == sorted(set(answer)) for answer in answers)


def test_people_think_for_about_the_median_and_the_pace_makes_it_shorter():
    slow = [mind.thinks_s(SORTS) for mind in minds()]
    fast = [mind.thinks_s(SORTS) for mind in minds(pace=10)]
    assert median(slow) == pytest.approx(7, rel=0.15)
    assert fast == pytest.approx([seconds / 10 for seconds in slow])


def test_most_answer_and_some_never_do():
    assert sum(mind.answers(SORTS) for mind in minds(2000)) / 2000 == pytest.approx(0.92, abs=0.02)


def test_people_talk_about_the_question_and_their_own_answer():
    lines = [mind.line(SORTS, ("o2",), "Robin (synthetic)") for mind in minds()]
    assert any("merge" in line for line in lines)
    assert any("Robin" in line for line in lines)
    assert not any("{" in line or "synthetic" in line for line in lines)
    changed = {mind.line(SORTS, ("o2",), "", changed=True) for mind in minds()}
    assert changed == {"Changed my mind: merge.", "On second thought merge."}


def test_a_formula_with_braces_in_an_option_is_only_text():
    formulas = Question(5, 1, "Which?", (("o1", r"$\frac{mine}{other}$"), ("o2", "$x^{2}$")), 1, True)
    lines = {mind.line(formulas, ("o1",), "") for mind in minds()}
    assert r"I would say $\frac{mine}{other}$." in lines


def test_a_line_is_never_longer_than_a_chat_takes():
    long = Question(6, 1, "Which?", (("o1", "x" * 300), ("o2", "y" * 300)), 1, True)
    assert all(len(mind.line(long, ("o1",), "")) <= MAX_LINE_CHARS for mind in minds())


def test_before_the_first_question_people_say_hello():
    assert "Hello!" in {mind.line(None, (), "") for mind in minds()}


def test_lines_of_ones_own_replace_the_built_in_ones():
    mind = Mind(Behaviour(), 1, 1, None, ("@{name}: no.",))
    assert mind.line(SORTS, ("o1",), "Robin (synthetic)") == "@Robin: no."
    assert "{" not in mind.line(SORTS, ("o1",), ""), "nobody has spoken before"
    mind = Mind(Behaviour(), 1, 1, None, ("Is {other} in place?",))
    assert mind.line(SORTS, ("o1",), "") in {"Is merge in place?", "Is heap in place?"}


def test_each_further_choice_is_another_option():
    assert all(len(mind.answer(SEVERAL, 0.0)) == 3 for mind in minds(further_choice=1.0))
    more = replace(SORTS, max_choices=10)  # than there are
    assert all(len(mind.answer(more, 0.0)) == 3 for mind in minds(further_choice=1.0))
