"""The browser and the JupyterLab that the end-to-end tests share."""

from collections.abc import Generator, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.end_to_end.browser import Pages, running_chromium
from tests.end_to_end.lab import Lab

FAILED = pytest.StashKey[bool]()

# A guard against waiting for ever, no assertion about speed: five seconds are too few on a busy machine.
expect.set_options(timeout=30_000)


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
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def new_page(
    chromium: Browser, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pages]:
    """Opens pages; see `Pages`. No page may leave the machine or have an exception that no script caught."""
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
    with Lab(tmp_path_factory.mktemp("lab") / "user") as lab:
        yield lab


@pytest.fixture
def lab(running_lab: Lab) -> Iterator[Lab]:
    """A real JupyterLab with folders of its own. Its kernels end with the test."""
    yield running_lab
    running_lab.shut_down_kernels()
