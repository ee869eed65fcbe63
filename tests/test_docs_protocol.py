"""docs/protocol.md says what the code does: no message, field, command, event, code or limit too many or too few."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.client.conftest import hall as hall
from tests.client.conftest import server as server
from tests.client.rooms import Hall, Wire
from tools import docs
from tools.sample_room import ADA, BOB, CHAT, HOST, LEDGER, POLL, VIEWER, Recorder, sample
from wslive.activities import BUILT_IN
from wslive.client.connection import Connection
from wslive.client.replica import Replica
from wslive.core import math
from wslive.core.activity import CommandSpec
from wslive.core.errors import BadCommand, refusals
from wslive.core.events import Event
from wslive.core.room_view import snapshot
from wslive.core.view import Op
from wslive.server.app import Server
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode
from wslive.wire.codec import decode_client, decode_server, encode
from wslive.wire.session import Act, Close, Phase, Reply, Session

PAGE = (docs.DOCS / "protocol.md").read_text("utf-8")

CLIENT_MESSAGES = {type.__struct_config__.tag: type for type in messages.ClientMessage.__args__}
SERVER_MESSAGES = {type.__struct_config__.tag: type for type in messages.ServerMessage.__args__}


# ── reading the page ──────────────────────────────────────────────────────────────────────────────────────────────


def section(title: str) -> str:
    """What stands under a heading, its sub-headings included."""
    match = re.search(rf"^(#+) {re.escape(title)}$", PAGE, re.MULTILINE)
    assert match, f"no heading {title!r}"
    rest = PAGE[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def tables(text: str) -> Iterator[list[dict[str, str]]]:
    """The tables in a text, each a list of rows by column heading."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        heads, _, *rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.strip().split("\n")
        ]
        yield [dict(zip(heads, row, strict=True)) for row in rows]


def fences(language: str, text: str = PAGE) -> list[str]:
    """The code blocks of one kind."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def bare(cell: str) -> str:
    """A cell without its code marks."""
    return cell.strip("`")


def names(cell: str) -> set[str]:
    """What stands between code marks in a cell."""
    return set(re.findall(r"`([^`]+)`", cell))


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("title", "types"),
    [("Messages from the client", CLIENT_MESSAGES), ("Messages from the server", SERVER_MESSAGES)],
)
def test_the_page_has_a_section_for_every_message_and_for_no_other(title: str, types: dict[str, type]) -> None:
    assert re.findall(r"^### `(\w+)`$", section(title), re.MULTILINE) == list(types)


@pytest.mark.parametrize(("tag", "type"), [*CLIENT_MESSAGES.items(), *SERVER_MESSAGES.items()])
def test_the_fields_of_a_message_and_their_defaults_are_those_of_the_code(tag: str, type: type) -> None:
    rows = next(tables(section(f"`{tag}`")))
    fields = msgspec.structs.fields(type)
    assert [bare(row["field"]) for row in rows] == [field.encode_name for field in fields]
    for field, row in zip(fields, rows, strict=True):
        if field.required:
            assert row["default"] == "—", field.name
        else:
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            assert row["default"] != "—", field.name
            assert json.loads(bare(row["default"])) == json.loads(msgspec.json.encode(default)), field.name


@pytest.mark.parametrize(("tag", "type"), CLIENT_MESSAGES.items())
def test_each_message_of_the_client_has_examples_that_the_server_understands(tag: str, type: type) -> None:
    examples = fences("json client", section(f"`{tag}`"))
    assert examples
    for example in examples:
        message = decode_client(example)
        assert isinstance(message, type)
        assert json.loads(encode(message)) == json.loads(example)


@pytest.mark.parametrize(("tag", "type"), SERVER_MESSAGES.items())
def test_each_message_of_the_server_has_examples_just_as_the_server_writes_them(tag: str, type: type) -> None:
    examples = fences("json server", section(f"`{tag}`"))
    assert examples
    for example in examples:
        message = decode_server(example)
        assert isinstance(message, type)
        assert json.loads(encode(message)) == json.loads(example)


def test_every_example_frame_stands_in_the_section_of_its_message() -> None:
    for kind, types in (("json client", CLIENT_MESSAGES), ("json server", SERVER_MESSAGES)):
        assert len(fences(kind)) == sum(len(fences(kind, section(f"`{tag}`"))) for tag in types)


def test_the_operations_are_those_of_the_code() -> None:
    written = {bare(row["op"]): names(row["fields"]) for row in next(tables(section("Operations")))}
    assert written == {
        op.__struct_config__.tag: {field.encode_name for field in msgspec.structs.fields(op)} for op in Op.__args__
    }


# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────

COMMAND_SECTIONS = {"room": "To the room: activity 0", "poll": "To a poll", "chat": "To a chat"}
ACTIVITY_OF = {"room": 0, "poll": POLL, "chat": CHAT}


def command_rows() -> list[tuple[str, dict[str, str]]]:
    return [(of, row) for of, title in COMMAND_SECTIONS.items() for row in next(tables(section(title)))]


def body_is_whole(body: Any, optional: str, spec: CommandSpec) -> None:
    """Every field of the body is in the example, and those that may be left out are named."""
    fields = msgspec.structs.fields(spec.type)
    assert list(body) == [field.encode_name for field in fields]
    assert names(optional) == {field.encode_name for field in fields if not field.required}


def test_every_command_has_a_row_and_no_other_has() -> None:
    written = {of: {bare(row["command"]) for of_, row in command_rows() if of_ == of} for of in COMMAND_SECTIONS}
    assert written == {of: commands.keys() - {"open"} for of, commands in docs.commands().items()}


@pytest.mark.parametrize(("of", "row"), command_rows(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_command_does_what_its_row_says(of: str, row: dict[str, str]) -> None:
    command, body = bare(row["command"]), json.loads(bare(row["body"]))
    spec = docs.commands()[of][command]
    body_is_whole(body, row["may be left out"], spec)
    assert set(row["who"].split(", ")) == {role.value for role in spec.roles}

    recorder = sample()
    if command == "reopen":
        recorder.do(HOST, POLL, "close", {})
    if command == "cast_vote":
        body["round"] = recorder.room.activities[POLL].state.round
    if command == "retract_vote":
        body["round"] = recorder.room.activities[POLL].state.round
    who = HOST if "host" in row["who"] else ADA
    assert recorder.do(who, ACTIVITY_OF[of], command, body).kind == bare(row["becomes"])


def test_the_bodies_that_open_an_activity_are_whole() -> None:
    _, rows = tables(section("To the room: activity 0"))
    assert {bare(row["kind"]) for row in rows} == {activity.kind for activity in BUILT_IN}
    for row in rows:
        spec = docs.commands()[bare(row["kind"])]["open"]
        body = json.loads(bare(row["body"]))
        body_is_whole(body, row["may be left out"], spec)
        spec.decode(msgspec.json.encode(body))


def test_the_chat_has_the_id_that_the_page_says_and_there_is_no_second_one() -> None:
    assert f"with the id {CHAT}" in " ".join(PAGE.split())
    recorder = sample()
    assert recorder.room.activities[CHAT].rules.kind == "chat"
    with pytest.raises(BadCommand):
        recorder.do(HOST, 0, "open_activity", {"kind": "chat", "body": {}})


@pytest.mark.parametrize(("ref", "is_fine"), [("x" * 64, True), ("x" * 65, False), ("aZ09-_", True), ("a b", False)])
def test_a_ref_may_be_what_the_page_says(ref: str, is_fine: bool) -> None:
    with nullcontext() if is_fine else pytest.raises(BadCommand):
        sample().do(ADA, CHAT, "say", {"text": "hello"}, ref)


# ── the view ──────────────────────────────────────────────────────────────────────────────────────────────────────


def views() -> Iterator[Any]:
    """What every kind of reader sees of a room in which everything that shows has happened."""
    recorder = sample()
    body = {"question": "Is $n^2$ fast?", "options": ["$n$", "no"], "results": "after_vote"}
    recorder.do(HOST, 0, "open_activity", {"kind": "poll", "body": body, "keep_open": True})
    recorder.do(HOST, CHAT, "set_chat", {"mode": "to_host", "paused": False})
    recorder.do(ADA, CHAT, "say", {"text": "to you alone"})
    yield snapshot(recorder.room, ADA)
    recorder.do(HOST, CHAT, "set_chat", {"mode": "on", "paused": False})
    for who in (ADA, BOB, HOST, LEDGER, VIEWER):
        yield snapshot(recorder.room, who)


def paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every path to a value that is no object, with the page's words for ids."""
    stand_ins = {"activities": "ID", "names": "ACTOR", "lines": "LINE", "counts": "OPTION", "ballots": "ROUND/ACTOR"}
    if isinstance(value, dict) and path:
        for key, child in value.items():
            yield from paths(child, (*path, stand_ins.get(path[-1], key)))
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from paths(child, (key,))
    elif isinstance(value, list) and value and isinstance(value[0], dict) and not path[-1].endswith("math"):
        for child in value:
            yield from paths(child, (*path, "[]"))
    elif value not in (None, []) or path[-1] in ("key", "options"):
        yield ".".join(path)


def test_the_tables_of_the_view_have_every_path_and_no_other() -> None:
    written = set()
    for rows in tables(section("The view")):
        head = next(iter(rows[0]))
        if head.startswith("path"):
            below = "".join(f"{name}." for name in names(head))
            written |= {below + bare(row[head]) for row in rows}
    assert written == {path for view in views() for path in paths(view)}


def test_the_pieces_of_a_formula_are_those_that_the_server_makes() -> None:
    (example,) = fences("json view", section("Formulas"))
    assert json.loads(example) == math.segments("Is $n^2$ fast?")


# ── codes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_close_code_that_the_text_names_exists() -> None:
    bounds = {"4000", "4499", "4500", "4999"}
    text = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\b4\d{3}\b", text)) - bounds <= {str(code.value) for code in CloseCode}


EVENTS_ON_A_CONNECTION = {
    "no message of this protocol": '{"type":"nonsense"}',
    "a frame that is too large": "x" * (messages.MAX_FRAME_BYTES + 1),
    "a binary frame": b"{}",
}


def session_in(phase: Phase) -> Session:
    session = Session()
    if phase is not Phase.NEW:
        session.receive('{"type":"hello"}')
    if phase is Phase.JOINED:
        session.admitted()
    assert session.phase is phase
    return session


@pytest.mark.parametrize("phase", [Phase.NEW, Phase.JOINING, Phase.JOINED])
def test_the_states_of_a_connection_are_those_of_the_code(phase: Phase) -> None:
    (rows,) = (table for table in tables(section("States")) if "what arrives" in table[0])
    assert {bare(row["what arrives"]) for row in rows} == {*CLIENT_MESSAGES, *EVENTS_ON_A_CONNECTION}
    for row in rows:
        what, written = bare(row["what arrives"]), bare(row[phase.name])
        session = session_in(phase)
        frame = EVENTS_ON_A_CONNECTION.get(what)
        if frame is None:
            frame = fences("json client", section(f"`{what}`"))[0]
        match session.receive(frame):
            case Act() if session.phase is phase:
                assert written == "carried out"
            case Act():
                assert written == session.phase.name
            case Reply(messages.Pong()):
                assert written == "pong"
            case Reply(messages.Refused(code=code)):
                assert written == code
            case Close(code=code):
                assert written == f"closed {code}"


# ── the session and the clients ───────────────────────────────────────────────────────────────────────────────────


def session_frames() -> Iterator[tuple[str, str]]:
    (text,) = fences("session")
    # A frame goes on over lines that are indented by three; a line indented by two is said to the reader.
    for match in re.finditer(r"^([→←]) (.*\n(?:   .*\n)*)", text, re.MULTILINE):
        yield match[1], match[2]


def test_the_session_is_one_that_both_sides_understand() -> None:
    replica, session = Replica(), Session()
    unanswered: set[str] = set()
    acked: dict[str, int] = {}
    for direction, frame in session_frames():
        if direction == "→":
            sent = decode_client(frame)
            assert json.loads(encode(sent)) == json.loads(frame)
            if isinstance(sent, messages.Hello):
                session = Session()
                assert sent.position == replica.position
            assert isinstance(session.receive(frame), Act)
            if isinstance(sent, messages.Command):
                unanswered.add(sent.ref)
            continue
        message = decode_server(frame)
        assert json.loads(encode(message)) == json.loads(frame)
        match message:
            case messages.Welcome():
                session.admitted()
                replica.welcome(message)
            case messages.Delta():
                assert replica.delta(message)
            case messages.Ack(ref=ref, offset=offset):
                unanswered.remove(ref)
                assert acked.setdefault(ref, offset) == offset
            case messages.Refused(ref=ref, code=code):
                unanswered.remove(ref)
                assert code in refusals()
    assert unanswered == set()
    assert replica.view["activities"]["4"]["tally"]["counts"] == {"o1": 1, "o2": 1, "o3": 0}
    assert replica.view["activities"]["4"]["status"]["open"] is False
    assert isinstance(message, messages.Bye)


async def tally(host: Connection, poll: int, counts: dict[str, int]) -> None:
    """Wait until the host sees these counts."""
    await host.changed(lambda view: view["activities"][str(poll)]["tally"]["counts"] == counts, 10)


async def test_the_python_client_joins_votes_comes_back_and_stops(server: Server, hall: Hall, tmp_path: Path) -> None:
    (source,) = fences("python client")
    script = tmp_path / "client.py"
    script.write_text(source, "utf-8")
    host = await hall.host()
    async with Wire(server.port) as wire:
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", script, wire.url, hall.code, "Ada", stdout=asyncio.subprocess.PIPE
        )
        try:
            poll = {"question": "Which sort is stable?", "options": ["quick", "merge"]}
            first = await host.command(0, "open_activity", {"kind": "poll", "body": poll})
            await tally(host, first, {"o1": 1, "o2": 0})
            wire.cut()
            second = await host.command(0, "open_activity", {"kind": "poll", "body": poll | {"question": "And now?"}})
            await tally(host, second, {"o1": 1, "o2": 0})
            assert wire.accepted == 2
            await host.command(0, "end_room", {})
            output, _ = await asyncio.wait_for(client.communicate(), 20)
        finally:
            if client.returncode is None:
                client.kill()
                await client.wait()
    assert client.returncode == 0
    printed = output.decode()
    assert "Which sort is stable? {'o1': 1, 'o2': 0}" in printed
    assert "And now? {'o1': 1, 'o2': 0}" in printed
    assert printed.splitlines()[-1] == CloseCode.ROOM_ENDED.sentence
    assert host.replica.view["people"]["count"] == 1


def test_the_sample_room_is_the_same_everywhere() -> None:
    def log() -> list[Event]:
        recorder: Recorder = sample()
        return recorder.events

    assert log() == log()
