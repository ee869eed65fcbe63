r"""LaTeX between dollar signs, as MathML for those who draw it and as plain text for those who cannot.

    segments("Is $n^2$ in $O(n)$?")
    [{"text": "Is "}, {"mathml": "<math …>", "plain": "n²"}, {"text": " in "}, {"mathml": …, "plain": "O(n)"}, …]

A text that is shown just as it was typed gives None. LaTeX that cannot be read stays
the text it was: what a host types is shown, never lost to an error.

Prices are not formulas: as in Pandoc, an opening `$` has no space after it, a closing one has none before it and no
digit after it, and `\$` is a dollar sign. `$$…$$` means the same as `$…$`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from xml.etree import ElementTree

Segment = dict[str, str]

_FORMULA = re.compile(r"(?<!\\)(\$\$?)(?=[^\s$])((?:\\.|[^\\$])*?[^\s\\$]|(?:\\.|[^\\$])*?\\[^\s])\1(?![\d$])")

# What presentation MathML needs to look right, and nothing that could run, load or restyle.
ELEMENTS = frozenset(
    "math mrow mi mn mo ms mtext mspace msup msub msubsup munder mover munderover mmultiscripts mprescripts none "
    "mfrac msqrt mroot mstyle mpadded mphantom menclose mtable mtr mtd".split()
)
ATTRIBUTES = frozenset(
    "display mathvariant stretchy fence separator accent accentunder linethickness minsize maxsize lspace rspace "
    "width height depth columnalign rowspacing columnspacing displaystyle scriptlevel notation largeop movablelimits "
    "form".split()
)

_ROWS = frozenset({"mrow", "math", "mstyle", "mpadded", "msqrt", "mtd"})


@lru_cache(maxsize=1024)
def _cached(text: str) -> tuple[tuple[tuple[str, str], ...], ...] | None:
    if "$" not in text:
        return None
    found: list[Segment] = []
    end = 0
    for match in _FORMULA.finditer(text):
        formula = _formula(match[2])
        if formula is None:
            continue
        if match.start() > end:
            found.append({"text": _dollars(text[end : match.start()])})
        found.append(formula)
        end = match.end()
    if end < len(text):
        found.append({"text": _dollars(text[end:])})
    if found == [{"text": text}]:
        return None
    return tuple(tuple(s.items()) for s in found)


def segments(text: str) -> list[Segment] | None:
    r"""Split a text into plain pieces and formulas.

    Args:
        text: What the host typed, e.g. r"Is $n \log n$ in $O(n^2)$?".

    Returns:
        Pieces in order, each `{"text": …}` or `{"mathml": …, "plain": …}`; None for a text that is shown as it is.
    """
    found = _cached(text)
    return None if found is None else [dict(s) for s in found]


def plain(text: str) -> str:
    """The text with its formulas in Unicode ("O(n²)"): for chart labels, terminals and titles."""
    return flatten(segments(text), text)


def flatten(pieces: Iterable[Segment] | None, text: str) -> str:
    """The same from the pieces of a view; `text` is what stands there without pieces."""
    return text if pieces is None else "".join(p.get("text", p.get("plain", "")) for p in pieces)


def _dollars(text: str) -> str:
    return text.replace(r"\$", "$")


def _formula(latex: str) -> Segment | None:
    from latex2mathml.converter import convert  # most programs that know rooms never see a formula

    try:
        root = _allowed(ElementTree.fromstring(convert(latex)))
        written = " ".join(_row(root).split())
    # The converter raises a plain Exception for LaTeX that it cannot read, and whatever Python raises for what its
    # authors did not foresee; an event that was accepted must fold all the same.
    except Exception:
        return None
    if root is None or not written or "\\" in written:  # a command it does not know comes through as its own name
        return None
    root.set("xmlns", "http://www.w3.org/1998/Math/MathML")
    return {"mathml": ElementTree.tostring(root, encoding="unicode"), "plain": written}


def _allowed(element: ElementTree.Element) -> ElementTree.Element:
    tag = element.tag.rpartition("}")[2]
    if tag not in ELEMENTS:
        raise ValueError(f"<{tag}> is not an element of presentation MathML that we show")
    made = ElementTree.Element(tag, {k: v for k, v in element.attrib.items() if k in ATTRIBUTES})
    made.text = element.text
    for child in map(_allowed, element):
        # The converter leaves it to the reader to see "n log n" in "nlogn".
        before = made[-1] if len(made) else None
        if before is not None and tag in _ROWS and _needs_space(before, child):
            made.append(ElementTree.Element("mspace", {"width": "0.167em"}))
        made.append(child)
    return made


def _needs_space(before: ElementTree.Element, after: ElementTree.Element) -> bool:
    if _is_function(before):
        return after.tag != "mo" or after.text in ("√", "∑", "∏", "∫")
    return _is_function(after) and before.tag not in ("mo", "mspace")


def _is_function(element: ElementTree.Element) -> bool:
    """Whether it is a name like log or sin, perhaps with a script."""
    if element.tag in ("msub", "msup", "msubsup", "munder") and len(element):
        return _is_function(element[0])
    text = element.text or ""
    return element.tag in ("mi", "mo") and len(text) > 1 and text.isalpha()


# ── plain text ────────────────────────────────────────────────────────────────────────────────────────────────────

_SUPERSCRIPTS = dict(zip("0123456789+-−=()ni′", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ′", strict=True))
_SUBSCRIPTS = dict(zip("0123456789+-−=()aeijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_ACCENTS = {"→": "\u20d7", "^": "\u0302", "¯": "\u0304", "~": "\u0303", "―": "\u0305", "˙": "\u0307"}
_SPACED = frozenset("+-−±=≠<>≤≥≈≡∼∝→⇒⇔↦∈∉⊂⊆∪∩∧∨×·÷∘|")


def _row(parent: ElementTree.Element) -> str:
    written = ""
    function = False
    for child in parent:
        piece = _written(child)
        if function and piece.startswith("("):  # sin(x), but a + (b)
            written = written.rstrip()
        function = _is_function(child)
        if child.tag == "mo" and piece in _SPACED:
            # A sign in front of a number is no operator between two.
            unary = not written or written[-1] in "(, " or written[-1] in _SPACED
            written += piece if unary else f" {piece} "
        elif child.tag == "mo" and piece in ",;":
            written += piece + " "
        elif function:
            written += f" {piece} "
        else:
            written += piece
    return written.replace("( ", "(")


def _written(element: ElementTree.Element) -> str:
    children = list(element)
    match element.tag, children:
        case "msup", [base, exponent]:
            return _written(base) + _script(exponent, _SUPERSCRIPTS, "^")
        case "msub", [base, index]:
            return _written(base) + _script(index, _SUBSCRIPTS, "_")
        case (("msubsup" | "munderover"), [base, index, exponent]):
            return _written(base) + _script(index, _SUBSCRIPTS, "_") + _script(exponent, _SUPERSCRIPTS, "^") + " "
        case "munder", [base, index]:
            return _written(base) + _script(index, _SUBSCRIPTS, "_") + " "
        case "mover", [base, over]:
            accent = _ACCENTS.get(_written(over))
            return _written(base) + (accent or _script(over, _SUPERSCRIPTS, "^"))
        case "mfrac", [above, below]:
            if element.get("linethickness") == "0":
                return f"{_written(above)} choose {_written(below)}"
            return f"{_grouped(above)}/{_grouped(below)}"
        case "msqrt", _:
            inner = _row(element).strip()
            return f"√{inner}" if len(inner) == 1 else f"√({inner})"
        case "mroot", [radicand, degree]:
            return _script(degree, _SUPERSCRIPTS, "") + f"√({_written(radicand).strip()})"
        case "mtable", _:
            return "; ".join(", ".join(_row(cell).strip() for cell in row) for row in children)
        case "mspace", _:
            return " "
    return _row(element) if children else element.text or ""


def _script(element: ElementTree.Element, letters: dict[str, str], mark: str) -> str:
    inner = _written(element).replace(" ", "")
    if inner and all(c in letters for c in inner):
        return "".join(letters[c] for c in inner)
    return mark + (inner if len(inner) == 1 else f"({inner})")


def _grouped(element: ElementTree.Element) -> str:
    inner = _written(element).strip()
    return inner if inner.isalnum() or len(inner) == 1 else f"({inner})"
