from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from wslive.core.errors import HostingNotAllowed, InvalidToken, StoreUnwritable, TooFast
from wslive.core.roles import Role
from wslive.server.access import tokens
from wslive.server.access.tokens import READ, Claims, RateLimits, Signer, signer
from wslive.server.settings import Rate, ServerSettings

CLAIMS = Claims("room1", "p_ada", Role.PARTICIPANT, 123)


# ── codes and keys ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_is_six_symbols_that_are_not_mistaken_for_one_another():
    codes = {tokens.new_code() for _ in range(2000)}
    assert len(codes) == 2000
    assert {len(code) for code in codes} == {6}
    assert set("".join(codes)) == set("ABCDEFGHJKMNPQRSTUVWXYZ23456789")


@pytest.mark.parametrize("written", ["K7M2QX", "k7m2qx", "K7M-2QX", " k7m 2qx ", "K7-M2-QX"])
def test_a_code_has_one_form_however_it_is_written(written: str):
    assert tokens.clean_code(written) == "K7M2QX"


def test_a_host_key_fits_its_own_room_alone():
    key = tokens.new_host_key()
    kept = tokens.key_hash(key)
    assert tokens.key_fits(key, kept)
    assert key.encode() not in kept
    for other in (None, "", key[:-1], tokens.new_host_key(), "ключ"):
        assert not tokens.key_fits(other, kept)


@pytest.mark.parametrize("offered", [None, "", "ht_secre", "ht_secret2", "ключ"])
def test_only_the_hosting_token_allows_hosting(offered: str | None):
    tokens.check_hosting("ht_secret", "ht_secret")
    with pytest.raises(HostingNotAllowed):
        tokens.check_hosting("ht_secret", offered)


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_says_what_was_signed():
    ours = Signer(b"k" * 32)
    token = ours.sign(CLAIMS)
    assert ours.verify(token) == CLAIMS
    assert token.isascii()
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_a_token_of_another_key_is_refused():
    with pytest.raises(InvalidToken):
        Signer(b"k" * 32).verify(Signer(b"j" * 32).sign(CLAIMS))


def test_not_one_character_of_a_token_can_be_changed():
    ours = Signer(b"k" * 32)
    token = ours.sign(CLAIMS)
    for place, letter in enumerate(token):
        other = "A" if letter != "A" else "B"
        try:
            claims = ours.verify(token[:place] + other + token[place + 1 :])
        except InvalidToken:
            continue
        # The last character of a base64 text carries bits that mean nothing.
        assert place in (token.index(".") - 1, len(token) - 1)
        assert claims == CLAIMS


@pytest.mark.parametrize("token", ["", ".", "..", "a", "a.b", "a.b.c", "é.é", "\0.\0", "YQ==.YQ==", "\ud800.a"])
def test_what_is_no_token_is_refused(token: str):
    with pytest.raises(InvalidToken):
        Signer(b"k" * 32).verify(token)


def test_what_we_signed_for_another_purpose_or_version_is_no_token():
    ours = Signer(b"k" * 32)
    for payload in (b"{}", b"[1]", b"nonsense", msgspec.json.encode(("actor", "room1", "ref"))):
        token = f"{tokens._b64(payload)}.{tokens._b64(ours._mac(payload))}"
        with pytest.raises(InvalidToken):
            ours.verify(token)


def test_an_actor_follows_from_room_and_ref_and_from_nothing_that_people_know():
    ours = Signer(b"k" * 32)
    actor = ours.actor_for("room1", "ref1")
    assert actor == Signer(b"k" * 32).actor_for("room1", "ref1")
    others = {
        ours.actor_for("room2", "ref1"),
        ours.actor_for("room1", "ref2"),
        Signer(b"j" * 32).actor_for("room1", "ref1"),
    }
    assert len({actor, *others}) == 4
    assert actor.startswith("p_")


# ── the key that signs ────────────────────────────────────────────────────────────────────────────────────────────


def kept_at(path: Path) -> Signer:
    return signer(ServerSettings(secret_path=path))


def test_the_key_is_kept_for_its_owner_alone(tmp_path: Path):
    path = tmp_path / "secret"
    token = kept_at(path).sign(CLAIMS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32
    assert kept_at(path).verify(token) == CLAIMS


def test_without_a_path_every_start_has_a_key_of_its_own():
    token = signer(ServerSettings()).sign(CLAIMS)
    with pytest.raises(InvalidToken):
        signer(ServerSettings()).verify(token)


@pytest.mark.parametrize("left", [b"", b"half a key"])
def test_a_key_whose_making_was_cut_short_is_made_anew(left: bytes, tmp_path: Path):
    path = tmp_path / "secret"
    path.write_bytes(left)
    path.chmod(0o600)
    token = kept_at(path).sign(CLAIMS)
    assert kept_at(path).verify(token) == CLAIMS


def test_a_key_that_something_has_changed_is_never_replaced(tmp_path: Path):
    path = tmp_path / "secret"
    changed = bytes(range(32)) + b"\n"  # an editor's work
    path.write_bytes(changed)
    with pytest.raises(StoreUnwritable, match="has 33 bytes and should have 32"):
        signer(ServerSettings(secret_path=path))
    assert path.read_bytes() == changed


def test_a_key_that_cannot_be_kept_is_an_error_with_the_path(tmp_path: Path):
    for path in (tmp_path / "nowhere" / "secret", tmp_path):
        with pytest.raises(StoreUnwritable, match=str(path)):
            kept_at(path)


# ── rates ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def limits(per_s: float = 2.0, burst: float = 3.0) -> RateLimits:
    return RateLimits(ServerSettings(vote_rate=Rate(per_s, burst), line_rate=Rate(per_s, burst)))


def allowed(rates: RateLimits, now_s: float, times: int, actor: str = "p_ada", kind: str = "cast_vote") -> int:
    """How many of so many wishes at one moment are granted."""
    granted = 0
    for _ in range(times):
        try:
            rates.check(actor, Role.PARTICIPANT, kind, now_s)
        except TooFast:
            continue
        granted += 1
    return granted


def test_a_burst_is_granted_and_then_the_rate():
    rates = limits(per_s=2.0, burst=3.0)
    assert allowed(rates, 100.0, 10) == 3
    assert allowed(rates, 100.4, 10) == 0
    assert allowed(rates, 100.5, 10) == 1
    assert allowed(rates, 102.0, 10) == 3
    assert allowed(rates, 1000.0, 10) == 3


def test_a_refusal_says_when_to_come_back_and_coming_then_succeeds():
    rates = limits(per_s=0.5, burst=1.0)
    rates.check("p_ada", Role.PARTICIPANT, "cast_vote", 100.0)
    with pytest.raises(TooFast, match=r"try again in 2.0 seconds") as refused:
        rates.check("p_ada", Role.PARTICIPANT, "cast_vote", 100.0)
    assert refused.value.retry_after_s == 2.0
    rates.check("p_ada", Role.PARTICIPANT, "cast_vote", 102.0)


@pytest.mark.parametrize("after_s", [0.03, 0.06, 0.12, 0.47])
def test_whoever_waits_as_long_as_told_is_not_too_fast_again(after_s: float):
    rates = limits(per_s=2.0, burst=1.0)
    rates.check("p_ada", Role.PARTICIPANT, "cast_vote", 100.0)
    with pytest.raises(TooFast) as refused:
        rates.check("p_ada", Role.PARTICIPANT, "cast_vote", 100.0 + after_s)
    assert refused.value.retry_after_s is not None
    rates.check("p_ada", Role.PARTICIPANT, "cast_vote", 100.0 + after_s + refused.value.retry_after_s)


def test_a_wait_too_short_to_show_is_still_a_wait():
    rates = limits(per_s=1000.0, burst=1.0)
    rates.check("p_ada", Role.PARTICIPANT, "cast_vote", 100.0)
    with pytest.raises(TooFast) as refused:
        rates.check("p_ada", Role.PARTICIPANT, "cast_vote", 100.0)
    assert refused.value.retry_after_s == 0.1


def test_each_person_and_each_kind_has_a_bucket():
    rates = limits()
    assert allowed(rates, 100.0, 10, "p_ada", "cast_vote") == 3
    assert allowed(rates, 100.0, 10, "p_ada", "retract_vote") == 0
    assert allowed(rates, 100.0, 10, "p_ada", "say") == 3
    assert allowed(rates, 100.0, 10, "p_bob", "cast_vote") == 3
    assert allowed(rates, 100.0, 100, "p_ada", READ) == 30
    assert allowed(rates, 100.0, 100, "p_ada", "rename") == 5
    assert allowed(rates, 100.0, 100, "p_ada", "whatever") == 0


def test_forgetting_drops_full_buckets_and_grants_nothing():
    rates = RateLimits(ServerSettings(name_rate=Rate(per_s=0.01, burst=5)))
    assert allowed(rates, 100.0, 10, kind="rename") == 5
    assert allowed(rates, 100.0, 1, kind="say") == 1
    rates.forget(400.0)  # five names take 500 s to come back
    assert len(rates) == 1
    assert allowed(rates, 400.0, 10, kind="rename") == 3
    rates.forget(1000.0)
    assert len(rates) == 0
