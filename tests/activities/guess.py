"""Bodies for commands, guessed from their types: mostly plausible, so that many of them are accepted."""

import random
import re
from typing import Any

import msgspec
from msgspec import inspect

TEXTS = ["merge", "quick", "", " ", "\u200b", "x" * 600, "<b>", "$x^2$", "a\nb", "é", "🎉"]
ID = re.compile(r"[a-z]+_?\d+")
NUMBERS = [0, 1, 1, 1, 2, 3, -1, 2**60]


def body(type: type[msgspec.Struct], chance: random.Random, known: list[Any]) -> dict[str, Any]:
    """A body of the right shape; texts and numbers are often ones that the view shows (ids of options, lines, …)."""
    return {
        field.encode_name: value(inspect.type_info(field.type), chance, known)
        for field in msgspec.structs.fields(type)
        if field.required or chance.random() < 0.7
    }


def value(info: inspect.Type, chance: random.Random, known: list[Any]) -> Any:
    match info:
        case inspect.BoolType():
            return chance.random() < 0.5
        case inspect.IntType():
            numbers = [item for item in known if isinstance(item, int) and not isinstance(item, bool)]
            return chance.choice([*NUMBERS, *numbers])
        case inspect.StrType():
            ids = [item for item in known if isinstance(item, str) and ID.fullmatch(item)]
            return chance.choice(ids if ids and chance.random() < 0.85 else TEXTS)
        case inspect.EnumType(cls=cls):
            return chance.choice(list(cls)).value
        case inspect.ListType(item_type=item):
            return [value(item, chance, known) for _ in range(chance.choice([1, 1, 1, 2, 2, 3, 60]))]
        case inspect.UnionType(types=types):
            return value(chance.choice(types), chance, known)
        case inspect.NoneType():
            return None
    raise NotImplementedError(f"a guess for {info}")


def leaves(view: Any) -> list[Any]:
    """All texts and numbers that a view shows, keys included."""
    if isinstance(view, dict):
        return [*view, *(leaf for item in view.values() for leaf in leaves(item))]
    if isinstance(view, list):
        return [leaf for item in view for leaf in leaves(item)]
    return [view]
