"""What `wslive.join()` shows without a link: a form, and the room in its place once somebody has joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wslive.core.errors import NotConnected, WsliveError
from wslive.notebook.keys import ipython
from wslive.notebook.participant import Participant


class JoinForm:
    """Link, name, and a button. Afterwards it is used like the participant: `form.vote(…)`, or take `form.me`."""

    def __init__(self, name: str | None, join: Callable[[str, str | None], Participant]) -> None:
        """Prepare the form; `join` is called with what was filled in."""
        self._join = join
        self._name = name or ""
        self._me: Participant | None = None
        self._box: Any = None

    @property
    def me(self) -> Participant:
        """The participant.

        Raises:
            NotConnected: Nobody has joined yet.
        """
        if self._me is None:
            raise NotConnected("Nobody has joined yet: fill in the form above and press Join.")
        return self._me

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked by IPython and copy, not by a person
            raise AttributeError(name)
        return getattr(self.me, name)

    @property
    def widget(self) -> Any:
        """The form as an ipywidget."""
        if self._box is None:
            self._box = self._build()
        return self._box

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        shell = ipython()
        if shell is None or getattr(shell, "kernel", None) is None:
            return {"text/plain": repr(self)}  # a terminal has no forms
        return self.widget._repr_mimebundle_()

    def __repr__(self) -> str:
        return "<JoinForm: nobody has joined yet>" if self._me is None else repr(self._me)

    def _build(self) -> Any:
        import ipywidgets

        link = ipywidgets.Text(description="Link or code", placeholder="http://192.168.1.7:8765/r/K7M2QX")
        name = ipywidgets.Text(description="Name", value=self._name, placeholder="Guest")
        link.layout.width, name.layout.width = "28em", "16em"
        button = ipywidgets.Button(description="Join", button_style="primary")
        told = ipywidgets.Label()
        box = ipywidgets.VBox([ipywidgets.HBox([link, name, button]), told])

        def submit(_: object) -> None:
            told.value = "Joining…"
            try:
                self._me = self._join(link.value, name.value.strip() or None)
            except WsliveError as error:
                # An exception in a button's callback is shown nowhere.
                told.value = str(error)
            else:
                box.children = [self._me.widget]

        button.on_click(submit)
        return box
