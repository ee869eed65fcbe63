"""Running things again: an interrupt, a restart, Run All twice."""

import re
import shutil
from pathlib import Path

from tests.end_to_end.browser import Pages, wait_until
from tests.end_to_end.lab import Lab, Notebook
from tests.end_to_end.own_rooms import HOST, PARTICIPANT, POLL, crowd, events, tally

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SIZE = 50


def test_fifty_phones_stay_while_the_hosts_kernel_is_interrupted_and_restarted(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("fifty.ipynb", [HOST.format(title="Fifty"), POLL])
    host = lab.open(new_page(), "fifty.ipynb")
    host.run_all()
    link = host.text(0).split()[-1]
    with crowd(link, SIZE) as people:
        wait_until(host.page, lambda: people.here == SIZE)
        host.start_cell(host.append("import time; time.sleep(600)"))
        host.wait_kernel("busy")
        host.interrupt_kernel()
        assert people.here == SIZE
        assert "tally" in host.run("print('tally', poll.tally())"), "an interrupt ends the cell, not the connection"

        host.restart_kernel()
        assert people.here == SIZE
        # Nothing of the kernel is left, and the view goes on: it has a connection of its own.
        votes = people.stats.votes
        wait_until(host.page, lambda: people.stats.votes > votes)
        host.output(1).get_by_text("Kernel gone, chart live.").wait_for()

        # The person who sits there runs the notebook again, and everything is there.
        host.run_cell(0)
        assert re.search(r"Resumed: opened \S+, 50 people, 1 poll", host.text(0))
        assert host.text(0).split()[-1] == link
        host.run_cell(1)
        assert people.here == SIZE
    assert people.stats.came_back == 0
    counts = tally(lab, link)
    host.wait_for_chart(1, counts)
    host.run_until(
        "print(len(room.people), len(room.polls), list(poll.tally().values()), len(poll.to_frame()))",
        f"50 1 {counts} {sum(counts)}",
    )
    joined = [kind for _, _, kind, _ in events(lab, link)].count("joined")
    assert joined == SIZE


def test_run_all_twice_on_both_notebooks_asks_and_says_nothing_twice(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("again-host.ipynb", [HOST.format(title="Again"), POLL, "room.chat.say('Welcome!')", "room"])
    host = lab.open(new_page(), "again-host.ipynb")
    host.run_all()
    link = host.text(0).split()[-1]
    twice = "me.vote('merge')\nfor _ in range(2):\n    me.say('why not heap?')"
    lab.write_notebook("again-ada.ipynb", [PARTICIPANT.format(link=link, name="Ada"), twice])
    participant = lab.open(new_page(), "again-ada.ipynb")
    participant.run_all()
    once = events(lab, link)
    assert [kind for _, _, kind, _ in once].count("line_said") == 3

    for notebook in (host, participant):
        notebook.run_all()
        notebook.restart_kernel()
        notebook.run_all()
    assert host.text(0).split()[-1] == link
    assert "1 person, 1 poll" in host.text(0)
    assert events(lab, link) == once
    host.wait_for_chart(1, [0, 1, 0])


def test_another_notebook_with_the_same_name_is_another_person(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("names-host.ipynb", [HOST.format(title="Names"), POLL])
    host = lab.open(new_page(), "names-host.ipynb")
    host.run_all()
    link = host.text(0).split()[-1]
    for name in ("names-1.ipynb", "names-2.ipynb"):
        lab.write_notebook(name, [PARTICIPANT.format(link=link, name="Ada"), "me.vote('heap')"])
        lab.open(new_page(), name).run_all()
    host.wait_for_chart(1, [0, 0, 2])
    assert tally(lab, link) == [0, 0, 2]


def test_the_host_notebook_as_shipped_runs_from_top_to_bottom_twice(lab: Lab, new_page: Pages) -> None:
    shutil.copy(NOTEBOOKS / "01_host.ipynb", lab.notebooks / "01_host.ipynb")
    notebook = lab.open(new_page(), "01_host.ipynb")
    notebook.run_all()
    chart = first_chart(notebook)
    counts = notebook.chart(chart)
    assert sum(counts) > 0
    notebook.run_all()
    notebook.wait_for_chart(chart, counts)


def first_chart(notebook: Notebook) -> int:
    """The first cell that shows a chart."""
    notebook.page.wait_for_selector(".js-plotly-plot")
    index = notebook.page.evaluate(
        "() => Number(document.querySelector('.js-plotly-plot').closest('.jp-Cell').dataset.windowedListIndex)"
    )
    return int(index)
