import threading
from collections.abc import Iterator

import pytest

from wslive.notebook.calls import look
from wslive.notebook.reactions import Reactions


class Source:
    """Something that changes, as a replica does."""

    def __init__(self) -> None:
        self.value = 0
        self.reactions = Reactions()

    def change(self, value: int) -> None:
        def set_it() -> None:
            self.value = value
            self.reactions.changed()

        look(set_it)


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    yield made
    made.reactions.close()


def test_a_callback_is_called_at_once_and_after_changes_of_what_it_depends_on(source: Source) -> None:
    seen: list[int] = []
    called = threading.Semaphore(0)

    def note() -> None:
        seen.append(source.value)
        called.release()

    source.reactions.add("note", note, lambda: source.value)
    assert called.acquire(timeout=20)
    source.change(1)
    assert called.acquire(timeout=20)
    source.change(1)
    source.change(2)
    assert called.acquire(timeout=20)
    assert seen == [0, 1, 2]


def test_changes_during_a_call_lead_to_one_more_call_with_the_latest(source: Source) -> None:
    seen: list[int] = []
    go_on = threading.Event()
    called = threading.Semaphore(0)

    def slow() -> None:
        called.release()
        assert go_on.wait(20)
        seen.append(source.value)
        called.release()

    source.reactions.add("slow", slow, lambda: source.value)
    assert called.acquire(timeout=20)
    for value in range(1, 100):
        source.change(value)  # returns at once: a slow callback holds nothing up
    go_on.set()
    for _ in range(3):
        assert called.acquire(timeout=20)
    assert seen == [99, 99]


def test_the_same_name_replaces_the_earlier_callback(source: Source) -> None:
    old, new = threading.Semaphore(0), threading.Semaphore(0)
    source.reactions.add("f", old.release, lambda: source.value)
    assert old.acquire(timeout=20)
    source.reactions.add("f", new.release, lambda: source.value)
    assert new.acquire(timeout=20)
    source.change(1)
    assert new.acquire(timeout=20)
    assert not old.acquire(blocking=False)


def test_an_exception_is_shown_and_the_next_change_calls_again(
    source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    called = threading.Semaphore(0)

    def fragile() -> None:
        try:
            if source.value == 0:
                raise ValueError("no votes yet")
        finally:
            called.release()

    source.reactions.add("fragile", fragile, lambda: source.value)
    assert called.acquire(timeout=20)
    source.change(1)
    assert called.acquire(timeout=20)
    shown = capsys.readouterr().err
    assert "fragile failed" in shown
    assert "ValueError: no votes yet" in shown


def test_after_closing_nobody_is_called(source: Source) -> None:
    called = threading.Semaphore(0)
    source.reactions.add("f", called.release, lambda: source.value)
    assert called.acquire(timeout=20)
    source.reactions.close()
    source.change(1)
    look(lambda: None)
    assert not called.acquire(blocking=False)
