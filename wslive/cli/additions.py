"""What can be added to `wslive serve`: options that belong together, the first of which asks for all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from importlib.util import find_spec
from typing import Any, ClassVar, Self, TypeVar

import click

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class Addition:
    """Base of dataclasses with a field for each of the options; the first says whether the addition is wished.

    Attributes:
        options: The options, as decorators.
        package: What has to be installed for it.
        extra: The extra of wslive that installs that; the option of that name asks for the addition.
    """

    options: ClassVar[tuple[Callable[[Any], Any], ...]]
    package: ClassVar[str]
    extra: ClassVar[str]

    @classmethod
    def may_be_asked_of(cls, command: CommandT) -> CommandT:
        """Give a command the options; a decorator."""
        for option in reversed(cls.options):
            command = option(command)
        return command

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Self | None:
        """Take these options out of a command's; None where nothing of it is wished.

        Raises:
            ClickException: They do not fit together or to the others, or the extra is not installed.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        found = cls(**{name: given.pop(name) for name in names})
        is_wished = bool(getattr(found, names[0]))
        found.check(is_wished, given)
        if not is_wished:
            return None
        if find_spec(cls.package) is None:
            raise click.ClickException(f"For --{cls.extra} install the extra: pip install 'wslive[{cls.extra}]'")
        return found

    def check(self, is_wished: bool, others: dict[str, Any]) -> None:
        """Look whether the options fit together, and to the command's other ones.

        Raises:
            UsageError: They do not.
        """
        raise NotImplementedError
