"""What cells show beside the plain case: in a box of widgets, past a firewall, with a mistake in a callback."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.end_to_end.browser import HUB, Pages
from tests.end_to_end.lab import Lab, Notebook
from tests.end_to_end.own_rooms import HOST, PARTICIPANT, POLL, events, tally


def hosted(lab: Lab, new_page: Pages, title: str, *cells: str) -> tuple[Notebook, str]:
    """A host's notebook, run to the end, and its join link."""
    name = f"{title.replace(' ', '-')}.ipynb"
    lab.write_notebook(name, [HOST.format(title=title), *cells])
    host = lab.open(new_page(), name)
    host.run_all()
    return host, host.text(0).split()[-1]


def test_a_poll_in_a_box_of_widgets_is_the_same_live_chart(lab: Lab, new_page: Pages) -> None:
    boxed = POLL.replace("\npoll", "\nimport ipywidgets\nipywidgets.HBox([poll.widget, ipywidgets.Label('beside it')])")
    host, link = hosted(lab, new_page, "boxed", boxed)
    host.run(f"me = wslive.join({link!r}, name='Ada'); me.vote('heap')")
    host.wait_for_chart(1, [0, 0, 1])
    assert host.output(1).get_by_text("beside it").count() == 1


def test_the_cells_of_one_page_share_one_connection_and_what_draws(lab: Lab, new_page: Pages) -> None:
    host, link = hosted(lab, new_page, "shared", POLL, "room", "poll", "room.chat")
    for cell in (1, 2, 3):
        host.wait_for_chart(cell, [0, 0, 0])
    port = str(urlsplit(link).port)
    sockets = [s for s in new_page.watch(host.page).websockets if urlsplit(s.url).port == int(port)]
    assert len(sockets) == 1
    assert sockets[0].url.endswith("/ws"), "no ticket in an address"
    loaded = host.page.evaluate("() => performance.getEntriesByType('resource').map((entry) => entry.name)")
    for name in ("plotly.min.js", "/static/cells-"):
        assert sum(name in url for url in loaded) == 1, name


def test_a_page_that_cannot_reach_the_server_is_served_through_the_kernel(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("walled.ipynb", [HOST.format(title="walled"), POLL])
    page = new_page()
    walled = re.compile(r"^(ws|http)://127\.0\.0\.1:(?!" + str(urlsplit(lab.base_url).port) + r"\b)")
    page.route(walled, lambda route: route.abort())
    page.route_web_socket(walled, lambda socket: socket.close())
    host = lab.open(page, "walled.ipynb")
    host.run_all()
    host.wait_for_chart(1, [0, 0, 0])  # plotly.js came through the kernel too
    host.run("me = wslive.join(room.link, name='Ada'); me.vote('merge')")
    host.wait_for_chart(1, [0, 1, 0])
    host.output(1).get_by_role("button", name="Close poll").click()
    expect(host.output(1).get_by_role("button", name="Reopen")).to_be_visible()
    link = host.text(0).split()[-1]
    assert [kind for *_, kind, _ in events(lab, link)].count("voting_ended") == 1


def test_a_server_of_another_version_does_not_bring_what_draws_and_the_kernel_does(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("versions.ipynb", [HOST.format(title="versions"), POLL])
    page = new_page()
    page.route(re.compile("/static/cells-"), lambda route: route.fulfill(status=404))
    host = lab.open(page, "versions.ipynb")
    host.run_all()
    host.wait_for_chart(1, [0, 0, 0])
    assert len([s for s in new_page.watch(page).websockets if s.url.endswith("/ws")]) == 1, "it goes on directly"


def test_a_mistake_in_a_callback_shows_below_its_cell_and_goes_when_it_is_mended(lab: Lab, new_page: Pages) -> None:
    callback = "@poll.on_change\ndef watch(poll):\n    1 / poll.tally()['heap']"
    host, link = hosted(lab, new_page, "mistake", POLL, callback)
    expect(host.output(2)).to_contain_text("ZeroDivisionError: division by zero")
    expect(host.output(2)).to_contain_text("watch failed")
    expect(host.output(2)).not_to_contain_text("question.py")
    host.run(f"me = wslive.join({link!r}, name='Ada'); me.vote('heap')")
    expect(host.output(2)).not_to_contain_text("ZeroDivisionError")


def test_an_error_is_one_sentence_below_the_line_that_caused_it(lab: Lab, new_page: Pages) -> None:
    host, link = hosted(lab, new_page, "short errors", POLL)
    cell = host.append(f"me = wslive.join({link!r}, name='Ada')\nme.vote('bubble')")
    host.start_cell(cell).wait()
    (error,) = [output for output in host.outputs(cell) if output["output_type"] == "error"]
    assert error["ename"] == "UnknownOption"
    assert error["evalue"] == "The poll has no option 'bubble'; it has 'quick', 'merge', 'heap'."
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
    assert "me.vote('bubble')" in text
    assert ".py" not in text, "no frame of ours"
    assert "skipping" not in text
    awaited = host.append("await me.aio.vote('bubble')")
    host.start_cell(awaited).wait()
    (error,) = [output for output in host.outputs(awaited) if output["output_type"] == "error"]
    assert ".py" not in "".join(error["traceback"])


def test_the_hosts_cell_shows_no_bars_before_the_room_may_see_them(lab: Lab, new_page: Pages) -> None:
    asked = POLL.replace('"heap"]', '"heap"], results="after_close"')
    host, link = hosted(lab, new_page, "beamer", asked)
    host.run(f"me = wslive.join({link!r}, name='Ada'); me.vote('heap')")
    view = host.output(1)
    expect(view).to_contain_text("1 of 1 answered")
    assert host.chart(1) is None
    view.get_by_role("button", name="Peek").click()
    host.wait_for_chart(1, [0, 0, 1])
    view.get_by_role("button", name="Stop peeking").click()
    view.get_by_role("button", name="Close poll").click()
    host.wait_for_chart(1, tally(lab, link))


def test_a_secret_poll_says_so_in_the_hosts_and_in_a_participants_cell(lab: Lab, new_page: Pages) -> None:
    asked = POLL.replace('"heap"]', '"heap"], secret=True')
    host, link = hosted(lab, new_page, "secret", asked)
    host.run(f"me = wslive.join({link!r}, name='Ada'); me.vote('heap'); me")
    view = host.output(1)
    expect(view).to_contain_text("nobody can see who answered what, not even you. The result shows only then.")
    expect(view).to_contain_text("1 of 1 answered")
    expect(view.get_by_role("button", name="Peek")).to_have_count(0)
    mine = host.output(2)
    expect(mine).to_contain_text("not even the host")
    expect(mine.get_by_role("button", name="heap")).to_have_attribute("aria-pressed", "true")
    view.get_by_role("button", name="Close poll").click()
    host.wait_for_chart(1, [0, 0, 1])
    kinds = [kind for _, _, kind, _ in events(lab, link)]
    assert kinds[-3:] == ["sealed", "voting_ended", "ballots_counted"]


def test_names_and_lines_wait_behind_counters_in_the_hosts_notebook(lab: Lab, new_page: Pages) -> None:
    host, link = hosted(lab, new_page, "folded", "room")
    host.run(f"me = wslive.join({link!r}, name='Zacharias'); me.say('something private')")
    view = host.output(1)
    expect(view).to_contain_text("1 person · 1 here")
    expect(view.get_by_text("Zacharias")).to_have_count(0)
    expect(view.get_by_text("something private")).not_to_be_visible()
    view.get_by_role("button", name="1 person").click()
    expect(view.get_by_text("Zacharias")).to_be_visible()
    view.get_by_role("button", name="Mute").click()
    expect(view.get_by_role("button", name="Unmute")).to_be_visible()
    view.get_by_role("button", name="Remove").click()
    view.get_by_role("button", name="Really remove?").click()
    expect(view).to_contain_text("0 people")


def test_only_links_that_others_can_follow_become_a_code_to_scan(lab: Lab, new_page: Pages) -> None:
    host, link = hosted(lab, new_page, "invited", "room")
    view = host.output(1)
    expect(view).to_contain_text("Only this computer can join.")
    expect(view.get_by_role("img", name="QR code of the join link")).not_to_be_visible()
    expect(view.get_by_role("button", name="Let phones in")).to_be_visible()
    host.run("room._set_links(['http://192.0.2.7:8765', 'http://192.0.2.8:8765'])")
    expect(view.get_by_role("img", name="QR code of the join link")).to_be_visible()
    expect(view).to_contain_text("192.0.2.7:8765/r/")
    expect(view).to_contain_text("Also at 192.0.2.8:8765")
    # Somebody on this computer is no sign that phones can come.
    host.run("me = wslive.join(room.link, name='Ada')")
    expect(view).to_contain_text("1 person · 1 here")
    expect(view).to_contain_text("Nobody has connected from another device yet.")
    host.run(f"room.let_in('http://{HUB}:{urlsplit(link).port}')")
    expect(view).to_contain_text(f"{HUB}:{urlsplit(link).port}/r/")
    phone = new_page(hosts=[HUB])
    phone.goto(str(view.locator("a.wslive-link").get_attribute("href")))
    phone.get_by_label("Your name").fill("Grace")
    expect(view).to_contain_text("Nobody has connected from another device yet.")
    phone.get_by_role("button", name="Join").click()
    expect(view).to_contain_text("✓ first person connected")
    phone.close()
    host.save()
    host.reload()
    expect(view).to_contain_text("✓ first person connected")


def test_somebody_joins_by_filling_in_the_form(lab: Lab, new_page: Pages) -> None:
    host, link = hosted(lab, new_page, "formed", POLL)
    lab.write_notebook("form.ipynb", ["import wslive\nme = wslive.join()\nme"])
    person = lab.open(new_page(), "form.ipynb")
    person.run_all()
    form = person.output(0)
    form.get_by_placeholder("http://192.168.1.7:8765/r/K7M2QX").fill("nonsense/")
    form.get_by_role("button", name="Join").click()
    expect(form).to_contain_text("is no join link")
    form.get_by_placeholder("http://192.168.1.7:8765/r/K7M2QX").fill(link)
    form.get_by_placeholder("Guest").fill("Ada")
    form.get_by_role("button", name="Join").click()
    form.get_by_role("button", name="merge").click()
    host.wait_for_chart(1, [0, 1, 0])
    person.run_until("print(me.answer())", "['merge']")
    expect(form).to_contain_text("You are Ada")


def test_the_participants_place_takes_part_by_clicking_alone(lab: Lab, new_page: Pages) -> None:
    host, link = hosted(lab, new_page, "clicking", POLL)
    lab.write_notebook("clicking-ada.ipynb", [PARTICIPANT.format(link=link, name="Ada")])
    person = lab.open(new_page(), "clicking-ada.ipynb")
    person.run_all()
    view = person.output(0)
    view.get_by_label("Your line").fill("why not heap?")
    view.get_by_role("button", name="Send").click()
    expect(view).to_contain_text("why not heap?")
    host.run("second = room.poll('And which is in place?', ['quick', 'heap'])")
    view.get_by_role("button", name="quick").click()
    expect(view.get_by_text("Counted")).to_be_visible()
    host.run_until("print(second.tally(), poll.is_open)", "{'quick': 1, 'heap': 0} False")
