"""The pages of docs/ and the README are true: names, paths and links exist, and what is shown as code runs.

docs/protocol.md has a test file of its own, `test_docs_protocol.py`.
"""

import ast
import json
import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tests.pages import code_spans, fences, prose
from tools import docs
from tools.sample_room import ADA, BOB, HOST, VIEWER, Recorder
from wslive.cli import main
from wslive.client.background import Background
from wslive.core.activity import Activity
from wslive.core.errors import BadCommand
from wslive.core.events import Head, next_event
from wslive.core.room import replay
from wslive.core.room_view import changes, snapshot
from wslive.core.view import patch
from wslive.eventlog.base import RoomRecord
from wslive.eventlog.memory import MemoryLog
from wslive.eventlog.sqlite import SqliteLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

ROOT = docs.DOCS.parent
PAGES = sorted([ROOT / "README.md", *docs.DOCS.rglob("*.md")])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def each_page(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("page", PAGES, ids=name_of)(test)


def anchors(page: Path) -> set[str]:
    """Where links into a page can lead: its headings, and the anchors set by hand."""
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings)
    return {*plain, *re.findall(r'<a id="([^"]+)"', text)}


# ── all pages ─────────────────────────────────────────────────────────────────────────────────────────────────────


@each_page
def test_what_the_code_can_tell_is_as_the_code_tells_it(page: Path) -> None:
    text = page.read_text("utf-8")
    assert docs.filled(text) == text, "the code has changed: run `python -m tools.docs`"


@each_page
def test_every_link_between_the_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text("utf-8"))):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


@each_page
def test_every_path_of_this_repository_that_is_named_exists(page: Path) -> None:
    named = [
        span
        for span in code_spans(page.read_text("utf-8"))
        if re.match(r"(wslive|tests|tools|notebooks|docs|binder)/", span) and "hands" not in span
    ]
    missing = [span for span in named if not list(ROOT.glob(span.rstrip("/")))]
    assert missing == []


@each_page
def test_every_python_block_can_be_parsed(page: Path) -> None:
    for block in fences(page.read_text("utf-8"), r"python[\w ]*"):
        compile(block, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_every_note_on_a_decision_says_all_four_things() -> None:
    notes = sorted(docs.DOCS.glob("decisions/[0-9]*.md"))
    assert [int(note.name[:4]) for note in notes] == list(range(1, len(notes) + 1))
    for note in notes:
        text = note.read_text("utf-8")
        assert text.startswith(f"# {int(note.name[:4])}. "), note.name
        for part in ("**Problem.**", "**Facts.**", "**Decision.**", "**Consequences.**"):
            assert text.count(part) == 1, (note.name, part)


# ── glossary and architecture ─────────────────────────────────────────────────────────────────────────────────────


def test_the_glossary_has_every_word_of_the_house_once() -> None:
    page = (docs.DOCS / "glossary.md").read_text("utf-8")
    words = re.findall(r'^\| <a id="([\w-]+)"></a>\*\*([\w -]+)\*\* \|', page, re.MULTILINE)
    assert all(anchor.replace("-", " ") in (word, word.replace("-", " "), word.split()[-1]) for anchor, word in words)
    terms = [word for _, word in words]
    assert len(set(terms)) == len(terms)
    house = """room participant host viewer connection node activity stage poll option ballot vote round tally command
    event offset epoch position reducer state view audience snapshot delta replica presence fan-out outbox conflation
    backpressure resume ref ticket"""
    assert set(house.split()) <= set(terms)


def test_the_architecture_page_names_every_module_of_the_rules_and_the_server() -> None:
    page = (docs.DOCS / "architecture.md").read_text("utf-8")
    listing = subprocess.run(["git", "ls-files", "wslive/*.py"], cwd=ROOT, check=True, capture_output=True, text=True)
    modules = [module for module in listing.stdout.split() if not module.endswith("__init__.py")]
    assert modules
    for module in modules:
        folder = module.rpartition("/")[0]
        named = module if folder.split("/")[-1] in ("core", "wire", "eventlog", "server", "client") else folder
        assert f"`{named}" in page, f"docs/architecture.md has no row for {module}"


def test_the_architecture_page_shows_the_layers_of_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = (c for c in project["tool"]["importlinter"]["contracts"] if c["id"] == "layers")
    # A layer in brackets need not be there yet.
    layers = [[name.strip("() ") for name in layer.split("|")] for layer in contract["layers"]]
    there = [[name for name in layer if list((ROOT / "wslive").glob(f"{name}*"))] for layer in layers]
    drawn = " → ".join(" | ".join(layer) for layer in there if layer)
    assert drawn in (docs.DOCS / "architecture.md").read_text("utf-8")


# ── operations ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_has_its_sentence() -> None:
    assert list(docs.settings_sentences()) == list(ServerSettings.__dataclass_fields__)


def test_the_commands_on_the_operations_page_are_ones_that_the_program_takes() -> None:
    page = (docs.DOCS / "operations.md").read_text("utf-8")
    lines = [line for block in fences(page, "(?:bash|ini)") for line in block.splitlines() if "wslive serve" in line]
    assert lines
    for line in lines:
        arguments = line.split("#")[0].split("wslive ", 1)[1].split()
        with click.Context(main) as context:
            name, command, rest = main.resolve_command(context, arguments)
            assert command is not None, name
            command.make_context(name, list(rest))


def test_every_environment_variable_that_is_named_is_read_somewhere() -> None:
    readers = [*(ROOT / "wslive").rglob("*.py"), *(ROOT / "tests/torture").glob("*.py")]
    source = "\n".join(path.read_text("utf-8") for path in readers)
    named = {name for page in PAGES for name in re.findall(r"\bWSLIVE_[A-Z_]+", page.read_text("utf-8"))}
    assert named
    assert {name for name in named if f'"{name}"' not in source} == set()


async def test_a_backup_made_as_the_page_says_is_a_whole_store(tmp_path: Path) -> None:
    (words,) = re.findall(r"^wslive (backup .+)$", (docs.DOCS / "operations.md").read_text("utf-8"), re.M)
    command, store, target = words.split()
    log = await SqliteLog.open(tmp_path / "rooms.db")
    await log.create(RoomRecord("r", "K7M2QX", "771f2c60", b"", 0))
    head = Head("771f2c60")
    body = b'{"title":"Sorting 101"}'
    event = next_event(head, at_ms=1, actor="host", ref="a", activity=0, kind="room_opened", version=1, body=body)
    await log.append("r", head, [event])
    # The server still runs, and is not asked.
    copy = tmp_path / Path(target).name
    told = CliRunner().invoke(main, [command, str(tmp_path / store), str(copy)])
    assert told.exit_code == 0, told.output
    await log.close()
    backup = await SqliteLog.open(copy)
    try:
        assert [record.code for record in await backup.rooms()] == ["K7M2QX"]
        assert await backup.read("r") == [event]
    finally:
        await backup.close()


# ── the recipe ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def hands() -> Iterator[Activity[Any]]:
    """The activity of docs/adding_an_activity.md."""
    (source,) = fences((docs.DOCS / "adding_an_activity.md").read_text("utf-8"), "python model")
    module = types.ModuleType("hands_model")
    sys.modules[module.__name__] = module  # msgspec looks up the annotations of a struct there
    exec(compile(source, "adding_an_activity.md", "exec"), module.__dict__)
    yield module.Hands()
    del sys.modules[module.__name__]


def test_the_activity_of_the_recipe_keeps_the_contract(hands: Activity[Any]) -> None:
    recorder = Recorder({"hands": hands})
    recorder.do(HOST, 0, "open_room", {"title": "Sorting 101"})
    opened = recorder.do(HOST, 0, "open_activity", {"kind": "hands", "body": {}}).offset
    recorder.do(ADA, 0, "join", {"name": "Ada"})
    recorder.do(BOB, 0, "join", {"name": "Bob"})

    readers = (ADA, BOB, HOST, VIEWER)
    seen: list[dict[str, Any]] = []
    for who, activity, kind, body in [
        (ADA, opened, "raise_hand", {}),
        (BOB, opened, "raise_hand", {}),
        (ADA, 0, "rename", {"name": "Ada L."}),
        (ADA, opened, "lower_hand", {}),
        (ADA, opened, "raise_hand", {}),
        (HOST, 0, "remove_person", {"person": BOB.actor}),
    ]:
        seen.append({who.actor: json.dumps(snapshot(recorder.room, who)) for who in readers})
        recorder.do(who, activity, kind, body)
    for offset, views in enumerate(seen, recorder.room.head.offset - len(seen)):
        for who in readers:
            resumed = patch(json.loads(views[who.actor]), changes(recorder.room, who, offset))
            assert resumed == snapshot(recorder.room, who)

    now = {who: snapshot(recorder.room, who)["activities"][str(opened)] for who in readers}
    assert now[VIEWER] == {"kind": "hands", "count": 1}
    assert {hand["name"] for hand in now[HOST]["hands"].values()} == {"Ada L."}
    folded = replay(recorder.room.head.epoch, recorder.events, {"hands": hands})
    assert snapshot(folded, HOST) == snapshot(recorder.room, HOST)
    with pytest.raises(BadCommand):
        recorder.do(ADA, opened, "raise_hand", {})


def test_the_recipe_names_what_views_are_handed() -> None:
    page = (docs.DOCS / "adding_an_activity.md").read_text("utf-8")
    library = (ROOT / "wslive/web/lib.js").read_text("utf-8")
    client = (ROOT / "wslive/web/client.js").read_text("utf-8")
    (source,) = fences(page, "js view")
    (handed,) = re.findall(r"const \{ (.+) \} = lib;", source)
    offered = library[library.index("export const makeLib") :].partition("({")[2].partition("});")[0]
    assert set(handed.split(", ")) <= set(re.findall(r"\w+", offered))
    getters = set(re.findall(r"^    (\w+): \(\) =>", library[library.index("export function activityModel") :], re.M))
    (shown,) = re.findall(r'const SHOWN =\s+"([^"]+)"', client)
    assert set(re.findall(r'get\("(\w+)"\)', page)) <= getters | set(shown.split())


# ── the README ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def readme_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that the notebook functions find, and folders of this test's own for what they keep."""
    for folder in ("DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{folder}_DIR", str(tmp_path / folder.lower()))

    async def start() -> Server:
        server = Server(ServerSettings(port=0), MemoryLog())
        await server.start()
        return server

    thread = Background()
    server = thread.run(start())
    monkeypatch.setenv("WSLIVE_SERVER", server.url)
    monkeypatch.setenv("WSLIVE_HOST_TOKEN", server.hosting_token)
    yield server
    thread.run(server.stop())
    thread.stop()


def test_the_readme_runs_from_top_to_bottom(readme_server: Server) -> None:
    blocks = fences((ROOT / "README.md").read_text("utf-8"), "python")
    # On this computer alone, and by the link of the room that was opened just now.
    source = "\n".join(blocks).replace(', audience="network"', "")
    source, links = re.subn(r'"http://[^"]+/r/[^"]+"', "room.link", source)
    assert links == 1
    names: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec"), names)
    try:
        assert names["poll"].tally() == {"quick": 0, "merge": 1, "heap": 0}
        assert list(names["poll"].to_frame()["choice"]) == ["merge"]
        assert [(line.name, line.text) for line in names["room"].chat] == [("Ada", "why not heap?")]
    finally:
        names["me"].close()
        names["room"].close()


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 90


def test_the_readme_names_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text("utf-8")))
    assert named
    assert named <= targets
