import pytest

from tests.activities.contract import ActivityContract
from tests.small_room import HOST, VIEWER, SmallRoom, person
from wslive.activities.chat.model import OWN_LINES
from wslive.core import room_view
from wslive.core.activity import HISTORY_ENTRIES
from wslive.core.errors import BadCommand, ChatOff, ChatPaused, EmptyText, Muted, TextTooLong, UnknownLine
from wslive.core.roles import Who
from wslive.core.view import Put, Remove, patch

CHAT = 2
ADA, BOB = person("p_ada"), person("p_bob")


class TestChatContract(ActivityContract):
    kind = "chat"
    openings = [{}, {"mode": "to_host"}, {"mode": "off"}]  # noqa: RUF012


@pytest.fixture
def small() -> SmallRoom:
    """A room with its chat, Ada and Bob."""
    small = SmallRoom()
    small.join("p_ada", "Ada")
    small.join("p_bob", "Bob")
    return small


def texts(small: SmallRoom, who: Who) -> list[str]:
    lines = small.seen(who, CHAT)["lines"].values()
    return [line["text"] for line in sorted(lines, key=lambda line: line["id"])]


def own(small: SmallRoom, who: Who) -> list[str]:
    return [line["text"] for line in (small.mine(who, CHAT) or {"lines": []})["lines"]]


# ── saying ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_line_tells_who_said_it_and_when(small: SmallRoom) -> None:
    id = small.send(ADA, "say", CHAT, text=" hello \n there ")
    assert small.seen(BOB, CHAT)["lines"] == {
        str(id): {
            "id": id,
            "by": "p_ada",
            "name": "Ada",
            "host": False,
            "text": "hello there",
            "at_ms": small.log[-1].at_ms,
        }
    }


def test_the_hosts_lines_are_marked(small: SmallRoom) -> None:
    id = small.send(HOST, "say", CHAT, text="welcome")
    line = small.seen(ADA, CHAT)["lines"][str(id)]
    assert (line["name"], line["host"]) == ("Host", True)


def test_empty_and_endless_lines_are_refused(small: SmallRoom) -> None:
    assert isinstance(small.refused(ADA, "say", CHAT, text=" \u200b "), EmptyText)
    assert isinstance(small.refused(ADA, "say", CHAT, text="x" * 501), TextTooLong)
    small.send(ADA, "say", CHAT, text="x" * 500)


def test_a_paused_chat_lets_only_the_host_speak(small: SmallRoom) -> None:
    small.send(HOST, "set_chat", CHAT, mode="on", paused=True)
    assert isinstance(small.refused(ADA, "say", CHAT, text="?"), ChatPaused)
    small.send(HOST, "say", CHAT, text="back in five minutes")
    assert texts(small, ADA) == ["back in five minutes"]


def test_a_chat_that_is_off_shows_nothing_to_people_and_everything_to_the_host(small: SmallRoom) -> None:
    small.send(ADA, "say", CHAT, text="hello")
    small.send(HOST, "set_chat", CHAT, mode="off", paused=False)
    assert isinstance(small.refused(ADA, "say", CHAT, text="?"), ChatOff)
    assert texts(small, BOB) == texts(small, VIEWER) == []
    assert texts(small, HOST) == ["hello"]
    small.send(HOST, "set_chat", CHAT, mode="on", paused=False)
    assert texts(small, BOB) == ["hello"]


def test_a_room_has_one_chat(small: SmallRoom) -> None:
    assert isinstance(small.refused(HOST, "open_activity", kind="chat", body={}), BadCommand)


# ── hiding, muting, renaming ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_hidden_line_is_marked_for_the_host_and_gone_for_all_others(small: SmallRoom) -> None:
    id = small.send(ADA, "say", CHAT, text="rude")
    before = {who: (small.view(who), small.room.head.offset) for who in (HOST, ADA, BOB, VIEWER)}
    small.send(HOST, "hide_line", CHAT, line=id)
    assert small.seen(HOST, CHAT)["lines"][str(id)]["hidden"] is True
    for who in (ADA, BOB, VIEWER):
        assert texts(small, who) == []
        view, at = before[who]
        assert Remove(("activities", "2", "lines"), str(id)) in small.changes(who, at)
        assert patch(view, small.changes(who, at)) == small.view(who)
    small.send(HOST, "hide_line", CHAT, line=id, hidden=False)
    assert texts(small, BOB) == ["rude"]


def test_only_lines_can_be_hidden(small: SmallRoom) -> None:
    for line in (0, 1, 2, 3, 99, -1):
        assert isinstance(small.refused(HOST, "hide_line", CHAT, line=line), UnknownLine)


def test_muting_hides_all_lines_of_a_person_and_unmuting_brings_them_back(small: SmallRoom) -> None:
    for text in ("one", "two"):
        small.send(ADA, "say", CHAT, text=text)
    small.send(BOB, "say", CHAT, text="hm")
    small.send(HOST, "mute", person="p_ada")
    assert isinstance(small.refused(ADA, "say", CHAT, text="three"), Muted)
    assert texts(small, BOB) == ["hm"]
    assert texts(small, HOST) == ["one", "two", "hm"]
    assert [line["muted"] for line in small.seen(HOST, CHAT)["lines"].values()] == [True, True, False]
    small.send(HOST, "mute", person="p_ada", muted=False)
    assert texts(small, BOB) == ["one", "two", "hm"]


def test_a_line_that_was_hidden_stays_hidden_after_a_mute_and_its_end(small: SmallRoom) -> None:
    id = small.send(ADA, "say", CHAT, text="rude")
    small.send(ADA, "say", CHAT, text="kind")
    small.send(HOST, "hide_line", CHAT, line=id)
    small.send(HOST, "mute", person="p_ada")
    small.send(HOST, "mute", person="p_ada", muted=False)
    assert texts(small, BOB) == ["kind"]


def test_a_new_name_reaches_back_to_every_line(small: SmallRoom) -> None:
    id = small.send(ADA, "say", CHAT, text="hello")
    at = small.room.head.offset
    small.send(ADA, "rename", name="Countess")
    assert small.seen(BOB, CHAT)["lines"][str(id)]["name"] == "Countess"
    put = [op for op in small.changes(BOB, at) if isinstance(op, Put) and op.key == str(id)]
    assert [op.value["name"] for op in put] == ["Countess"]


def test_the_lines_of_somebody_who_was_sent_out_stay(small: SmallRoom) -> None:
    small.send(ADA, "say", CHAT, text="hello")
    small.send(HOST, "remove_person", person="p_ada")
    assert texts(small, BOB) == ["hello"]


def test_a_line_said_and_hidden_between_two_looks_is_never_shown(small: SmallRoom) -> None:
    at = small.room.head.offset
    id = small.send(ADA, "say", CHAT, text="rude")
    small.send(HOST, "hide_line", CHAT, line=id)
    assert not [op for op in small.changes(BOB, at) if isinstance(op, Put)]
    # But who came in between has seen it, and must lose it by the same delta.
    assert [op.key for op in small.changes(BOB, at) if isinstance(op, Remove)] == [str(id)]


# ── to the host alone ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_lines_to_the_host_are_read_by_the_host_and_their_author(small: SmallRoom) -> None:
    small.send(HOST, "set_chat", CHAT, mode="to_host", paused=False)
    small.send(ADA, "say", CHAT, text="I am lost")
    small.send(HOST, "say", CHAT, text="do ask")
    assert texts(small, HOST) == ["I am lost", "do ask"]
    for who in (ADA, BOB, VIEWER):
        assert texts(small, who) == ["do ask"]
    assert own(small, ADA) == ["I am lost"]
    assert own(small, BOB) == own(small, HOST) == []


def test_lines_to_the_host_stay_so_when_everybody_may_read_again(small: SmallRoom) -> None:
    small.send(ADA, "say", CHAT, text="for all")
    small.send(HOST, "set_chat", CHAT, mode="to_host", paused=False)
    id = small.send(ADA, "say", CHAT, text="for the host")
    small.send(HOST, "set_chat", CHAT, mode="on", paused=False)
    small.send(ADA, "say", CHAT, text="for all again")
    assert texts(small, BOB) == texts(small, ADA) == ["for all", "for all again"]
    assert own(small, ADA) == ["for the host"]
    marks = {line["text"]: line["to_host"] for line in small.seen(HOST, CHAT)["lines"].values()}
    assert marks == {"for all": False, "for the host": True, "for all again": False}
    # Nor does anything that happens to the line later give it away.
    at = small.room.head.offset
    small.send(HOST, "hide_line", CHAT, line=id)
    small.send(HOST, "hide_line", CHAT, line=id, hidden=False)
    small.send(ADA, "rename", name="Countess")
    assert str(id) not in [op.key for op in small.changes(BOB, at) if isinstance(op, Put | Remove)]
    assert [line["text"] for line in room_view.older(small.room, BOB, CHAT, 10**9, 50)] == ["for all", "for all again"]


def test_people_are_shown_the_latest_of_their_lines_to_the_host(small: SmallRoom) -> None:
    small.send(HOST, "set_chat", CHAT, mode="to_host", paused=False)
    for number in range(OWN_LINES + 5):
        small.send(ADA, "say", CHAT, text=f"line {number}")
    assert own(small, ADA) == [f"line {number}" for number in range(5, OWN_LINES + 5)]


# ── long rooms ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def long(small: SmallRoom) -> SmallRoom:
    """Five pages of lines; every tenth is hidden."""
    for number in range(5 * HISTORY_ENTRIES):
        id = small.send(ADA, "say", CHAT, text=f"line {number}")
        if number % 10 == 0:
            small.send(HOST, "hide_line", CHAT, line=id)
    return small


def test_a_long_room_begins_with_the_latest_lines_and_says_so(long: SmallRoom) -> None:
    view = room_view.snapshot(long.room, BOB)["activities"]["2"]
    ids = [int(id) for id in view["lines"]]
    assert len(ids) == HISTORY_ENTRIES
    assert ids == sorted(ids)
    assert view["history"] == {"from": ids[0], "more": True}
    last = 5 * HISTORY_ENTRIES - 1
    assert view["lines"][str(ids[-1])]["text"] == f"line {last}"


def test_older_lines_are_read_back_from_where_the_history_begins(long: SmallRoom) -> None:
    view = room_view.snapshot(long.room, BOB)["activities"]["2"]
    read = [view["lines"][id]["text"] for id in view["lines"]]
    before = view["history"]["from"]
    while page := room_view.older(long.room, BOB, CHAT, before, 100):
        read = [line["text"] for line in page] + read
        before = page[0]["id"]
    assert read == [f"line {number}" for number in range(5 * HISTORY_ENTRIES) if number % 10]


def test_a_room_of_exactly_one_page_has_no_more(small: SmallRoom) -> None:
    for number in range(HISTORY_ENTRIES):
        small.send(ADA, "say", CHAT, text=f"line {number}")
    view = room_view.snapshot(small.room, BOB)["activities"]["2"]
    assert view["history"] == {"from": 0, "more": False}
    assert len(view["lines"]) == HISTORY_ENTRIES
