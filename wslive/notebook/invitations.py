"""Invitations: one for each person, to be printed and handed out."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import narwhals as nw
import segno

from wslive.core.errors import NotAllowed
from wslive.notebook import frames
from wslive.server.access.origins import is_loopback

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Invitations · {title}</title>
<style>
  body {{ font: 14px/1.4 system-ui, sans-serif; margin: 0; }}
  main {{ display: grid; grid-template-columns: repeat(3, 1fr); }}
  section {{ border: 1px dashed #808a9b; padding: 6mm; break-inside: avoid; text-align: center; }}
  svg {{ width: 36mm; height: 36mm; }}
  p {{ margin: 1mm 0; overflow-wrap: anywhere; }}
  small {{ color: #555; }}
</style>
<main>{cards}</main>
</html>
"""
_CARD = """
<section><p><strong>{title}</strong></p>{qr}<p><small>{link}</small></p>
<p>No. {number}: for one person, once</p></section>"""


class Invitation(NamedTuple):
    """One of them.

    Attributes:
        text: What stands behind the # of its link, e.g. "17-K7M2QXW9PA".
        used: Whether somebody has come in with it.
    """

    text: str
    used: bool


class Invitations(Sequence[str]):
    """Join links, one for each person; each lets in once.

    They are secrets as a key is: a cell shows how many there are and no link, and `save` writes them to a file.
    """

    def __init__(self, title: str, link: str, made: Sequence[Invitation]) -> None:
        """Keep them.

        Args:
            title: The room's title.
            link: The join link that others can follow.
            made: The invitations.
        """
        self._title = title
        self._link = link
        self._made = list(made)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._made)

    def __getitem__(self, index: Any) -> Any:
        """The link of one, or the links of several."""
        return self.links[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.links)

    @property
    def links(self) -> list[str]:
        """All links."""
        return [f"{self._link}#{invitation.text}" for invitation in self._made]

    @property
    def used(self) -> int:
        """How many people have come in with one, when these were fetched."""
        return sum(invitation.used for invitation in self._made)

    def to_frame(self, backend: str = "pandas") -> Any:
        """As a data frame: number, link, used.

        Raises:
            ImportError: The backend is not installed; the message says how.
        """
        frames.check_backend(backend)
        columns: dict[str, Sequence[Any]] = {
            "number": list(range(1, len(self) + 1)),
            "link": self.links,
            "used": [invitation.used for invitation in self._made],
        }
        return frames.frame(columns, {"number": nw.Int64, "link": nw.String, "used": nw.Boolean}, backend)

    def save(self, path: str | Path) -> Path:
        """Write a page to print, with a card and its QR code for each that is not used; a file for your own eyes.

        Raises:
            NotAllowed: The links lead to this computer alone.
            OSError: The file cannot be written.
        """
        if is_loopback(urlsplit(self._link).hostname or ""):
            raise NotAllowed(
                "Only this computer can join, so the links would lead nowhere. Let people in first, "
                'room.let_in("network"), and ask for the invitations again.'
            )
        title = escape(self._title)
        cards = [
            _CARD.format(title=title, qr=_qr(link), link=escape(link), number=number)
            for number, (link, invitation) in enumerate(zip(self.links, self._made, strict=True), 1)
            if not invitation.used
        ]
        target = Path(path)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(_PAGE.format(title=title, cards="".join(cards)))
        return target

    def __repr__(self) -> str:
        return f"<Invitations: {len(self)} for {self._title!r}, {self.used} used, links ••••>"


def _qr(link: str) -> str:
    drawing = io.BytesIO()
    segno.make_qr(link, error="m").save(drawing, kind="svg", border=2, xmldecl=False, omitsize=True)
    return drawing.getvalue().decode()
