import pytest

import wslive
from wslive.core.errors import NotConnected


def test_the_form_joins_and_shows_the_room_in_its_place(server: str) -> None:
    room = wslive.host("Sorting 101")
    form = wslive.join()
    with pytest.raises(NotConnected, match="fill in the form"):
        form.vote("a")
    fields = form.widget.children[0]
    link, name, button = fields.children
    link.value, name.value = room.link, "Ada"
    button.click()
    assert form.me.name == form.name == "Ada"
    assert form.widget.children == (form.me.widget,)


def test_an_error_is_told_in_the_form(server: str) -> None:
    form = wslive.join(name="Ada")
    (fields, told) = form.widget.children
    fields.children[0].value = "http://127.0.0.1:8765/nowhere"
    fields.children[2].click()
    assert "is no join link" in told.value
    assert repr(form) == "<JoinForm: nobody has joined yet>"


def test_a_terminal_has_no_form(server: str) -> None:
    assert wslive.join()._repr_mimebundle_() == {"text/plain": "<JoinForm: nobody has joined yet>"}
