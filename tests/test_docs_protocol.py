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
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests import pages
from tests.client.conftest import hall as hall
from tests.client.conftest import server as server
from tests.client.rooms import Hall, Wire
from tests.pages import bare, code_spans, fences, tables
from tools import docs
from tools.sample_room import ADA, BOB, CHAT, HOST, LEDGER, POLL, VIEWER, Recorder, sample
from wslive.activities import BUILT_IN
from wslive.activities.chat.model import Mode
from wslive.activities.poll.messages import Results
from wslive.client.connection import Connection, Status
from wslive.client.replica import Replica
from wslive.core import math
from wslive.core.activity import CommandSpec
from wslive.core.errors import BadCommand, refusals
from wslive.core.events import Event
from wslive.core.roles import Level, Role, Who
from wslive.core.room_view import snapshot
from wslive.core.view import Op
from wslive.server import app
from wslive.server.app import Server
from wslive.server.settings import ServerSettings
from wslive.wire import messages
from wslive.wire.close_codes import FINAL_FROM, CloseCode
from wslive.wire.codec import decode_client, decode_server, encode
from wslive.wire.session import Close, Phase, Reply, Session

PAGE = (docs.DOCS / "protocol.md").read_text("utf-8")

CLIENT_MESSAGES = {type.__struct_config__.tag: type for type in messages.ClientMessage.__args__}
SERVER_MESSAGES = {type.__struct_config__.tag: type for type in messages.ServerMessage.__args__}


def section(title: str) -> str:
    """What stands under a heading of the page."""
    return pages.section(PAGE, title)


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
    examples = fences(section(f"`{tag}`"), "json client")
    assert examples
    for example in examples:
        message = decode_client(example)
        assert isinstance(message, type)
        assert json.loads(encode(message)) == json.loads(example)


@pytest.mark.parametrize(("tag", "type"), SERVER_MESSAGES.items())
def test_each_message_of_the_server_has_examples_just_as_the_server_writes_them(tag: str, type: type) -> None:
    examples = fences(section(f"`{tag}`"), "json server")
    assert examples
    for example in examples:
        message = decode_server(example)
        assert isinstance(message, type)
        assert json.loads(encode(message)) == json.loads(example)


def test_every_example_frame_stands_in_the_section_of_its_message() -> None:
    for kind, types in (("json client", CLIENT_MESSAGES), ("json server", SERVER_MESSAGES)):
        assert len(fences(PAGE, kind)) == sum(len(fences(section(f"`{tag}`"), kind)) for tag in types)


def test_the_operations_are_those_of_the_code() -> None:
    written = {bare(row["op"]): set(code_spans(row["fields"])) for row in next(tables(section("Operations")))}
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
    assert set(code_spans(optional)) == {field.encode_name for field in fields if not field.required}


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
    recorder.do(Who("p_somebody", Role.PARTICIPANT), 0, "join", {"level": Level.LINK})
    body = {"question": "Is $n^2$ fast?", "options": ["$n$", "no"], "results": "after_vote"}
    recorder.do(HOST, 0, "open_activity", {"kind": "poll", "body": body, "keep_open": True})
    body = {"question": "Who?", "options": ["Ada", "Bob"], "secret": True}
    secret = recorder.do(HOST, 0, "open_activity", {"kind": "poll", "body": body, "keep_open": True}).offset
    recorder.room.activities[secret].state.current.unread.add("s_1")  # its key is lost
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
            below = "".join(f"{name}." for name in code_spans(head))
            written |= {below + bare(row[head]) for row in rows}
    assert written == {path for view in views() for path in paths(view)}


def test_the_pieces_of_a_formula_are_those_that_the_server_makes() -> None:
    (example,) = fences(section("Formulas"), "json view")
    assert json.loads(example) == math.segments("Is $n^2$ fast?")


def audiences(kind: str) -> set[str]:
    """Every audience that an activity of this kind has had in the room of the examples, and in its variations."""
    found: set[str] = set()

    def note(recorder: Recorder) -> None:
        for rules, state in recorder.room.activities.values():
            if rules.kind == kind:
                found.update(rules.audience(state, who).name for who in (ADA, BOB, HOST, LEDGER, VIEWER))

    for mode in ("on", "off", "to_host"):
        recorder = sample()
        recorder.do(HOST, CHAT, "set_chat", {"mode": mode, "paused": False})
        note(recorder)
    for results in ("live", "after_vote", "after_close", "host_only"):
        recorder = sample()
        body = {"question": "Tabs?", "options": ["yes", "no"], "results": results}
        poll = recorder.do(HOST, 0, "open_activity", {"kind": "poll", "body": body}).offset
        recorder.do(ADA, poll, "cast_vote", {"round": 1, "options": ["o1"]})
        note(recorder)
        recorder.do(HOST, poll, "close", {})
        note(recorder)
    recorder = sample()
    body = {"question": "Who?", "options": ["Ada", "Bob"], "secret": True}
    recorder.do(HOST, 0, "open_activity", {"kind": "poll", "body": body})
    note(recorder)
    return found


@pytest.mark.parametrize(("kind", "title"), [("poll", "A poll"), ("chat", "A chat")])
def test_the_audiences_of_an_activity_are_those_of_its_rules(kind: str, title: str) -> None:
    (rows,) = (table for table in tables(section(title)) if "audience" in table[0])
    assert {bare(row["audience"]) for row in rows} == audiences(kind)


# ── codes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_close_code_that_the_text_names_exists() -> None:
    bounds = {"4000", "4499", "4500", "4999"}
    assert set(re.findall(r"\b4\d{3}\b", pages.prose(PAGE))) - bounds <= {str(code.value) for code in CloseCode}


def test_the_browsers_own_client_knows_the_codes_by_the_same_numbers() -> None:
    source = (docs.DOCS.parent / "wslive/web/client.js").read_text("utf-8")
    written = dict(re.findall(r"^const (\w+) = (4\d{3});", source, re.MULTILINE))
    assert written.pop("FINAL_FROM") == str(FINAL_FROM)
    assert written
    assert written == {name: str(CloseCode[name].value) for name in written}


async def refused_hello(server: Server, hello: dict[str, Any]) -> tuple[str, int | None]:
    """The code of the refusal, and the close code after it."""
    url = server.url.replace("http", "ws", 1) + "/ws"
    async with connect(url, subprotocols=[Subprotocol(messages.SUBPROTOCOL)]) as socket:
        await socket.send(json.dumps({"type": "hello", **hello}))
        refused = decode_server(await socket.recv())
        assert isinstance(refused, messages.Refused)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        return refused.code, socket.close_code


async def test_a_refused_hello_is_closed_with_the_code_that_the_page_says(server: Server, hall: Hall) -> None:
    (rows,) = (table for table in tables(section("Refusals")) if "closed with" in table[0])
    written = {name: int(row["closed with"]) for row in rows for name in code_spans(row["`hello` refused with"])}

    host, ada, bob = await hall.host(), await hall.join("Ada"), await hall.join("Bob")
    room = {"room": hall.code}
    seen = [
        await refused_hello(server, {"room": "NOROOM"}),
        await refused_hello(server, room | {"token": "made.up"}),
        await refused_hello(server, room | {"role": "host", "token": "hk_wrong"}),
        await refused_hello(server, room | {"name": "\u200b"}),
        await refused_hello(server, room | {"name": "x" * 41}),
        await refused_hello(server, room | {"ref": "no blanks, please"}),
    ]
    await host.command(0, "remove_person", {"person": bob.actor})
    seen.append(await refused_hello(server, room | {"token": bob.token}))
    token = ada.token
    await host.command(0, "end_room", {})
    seen.append(await refused_hello(server, room | {"token": token}))
    assert dict(seen).items() <= written.items()
    # The store is not out of reach here, and this is not the listener for the audience.
    assert written.keys() - dict(seen).keys() == {"temporarily_unavailable", "not_allowed"}


def test_the_page_has_every_route_and_no_other() -> None:
    routes = {
        re.sub(r"\([^)]*\)", "*", pattern.rstrip("$")).replace("\\", "")
        for pattern, *_ in app._routes(None, audience_only=False)  # type: ignore[arg-type]
    }
    written = set()
    for rows in tables(section("HTTP")):
        for row in rows:
            path = bare(row["request"].split(" with ")[0]).split()[1]
            written.add(re.sub(r"CODE|NAME|PERSON", "*", path))
    assert written == routes


def test_every_name_in_the_text_is_one_of_the_code() -> None:
    known = {*CLIENT_MESSAGES, *SERVER_MESSAGES, *refusals(), *ServerSettings.__dataclass_fields__, *Results, *Mode}
    known |= {"bad_frame", "out_of_turn"}  # as the states of a connection above
    known |= {"this_computer", "host_key"}  # HTTP
    known |= {name for kind in ("poll", "chat") for name in audiences(kind)}
    known |= {code.name.lower() for code in CloseCode}
    bodies = [*CLIENT_MESSAGES.values(), *SERVER_MESSAGES.values(), messages.Arrivals]
    for specs in docs.commands().values():
        known |= specs.keys()
        bodies += [spec.type for spec in specs.values()]
    for events in docs.events().values():
        known |= {event.kind for event in events}
        bodies += [event.type for event in events]
    known |= {field.encode_name for body in bodies for field in msgspec.structs.fields(body)}
    known |= {name for view in views() for path in paths(view) for name in path.split(".")}

    used = {word for span in code_spans(PAGE) for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", span)}
    assert used - known == set()


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
            frame = fences(section(f"`{what}`"), "json client")[0]
        match session.receive(frame):
            case Reply(messages.Pong()):
                assert written == "pong"
            case Reply(messages.Refused(code=code)):
                assert written == code
            case Close(code=code):
                assert written == f"closed {code}"
            case None:
                raise AssertionError(f"nothing follows from a {what} in {phase}")
            case _:
                assert written == ("carried out" if session.phase is phase else session.phase.name)


def test_the_states_of_a_client_are_those_of_the_python_client() -> None:
    (rows,) = (table for table in tables(section("States")) if "it goes to" in table[0])
    targets = {word for row in rows for word in re.findall(r"\b[A-Z]{4,}\b", row["it goes to"])}
    assert {row["in"] for row in rows} | targets == {status.name for status in Status}


# ── the session and the clients ───────────────────────────────────────────────────────────────────────────────────


def session_frames() -> Iterator[tuple[str, str]]:
    (text,) = fences(PAGE, "session")
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
            assert session.receive(frame) == sent
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
    (source,) = fences(PAGE, "python client")
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
