"""JupyterLab with wslive in its server: a notebook hosts, people without a login join, and the chart moves."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end import browser
from tests.end_to_end.browser import Pages, wait_for_taps, wait_until
from tests.end_to_end.lab import Lab, Notebook
from tests.end_to_end.own_rooms import HOLD_THE_LOCK, POLL
from tests.end_to_end.test_reach import qr_text

BASE = "/user/x-1/"
OPTIONS = (f"--ServerApp.base_url={BASE}", "--ServerApp.allow_remote_access=True")
PUBLIC = browser.HUB

HOST = """\
import wslive
room = wslive.host({title!r}{audience})
print(room.link)"""
LET_IN = ', audience="network"'


@pytest.fixture(scope="module")
def hub_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab as it is behind a hub: under a path, reached by a name of which its server knows nothing."""
    with Lab(tmp_path_factory.mktemp("extension") / "user", options=OPTIONS) as running:
        yield running


@pytest.fixture
def lab(hub_lab: Lab) -> Iterator[Lab]:
    yield hub_lab
    hub_lab.shut_down_kernels()


def public(url: str) -> str:
    """An address of this Jupyter as others see it."""
    return url.replace("127.0.0.1", PUBLIC)


def opened(
    lab: Lab, page: Page, title: str, *, audience: str = LET_IN, cells: tuple[str, ...] = (POLL, "room")
) -> Notebook:
    """A host's notebook, run to the end, in a page that came by the public name."""
    lab.write_notebook(f"{title}.ipynb", [HOST.format(title=title, audience=audience), *cells])
    page.goto(public(lab.url(f"doc/tree/{title}.ipynb")))
    notebook = Notebook(page)
    notebook.wait_ready()
    notebook.run_all()
    return notebook


def joined(phone: Page, link: str, name: str = "Ada") -> Page:
    """Somebody without a login, in the room."""
    phone.goto(link)
    phone.get_by_label("Your name").fill(name)
    phone.get_by_role("button", name="Join").click()
    return phone


def vote(phone: Page, option: str) -> None:
    button = phone.get_by_role("button", name=option)
    button.click()
    expect(button).to_have_attribute("data-phase", "counted")


def shown_link(host: Notebook, cell: int = 2) -> str:
    """The join link that the room's cell shows."""
    link = host.output(cell).locator("a.wslive-link")
    expect(link).to_have_attribute("href", re.compile("/r/"))
    return str(link.get_attribute("href"))


def test_phones_join_by_the_address_of_the_hosts_browser_and_the_chart_moves(lab: Lab, new_page: Pages) -> None:
    page = new_page(hosts=[PUBLIC])
    host = opened(lab, page, "phones")
    host.wait_for_chart(1, [0, 0, 0])
    link = shown_link(host)
    assert link.startswith(public(lab.base_url) + "/wslive/r/")
    image = host.output(2).locator("img.wslive-qr")
    expect(image).to_be_visible()
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0, "the server has drawn the QR code of that very link"

    phone = joined(new_page(viewport=(360, 740), hosts=[PUBLIC]), link)
    vote(phone, "heap")
    host.wait_for_chart(1, [0, 0, 1])
    host.run_until("print(poll.tally())", "{'quick': 0, 'merge': 0, 'heap': 1}")
    sockets = [s.url for s in new_page.watch(page).websockets if "wslive" in s.url]
    assert sockets == [f"ws://{PUBLIC}:{lab._port}{BASE}wslive/ws"], "one connection, where the page came from"


def test_before_people_are_let_in_a_phone_is_told_to_ask_and_the_button_opens_the_door(
    lab: Lab, new_page: Pages
) -> None:
    host = opened(lab, new_page(hosts=[PUBLIC]), "closed", audience="")
    expect(host.output(2)).to_contain_text("Only this computer can join.")
    link = shown_link(host)
    phone = new_page(viewport=(360, 740), hosts=[PUBLIC])
    phone.goto(link)
    expect(phone.get_by_role("heading")).to_have_text("This room is not open")
    host.output(2).get_by_role("button", name="Let phones in").click()
    expect(host.output(2)).to_contain_text("Nobody has connected from another device yet.")
    joined(phone, link)
    vote(phone, "quick")
    host.wait_for_chart(1, [1, 0, 0])
    expect(host.output(2)).to_contain_text("first person connected")


def test_the_hosts_pages_do_not_keep_jupyters_token_in_their_address(lab: Lab, new_page: Pages) -> None:
    host = opened(lab, new_page(hosts=[PUBLIC]), "token", audience="")
    code = shown_link(host).rsplit("/", 1)[1]
    for path in ("wslive/", f"wslive/r/{code}", f"wslive/r/{code}/screen"):
        page = new_page(hosts=[PUBLIC])
        page.goto(public(lab.url(path)))
        page.wait_for_function("() => !location.search")
        assert page.url == public(f"{lab.base_url}/{path}")


def test_the_projector_shows_the_public_address_and_its_qr_code(lab: Lab, new_page: Pages, tmp_path: Path) -> None:
    host = opened(lab, new_page(hosts=[PUBLIC]), "projector")
    link = shown_link(host)
    screen = new_page(viewport=(1920, 1080), hosts=[PUBLIC])
    screen.goto(public(lab.url(f"wslive/r/{link.rsplit('/', 1)[1]}/screen")))
    screen.get_by_text("Which sort is stable?").wait_for()
    screen.get_by_role("img", name="QR code").wait_for()
    expect(screen.locator(".wslive-address")).to_have_text(f"{PUBLIC}:{lab._port}")
    assert qr_text(screen, tmp_path / "projector.png") == link
    host.output(2).locator("img.wslive-qr").scroll_into_view_if_needed()
    assert qr_text(host.page, tmp_path / "cell.png") == link


BUSY = {
    "sleeping": "import time; time.sleep(600)",
    "awaiting": "import asyncio; await asyncio.sleep(600)",
    "computing": HOLD_THE_LOCK,  # which nothing interrupts, so it comes last
}


def test_the_chart_moves_while_the_kernel_is_busy_also_after_a_reload(lab: Lab, new_page: Pages) -> None:
    page = new_page(hosts=[PUBLIC])
    host = opened(lab, page, "busy")
    host.wait_for_chart(1, [0, 0, 0])
    phone = joined(new_page(viewport=(360, 740), hosts=[PUBLIC]), shown_link(host))
    for kind, busy in BUSY.items():
        sign = lab.notebooks / f"{kind}.begun"
        cell = host.append(f"open({str(sign)!r}, 'w').close()\n{busy}\nopen({str(sign)!r}, 'a').write('done')")
        host.save()
        host.start_cell(cell)
        wait_until(page, sign.exists)

        vote(phone, "quick")
        host.wait_for_chart(1, [1, 0, 0])
        host.reload(idle=False)
        vote(phone, "merge")
        host.wait_for_chart(1, [0, 1, 0])
        host.output(1).get_by_role("button", name="Close poll").click()
        expect(host.output(1).get_by_role("button", name="Reopen")).to_be_visible()
        assert sign.read_text() == "", f"{kind}: the cell has ended: the kernel was not busy for the whole of the test"
        if busy is not HOLD_THE_LOCK:
            host.interrupt_kernel()
            host.output(1).get_by_role("button", name="Reopen").click()
            expect(host.output(1).get_by_role("button", name="Close poll")).to_be_visible()
            wait_for_taps(phone.locator("body"))


def test_a_second_tab_shows_the_same_live_views(lab: Lab, new_page: Pages) -> None:
    page = new_page(hosts=[PUBLIC])
    host = opened(lab, page, "tabs")
    phone = joined(new_page(viewport=(360, 740), hosts=[PUBLIC]), shown_link(host))
    host.save()
    second = Notebook(page.context.new_page())
    second.page.goto(public(lab.url("doc/workspaces/second/tree/tabs.ipynb")))
    second.wait_ready()
    vote(phone, "heap")
    for tab in (host, second):
        tab.wait_for_chart(1, [0, 0, 1])
    second.output(1).get_by_role("button", name="Close poll").click()
    expect(host.output(1).get_by_role("button", name="Reopen")).to_be_visible()


def test_a_restarted_kernel_loses_nothing_and_the_phone_does_not_notice(lab: Lab, new_page: Pages) -> None:
    host = opened(lab, new_page(hosts=[PUBLIC]), "restart")
    phone_page = new_page(viewport=(360, 740), hosts=[PUBLIC])
    phone = joined(phone_page, shown_link(host))
    vote(phone, "quick")
    # On a machine that stalls for ten seconds a page connects anew, and rightly: what counts is what the restart does.
    before = len(new_page.watch(phone_page).websockets)
    host.restart_kernel()
    vote(phone, "heap")
    host.wait_for_chart(1, [0, 0, 1])
    expect(host.output(1)).to_contain_text("Kernel gone, chart live.")
    host.run_all()
    assert "Resumed: " in host.text(0)
    host.wait_for_chart(1, [0, 0, 1])
    assert len(new_page.watch(phone_page).websockets) == before


def test_a_kernel_that_was_shut_down_or_has_died_is_told_and_the_chart_goes_on(lab: Lab, new_page: Pages) -> None:
    host = opened(lab, new_page(hosts=[PUBLIC]), "gone", cells=(POLL, "room", "import os\nprint(os.getpid())"))
    phone = joined(new_page(viewport=(360, 740), hosts=[PUBLIC]), shown_link(host))
    os.kill(int(host.text(3)), signal.SIGKILL)
    expect(host.output(1)).to_contain_text("Kernel gone, chart live.")
    host.wait_ready()  # Jupyter has started another one
    host.run_all()
    expect(host.output(1).locator(".wslive-badge")).to_be_hidden()
    host.shut_down_kernel()
    expect(host.output(1)).to_contain_text("Kernel gone, chart live.")
    vote(phone, "merge")
    host.wait_for_chart(1, [0, 1, 0])


def test_a_restarted_server_is_told_from_a_lost_kernel_and_everybody_comes_back(lab: Lab, new_page: Pages) -> None:
    page = new_page(hosts=[PUBLIC])
    host = opened(lab, page, "again")
    phone = joined(new_page(viewport=(360, 740), hosts=[PUBLIC]), shown_link(host))
    vote(phone, "quick")
    host.wait_for_chart(1, [1, 0, 0])
    host.save()
    lab.stop()
    expect(host.output(1).locator(".wslive-badge")).to_contain_text("Stale since")
    lab.start()
    # The host's page has to log in again; what it then runs lets people in, and they are back.
    page.goto(public(lab.url("doc/tree/again.ipynb")))
    host.wait_ready()
    host.run_all()
    assert "Resumed: " in host.text(0)
    vote(phone, "heap")
    host.wait_for_chart(1, [0, 0, 1])
