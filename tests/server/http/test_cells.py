from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

from wslive.server.http import cells as module
from wslive.server.http.cells import cells
from wslive.server.http.static import StaticFiles

PACKAGE = Path(module.__file__).parents[2]


def test_the_module_brings_every_source_and_imports_none() -> None:
    source = cells().body.decode()
    assert "__SOURCES__" not in source
    for path in (PACKAGE / "notebook" / "cell.js", PACKAGE / "notebook" / "layouts.js"):
        text = path.read_text()
        assert json.dumps(text) in source
        assert "\nimport " not in text
    assert len(source) < 150_000


def test_its_name_follows_from_its_content_so_a_browser_may_keep_it() -> None:
    name, body = cells()
    found = re.fullmatch(r"cells-([\w-]{43})\.js", name)
    assert found is not None
    assert base64.urlsafe_b64decode(found[1] + "=") == hashlib.sha256(body).digest()
    file = StaticFiles().get(name)
    assert file is not None
    assert file.body == body
    assert file.is_for_ever
    assert file.gzipped is not None
    assert StaticFiles().get(f"cells-{'0' * 43}.js") is None
    other = StaticFiles().get("client.js")
    assert other is not None
    assert not other.is_for_ever
