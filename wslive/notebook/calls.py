"""One definition, two ways to call it: a coroutine that also works in a plain cell.

    class Poll:
        @blocking
        async def close(self, *, timeout_s: float = 10.0) -> None: …

    poll.close()              waits, in any thread
    await poll.aio.close()    awaits, on any loop

Both run the coroutine on the connections' own thread, so a busy cell, an interrupt or a foreign event loop cannot
touch what it does there.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from wslive.client.background import background
from wslive.core.errors import WsliveError
from wslive.notebook.said import calling_cell, running_cell
from wslive.notebook.short_errors import shortened

OwnerT = TypeVar("OwnerT", bound="HasAio")
ResultT = TypeVar("ResultT")
P = ParamSpec("P")


def run(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a coroutine on the connections' thread and wait; our own errors come without the frames of that thread."""
    token = calling_cell.set(running_cell())
    try:
        return background().run(coroutine)
    except WsliveError as error:
        # What went wrong is in the sentence; twenty frames of a foreign thread would only hide it.
        raise shortened(error) from None
    finally:
        calling_cell.reset(token)


def begin(coroutine: Coroutine[Any, Any, ResultT]) -> Awaitable[ResultT]:
    """The same, to be awaited on any loop."""
    token = calling_cell.set(running_cell())
    try:
        return background().aio(_shown_short(coroutine))
    finally:
        calling_cell.reset(token)


async def _shown_short(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    try:
        return await coroutine
    except WsliveError as error:
        raise shortened(error) from None


def look(read: Callable[[], ResultT]) -> ResultT:
    """Call `read` between two changes of any replica, and return what it returns.

    A replica changes in place on its own thread: reading it from another could see half a change.
    """
    if background().is_current:
        return read()

    async def there() -> ResultT:
        return read()

    return run(there())


class blocking(Generic[OwnerT, P, ResultT]):
    """A method that waits, made from one that is awaited."""

    def __init__(self, function: Callable[Concatenate[OwnerT, P], Coroutine[Any, Any, ResultT]]) -> None:
        """Keep the coroutine function; `Aio` finds it here."""
        self.function = function
        functools.update_wrapper(self, function)  # type: ignore[arg-type]

    @overload
    def __get__(self, owner: None, of: type | None = None) -> blocking[OwnerT, P, ResultT]: ...
    @overload
    def __get__(self, owner: OwnerT, of: type | None = None) -> Callable[P, ResultT]: ...
    def __get__(
        self, owner: OwnerT | None, of: type | None = None
    ) -> blocking[OwnerT, P, ResultT] | Callable[P, ResultT]:
        """The waiting method of one object."""
        if owner is None:
            return self

        @functools.wraps(self.function)
        def call(*args: P.args, **kwargs: P.kwargs) -> ResultT:
            return run(self._called(owner, *args, **kwargs))

        return call

    async def _called(self, owner: OwnerT, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        await owner.catch_up()
        return await self.function(owner, *args, **kwargs)


class Aio:
    """The awaitable twins of an object's blocking methods."""

    def __init__(self, owner: HasAio) -> None:
        """Keep the object."""
        self._owner = owner

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = inspect.getattr_static(type(self._owner), name, None)
        if not isinstance(call, blocking):
            raise AttributeError(f"{type(self._owner).__name__} has nothing to await called {name!r}")
        owner = self._owner

        @functools.wraps(call.function)
        def start(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            return begin(call._called(owner, *args, **kwargs))

        return start

    def __dir__(self) -> list[str]:
        kind = type(self._owner)
        return [name for name in dir(kind) if isinstance(inspect.getattr_static(kind, name, None), blocking)]


class HasAio:
    """Gives an object its `.aio`."""

    @property
    def aio(self) -> Aio:
        """The same calls, to be awaited: `await x.aio.close()`."""
        return Aio(self)

    async def catch_up(self) -> None:
        """What each of these calls begins with: `Live` lets it see what this kernel has done before."""
