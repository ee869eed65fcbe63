"""A poll as everybody in the room may look at it: the question, whether it is open, and what is due of the tally."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from wslive.core.text import counted
from wslive.core.view import View
from wslive.notebook.calls import HasAio, blocking
from wslive.notebook.reactions import Place
from wslive.notebook.saved import poll_html, poll_text
from wslive.notebook.shown import Shown

if TYPE_CHECKING:
    from wslive.notebook.live import Live
    from wslive.notebook.widget import RoomWidget

CallT = TypeVar("CallT", bound=Callable[..., object])


class Question(Shown, HasAio):
    """One poll of a room, live."""

    part = "poll"

    def __init__(self, live: Live, id: int) -> None:
        """Look at the activity `id`."""
        super().__init__(live)
        self.id = id

    # ── what it says ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def question(self) -> str:
        """Its text."""
        return str(self._definition()["question"])

    @property
    def options(self) -> list[str]:
        """The texts of its options, in order."""
        return [o["text"] for o in self._definition()["options"]]

    @property
    def results(self) -> str:
        """Who sees the tally: "live", "after_vote", "after_close" or "host_only"."""
        return str(self._definition()["results"])

    @property
    def secret(self) -> bool:
        """Whether nobody can find out who chose what, once it is closed."""
        return bool(self._definition().get("secret", False))

    @property
    def is_open(self) -> bool:
        """Whether people can vote now."""
        return bool(self.live.read(lambda view: self._of(view)["status"]["open"]))

    @property
    def round(self) -> int:
        """How often it has been asked; votes count in the latest round."""
        return int(self.live.read(lambda view: self._of(view)["status"]["round"]))

    @property
    def answered(self) -> int:
        """How many people have a ballot in this round."""
        return int(self.live.read(lambda view: self._of(view)["tally"]["answered"]))

    def tally(self, round: int | None = None) -> dict[str, int] | None:
        """Votes by option text, in the order of the options; None where the host does not show them (yet).

        Args:
            round: Which round, from 1; the latest without it.

        Raises:
            ValueError: There was no such round.

        Warns:
            StaleWarning: There is no connection; the warning says how old the tally is.
        """
        return self.live.read(lambda view: tally(self._of(view), round))

    def figure(self) -> Any:
        """The chart as a `plotly.graph_objects.Figure` of this moment, which says its time and its count."""
        import time

        import plotly.graph_objects as go

        from wslive.activities.poll import chart

        made = self.live.read(lambda view: chart.figure(self._of(view), as_of_ms=int(time.time() * 1000)))
        return go.Figure(made)

    @property
    def widget(self) -> RoomWidget:
        """The live view as an ipywidget (always the same one); `tally`, `answered` and `is_open` can be observed."""
        is_new = self._widget is None
        widget = super().widget
        if is_new:

            def feed() -> None:
                now = self.live.peek(lambda view: self._of(view))
                widget.set_trait("tally", tally(now, None) or {})
                widget.set_trait("answered", now["tally"]["answered"])
                widget.set_trait("is_open", now["status"]["open"])

            self.live.reactions.add(f"widget of poll {self.id}", feed, self._version, Place(visible=False))
        return widget

    # ── what it tells ─────────────────────────────────────────────────────────────────────────────────────────────

    def on_change(self, call: CallT) -> CallT:
        """Call a function with this poll now and after each change; a decorator.

        Calls happen one at a time on a thread of their own, so they may take their time: changes meanwhile lead to
        one more call. A function of the same name replaces the earlier one. Exceptions show below the cell.
        """
        name = f"poll {self.id} {call.__module__}.{call.__qualname__}"
        self.live.reactions.add(name, lambda: call(self), self._version)
        return call

    @blocking
    async def wait_closed(self, *, timeout_s: float | None = None) -> None:
        """Return when the voting has ended.

        Raises:
            TimeoutError: It had not within `timeout_s` seconds.
        """
        await self.live.connection.changed(lambda view: not self._of(view)["status"]["open"], timeout_s)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _of(self, view: View) -> View:
        found: View = view["activities"][str(self.id)]
        return found

    def _definition(self) -> View:
        # Definitions are replaced whole by the replica, never changed in place.
        found: View = self.live.peek(lambda view: self._of(view)["definition"])
        return found

    def _version(self) -> object:
        view = self._of(self.live.connection.replica.view)
        return view["definition"], view["status"], view["tally"]

    def saved_html(self) -> str:
        """What a saved notebook shows: the question, counts where they are due, and the time; no names."""
        return self.live.peek(lambda view: poll_html(self._of(view)))

    def saved_text(self) -> str:
        """The same for terminals."""
        return self.live.peek(lambda view: poll_text(self._of(view)))

    def __repr__(self) -> str:
        definition, status, answered = self.live.peek(
            lambda view: (self._of(view)["definition"], self._of(view)["status"], self._of(view)["tally"]["answered"])
        )
        state = "discarded" if status["discarded"] else "open" if status["open"] else "closed"
        return f"<{type(self).__name__} {definition['question']!r}: {state}, {counted(answered, 'answer')}>"


def tally(poll: View, round: int | None) -> dict[str, int] | None:
    """Votes by option text in one round of a poll's view; None where they are not shown."""
    shown = poll["tally"]
    if shown["counts"] is None and not shown["earlier"]:
        return None
    rounds = [*shown["earlier"], shown]
    if round is not None and not 1 <= round <= len(rounds):
        raise ValueError(f"Round {round} has not been asked; the latest is round {len(rounds)}.")
    counts = rounds[-1 if round is None else round - 1]["counts"]
    return None if counts is None else {o["text"]: counts.get(o["id"], 0) for o in poll["definition"]["options"]}
