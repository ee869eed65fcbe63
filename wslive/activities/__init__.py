"""The activities a room can run: ours in an explicit tuple, others through the entry point group `wslive.activities`.

An entry point names an object that fulfils `wslive.core.activity.Activity`.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from wslive.activities.chat.model import Chat
from wslive.activities.poll.model import Poll
from wslive.core.activity import Activity

BUILT_IN: tuple[Activity[Any], ...] = (Poll(), Chat())


@cache
def activities() -> dict[str, Activity[Any]]:
    """All activities by kind, outside ones after ours.

    Raises:
        ValueError: Two activities claim the same kind.
    """
    found: dict[str, Activity[Any]] = {a.kind: a for a in BUILT_IN}
    for entry in entry_points(group="wslive.activities"):
        activity: Activity[Any] = entry.load()
        if activity.kind in found:
            raise ValueError(f"The entry point {entry.value} claims the kind {activity.kind!r}, which is taken")
        found[activity.kind] = activity
    return found
