"""What every test may count on."""

import os

import pytest

# Jupyter warns, and warnings are errors, until one of its two ways to choose folders is named.
os.environ["JUPYTER_PLATFORM_DIRS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cheap tests first; those with a browser last.

    Playwright's synchronous interface keeps an event loop running in the main thread for as long as the
    browser lives, and no coroutine test could start its own beside it.
    """
    items.sort(key=cost)


def cost(item: pytest.Item) -> tuple[bool, bool]:
    """A key to sort tests by."""
    path = item.path.relative_to(item.config.rootpath)
    return "end_to_end" in path.parts, "chromium" in getattr(item, "fixturenames", ())
