"""What every test may count on."""

import os
import signal

import pytest
from hypothesis import settings

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
    """Cheap tests first; files with a browser last.

    Playwright's synchronous interface keeps an event loop running in the main thread for as long as the
    browser lives, and no coroutine test could start its own beside it. Whole files are moved, since the tests of one
    share what they start: several processes share the tests by files (`pytest -n 3 --dist loadfile`), each of them in
    this order.
    """
    with_browser = {item.path for item in items if "chromium" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (is_real(item), item.path in with_browser))


def is_real(item: pytest.Item) -> bool:
    """Whether a test has real programs around it."""
    parts = item.path.relative_to(item.config.rootpath).parts
    return not {"end_to_end", "torture"}.isdisjoint(parts)
