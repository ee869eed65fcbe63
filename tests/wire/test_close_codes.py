import pytest

from wslive.wire.close_codes import FINAL_FROM, CloseCode, is_final


@pytest.mark.parametrize("code", CloseCode, ids=lambda code: code.name)
def test_each_code_has_a_number_of_ours_a_name_and_a_sentence(code: CloseCode) -> None:
    assert 4000 <= code <= 4999
    assert code.sentence[0].isupper()
    assert code.sentence[-1] == "."
    # The reason of a close frame holds 123 bytes.
    assert len(code.sentence.encode()) <= 123


def test_no_two_codes_are_alike() -> None:
    assert len({int(code) for code in CloseCode}) == len(CloseCode.__members__)
    assert len({code.sentence for code in CloseCode}) == len(CloseCode)


@pytest.mark.parametrize("code", CloseCode, ids=lambda code: code.name)
def test_the_number_says_whether_to_come_back(code: CloseCode) -> None:
    assert code.is_final == is_final(code) == (code >= FINAL_FROM)
    assert ("come back" in code.sentence) <= (not code.is_final)


@pytest.mark.parametrize(("code", "final"), [(None, False), (1000, False), (1006, False), (3000, False), (5000, False)])
def test_codes_that_are_not_ours_are_never_final(code: int | None, final: bool) -> None:
    assert is_final(code) is final


def test_codes_of_later_versions_keep_the_rule() -> None:
    assert not is_final(4499)
    assert is_final(4500)
    assert is_final(4999)


def test_the_numbers_are_kept_for_ever() -> None:
    assert {code.name: int(code) for code in CloseCode}.items() >= {
        "GOING_AWAY": 4000,
        "SLOW_READER": 4001,
        "HELLO_TIMEOUT": 4002,
        "STORE_TROUBLE": 4003,
        "TICKET_EXPIRED": 4004,
        "PROTOCOL_ERROR": 4500,
        "FRAME_TOO_BIG": 4501,
        "ROOM_UNAVAILABLE": 4502,
        "INVALID_TOKEN": 4503,
        "REMOVED": 4504,
        "ROOM_ENDED": 4505,
        "ROOM_DELETED": 4506,
        "TOO_MANY_ERRORS": 4507,
        "REFUSED": 4508,
    }.items()
