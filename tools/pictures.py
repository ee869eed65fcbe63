"""Take the picture of the README from the real thing; `make docs` does.

A JupyterLab with the first two notebooks, a synthetic audience of fifty, a phone and a projector, all of them running;
what they show is photographed and put together into docs/images/room.png. With a folder as argument, every single
picture (each page in light and dark) is kept there, to be looked at.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Browser, Page

from tests.end_to_end.browser import running_chromium
from tests.end_to_end.lab import Lab, Notebook
from wslive.crowd import Crowd

REPOSITORY = Path(__file__).resolve().parent.parent
TARGET = REPOSITORY / "docs" / "images" / "room.png"
PEOPLE = 50
SHOWN_ADDRESS = "https://live.example.org"
"""What link and QR code lead to: the address of this machine is nobody's business."""

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def main(folder: Path | None) -> None:
    """Take all pictures; keep the single ones in `folder` where it is given."""
    with tempfile.TemporaryDirectory() as temporary:
        singles = folder or Path(temporary)
        singles.mkdir(parents=True, exist_ok=True)
        with Lab(Path(temporary) / "user") as lab, running_chromium() as browser:
            for name in ("01_host.ipynb", "02_participant.ipynb"):
                shutil.copy(REPOSITORY / "notebooks" / name, lab.notebooks)
            photograph(lab, browser, singles)
        TARGET.parent.mkdir(exist_ok=True)
        composed(singles).save(TARGET, optimize=True)


def photograph(lab: Lab, browser: Browser, singles: Path) -> None:
    """Run everything and photograph it."""
    host = lab.open(page(browser, (1180, 1000)), "01_host.ipynb")
    host.run_cell(1)
    link = host.run("print(room.link)").strip()
    host.run_cell(3)
    with crowd(link):
        host.run(f'room.let_in("{SHOWN_ADDRESS}")')
        # `me` in the second notebook joins the same room.
        participant = lab.open(page(browser, (1180, 1000)), "02_participant.ipynb")
        participant.run(f'import wslive; me = wslive.join("{link}", name="Ada"); me')
        participant.run('me.say("Why not heap?")')
        shown_cell(participant, participant_cell(participant))
        phones = [phone(browser, link, scheme) for scheme in SCHEMES]
        screens = [projector(browser, link, scheme) for scheme in SCHEMES]
        host.run(f"""
import time
while sum(poll.tally().values()) < {PEOPLE * 3 // 4}:
    time.sleep(0.2)
""")
        for scheme, one, screen in zip(SCHEMES, phones, screens, strict=True):
            one.screenshot(path=singles / f"phone-{scheme}.png")
            screen.screenshot(path=singles / f"projector-{scheme}.png")
        participant.page.screenshot(path=singles / "participant.png")
        host.page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 0)")
        host.page.screenshot(path=singles / "host-top.png")
        shown_cell(host, 3)
        host.page.screenshot(path=singles / "host.png")


def participant_cell(notebook: Notebook) -> int:
    """The cell that shows `me`: the one before the last."""
    return int(notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")) - 2


def shown_cell(notebook: Notebook, index: int) -> None:
    """Scroll a cell to the top of the notebook and let it come to rest."""
    notebook.cell(index).evaluate("(cell) => cell.scrollIntoView({ block: 'start' })")
    notebook.page.wait_for_timeout(800)


def page(browser: Browser, size: tuple[int, int], scheme: Scheme = "light", scale: float = 2) -> Page:
    """An empty page of a person of their own."""
    width, height = size
    return browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=scale
    ).new_page()


def phone(browser: Browser, link: str, scheme: Scheme) -> Page:
    """Somebody who has answered on a phone."""
    shown = page(browser, (360, 740), scheme, scale=3)
    shown.goto(link)
    shown.get_by_label("Your name").fill("Grace")
    shown.get_by_role("button", name="Join").click()
    shown.get_by_role("button", name="merge").click()
    shown.get_by_role("region", name="Questions").get_by_text("Counted").wait_for()
    return shown


def projector(browser: Browser, link: str, scheme: Scheme) -> Page:
    """The wall of the hall."""
    shown = page(browser, (1920, 1080), scheme, scale=1)
    shown.goto(f"{link}/screen")
    shown.wait_for_selector(".js-plotly-plot .bars path", state="attached")
    return shown


@contextmanager
def crowd(link: str) -> Iterator[None]:
    """Fifty synthetic people in the room, on a thread of their own."""
    server, _, code = link.partition("/r/")
    loop = asyncio.new_event_loop()
    # Longer than the pictures take on a busy machine: it is cancelled.
    people = loop.create_task(Crowd(server, code, size=PEOPLE, seed=7).run(600))

    def attend() -> None:
        loop.run_until_complete(asyncio.wait({people}))
        loop.close()

    thread = threading.Thread(target=attend)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(people.cancel)
        thread.join()


# ── the composition ───────────────────────────────────────────────────────────────────────────────────────────────────

CANVAS = (1840, 1130)
BACKGROUND = (233, 237, 245)


def composed(singles: Path) -> Image.Image:
    """Notebook, projector and phone in one picture."""
    canvas = Image.new("RGB", CANVAS, BACKGROUND)
    place(canvas, singles / "host.png", width=1120, at=(50, 50), radius=14)
    place(canvas, singles / "projector-dark.png", width=760, at=(1030, 110), radius=14)
    place(canvas, singles / "phone-light.png", width=264, at=(1270, 515), radius=34, rim=8)
    return canvas


def place(canvas: Image.Image, picture: Path, *, width: int, at: tuple[int, int], radius: int, rim: int = 0) -> None:
    """Put a picture onto the canvas with round corners and a shadow; `rim` pixels of a phone's case around it."""
    with Image.open(picture) as opened:
        height = round(opened.height * width / opened.width)
        shot = opened.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    size = (width + 2 * rim, height + 2 * rim)
    device = Image.new("RGB", size, (24, 27, 34))
    device.paste(shot, (rim, rim), rounded(shot.size, max(radius - rim, 4)))
    shadow = Image.new("L", canvas.size, 0)
    ImageDraw.Draw(shadow).rounded_rectangle(
        (at[0], at[1] + 14, at[0] + size[0], at[1] + 14 + size[1]), radius, fill=110
    )
    canvas.paste((40, 50, 80), (0, 0), shadow.filter(ImageFilter.GaussianBlur(24)))
    canvas.paste(device, at, rounded(size, radius))


def rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """A mask with round corners, drawn large and made small so that the edge is smooth."""
    mask = Image.new("L", (size[0] * 4, size[1] * 4), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] * 4 - 1, size[1] * 4 - 1), radius * 4, fill=255)
    return mask.resize(size, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
