import base64

import pytest

from wslive.core.secrecy import BoxKey, largest

KEY = BoxKey(bytes(range(32)))
OTHER = BoxKey(bytes(32))
PLACE = ("s_1", "ref-1")
BODY = b'{"round":1,"options":["o2"]}'


def sealed(body: bytes = BODY, kind: str = "vote_cast", place: tuple[str, str] = PLACE, key: BoxKey = KEY) -> str:
    return key.seal(*place, kind, 1, body, 100)


def test_what_was_sealed_opens_to_what_it_was() -> None:
    assert KEY.open(*PLACE, sealed()) == ("vote_cast", 1, BODY)


def test_what_it_was_cannot_be_read_off() -> None:
    raw = base64.urlsafe_b64decode(sealed() + "==")
    assert not any(text in raw for text in (b"vote", b"round", b"option", b"o2", b"    "))


@pytest.mark.parametrize(
    ("place", "key"), [(("s_2", "ref-1"), KEY), (("s_1", "ref-2"), KEY), (("s_1ref-1", ""), KEY), (PLACE, OTHER)]
)
def test_nothing_else_opens_it(place: tuple[str, str], key: BoxKey) -> None:
    assert key.open(*place, sealed()) is None


def test_whatever_is_altered_is_noticed() -> None:
    content = sealed()
    for place in range(len(content)):
        for symbol in "AB":
            altered = content[:place] + symbol + content[place + 1 :]
            found = KEY.open(*PLACE, altered)
            if base64.urlsafe_b64decode(altered + "==") != base64.urlsafe_b64decode(content + "=="):
                assert found is None
    for content in ("", "A", "AAAA", "no base64 ü", "A" * 22):
        assert KEY.open(*PLACE, content) is None


def test_all_are_of_one_length_whatever_is_chosen() -> None:
    bodies = [b'{"round":1}', BODY, b'{"round":1,"options":["o1","o2","o3","o4"]}']
    assert len({len(sealed(body, kind)) for body in bodies for kind in ("vote_cast", "vote_retracted")}) == 1


def test_equal_contents_look_alike_nowhere() -> None:
    ciphers = {sealed(place=(f"s_{n}", "ref")) for n in range(50)}
    assert len({content[:20] for content in ciphers}) == len({content[-20:] for content in ciphers}) == 50


def test_a_pseudonym_is_the_same_for_one_person_and_box_alone() -> None:
    assert KEY.pseudonym("p_ada") == KEY.pseudonym("p_ada") == BoxKey(bytes(range(32))).pseudonym("p_ada")
    assert len({KEY.pseudonym("p_ada"), KEY.pseudonym("p_bob"), OTHER.pseudonym("p_ada")}) == 3
    assert KEY.pseudonym("p_ada").startswith("s_")


def test_a_ref_says_neither_what_it_was_nor_whose() -> None:
    assert KEY.ref("p_ada", "ada-1") == KEY.ref("p_ada", "ada-1")
    refs = {
        KEY.ref("p_ada", "ada-1"),
        KEY.ref("p_ada", "ada-2"),
        KEY.ref("p_bob", "ada-1"),
        OTHER.ref("p_ada", "ada-1"),
    }
    assert len(refs) == 4
    assert all(len(ref) == 20 and "ada" not in ref for ref in refs)


def test_a_key_is_not_shown() -> None:
    assert bytes(range(32)).hex() not in repr(KEY) == "BoxKey(…)"


def test_the_largest_is_measured_as_it_is_stored() -> None:
    assert largest([1], ["ü"], []) == len('["ü"]'.encode())
