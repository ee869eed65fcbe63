import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslive.core.errors import EmptyText, NotAllowed, TextTooLong
from wslive.core.text import clean, clean_name, counted


def cleaned(text: str, max_chars: int = 10_000) -> str:
    return clean(text, max_chars=max_chars, what="The name")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("one\ntwo\r\nthree\tfour\u2028five", "one two three four five"),
        ("zero\u200bwidth \ufeffmark", "zerowidth mark"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("soft\u00adhyphen", "softhyphen"),
        ("bell\x07 and nul\x00", "bell and nul"),
        ("e\u0301", "é"),
        ("e\u200d\u0301", "é"),  # joined only once the joiner is gone
        ("no\u00a0break", "no break"),
        ("Łódź 🎉 日本語 العربية", "Łódź 🎉 日本語 العربية"),
        ('<b>$x^2$ & "quotes"</b>', '<b>$x^2$ & "quotes"</b>'),
        ("Z" + "\u0317" * 50 + "algo", "Z" + "\u0317" * 4 + "algo"),
    ],
)
def test_a_text_is_one_line_of_visible_characters(typed: str, kept: str) -> None:
    assert cleaned(typed) == kept


@pytest.mark.parametrize(
    "typed", ["", " ", "\u200b\u200d", "\n\t", "\u3164", "\u2800\u2800", "\u115f\u1160\uffa0", "\x00"]
)
def test_a_text_without_anything_to_see_is_refused(typed: str) -> None:
    with pytest.raises(EmptyText, match="The name is empty"):
        cleaned(typed)


def test_the_limit_counts_characters_after_cleaning() -> None:
    assert cleaned("  " + "🎉" * 5 + "\u200b" * 100, max_chars=5) == "🎉" * 5
    with pytest.raises(TextTooLong, match="The name has 6 characters; at most 5 are allowed"):
        cleaned("🎉" * 6, max_chars=5)


def test_a_number_has_its_noun() -> None:
    told = [counted(1, "poll"), counted(2, "poll"), counted(0, "person", "people")]
    assert told == ["1 poll", "2 polls", "0 people"]


@given(st.text(max_size=60))
def test_cleaning_is_done_once_and_for_all(text: str) -> None:
    try:
        once = cleaned(text)
    except EmptyText:
        return
    assert cleaned(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == once.strip()
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for char in once)
    once.encode()


def test_what_is_no_text_is_told() -> None:
    with pytest.raises(TypeError, match=r"The name is a text, not None\."):
        clean(None, max_chars=5, what="The name")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "host",
        " HOST ",
        "H o s t",
        "★ Host ★",
        "Hоst",
        "Ηost",
        "Ｈｏｓｔ",
        "H\u200bost",
        "Ho\u0301st",
        "H0st",
        "Hosт",
        "ℍ𝕠𝕤𝕥",
        "ʜᴏꜱᴛ",
        "Ꮋost",
        "hosꭲ",
        "HoᏚt",
        "ꓧꓳꓢꓔ",
        "🅷🅾🆂🆃",
        "🇭 🇴 🇸 🇹",
    ],
)
def test_a_name_that_reads_as_the_host_s_is_refused(name: str):
    with pytest.raises(NotAllowed, match="the host's"):
        clean_name(name)


@pytest.mark.parametrize("name", ["Ada", "Hostess", "Hosta", "Ghost", "Ada (not the host)", "Ho", "Horst", "Host 2"])
def test_other_names_are_taken(name: str):
    assert clean_name(name) == name
