"""The server dies under a notebook and comes back: the cell says so, and goes on by itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

from tests.end_to_end.browser import Pages
from tests.end_to_end.lab import Lab
from tests.end_to_end.own_rooms import POLL
from tests.end_to_end.servers import folders

TOKEN = "ht_of_this_test"


@contextmanager
def serving(root: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`wslive serve` on a store of its own; its process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wslive", "serve", "--port", str(port), "--store", str(root / "rooms.db")],
        env={**os.environ, **folders(root), "WSLIVE_HOST_TOKEN": TOKEN},
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        yield process, next(word.rstrip(",") for word in first.split() if word.startswith("http"))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_cell_says_since_when_it_is_stale_and_goes_on_when_the_server_is_back(
    lab: Lab, new_page: Pages, tmp_path: Path
) -> None:
    with serving(tmp_path, 0) as (process, url):
        port = int(url.rsplit(":", 1)[1])
        opening = (
            f"import os, wslive\nos.environ['WSLIVE_HOST_TOKEN'] = {TOKEN!r}\n"
            f"room = wslive.host('Gone', server={url!r})"
        )
        lab.write_notebook("gone.ipynb", [opening, POLL, "me = wslive.join(room.link, name='Ada'); me.vote('heap')"])
        host = lab.open(new_page(), "gone.ipynb")
        host.run_all()
        host.wait_for_chart(1, [0, 0, 1])
        process.kill()
        expect(host.output(1)).to_contain_text("Stale since")
        told = host.run(
            "import time, warnings\nwith warnings.catch_warnings(record=True) as told:\n"
            "    warnings.simplefilter('always')\n"
            "    while not told:  # the kernel hears of it by a connection of its own\n"
            "        time.sleep(0.02)\n        tally = poll.tally()\n"
            "print(tally)\nprint(told[0].message)"
        )
        assert "{'quick': 0, 'merge': 0, 'heap': 1}" in told
        assert "This is as of" in told
        assert host.chart(1) == [0, 0, 1]
    with serving(tmp_path, port):
        host.run("me.vote('merge', timeout_s=60)", timeout_s=90)
        host.wait_for_chart(1, [0, 1, 0])
        expect(host.output(1).get_by_text("Stale since")).not_to_be_visible()
