"""What leaves a room: views, and the operations that bring a view from one position to a later one.

A view is plain JSON data: nested dictionaries with text keys. Operations are absolute, so applying one twice, or
one whose effect is there already, changes nothing:

    set path value     replace what is at `path`
    put path key value replace one entry of the keyed collection at `path`
    remove path key    take one entry out of the keyed collection at `path`

The same operations serve a tick, a slow reader and a resume: they are always computed as "everything that changed
after offset p" from state, never kept. `Keyed` makes that cheap: it keeps its entries in the order of their last
change, so the changes after p are a walk from the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec

View = dict[str, Any]
"""A JSON object as one audience may see it."""

ValueT = TypeVar("ValueT")


class Set(msgspec.Struct, frozen=True, tag="set", tag_field="op", gc=False):
    """Replace the value at a path (the objects on the way are made where missing)."""

    path: tuple[str, ...]
    value: Any


class Put(msgspec.Struct, frozen=True, tag="put", tag_field="op", gc=False):
    """Replace one entry of a keyed collection."""

    path: tuple[str, ...]
    key: str
    value: Any


class Remove(msgspec.Struct, frozen=True, tag="remove", tag_field="op", gc=False):
    """Take one entry out of a keyed collection."""

    path: tuple[str, ...]
    key: str


Op = Set | Put | Remove


class Audience(msgspec.Struct, frozen=True, gc=False):
    """Who sees the same view of one part.

    Attributes:
        name: The same name means: the same bytes.
        since: The offset since which this reader has belonged to it without a break (a later offset than the true
            one is safe, an earlier one is not: a reader at a position before `since` gets the whole part).
    """

    name: str
    since: int


def patch(view: View, ops: Sequence[Op]) -> View:
    """Apply operations to a view in place and return it."""
    for op in ops:
        match op:
            case Set(path=(), value=value):
                view.clear()
                view.update(value)
            case Set(path=path, value=value):
                _descend(view, path[:-1])[path[-1]] = value
            case Put(path=path, key=key, value=value):
                _descend(view, path)[key] = value
            case Remove(path=path, key=key):
                _descend(view, path).pop(key, None)
    return view


def under(prefix: tuple[str, ...], ops: Sequence[Op]) -> list[Op]:
    """The same operations below a longer path."""
    return [msgspec.structs.replace(op, path=prefix + op.path) for op in ops]


def _descend(view: View, path: Sequence[str]) -> View:
    for name in path:
        child = view.get(name)
        if not isinstance(child, dict):
            child = view[name] = {}
        view = child
    return view


class Keyed(msgspec.Struct, Generic[ValueT]):
    """A keyed collection in the order of each entry's last change, removed entries included.

    `touch` costs one dictionary move; `after(p)` costs as much as there are changes after p.
    """

    _entries: dict[str, tuple[int, ValueT | None]] = {}  # msgspec gives each instance its own

    def touch(self, key: str, value: ValueT | None, offset: int) -> ValueT | None:
        """Set an entry (None: removed) as of `offset`, which is never less than any before; returns what it was."""
        entries = self._entries
        before = entries.pop(key, None)
        entries[key] = (offset, value)
        return None if before is None else before[1]

    def get(self, key: str) -> ValueT | None:
        """The entry, or None where there is none (any more)."""
        entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def last_change(self, key: str) -> tuple[int, ValueT | None] | None:
        """The offset of an entry's last change and what it is now, None after a removal; None where it never was."""
        return self._entries.get(key)

    def offset_of(self, key: str) -> int:
        """The offset of an entry's last change, removal included; 0 where it never was."""
        entry = self._entries.get(key)
        return 0 if entry is None else entry[0]

    def after(self, offset: int) -> Iterator[tuple[str, ValueT | None]]:
        """Entries changed after `offset`, the latest first; None stands for a removal."""
        for key in reversed(self._entries):
            changed, value = self._entries[key]
            if changed <= offset:
                return
            yield key, value

    def items(self) -> Iterator[tuple[str, ValueT]]:
        """The entries that are there, least recently changed first."""
        for key, (_, value) in self._entries.items():
            if value is not None:
                yield key, value

    def __len__(self) -> int:
        """How many entries are there, removed ones included (a bound, not a count)."""
        return len(self._entries)

    @property
    def changed(self) -> int:
        """The offset of the latest change; 0 where there was none."""
        return next(reversed(self._entries.values()))[0] if self._entries else 0
