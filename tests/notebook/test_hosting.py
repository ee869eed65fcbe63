import asyncio

import pytest

import wslive
from tests.notebook.conftest import follow, forget_all
from wslive.core.errors import CodeNeedsServer, HostingNotAllowed, NoServer, NotConnected, RoomUnavailable, WrongHostKey
from wslive.notebook import keys
from wslive.notebook.form import JoinForm


def test_hosting_the_same_title_again_is_the_same_room(server: str) -> None:
    room = wslive.host("Sorting 101")
    assert wslive.host("  Sorting  101 ") is room
    assert wslive.host("Sorting 102").code != room.code


def test_coming_back_is_said_in_one_line(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    room = wslive.host("Sorting 101")
    assert capsys.readouterr().out == ""
    room.poll("Which?", ["a", "b"])
    wslive.host("Sorting 101")
    said = capsys.readouterr().out
    assert said.startswith("Resumed: opened ")
    assert said.endswith(", 0 people, 1 poll · wslive.host('Sorting 101', new=True) starts afresh\n")


def test_a_new_room_of_the_same_title_on_demand(server: str) -> None:
    first = wslive.host("Sorting 101")
    second = wslive.host("Sorting 101", new=True)
    assert second.code != first.code
    assert wslive.host("Sorting 101").code == second.code, "the latest one is meant from now on"
    assert [hosted.code for hosted in wslive.rooms()] == [second.code, first.code]


def test_an_ended_room_is_not_taken_up_again(server: str) -> None:
    first = wslive.host("Sorting 101")
    first.end()
    second = wslive.host("Sorting 101")
    assert second.code != first.code
    assert second.resumed == ""


def test_a_room_can_be_taken_over_with_its_key(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    room = wslive.host("Sorting 101")
    poll = room.poll("Which?", ["a", "b"])
    key = room._host_key
    forget_all()
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "elsewhere"))  # another computer
    with pytest.raises(WrongHostKey, match="host_key="):
        wslive.host(code=room.code)
    with pytest.raises(WrongHostKey):
        wslive.host(code=room.code, host_key="hk_wrong")
    taken = wslive.host(code=room.code.lower(), host_key=key)
    assert [p.id for p in taken.polls] == [poll.id]
    assert wslive.host("Sorting 101").code == room.code, "the key is kept from now on"


def test_the_chats_mode_can_be_chosen_at_once(server: str) -> None:
    assert wslive.host("Sorting 101", chat="to_host").chat.mode == "to_host"
    assert wslive.host("Sorting 101").chat.mode == "to_host"


def test_without_a_title_the_notebooks_name_is_taken(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/sorting.ipynb")
    assert wslive.host().title == "sorting"


def test_creating_rooms_needs_the_hosting_token(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WSLIVE_HOST_TOKEN")
    with pytest.raises(HostingNotAllowed, match="WSLIVE_HOST_TOKEN"):
        wslive.host("Sorting 101")


def test_a_server_that_does_not_answer_is_told_so(server: str) -> None:
    with pytest.raises(NoServer, match="connection refused"):
        wslive.host("Sorting 101", server="http://127.0.0.1:9")
    with pytest.raises(NoServer, match="looks like"):
        wslive.host("Sorting 101", server="127.0.0.1:9")


@pytest.mark.parametrize(
    "form", ["{link}", "{link}/", "{link}/screen", "{link}?from=mail", " {link} ", "{code}", "{lower}"]
)
def test_a_link_may_come_in_many_forms(server: str, form: str) -> None:
    room = wslive.host("Sorting 101")
    text = form.format(link=room.link, code=room.code, lower=f"{room.code[:3]}-{room.code[3:]}".lower())
    me = wslive.join(text, name="Ada")
    assert (me.server, me.code) == (server, room.code)


def test_a_bare_code_needs_a_server_that_knows_it(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CodeNeedsServer, match=f"paste the whole link.*{server}"):
        wslive.join("AAAAAA")
    monkeypatch.delenv("WSLIVE_SERVER")
    with pytest.raises(CodeNeedsServer, match="Paste the join link that the host shows"):
        wslive.join(" ")
    with pytest.raises(CodeNeedsServer, match="A code needs its server: paste the whole link"):
        wslive.join("AAAAAA")


def test_bad_links_rooms_and_servers_are_told_apart(server: str) -> None:
    with pytest.raises(RoomUnavailable, match="is no join link"):
        wslive.join("http://127.0.0.1:8765/somewhere")
    with pytest.raises(RoomUnavailable, match="Check the code"):
        wslive.join(f"{server}/r/AAAAAA")
    with pytest.raises(NotConnected, match="No wslive server answers"):
        wslive.join("http://127.0.0.1:9/r/AAAAAA")


def test_a_token_of_another_life_of_the_server_makes_a_new_person(server: str) -> None:
    room = wslive.host("Sorting 101")
    keys.keep_token(server, room.code, "Ada", "AAAA.BBBB")
    me = wslive.join(room.link, name="Ada")
    assert me.name == "Ada"
    assert keys.token(server, room.code, "Ada") == me.connection.token


def test_without_a_link_there_is_a_form(server: str) -> None:
    assert isinstance(wslive.join(), JoinForm)


def test_everything_can_be_awaited_on_another_loop(server: str) -> None:
    async def cell() -> None:
        room = await wslive.aio.host("Sorting 101")
        poll = await room.aio.poll("Which?", ["a", "b"])
        me = await wslive.aio.join(room.link, "Ada")
        await me.aio.vote("b")
        viewer = await wslive.aio.watch(room.link)
        assert viewer.poll.tally() == {"a": 0, "b": 1}
        await poll.aio.close()
        assert [hosted.title for hosted in await wslive.aio.rooms()] == ["Sorting 101"]

    asyncio.run(cell())


def test_a_room_that_was_deleted_elsewhere_is_forgotten(server: str) -> None:
    room = wslive.host("Sorting 101")
    key = next(k for k in keys.hosted(server) if k.code == room.code)
    room.delete()
    keys.keep_host(key)
    assert wslive.host("Sorting 101").code != room.code
    assert room.code not in [hosted.code for hosted in wslive.rooms()]


def test_people_who_come_are_seen_by_the_host(server: str) -> None:
    room = wslive.host("Sorting 101")
    me = wslive.join(room.link, name="Ada")
    follow(room, me)
    assert [person.name for person in room.people] == ["Ada"]


def test_what_is_no_text_is_told_in_the_words_of_the_call(server: str) -> None:
    with pytest.raises(TypeError, match=r"A join link or code is a text, like '.+', not 123\."):
        wslive.join(123)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"The title is a text, not 5\."):
        wslive.host(5)  # type: ignore[arg-type]
    room = wslive.host("Sorting 101")
    with pytest.raises(TypeError, match=r"The name is a text, not 7\."):
        wslive.join(room.link, name=7)  # type: ignore[arg-type]
