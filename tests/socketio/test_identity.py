from __future__ import annotations

import pytest

from wslive.core.errors import InvalidToken
from wslive.core.events import Position
from wslive.core.roles import Role
from wslive.server.access.tokens import Claims, Signer
from wslive.socketio.identity import (
    MIN_SECRET_CHARS,
    Identity,
    Recovery,
    identify,
    kept_cookie,
    new_pid,
    new_secret,
    recovery,
)

SIGNER = Signer(b"k" * 32)
SECRET = "s" * 32


def who(auth: object = None, *, cookie: str | None = None, lineage: str = SECRET) -> Identity:
    return identify(auth, cookie=cookie, lineage=lineage, signer=SIGNER)


def test_a_token_comes_before_a_cookie_and_that_before_the_connection():
    token = {"token": "a secret of its own"}
    assert who(token) == who(token, cookie="c" * 20) == who(token, lineage="l" * 32)
    assert who(cookie="c" * 20) == who(cookie="c" * 20, lineage="l" * 32)
    assert who(cookie="c" * 20) != who()
    assert who(token).ref != who(cookie="a_secret_of_its_own").ref


def test_a_connection_is_its_secret_and_a_cookie_of_that_value_the_same_person():
    # The first answer set the cookie; whoever shows it later was there already.
    assert who(lineage="c" * 20).ref == who(cookie="c" * 20, lineage="l" * 32).ref
    assert who().ref != who(lineage="l" * 32).ref


def test_only_what_lives_longer_than_a_connection_is_kept():
    assert who({"token": "a secret of its own"}).is_kept
    assert who(cookie="c" * 20).is_kept
    assert not who().is_kept


def test_the_ref_gives_nothing_away_and_is_one_of_a_hello():
    ref = who({"token": "a secret of its own"}).ref
    assert len(ref) == 64
    assert "secret" not in ref
    assert ref.isalnum()


def test_a_token_of_wslives_own_is_handed_on():
    token = SIGNER.sign(Claims("room", "p_ada", Role.PARTICIPANT))
    assert who({"token": token}).token == token
    forged = Signer(b"x" * 32).sign(Claims("room", "p_ada", Role.PARTICIPANT))
    assert who({"token": forged}).token is None


@pytest.mark.parametrize("token", ["", "Ann", "x" * (MIN_SECRET_CHARS - 1), 7, True, ["x" * 20], {}])
def test_a_token_that_is_no_secret_is_refused(token: object):
    with pytest.raises(InvalidToken, match=f"at least {MIN_SECRET_CHARS} characters"):
        who({"token": token})


@pytest.mark.parametrize("auth", [None, {}, {"token": None}, [], "text", 7, {"name": "Ann"}])
def test_without_a_token_it_is_nobody_by_token(auth: object):
    assert who(auth) == who()


@pytest.mark.parametrize("value", [None, "", "short", "x" * 65, "not a secret at all", "ünïcödé-and-long-enough"])
def test_what_cannot_be_our_cookie_is_none(value: str | None):
    assert kept_cookie(value) is None


def test_a_new_secret_can_be_a_cookie():
    secret = new_secret()
    assert kept_cookie(secret) == secret
    assert new_secret() != secret


def test_a_client_that_comes_back_shows_its_lineage_and_position():
    pid = new_pid(SECRET)
    shown = {"pid": pid, "offset": "e1.12.00ff", "token": "…"}
    assert recovery(shown, "h" * 32) == Recovery(SECRET, pid, Position("e1", 12, "00ff"))
    assert recovery({"pid": pid}, "h" * 32) == Recovery(SECRET, pid, None)
    assert recovery({"pid": pid, "offset": "Ada said hi"}, "h" * 32) == Recovery(SECRET, pid, None)


def test_another_pid_of_the_same_lineage_is_another_one():
    first, second = new_pid(SECRET), new_pid(SECRET)
    assert first != second
    assert recovery({"pid": first}, "").lineage == recovery({"pid": second}, "").lineage == SECRET


@pytest.mark.parametrize("auth", [None, {}, {"pid": 7}, {"pid": ""}, {"pid": "short.1"}, {"pid": "x" * 65}, []])
def test_a_client_that_shows_nothing_begins(auth: object):
    assert recovery(auth, SECRET) == Recovery(SECRET, None, None)
