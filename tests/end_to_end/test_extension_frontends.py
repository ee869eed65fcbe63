"""The same rooms in Notebook 7, in Voilà, and with the kernel that Binder locks."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.browser import HUB, Pages, wait_for_chart, wait_for_taps, wait_until
from tests.end_to_end.lab import Lab, Notebook
from tests.end_to_end.own_rooms import HOLD_THE_LOCK, POLL

HOST = """\
import wslive
room = wslive.host({title!r}, audience="network")
room"""
ADDRESS = "--ServerApp.allow_remote_access=True"
OLD_KERNEL = "7.0.1"
"""What repo2docker locks."""


class Notebook7(Lab):
    """A `jupyter notebook`."""

    program: ClassVar = ("notebook", "--expose-app-in-browser")


@pytest.fixture(scope="module")
def running_notebook7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Notebook7(tmp_path_factory.mktemp("frontends") / "user", options=[ADDRESS]) as running:
        yield running


@pytest.fixture
def notebook7(running_notebook7: Lab) -> Iterator[Lab]:
    """Its kernels end after the pages are closed: a page that still asks a dead kernel for something throws."""
    yield running_notebook7
    running_notebook7.shut_down_kernels()


NOTEBOOKS_OWN = (
    ("Cannot read properties of undefined (reading 'schema')", "notebook_core"),
    # It lists checkpoints every few seconds, also while there is no server.
    ("Failed to fetch", ".listCheckpoints "),
)
"""Exceptions of Notebook 7 itself, which any notebook in it has: what they say, and what is in their stacks."""


@pytest.fixture
def pages(new_page: Pages) -> Iterator[Pages]:
    """Opens pages, and overlooks mistakes of Notebook 7 itself."""
    yield new_page
    for _, watch in new_page.opened:
        watch.errors[:] = [e for e in watch.errors if not any(words in e and at in e for words, at in NOTEBOOKS_OWN)]


@pytest.fixture(scope="module")
def old_kernel(running_notebook7: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a kernel like Binder's."""
    folder = tmp_path_factory.mktemp("old") / "packages"
    wanted = f"ipykernel=={OLD_KERNEL}"
    install = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(folder), wanted]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True)
    spec = Path(running_notebook7.env["JUPYTER_DATA_DIR"]) / "kernels" / "old"
    spec.mkdir(parents=True)
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "As on Binder",
        "language": "python",
        "env": {"PYTHONPATH": str(folder)},
    }
    (spec / "kernel.json").write_text(json.dumps(kernel))
    return "old"


def opened(server: Lab, page: Page, path: str) -> Notebook:
    page.goto(server.url(path).replace("127.0.0.1", HUB))
    notebook = Notebook(page)
    notebook.wait_ready()
    return notebook


def joined(phone: Page, link: str) -> Page:
    phone.goto(link)
    phone.get_by_label("Your name").fill("Ada")
    phone.get_by_role("button", name="Join").click()
    return phone


def vote(phone: Page, option: str) -> None:
    button = phone.get_by_role("button", name=option)
    button.click()
    expect(button).to_have_attribute("data-phase", "counted")


def link_of(host: Notebook) -> str:
    link = host.output(0).locator("a.wslive-link")
    expect(link).to_have_attribute("href", re.compile(HUB))
    return str(link.get_attribute("href"))


WATCH = "import wslive\nseen = wslive.watch({code!r})\nseen.widget"


def rendered(server: Lab, name: str) -> str:
    """Where Voilà shows a notebook, as others reach it."""
    return server.url(f"voila/render/{name}.ipynb").replace("127.0.0.1", HUB)


def voila(server: Lab, pages: Pages, name: str) -> Page:
    """A page of Voilà's.

    It asks elsewhere for a font and its mathematics, and gets neither here: `off_host` of its watch has them.
    """
    page = pages(hosts=[HUB])
    page.context.route(lambda url: urlsplit(url).hostname != HUB, lambda route: route.abort())
    page.goto(rendered(server, name))
    return page


BUSY = {
    "sleeping": "import time; time.sleep(600)",
    "awaiting": "import asyncio; await asyncio.sleep(600)",
    "computing": HOLD_THE_LOCK,  # which nothing interrupts, so it comes last
}


def test_notebook_7_shows_the_same_live_chart_while_its_kernel_is_busy(notebook7: Lab, pages: Pages) -> None:
    notebook7.write_notebook("classic.ipynb", [HOST.format(title="classic"), POLL])
    host = opened(notebook7, pages(hosts=[HUB]), "notebooks/classic.ipynb")
    host.run_all()
    host.wait_for_chart(1, [0, 0, 0])
    phone = joined(pages(viewport=(360, 740), hosts=[HUB]), link_of(host))
    for kind, busy in BUSY.items():
        sign = notebook7.notebooks / f"classic-{kind}.begun"
        cell = host.append(f"open({str(sign)!r}, 'w').close()\n{busy}")
        host.save()
        host.start_cell(cell)
        wait_until(host.page, sign.exists)
        vote(phone, "heap")
        host.wait_for_chart(1, [0, 0, 1])
        host.reload(idle=False)
        vote(phone, "merge")
        host.wait_for_chart(1, [0, 1, 0])
        host.output(1).get_by_role("button", name="Close poll").click()
        expect(host.output(1).get_by_role("button", name="Reopen")).to_be_visible()
        if busy is not HOLD_THE_LOCK:
            host.interrupt_kernel()
            host.output(1).get_by_role("button", name="Reopen").click()
            expect(host.output(1).get_by_role("button", name="Close poll")).to_be_visible()
            wait_for_taps(phone.locator("body"))


def test_notebook_7_and_voila_over_restarts_of_kernel_and_server(notebook7: Lab, pages: Pages) -> None:
    notebook7.write_notebook("again.ipynb", [HOST.format(title="again"), POLL])
    host = opened(notebook7, pages(hosts=[HUB]), "notebooks/again.ipynb")
    host.run_all()
    link = link_of(host)
    phone = joined(pages(viewport=(360, 740), hosts=[HUB]), link)
    host.save()
    second = opened(notebook7, host.page.context.new_page(), "notebooks/again.ipynb")
    vote(phone, "heap")
    for tab in (host, second):
        tab.wait_for_chart(1, [0, 0, 1])
    second.page.close()

    host.restart_kernel()
    vote(phone, "quick")
    host.wait_for_chart(1, [1, 0, 0])
    expect(host.output(1)).to_contain_text("Kernel gone, chart live.")
    host.run_all()
    assert "Resumed: " in host.text(0)

    notebook7.write_notebook("watching.ipynb", [WATCH.format(code=link.rsplit("/", 1)[1])])
    dashboard = voila(notebook7, pages, "watching")
    wait_for_chart(dashboard, [1, 0, 0])
    host.save()
    notebook7.stop()
    for shown in (host.output(1), dashboard.locator("body")):
        expect(shown.locator(".wslive-badge", has_text="Stale since")).to_be_visible()
    notebook7.start()
    host = opened(notebook7, host.page, "notebooks/again.ipynb")
    host.run_all()
    dashboard.goto(rendered(notebook7, "watching"))
    vote(phone, "merge")
    host.wait_for_chart(1, [0, 1, 0])
    wait_for_chart(dashboard, [0, 1, 0])
    pages.watch(dashboard).off_host.clear()


def test_the_kernel_that_binder_locks_does_all_the_same(notebook7: Lab, pages: Pages, old_kernel: str) -> None:
    path = notebook7.write_notebook("old.ipynb", [HOST.format(title="old"), POLL])
    path.write_text(path.read_text().replace('"name": "python3"', f'"name": "{old_kernel}"'))
    host = opened(notebook7, pages(hosts=[HUB]), "notebooks/old.ipynb")
    host.run_all()
    assert host.run("import ipykernel; print(ipykernel.__version__)").strip() == OLD_KERNEL
    phone = joined(pages(viewport=(360, 740), hosts=[HUB]), link_of(host))
    host.start_cell(host.append("import time; time.sleep(600)"))
    host.wait_kernel("busy")
    vote(phone, "quick")
    host.wait_for_chart(1, [1, 0, 0])


def test_voila_shows_a_room_live_and_does_not_host_one(notebook7: Lab, pages: Pages) -> None:
    notebook7.write_notebook("stage.ipynb", [HOST.format(title="stage"), POLL])
    host = opened(notebook7, pages(hosts=[HUB]), "notebooks/stage.ipynb")
    host.run_all()
    link = link_of(host)
    code = link.rsplit("/", 1)[1]
    hosting = "try:\n    wslive.host('Mine')\nexcept wslive.errors.HostingNotAllowed as refused:\n    print(refused)"
    notebook7.write_notebook("dashboard.ipynb", [WATCH.format(code=code), hosting])
    dashboard = voila(notebook7, pages, "dashboard")
    expect(dashboard.get_by_text("Voilà runs this notebook once for each visitor")).to_be_visible(timeout=60_000)
    expect(dashboard.get_by_text("wslive.watch(link)")).to_be_visible()
    wait_for_chart(dashboard, [0, 0, 0])
    phone = joined(pages(viewport=(360, 740), hosts=[HUB]), link)
    vote(phone, "merge")
    wait_for_chart(dashboard, [0, 1, 0])
    asked = pages.watch(dashboard).off_host
    assert [url for url in asked if "fontawesome" not in url.lower() and "mathjax" not in url.lower()] == []
    asked.clear()


# What keeps a Voilà's kernel busy once its page is drawn: what a page shows first comes from its kernel.
BUSY_LATER = """\
import asyncio, pathlib, time
async def later():
    while not pathlib.Path({go!r}).exists():
        await asyncio.sleep(0.1)
    open({sign!r}, "w").close()
    {busy}
_ = asyncio.get_running_loop().create_task(later())"""


def test_voila_goes_on_while_its_kernel_is_busy_and_when_it_is_gone(notebook7: Lab, pages: Pages) -> None:
    notebook7.write_notebook("dash-host.ipynb", [HOST.format(title="dash"), POLL])
    host = opened(notebook7, pages(hosts=[HUB]), "notebooks/dash-host.ipynb")
    host.run_all()
    link = link_of(host)
    watching = WATCH.format(code=link.rsplit("/", 1)[1])
    phone = joined(pages(viewport=(360, 740), hosts=[HUB]), link)
    chart = [0, 0, 0]
    for kind, busy in BUSY.items():
        sign = notebook7.notebooks / f"dash-{kind}.begun"
        go = sign.with_suffix(".go")
        later = BUSY_LATER.format(go=str(go), sign=str(sign), busy=busy.replace("import asyncio; ", ""))
        notebook7.write_notebook(f"dash-{kind}.ipynb", [watching, later])

        page = voila(notebook7, pages, f"dash-{kind}")
        wait_for_chart(page, chart)
        go.touch()
        wait_until(page, sign.exists)
        go.unlink()
        other = page.context.new_page()  # another visitor, with a kernel of their own that is not busy
        other.goto(rendered(notebook7, f"dash-{kind}"))
        wait_for_chart(other, chart)
        tabs = [page, other]
        vote(phone, "heap")
        for tab in tabs:
            wait_for_chart(tab, [0, 0, 1])
        notebook7.shut_down_kernels()
        vote(phone, "quick")
        for tab in tabs:
            wait_for_chart(tab, [1, 0, 0])
        page.reload()  # which is another visitor, with a kernel of their own
        wait_for_chart(page, [1, 0, 0])
        vote(phone, "merge")
        chart = [0, 1, 0]
        wait_for_chart(page, chart)
        pages.watch(page).off_host.clear()
        for tab in tabs:
            tab.close()


def test_a_page_made_by_nbconvert_shows_the_final_chart_offline(notebook7: Lab, chromium: Browser) -> None:
    cells = [
        "import wslive\nroom = wslive.host('Converted')",
        POLL,
        "me = wslive.join(room.link, name='Ada')\nme.vote('merge')",
        "poll.close()\npoll",
        "room",
    ]
    path = notebook7.write_notebook("converted.ipynb", cells)
    options = ["--execute", "--to", "html", "--ExecutePreprocessor.store_widget_state=False"]
    subprocess.run(
        [sys.executable, "-m", "nbconvert", *options, str(path)], env=notebook7.env, check=True, capture_output=True
    )
    # nbconvert's own template asks for scripts that are not there: what is seen has to do without.
    page = chromium.new_context(offline=True).new_page()
    page.goto(path.with_suffix(".html").as_uri())
    shown = page.locator(".jp-OutputArea-output", has_text="Which sort is stable?")
    expect(shown).to_have_count(3)  # the poll when it was asked, when it was closed, and in its room
    for output in shown.all():
        expect(output.locator("tr", has_text="merge")).to_contain_text("1")
        expect(output.locator("tr", has_text="merge").locator("svg")).to_be_visible()
        assert "Ada" not in output.inner_text()
    page.context.close()
