"""Commands: wishes, in the imperative. They may be refused."""

from __future__ import annotations

import msgspec


class Command(msgspec.Struct, frozen=True, gc=False):
    """A wish of one actor, as it reaches the room.

    Attributes:
        ref: The actor's own name for it, at most 64 characters; a retry has the same one.
        activity: The activity it speaks to; 0 is the room itself.
        kind: What is wished, in the imperative.
        body: JSON whose shape belongs to the kind.
    """

    ref: str
    activity: int
    kind: str
    body: msgspec.Raw
