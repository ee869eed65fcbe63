from typing import Any

import pytest

from wslive.notebook import said
from wslive.notebook.said import Cell, calling_cell, line_ref


def refs(cell: Cell | None, *lines: str) -> list[str | None]:
    token = calling_cell.set(cell)
    try:
        return [line_ref(2, line) for line in lines]
    finally:
        calling_cell.reset(token)


def test_the_same_line_of_the_same_cell_has_the_same_name_in_every_run() -> None:
    assert refs(Cell("run 1", "cell a"), "hello", "hello", "bye") == refs(
        Cell("run 2", "cell a"), "hello", "hello", "bye"
    )


def test_a_line_said_twice_in_one_run_is_two_lines() -> None:
    assert len(set(refs(Cell("run 3", "cell a"), "hello", "hello"))) == 2


def test_another_cell_says_another_line() -> None:
    assert refs(Cell("run 4", "cell a"), "hello") != refs(Cell("run 5", "cell b"), "hello")


def test_names_fit_the_limit_of_the_protocol() -> None:
    (ref,) = refs(Cell("run 6", "cell a"), "x" * 500)
    assert ref is not None
    assert len(ref) <= 64


def test_outside_a_cell_a_line_has_no_name_of_its_own() -> None:
    assert refs(None, "hello") == [None]
    assert said.running_cell() is None


class FakeKernel:
    def __init__(self, parent: dict[str, Any]) -> None:
        self.parent = parent

    def get_parent(self, channel: str) -> dict[str, Any]:
        return self.parent


class FakeShell:
    def __init__(self, parent: dict[str, Any]) -> None:
        self.kernel = FakeKernel(parent)
        self.user_ns: dict[str, Any] = {}


def test_a_cell_is_known_by_its_id_or_else_by_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"msg_type": "execute_request", "msg_id": "m1"}
    parent = {"header": header, "metadata": {"cellId": "c1"}, "content": {"code": "me.say('x')"}}
    monkeypatch.setattr(said, "ipython", lambda: FakeShell(parent))
    assert said.running_cell() == Cell("m1", "c1")
    monkeypatch.setattr(said, "ipython", lambda: FakeShell({**parent, "metadata": {}}))
    assert said.running_cell() == Cell("m1", "me.say('x')")


def test_a_widgets_message_is_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "ipython", lambda: FakeShell({"header": {"msg_type": "comm_msg"}}))
    assert said.running_cell() is None
