"""Who may do what: three roles and the sets of roles that commands name.

Everything that no command's `roles` allows is denied.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec


class Role(StrEnum):
    """What a token lets its holder do in one room."""

    # An enumeration's own is a function of Python, and every vote asks whether its sender's role is in a set.
    __hash__ = str.__hash__

    HOST = "host"
    PARTICIPANT = "participant"
    VIEWER = "viewer"


class Level(IntEnum):
    """How sure it is who a participant is; shown as L0, L1, … beside what rests on it."""

    LINK = 0
    """Whoever has the link, once a connection: nothing is shown that would tell two of them apart from one."""
    TOKEN = 1
    """Whoever shows the same token, which the server signed or the browser keeps."""
    INVITATION = 2
    """One person for each invitation that the host has handed out: it lets in once, and into locked rooms too."""
    HUB = 3
    """One person for each login of a JupyterHub, on whatever device; the hub vouches, and gives the name."""


# By these names where each vote and each reader of a tick passes: up to Python 3.11 the look-up of an enumeration's
# member is a function of Python, and costs as much as deciding a vote.
HOST = Role.HOST
PARTICIPANT = Role.PARTICIPANT

HOSTS = frozenset({Role.HOST})
PARTICIPANTS = frozenset({Role.PARTICIPANT})
SPEAKERS = frozenset({Role.HOST, Role.PARTICIPANT})

HOST_ACTOR = "host"
"""The actor of everything the host does: one host key, one actor, however many connections."""

SERVER_ACTOR = "server"
"""The actor of what nobody wished: that the box of a secret poll was counted."""


TAKES_PART, LOOKS_ON = "p_", "v_"
"""How the ids of participants and viewers begin; behind that, somebody who is vouched for has the same in both."""


def looking_on(actor: str) -> str:
    """As whom a participant looks on; where nobody vouches for people, nobody is that."""
    return LOOKS_ON + actor.removeprefix(TAKES_PART)


def taking_part(actor: str) -> str:
    """As whom somebody takes part who may be only looking on."""
    return TAKES_PART + actor.removeprefix(LOOKS_ON) if actor.startswith(LOOKS_ON) else actor


class Who(msgspec.Struct, frozen=True):
    """One reader of a room, as far as the rules need to know.

    Attributes:
        actor: The id that events carry; the same on all connections of one person.
        role: What the token allows.
        ledger: True for the host's kernel alone: it receives single ballots, an audience of its own.
    """

    actor: str
    role: Role
    ledger: bool = False
