"""A plain notebook in the real JupyterLab: what the other end-to-end tests stand on."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.end_to_end.browser import Pages, accessibility_violations
from tests.end_to_end.lab import Lab

PLAIN = [
    "import plotly.graph_objects as go\nprint('ready')",
    "figure = go.Figure(go.Bar(x=['quick', 'merge'], y=[3, 21]))\nfigure",
]


def test_a_plain_notebook_runs_and_no_request_leaves_the_machine(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("plain.ipynb", PLAIN)
    page = new_page()
    notebook = lab.open(page, "plain.ipynb")
    notebook.run_all()
    assert notebook.text(0) == "ready\n"
    notebook.wait_for_chart(1, [3, 21])
    assert notebook.chart(1) == [3, 21]
    assert notebook.chart(0) is None
    assert new_page.watch(page).websockets  # the kernel's: the watch does see connections
    assert new_page.watch(page).off_host == []


def test_a_saved_and_reloaded_notebook_keeps_its_kernel(lab: Lab, new_page: Pages) -> None:
    path = lab.write_notebook("saved.ipynb", ["number = 6"])
    notebook = lab.open(new_page(), "saved.ipynb")
    notebook.run_all()
    assert notebook.run("number * 7") == "42"
    notebook.save()
    assert "number * 7" in path.read_text("utf-8")
    notebook.reload()
    expect(notebook.output(1)).to_contain_text("42")
    assert notebook.run("number") == "6"


def test_a_kernel_is_interrupted_in_a_running_cell_and_restarted(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("busy.ipynb", ["number = 6", "import time\nprint('asleep')\ntime.sleep(600)"])
    notebook = lab.open(new_page(), "busy.ipynb")
    notebook.run_cell(0)
    sleeping = notebook.start_cell(1)
    expect(notebook.output(1)).to_contain_text("asleep")
    assert sleeping.running
    assert notebook.kernel_status() == "busy"
    notebook.reload(idle=False)
    notebook.interrupt_kernel()
    assert notebook.run("number") == "6"
    notebook.restart_kernel()
    with pytest.raises(AssertionError, match="NameError"):
        notebook.run("number")


def test_an_error_in_a_cell_is_noticed(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("errors.ipynb", ["1 / 0", "import sys\nprint('a warning', file=sys.stderr)"])
    notebook = lab.open(new_page(), "errors.ipynb")
    with pytest.raises(AssertionError, match="cell 0: ZeroDivisionError: division by zero"):
        notebook.run_all()
    with pytest.raises(AssertionError, match="cell 1 wrote on stderr: a warning"):
        notebook.run_cell(1)


def test_what_a_kernel_leaves_running_ends_with_the_lab(new_page: Pages, tmp_path: Path) -> None:
    with Lab(tmp_path / "user") as lab:
        lab.write_notebook("detached.ipynb", [])
        notebook = lab.open(new_page(), "detached.ipynb")
        pid = notebook.run("import subprocess\nprint(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)")
        assert int(pid) in [process.pid for process in lab.processes()]
    assert list(lab.processes()) == []


def test_a_request_that_leaves_the_machine_is_seen(new_page: Pages) -> None:
    page = new_page()
    page.set_content("<img src='http://192.0.2.1/picture.png'>", wait_until="commit")
    page.wait_for_function("() => document.images.length === 1")
    watch = new_page.watch(page)
    assert watch.off_host == ["http://192.0.2.1/picture.png"]
    watch.off_host.clear()


def test_axe_finds_what_people_cannot_use(new_page: Pages) -> None:
    page = new_page()
    page.set_content("<!doctype html><html lang=en><title>t</title><main><h1>h</h1><button></button></main>")
    assert [line.split()[0] for line in accessibility_violations(page)] == ["button-name"]
