"""Reading pages of Markdown: their sections, tables, blocks and spans of code."""

import re
from collections.abc import Iterator


def section(page: str, title: str) -> str:
    """What stands under a heading, its sub-headings included."""
    match = re.search(rf"^(#+) {re.escape(title)}$", page, re.MULTILINE)
    assert match, f"no heading {title!r}"
    rest = page[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def tables(text: str) -> Iterator[list[dict[str, str]]]:
    """The tables in a text, each a list of rows by column heading."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        heads, _, *rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.strip().split("\n")
        ]
        yield [dict(zip(heads, row, strict=True)) for row in rows]


def fences(text: str, language: str) -> list[str]:
    """The code blocks of one kind; `language` is a pattern for all that follows the three marks."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """A text without its code blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def code_spans(text: str) -> list[str]:
    """What stands between code marks outside of blocks."""
    return re.findall(r"`([^`\n]+)`", prose(text))


def bare(cell: str) -> str:
    """A cell of a table without its code marks."""
    return cell.strip("`")
