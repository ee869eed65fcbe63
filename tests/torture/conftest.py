"""The attacks of docs/reliability.md. Each has a short form for `make test` and a long one.

    pytest tests/torture                      the short forms, always from the same seed
    pytest tests/torture --long -k kill       the long form of one attack, from a new seed, which is printed
    pytest tests/torture --nightly            what a night is long enough for
    WSLIVE_SEED=417 pytest tests/torture …    from this seed

A long form that takes more than some minutes is in parts, which can be run one by one, each from a seed of its own:
`--long -k "kill and part03"`. tools/reliability.py adds their figures up.

A seed that failed once is kept beside its test, and run in the short form too.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.end_to_end.servers import ServeProcess
from tests.torture.figures import Figures, Form, Part

USUAL_SEED = 1
LONGEST_S = 4 * 3600
"""A guard against a hang, in the long form."""

FORM = pytest.StashKey[Form]()
TAKEN = pytest.StashKey[Figures]()
FIGURES = "figures"
"""The property of a report that holds a line of figures: it comes along from another process, too (`pytest -n`)."""


def form_of(config: pytest.Config) -> Form:
    """The form of this run; one seed for all of it."""
    if FORM not in config.stash:
        name = config.getoption("form")
        seed = int(os.environ.get("WSLIVE_SEED") or (USUAL_SEED if name == "short" else secrets.randbelow(10**9)))
        config.stash[FORM] = Form(name, seed)
    return config.stash[FORM]


def pytest_configure(config: pytest.Config) -> None:
    """What only `make torture` has the programs for."""
    config.addinivalue_line("markers", "long_only: not in the short form")
    config.addinivalue_line("markers", "parts(count): the long form is in so many; each test is given its `part`")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each part of a long form; the other forms are in one."""
    mark = metafunc.definition.get_closest_marker("parts")
    if mark is not None:
        count = mark.args[0] if form_of(metafunc.config).is_long else 1
        metafunc.parametrize("part", [Part(number, count) for number in range(1, count + 1)], ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long forms may take their time; the short form leaves out what needs programs that it does not install."""
    if form_of(config).name == "short":
        left_out = [item for item in items if item.get_closest_marker("long_only")]
        items[:] = [item for item in items if item not in left_out]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
    if form_of(config).name != "short":
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.timeout(LONGEST_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep no figures of a test that failed."""
    report = yield
    if report.failed and TAKEN in item.stash:
        item.stash[TAKEN].withdraw()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was measured, also where all is well."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    told = [line for report in reports for name, line in report.user_properties if name == FIGURES]
    if told:
        terminalreporter.section(FIGURES)
        for line in dict.fromkeys(told):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def form(pytestconfig: pytest.Config) -> Form:
    """How much is run, and from which seed."""
    found = form_of(pytestconfig)
    # Shown beside a failure, with which it is run again.
    print(f"WSLIVE_SEED={found.seed}, {found.name} form")  # noqa: T201
    return found


@pytest.fixture
def figures(request: pytest.FixtureRequest, form: Form) -> Figures:
    """Takes down what the test has measured."""
    path = request.path.relative_to(request.config.rootpath).as_posix()
    taken = request.node.stash[TAKEN] = Figures(
        form,
        f"{path}::{request.function.__name__}",
        lambda line: request.node.user_properties.append((FIGURES, line)),
        request.getfixturevalue("part") if "part" in request.fixturenames else Part(1, 1),
    )
    return taken


@pytest.fixture(autouse=True)
def no_server_is_left() -> Iterator[None]:
    """End the servers of a test that failed, or was interrupted, in between: they are in sessions of their own."""
    yield
    while ServeProcess.running:
        process = ServeProcess.running.pop().process
        with suppress(ProcessLookupError):
            process.kill()
