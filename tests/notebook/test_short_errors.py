import pytest

from wslive.core.errors import PollClosed
from wslive.notebook import short_errors
from wslive.notebook.calls import run
from wslive.notebook.short_errors import is_ours, shortened, users_part


async def refuse() -> None:
    raise PollClosed


def test_the_users_part_ends_where_ours_begins() -> None:
    with pytest.raises(PollClosed) as caught:
        run(refuse())
    part = users_part(caught.value.__traceback__)
    assert part is not None
    assert part.tb_frame.f_code.co_name == "test_the_users_part_ends_where_ours_begins"
    assert part.tb_next is None
    assert caught.value.__traceback__ is not None
    assert caught.value.__traceback__.tb_next is not None, "the error itself keeps all of its frames"


def test_an_error_without_any_frame_of_a_user_has_no_such_part() -> None:
    assert users_part(None) is None


def test_files_of_ours_are_known() -> None:
    assert is_ours(short_errors.__file__)
    assert not is_ours(__file__)


class FakeShell:
    class InteractiveTB:
        @staticmethod
        def structured_traceback(kind: type, error: Exception, trace: object) -> list[str]:
            return [kind.__name__, str(error)]


def test_in_a_notebook_an_error_renders_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_errors, "ipython", FakeShell)
    error = shortened(PollClosed())
    assert error._render_traceback_() == ["PollClosed", PollClosed.sentence]  # type: ignore[attr-defined]


def test_in_a_plain_program_it_is_left_alone() -> None:
    assert not hasattr(shortened(PollClosed()), "_render_traceback_")
