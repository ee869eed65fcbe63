"""LaTeX as MathML and as plain text."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslive.core.math import ATTRIBUTES, ELEMENTS, flatten, plain, segments


def elements(text: str) -> list[ElementTree.Element]:
    """All elements of all formulas of a text."""
    found = segments(text) or []
    return [e for piece in found if "mathml" in piece for e in ElementTree.fromstring(piece["mathml"]).iter()]


def local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def test_a_text_is_split_into_words_and_formulas() -> None:
    pieces = segments(r"Is $n^2$ in $O(n)$?")
    assert pieces is not None
    assert [p.get("text") for p in pieces] == ["Is ", None, " in ", None, "?"]
    assert [p.get("plain") for p in pieces] == [None, "n²", None, "O(n)", None]


def test_a_formula_becomes_mathml_of_its_namespace() -> None:
    root = elements("$n^2$")[0]
    assert root.tag == "{http://www.w3.org/1998/Math/MathML}math"
    assert [local(e) for e in root.iter()] == ["math", "mrow", "msup", "mi", "mn"]


@pytest.mark.parametrize(
    "text", ["Which sort is stable?", "It costs $5.", "$5 more than $3", "from $5 to $6.", "$ x $", "a$", ""]
)
def test_a_text_without_formulas_has_no_segments(text: str) -> None:
    assert segments(text) is None
    assert plain(text) == text


def test_an_escaped_dollar_is_a_dollar() -> None:
    assert plain(r"\$5 for $x$") == "$5 for x"
    assert plain(r"\$5") == "$5"


@pytest.mark.parametrize(
    "latex", [r"\frac{", r"\foo x", r"\left( x", r"a & b", "{" * 200 + "}" * 200, r"\begin{matrix}"]
)
def test_latex_that_cannot_be_read_stays_the_text_that_it_was(latex: str) -> None:
    text = f"What is ${latex}$?"
    assert segments(text) is None
    assert plain(text) == text


def test_one_formula_that_cannot_be_read_does_not_spoil_the_next() -> None:
    assert plain(r"$\foo$ and $y_1$") == r"$\foo$ and y₁"


@pytest.mark.parametrize(
    ("latex", "written"),
    [
        (r"O(n \log n)", "O(n log n)"),
        (r"\sum_{i=1}^{n} i^2", "∑ᵢ₌₁ⁿ i²"),
        (r"\frac{a+b}{c}", "(a + b)/c"),
        (r"\frac{1}{2}", "1/2"),
        (r"\sqrt{x}", "√x"),
        (r"\sqrt[3]{x+1}", "³√(x + 1)"),
        (r"\binom{n}{k}", "(n choose k)"),
        (r"e^{i\pi}+1=0", "e^(iπ) + 1 = 0"),
        (r"-x+y", "−x + y"),
        (r"\sin(x) + (b)", "sin(x) + (b)"),
        (r"\overline{x}", "x\u0305"),
        (r"\begin{pmatrix}1&0\\0&1\end{pmatrix}", "(1, 0; 0, 1)"),
        (r"x < 5", "x < 5"),
        (r"\lim_{x\to 0} f", "lim_(x→0) f"),
        (r"\log_2 n + \sin^2(x)", "log₂ n + sin²(x)"),
    ],
)
def test_a_formula_can_be_read_as_plain_text(latex: str, written: str) -> None:
    assert " ".join(plain(f"${latex}$").split()) == written


def test_two_dollars_mean_the_same_as_one() -> None:
    assert segments("$$n^2$$") == segments("$n^2$")


def test_function_names_stand_apart_from_their_neighbours() -> None:
    assert "mspace" in {local(e) for e in elements(r"$n \log n$")}
    assert "mspace" not in {local(e) for e in elements(r"$\log(n)$")}


@pytest.mark.parametrize(
    "latex", [r"\href{javascript:alert(1)}{x}", r"\style{background:url(//evil)}{x}", r"\class{wslive-button}{x}"]
)
def test_nothing_that_could_run_load_or_restyle_comes_through(latex: str) -> None:
    found = elements(f"${latex}$")
    assert {local(e) for e in found} <= ELEMENTS
    assert {name for e in found for name in e.attrib} <= ATTRIBUTES


@given(st.text(alphabet=r"$\{}^_&<>\"' abx1+-()[]%frac~#", max_size=60))
def test_any_text_whatever_folds_into_elements_that_are_allowed(text: str) -> None:
    found = elements(text)
    assert {local(e) for e in found} <= ELEMENTS
    assert {name for e in found for name in e.attrib} <= ATTRIBUTES
    assert flatten(segments(text), text) == plain(text)


def test_the_answer_is_the_callers_own() -> None:
    first = segments("$x$")
    assert first is not None
    first[0]["plain"] = "changed"
    assert plain("$x$") == "x"
