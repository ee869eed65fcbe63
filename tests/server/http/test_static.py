from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from wslive.activities.poll import chart
from wslive.server.http import cells, static
from wslive.server.http.cells import plotly_js
from wslive.server.http.static import StaticFiles, missing

PACKAGE = Path(static.__file__).parents[2]


def test_files_of_the_pages_are_served_by_their_names():
    files = StaticFiles()
    for path in (PACKAGE / "web").iterdir():
        file = files.get(path.name)
        assert file is not None
        assert file.body == path.read_bytes()


@pytest.mark.parametrize("name", ["poll/view.js", "poll/chart.js", "chat/view.js"])
def test_the_scripts_of_activities_are_served_below_their_names(name: str):
    file = StaticFiles().get(f"activities/{name}")
    assert file is not None
    assert file.body == (PACKAGE / "activities" / name).read_bytes()
    assert file.content_type == "text/javascript; charset=utf-8"


def test_the_chart_of_a_poll_is_served_as_data():
    file = StaticFiles().get("activities/poll/chart.json")
    assert file is not None
    assert file.content_type == "application/json"
    assert json.loads(file.body) == json.loads(json.dumps(chart.TEMPLATE))


def test_plotly_js_is_the_plotly_packages_own():
    path = plotly_js()
    assert path is not None
    file = StaticFiles().get("plotly.min.js")
    assert file is not None
    assert file.body == path.read_bytes()
    assert file.gzipped is not None
    assert gzip.decompress(file.gzipped) == file.body


def test_finding_plotly_js_does_not_import_plotly():
    code = "import sys; from wslive.server.http.static import StaticFiles as F; assert F().get('plotly.min.js'); "
    code += "sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0


def test_scripts_are_compressed_and_what_fits_into_a_packet_is_not():
    files = StaticFiles()
    script, icon = files.get("client.js"), files.get("icon.svg")
    assert script is not None
    assert icon is not None
    assert script.gzipped is not None
    assert len(script.gzipped) < len(script.body) / 2
    assert icon.gzipped is None


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_every_file_says_what_it_is(name: str, content_type: str):
    file = StaticFiles().get(name)
    assert file is not None
    assert file.content_type == content_type


def test_a_file_is_read_once_and_its_tag_follows_from_what_is_in_it():
    files = StaticFiles()
    assert files.kept("client.js") is None
    file = files.get("client.js")
    assert file is not None
    assert files.get("client.js") is files.kept("client.js") is file
    other = StaticFiles().get("client.js")
    assert other is not None
    assert other.etag == file.etag
    lib = files.get("lib.js")
    assert lib is not None
    assert lib.etag != file.etag


@pytest.mark.parametrize("name", ["", ".", "..", "../server/app.py", "web/client.js", "/client.js", "client.js/", "\0"])
def test_what_is_not_listed_is_not_there(name: str):
    files = StaticFiles()
    assert files.get(name) is None
    assert files.kept(name) is None


@pytest.mark.parametrize("found", [None, Path("nowhere")])
def test_without_plotly_there_is_no_plotly_js(found: Path | None, monkeypatch: pytest.MonkeyPatch):
    class Spec:
        submodule_search_locations = [str(found)]  # noqa: RUF012 - as importlib's own

    monkeypatch.setattr(cells, "find_spec", lambda name: None if found is None else Spec())
    assert plotly_js() is None
    assert StaticFiles().get("plotly.min.js") is None
    assert "plotly package is not installed" in missing("plotly.min.js")
    assert missing("client.js") == "There is no such file."
