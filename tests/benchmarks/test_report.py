import pytest
from rich.console import Console

from benchmarks.report import Row, Run, Setup, repeat, shown, undisturbed


def setup(tries: int = 3, repeats: int = 2) -> Setup:
    return Setup(Console(quiet=True), repeats, 1.0, None, None, tries)


def test_a_disturbed_run_is_measured_again():
    runs = [Run({"x": 1.0}, waited_share=0.2), Run({"x": 2.0}, waited_share=0.01)]
    taken, void = undisturbed(setup(), "a", iter(runs).__next__)
    assert (taken, void) == (runs[1], 1)


def test_where_all_are_disturbed_the_least_disturbed_one_is_taken():
    runs = [Run({"x": 1.0}, waited_share=0.2), Run({"x": 2.0}, waited_share=0.1), Run({"x": 3.0}, waited_share=0.3)]
    taken, void = undisturbed(setup(), "a", iter(runs).__next__)
    assert (taken, void) == (runs[1], 3)
    assert taken.is_void


def test_servers_take_turns():
    order = []
    repeated = repeat(setup(), {name: lambda name=name: order.append(name) or Run({"x": 1.0}) for name in "ab"})  # type: ignore[misc]
    assert order == ["a", "b", "a", "b"]
    assert repeated.figures("b", "x") == [1.0, 1.0]


def test_a_ratio_is_one_of_medians():
    assert Row("a", "b", [1.0, 2.0, 9.0], [4.0]).ratio == 0.5
    assert Row("a", "b", [1.0]).ratio is None
    assert Row("a", "b", [1.0], [0.0]).ratio is None


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,234"), (0.012345, "0.0123"), (float("nan"), "-"), (0.0, "0")])
def test_figures_have_three_digits_that_count(value: float, text: str):
    assert shown(value) == text
