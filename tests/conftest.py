"""What every test may count on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.end_to_end.browser import Pages
    from tests.end_to_end.lab import Lab

FAILED = pytest.StashKey[bool]()

# Jupyter warns, and warnings are errors, until one of its two ways to choose folders is named.
os.environ["JUPYTER_PLATFORM_DIRS"] = "1"

# Under nohup, or in the background of a script, these are ignored, and so they would be in every program that a test
# starts and then asks to end.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The same examples at every run, so that a failure is a change of the code; WSLIVE_TEST_PROFILE=thorough searches on.
settings.register_profile("quick", derandomize=True, deadline=None, max_examples=60, stateful_step_count=40)
settings.register_profile("thorough", deadline=None, max_examples=3000, stateful_step_count=100, print_blob=True)
settings.load_profile(os.environ.get("WSLIVE_TEST_PROFILE", "quick"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of the attacks of tests/torture is run; see there."""
    group = parser.getgroup("torture")
    for name in ("long", "nightly"):
        group.addoption(
            f"--{name}",
            dest="form",
            action="store_const",
            const=name,
            default="short",
            help=f"tests/torture: the {name} form of each attack",
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cheap tests first; then what may take longest; then files with a browser and files without one, mixed.

    Whole files are moved, since the tests of one share what they start: several processes share the tests by files
    (`pytest -n 3`, as the Makefile has it), each of them in this order. A browser keeps a core busy, and whatever
    attacks a server mostly waits; so the two are best done at the same time.
    """
    files: dict[tuple[bool, bool, bool], dict[Path, None]] = {}
    browsing = {item.path for item in items if has_browser(item)}
    slow = {item.path for item in items if item.get_closest_marker("timeout")}
    for item in items:
        kind = (is_real(item), item.path not in slow, item.path in browsing)
        files.setdefault(kind, {}).setdefault(item.path)
    place = {
        path: (real, later, (number + 0.5) / len(paths))
        for (real, later, _), paths in files.items()
        for number, path in enumerate(paths)
    }
    items.sort(key=lambda item: (*place[item.path], str(item.path)))


def has_browser(item: pytest.Item) -> bool:
    """Whether a test asks for the browser that all share."""
    return "chromium" in getattr(item, "fixturenames", ())


def is_real(item: pytest.Item) -> bool:
    """Whether a test has real programs around it."""
    parts = item.path.relative_to(item.config.rootpath).parts
    return not {"end_to_end", "torture"}.isdisjoint(parts)


# ── the browser and the JupyterLab that tests share; Playwright is loaded for those that use them ───────────────────


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Put Playwright's event loop out of sight for whoever has no browser.

    Its synchronous interface keeps one running in the main thread for as long as the browser lives, and no coroutine
    test could start its own beside it.
    """
    loop = asyncio._get_running_loop()
    if loop is None or has_browser(item):
        return (yield)
    asyncio._set_running_loop(None)
    try:
        return (yield)
    finally:
        if not loop.is_closed():
            asyncio._set_running_loop(loop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures see at their end whether the test has failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One Chromium for all tests. Without one they fail, and say how to install it."""
    from playwright.sync_api import expect

    from tests.end_to_end.browser import TIMEOUT_S, running_chromium

    expect.set_options(timeout=TIMEOUT_S * 1000)  # its own five seconds are too few on a busy machine
    with running_chromium() as browser:
        loop = asyncio._get_running_loop()
        yield browser
        asyncio._set_running_loop(loop)  # the last test may have had no browser


@pytest.fixture
def new_page(
    chromium: Browser, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pages]:
    """Opens pages; see `Pages`. No page may leave the machine or have an exception that no script caught."""
    from tests.end_to_end.browser import Pages

    pages = Pages(chromium)
    yield pages
    if request.node.stash.get(FAILED, False):
        for path in pages.screenshots(tmp_path_factory.mktemp("failed", numbered=True)):
            print(f"screenshot: {path}")  # noqa: T201
        for _, watch in pages.opened:
            print(*watch.console, sep="\n")  # noqa: T201
    pages.close()
    for _, watch in pages.opened:
        assert watch.off_host == []
        assert watch.errors == []


@pytest.fixture(scope="session")
def running_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all tests; they use it as `lab`."""
    from tests.end_to_end.lab import Lab

    with Lab(tmp_path_factory.mktemp("lab") / "user") as lab:
        yield lab


@pytest.fixture
def lab(running_lab: Lab) -> Iterator[Lab]:
    """A real JupyterLab with folders of its own. Its kernels end with the test."""
    yield running_lab
    running_lab.shut_down_kernels()
