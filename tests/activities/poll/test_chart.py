"""The chart of a poll."""

from typing import Any

import plotly.graph_objects as go
import pytest

from wslive.activities.poll.chart import TEMPLATE, axis_top, escape, figure, fill, labels, percent, wrap
from wslive.core.math import segments


def poll(
    counts: list[int] | None,
    *earlier: list[int],
    texts: list[str] | None = None,
    question: str = "Which sort is stable?",
    max_choices: int = 1,
    answered: int | None = None,
) -> dict[str, Any]:
    """A poll's view with one count per option."""
    texts = texts or [f"option {i}" for i in range(len(counts or [0, 0]))]
    options = []
    for i, text in enumerate(texts, 1):
        math = segments(text)
        options.append({"id": f"o{i}", "text": text} | ({} if math is None else {"math": math}))

    def tally(row: list[int]) -> dict[str, Any]:
        return {"answered": sum(row), "counts": {f"o{i}": n for i, n in enumerate(row, 1)}}

    math = segments(question)
    now = {"answered": 7, "counts": None} if counts is None else tally(counts)
    if answered is not None:
        now["answered"] = answered
    return {
        "definition": {"question": question, "options": options, "max_choices": max_choices, "results": "live"}
        | ({} if math is None else {"question_math": math}),
        "status": {"open": True, "round": 1 + len(earlier), "left_stage": False, "discarded": False},
        "tally": now | {"earlier": [tally(row) for row in earlier]},
    }


def test_counts_stand_in_the_order_of_the_options() -> None:
    made = fill(poll([3, 21, 2]))
    assert made["data"][0]["y"] == [3, 21, 2]
    assert made["data"][0]["x"] == ["option 0", "option 1", "option 2"]
    assert made["data"][0]["text"] == ["3<br>12 %", "21<br>81 %", "2<br>8 %"]


def test_a_new_round_keeps_the_one_before_as_a_paler_bar_to_the_left() -> None:
    made = fill(poll([1, 5], [9, 9], [4, 2]))
    now, before = made["data"]
    assert (now["name"], before["name"]) == ("Round 3", "Round 2")
    assert (now["y"], before["y"]) == ([1, 5], [4, 2])
    assert before["opacity"] < 1
    assert before["offset"] + before["width"] <= now["offset"]
    assert made["layout"]["showlegend"]


def test_what_is_not_shown_is_not_in_the_figure() -> None:
    made = figure(poll(None))
    assert made["data"] == []
    assert "not shown" in made["layout"]["annotations"][0]["text"]
    assert "7 answers" in made["layout"]["title"]["subtitle"]["text"]


def test_a_figure_says_its_question_its_count_and_its_time() -> None:
    made = figure(poll([3, 1], [2, 2]), as_of_ms=1_795_448_521_000)
    assert made["layout"]["title"]["text"] == "Which sort is stable?"
    subtitle = made["layout"]["title"]["subtitle"]["text"]
    assert subtitle == "4 answers · round 2 · open · 2026-11-23 15:42:01 UTC"


def test_plotly_takes_the_figure_and_its_default_template() -> None:
    drawn = go.Figure(figure(poll([3, 1], [2, 2]), as_of_ms=0))
    assert list(drawn.data[0].y) == [3, 1]
    assert drawn.layout.template.layout.paper_bgcolor == go.Figure().layout.template.layout.paper_bgcolor
    assert drawn.layout.paper_bgcolor is None


def test_text_from_people_is_shown_as_it_is() -> None:
    made = figure(poll([1, 0], texts=["<b>bold</b>", "R&D costs $5 to $6"], question="<i>Why</i>?"))
    assert made["layout"]["xaxis"]["ticktext"][0] == "&lt;b&gt;bold&lt;/b&gt;"
    assert "$" not in "".join(made["layout"]["xaxis"]["ticktext"])
    assert made["layout"]["title"]["text"] == "&lt;i&gt;Why&lt;/i&gt;?"


def test_formulas_stand_in_labels_as_plain_text() -> None:
    made = figure(poll([1, 0], texts=["$O(n^2)$", "linear"], question="How fast is $f$?"))
    assert made["layout"]["xaxis"]["ticktext"][0] == "O(n²)"
    assert made["layout"]["title"]["text"] == "How fast is f?"


def test_options_that_look_like_numbers_or_dates_stay_options() -> None:
    made = fill(poll([1, 2], texts=["2024-01-01", "7"]))
    assert made["layout"]["xaxis"]["type"] == "category"


def test_shares_of_a_multiple_choice_are_of_the_people_not_of_the_choices() -> None:
    made = fill(poll([4, 3], max_choices=2, answered=4))
    assert made["data"][0]["text"] == ["4<br>100 %", "3<br>75 %"]


@pytest.mark.parametrize("most", [0, 1, 4, 7, 9, 10, 37, 99, 100, 999, 2500])
def test_the_count_axis_leaves_room_above_and_has_few_whole_ticks(most: int) -> None:
    top, step = axis_top(most)
    assert top >= most * TEMPLATE["headroom"]
    assert top <= max(4, 2 * most)
    assert isinstance(step, int)
    assert 2 <= top / step <= 6


def test_long_labels_wrap_to_the_width_of_their_bar() -> None:
    ticks, rows = labels(["merge sort with an extra buffer", "quick"], 400, 13)
    assert ticks[0] == "merge sort with an extra<br>buffer"
    assert rows == 0


def test_many_options_have_rows_of_their_own_with_the_counts_beside_lying_bars() -> None:
    texts = [f"a rather long option that needs two lines, number {i}" for i in range(30)]
    made = fill(poll(list(range(30)), list(range(30)), texts=texts), width_px=600)
    assert made["data"][0]["orientation"] == "h"
    assert made["data"][0]["x"] == list(range(30))
    assert made["data"][0]["text"][29] == "29 · 7 %"
    assert [tick.replace("<br>", " ") for tick in made["layout"]["yaxis"]["ticktext"]] == texts
    assert made["layout"]["yaxis"]["range"] == [29.5, -0.5]
    assert made["layout"]["meta"]["rows"] == 60
    assert figure(poll(list(range(30)), texts=texts))["layout"]["height"] > 60 * 13


def test_a_label_that_would_be_cut_lays_the_bars_down() -> None:
    long = "word " * 40
    made = fill(poll([1, 2], texts=[long.strip(), "short"]), width_px=320)
    assert made["data"][0]["orientation"] == "h"
    assert made["layout"]["yaxis"]["ticktext"][0].replace("<br>", " ") == long.strip()


@pytest.mark.parametrize("width_px", [320, 640, 1400])
def test_up_to_six_ordinary_options_stand_upright(width_px: float) -> None:
    made = fill(poll([1, 2, 3, 4, 5, 6], texts=["quick", "merge", "heap", "shell", "radix", "tim"]), width_px=width_px)
    assert "orientation" not in made["data"][0]
    assert made["data"][0]["y"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("text", "chars", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("a abcdefghij", 4, ["a", "abcd", "efgh", "ij"]),
        ("abcd", 4, ["abcd"]),
        ("one two three four five six", 5, ["one", "two", "three", "four…"]),
        ("", 5, [""]),
    ],
)
def test_wrapping_breaks_between_words_and_within_words_that_are_too_long(
    text: str, chars: int, lines: list[str]
) -> None:
    assert wrap(text, chars, 4) == lines


def test_percentages_round_half_up_as_in_the_browser() -> None:
    assert [percent(1, 8), percent(1, 200), percent(3, 200), percent(0, 5)] == ["13 %", "1 %", "2 %", "0 %"]
    assert percent(0, 0) == ""


def test_escaping_leaves_nothing_that_plotly_would_interpret() -> None:
    assert escape('<a href="x">&$') == '&lt;a href="x"&gt;&amp;&#36;'


def test_the_template_is_plain_data_that_filling_leaves_alone() -> None:
    before = repr(TEMPLATE)
    figure(poll([1, 2], [3, 4]), as_of_ms=0)
    assert repr(TEMPLATE) == before
