"""Text from people: cleaned once, on the way in, and measured in characters. And numbers with their nouns.

Control, bidirectional and zero-width characters are removed: they let a name look like another one, or turn
around the text that follows it.
"""

from __future__ import annotations

import unicodedata

from wslive.core.errors import EmptyText, NotAllowed, TextTooLong

MAX_NAME_CHARS = 40
MAX_LINE_CHARS = 500
MAX_QUESTION_CHARS = 500
MAX_OPTION_CHARS = 200
MAX_TITLE_CHARS = 120
MAX_KEY_CHARS = 120

# Cc control, Cf format (zero-width, bidirectional, soft hyphen), Cs surrogates, Co private use,
# Zl/Zp line and paragraph separators.
_REMOVED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_KEPT_AS_SPACE = {"\n", "\r", "\t", "\u2028", "\u2029", "\u2800"}  # the last one is a Braille cell without dots
# Letters and marks by category, but blank: names made of these look empty.
_BLANK = {"\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u3164", "\uffa0"}
# At most this many combining marks on one character: more only serves to draw over other lines.
_MAX_MARKS = 4

HOST_NAME = "Host"
"""Under which the host speaks."""

# Of Cyrillic, Greek, Armenian, Coptic, Cherokee, Canadian, Lisu and Latin, small capitals, and letters in circles,
# squares and flags: what is taken for a letter of that name at a glance. As `casefold` leaves it, which makes capitals
# of Cherokee.
_LOOKS_LIKE = str.maketrans(
    {
        **dict.fromkeys("нһհηɦħʜⲏᎻᏂᕼꓧ🅗🅷🇭", "h"),
        **dict.fromkeys("о0οօσøᴏⲟꓳ🅞🅾🇴", "o"),
        **dict.fromkeys("ѕ5$ꜱʂᏚꓢ🅢🆂🇸", "s"),
        **dict.fromkeys("тτ7+†ƭţŧᴛⲧᎢꓔ🅣🆃🇹", "t"),
    }
)


def clean_name(text: str) -> str:
    """A person's name, cleaned.

    Raises:
        EmptyText · TextTooLong: As for `clean`.
        NotAllowed: It reads as the name under which the host speaks.
    """
    name = clean(text, max_chars=MAX_NAME_CHARS, what="The name")
    if _reads_as_host(name):
        raise NotAllowed("That name is the host's. Choose another one.")
    return name


def _reads_as_host(name: str) -> bool:
    """Whether only letters that look alike, case and ornaments tell a name from the host's."""
    folded = unicodedata.normalize("NFKD", name).casefold().translate(_LOOKS_LIKE)
    return "".join(char for char in folded if char.isalnum()) == HOST_NAME.casefold()


def clean(text: str, *, max_chars: int, what: str) -> str:
    """Return `text` on one line, normalised (NFC), without invisible characters.

    Args:
        text: What a person typed.
        max_chars: The documented limit, in characters after cleaning.
        what: How the error calls it, e.g. "The name".

    Raises:
        EmptyText: Nothing visible is left.
        TextTooLong: More than `max_chars` are left.
        TypeError: It is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} is a text, not {text!r}.")
    visible = "".join(
        " " if char in _KEPT_AS_SPACE else char
        for char in text
        if char in _KEPT_AS_SPACE or (char not in _BLANK and unicodedata.category(char) not in _REMOVED)
    )
    kept: list[str] = []
    marks = 0
    # Only now: what stood around a removed character may join up.
    for char in unicodedata.normalize("NFC", visible):
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks <= _MAX_MARKS:
            kept.append(char)
    line = " ".join("".join(kept).split())
    if not line:
        raise EmptyText(f"{what} is empty.")
    if len(line) > max_chars:
        raise TextTooLong(f"{what} has {len(line)} characters; at most {max_chars} are allowed.")
    return line


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 poll", "3 polls"."""
    return f"{number} {one if number == 1 else many or one + 's'}"
