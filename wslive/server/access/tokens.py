"""Who is let in: signed tokens and tickets, host keys, and the rates of one token.

A token names room, actor and role, and is signed with a key that only the server has; it is verified before it is
parsed. A ticket is a token that opens connections for ten minutes: notebooks hand it to the browser, so that nothing
long-lived gets there. A join code never makes a host: a host shows the room's key, of which the server keeps a hash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import secrets
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from wslive.core.errors import HostingNotAllowed, InvalidToken, StoreUnwritable, TooFast
from wslive.core.roles import HOST, Role
from wslive.eventlog.key_files import write_private
from wslive.server.settings import Rate, ServerSettings

CODE_SYMBOLS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""31 symbols that are not mistaken for one another (no I, L, O, 0, 1)."""

CODE_LENGTH = 6

INVITATION_SYMBOLS = 10
"""31^10 = 8 · 10^14 for each number."""

KEY_BYTES = 32
"""Of the key that signs."""

_MAX_NUMBER_DIGITS = 6


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token says.

    Attributes:
        room, actor, role: Who its holder is, and where.
        expires_at_s: 0 for tokens that live as long as the room.
        vouch: Where others vouch for people, by what (see `identity.Vouching`); it ends with that.
    """

    room: str
    actor: str
    role: Role
    expires_at_s: int = 0
    vouch: str = ""


def new_code() -> str:
    """A fresh join code: 31^6 = 887 million."""
    return "".join(secrets.choice(CODE_SYMBOLS) for _ in range(CODE_LENGTH))


def clean_code(code: str) -> str:
    """A code as people type it (lower case, spaces, hyphens) in its one form."""
    return "".join(code.upper().replace("-", " ").split())


def new_host_key() -> str:
    """A fresh host key, 192 bits."""
    return "hk_" + secrets.token_urlsafe(24)


def key_hash(key: str) -> bytes:
    """What the server keeps of a host key. The key is random, so a plain hash gives nothing away."""
    return hashlib.sha256(key.encode()).digest()


def key_fits(key: str | None, expected_hash: bytes) -> bool:
    """Whether a host key is the room's, in constant time."""
    return key is not None and hmac.compare_digest(key_hash(key), expected_hash)


def check_hosting(hosting_token: str, offered: str | None) -> None:
    """Whether somebody is one of this server's own people.

    Raises:
        HostingNotAllowed: Without the hosting token.
    """
    if offered is None or not hmac.compare_digest(offered.encode(), hosting_token.encode()):
        raise HostingNotAllowed


class Signer:
    """Makes and checks tokens with one key."""

    def __init__(self, key: bytes) -> None:
        """Keep the key."""
        self._key = key

    def sign(self, claims: Claims) -> str:
        """A token that says `claims`."""
        payload = msgspec.json.encode(claims)
        return f"{_b64(payload)}.{_b64(self._mac(payload))}"

    def verify(self, token: str) -> Claims:
        """The claims of a token. Whether it has expired is for the caller to ask.

        Raises:
            InvalidToken: Not ours, or altered.
        """
        try:
            payload, mac = (_unb64(part) for part in token.split("."))
        except (ValueError, binascii.Error):
            raise InvalidToken from None
        if not hmac.compare_digest(mac, self._mac(payload)):
            raise InvalidToken
        try:
            return msgspec.json.decode(payload, type=Claims)
        except msgspec.DecodeError:  # ours, of another version
            raise InvalidToken from None

    def actor_for(self, room: str, ref: str) -> str:
        """The id of a new participant: the same for a repeated hello, and no one else can compute it."""
        digest = self._mac(msgspec.json.encode(("actor", room, ref)))
        return "p_" + _b64(digest[:9])

    def invitation(self, room: str, number: int) -> str:
        """One of a room's invitations, e.g. "17-K7M2QXW9PA": nobody else can compute the ten symbols."""
        value = int.from_bytes(self._mac(msgspec.json.encode(("invitation", room, number))), "big")
        symbols = ""
        for _ in range(INVITATION_SYMBOLS):
            value, digit = divmod(value, len(CODE_SYMBOLS))
            symbols += CODE_SYMBOLS[digit]
        return f"{number}-{symbols}"

    def invited_as(self, room: str, invitation: str) -> str | None:
        """The id of the participant that an invitation makes; None where it is none of this room."""
        number, _, _ = invitation.strip().partition("-")
        if not number.isascii() or not number.isdigit() or len(number) > _MAX_NUMBER_DIGITS or number.startswith("0"):
            return None
        if not hmac.compare_digest(self.invitation(room, int(number)).encode(), invitation.strip().upper().encode()):
            return None
        return "p_" + _b64(self._mac(msgspec.json.encode(("invited", room, int(number))))[:9])

    def actor_of(self, room: str, provider: str, person: str) -> str:
        """The id of somebody whom a provider of identities vouches for: always the same, and no ref leads to it."""
        return "p_" + _b64(self._mac(msgspec.json.encode(("person", room, provider, person)))[:9])

    def key_for(self, purpose: str) -> bytes:
        """A key for something else, as lasting as this one."""
        return self._mac(msgspec.json.encode(("key", purpose)))

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, hashlib.sha256).digest()


def signer(settings: ServerSettings) -> Signer:
    """The signer whose key lies at `settings.secret_path`, made there if it is missing.

    Raises:
        StoreUnwritable: The file can be neither read nor made.
    """
    path = settings.secret_path
    if path is None:
        return Signer(secrets.token_bytes(KEY_BYTES))
    try:
        return Signer(_kept_key(path))
    except OSError as error:
        raise StoreUnwritable(f"The key file {path} can be neither read nor made: {error.strerror}.") from None


def _kept_key(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    try:
        write_private(path, key)
    except FileExistsError:
        kept = path.read_bytes()
        if len(kept) == KEY_BYTES:
            return kept
        if len(kept) > KEY_BYTES:
            raise StoreUnwritable(
                f"The key file {path} has {len(kept)} bytes and should have {KEY_BYTES}: something has changed it. Put "
                "it back from a backup. Without it a new one is made, and then everybody is a new person."
            ) from None
        # A start that was killed between making and writing the file leaves it short; no token was signed with it.
        path.unlink()
        write_private(path, key)
    return key


READ = "read"
"""What `RateLimits.check` calls reading: pages and tickets, which no command asks for."""


class _Limit(NamedTuple):
    """A token bucket as times: one token lasts `interval_s`, and all but one of a full bucket `patience_s`."""

    name: str
    interval_s: float
    patience_s: float

    @classmethod
    def of(cls, name: str, rate: Rate) -> Self:
        """That of a rate; patient enough for what adding times up rounds away."""
        return cls(name, 1 / rate.per_s, (rate.burst - 1) / rate.per_s + 1e-9)


class RateLimits:
    """Token buckets of one room, per actor and kind of command.

    Of each bucket nothing is kept but when it will be full again: to take a token makes that later by the time that
    one takes to come back, and there is none as long as that is too late.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Take the rates from the settings."""
        self._full_at_s: dict[tuple[str, str], float] = {}
        self._host = _Limit.of("host", settings.host_rate)
        self._name = _Limit.of("name", settings.name_rate)
        vote = _Limit.of("vote", settings.vote_rate)
        self._by_kind = {
            "cast_vote": vote,
            "retract_vote": vote,
            "say": _Limit.of("line", settings.line_rate),
            READ: _Limit.of("read", settings.read_rate),
        }

    def check(self, actor: str, role: Role, kind: str, now_s: float) -> None:
        """Take one token from the bucket of this actor and kind.

        Raises:
            TooFast: It is empty; says when to come back.
        """
        name, interval_s, patience_s = self._host if role is HOST else self._by_kind.get(kind, self._name)
        key = actor, name
        until_full_s = self._full_at_s.get(key, now_s) - now_s
        if until_full_s < 0:
            until_full_s = 0.0
        if until_full_s > patience_s:
            # Rounded up: whoever comes back after that is not too fast again.
            wait_s = max(0.1, math.ceil(10 * (until_full_s - patience_s)) / 10)
            raise TooFast(f"That was too fast; try again in {wait_s} seconds.", retry_after_s=wait_s)
        self._full_at_s[key] = now_s + until_full_s + interval_s

    def forget(self, now_s: float) -> None:
        """Drop the buckets that have filled up again: most people of a room are silent most of the time."""
        self._full_at_s = {key: full_at_s for key, full_at_s in self._full_at_s.items() if full_at_s > now_s}

    def __len__(self) -> int:
        """How many buckets are kept."""
        return len(self._full_at_s)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
