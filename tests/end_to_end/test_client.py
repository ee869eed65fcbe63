"""The browser's connection (client.js), against servers that follow a script."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page

from tests.client.rooms import Peer, Script, delta, position, scripted, welcome
from tests.end_to_end.browser import Pages
from tests.end_to_end.hall import Hall
from wslive.core.view import Set
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode

CONNECT = """async ([files, urls, options]) => {
    const [client, wire] = await Promise.all([import(files + "client.js"), import(files + "wire.js")]);
    window.connect = (more) => client.connect({ wire, urls, room: "K7M2QX", ...options, ...more });
    window.live = window.connect({});
    window.until = (condition) => new Promise((resolve) => {
        const check = () => condition() && resolve(true);
        live.subscribe(check);
        check();
    });
}"""


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """Serves the files, and runs the scripts."""
    hall = Hall(tmp_path)
    yield hall
    hall.close()


@pytest.fixture
def follow(hall: Hall) -> Iterator[Callable[..., str]]:
    """Starts a server whose first connection follows the first script, and so on."""
    with contextlib.ExitStack() as stack:

        def start(*scripts: Script) -> str:
            server = scripted(*scripts)
            stack.callback(lambda: hall.run(server.__aexit__(None, None, None)))
            url: str = hall.run(server.__aenter__())
            return url

        yield start


@pytest.fixture
def connect(hall: Hall, new_page: Pages) -> Callable[..., Page]:
    """Opens an empty page that connects to some addresses, as `live`."""

    def connect(*urls: str, **options: Any) -> Page:
        page = new_page()
        page.evaluate(CONNECT, [f"{hall.url}/static/", list(urls), options])
        return page

    return connect


def until(page: Page, condition: str) -> None:
    """Wait until a condition on `live` holds."""
    page.evaluate(f"() => until(() => {condition})")


def nothing_more(peer: Peer) -> Any:
    return peer.closed()


def test_deltas_move_the_view_old_ones_and_repeated_ones_do_not(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hello()
        await peer.send(
            welcome(5, {"room": {"title": "five"}}),
            delta(5, 6, Set(("room", "title"), "six")),
            delta(3, 5, Set(("room", "title"), "old")),
            delta(5, 7, Set(("room", "title"), "seven")),
        )
        await nothing_more(peer)

    page = connect(follow(script))
    until(page, "live.position?.offset === 7")
    assert page.evaluate("() => live.view.room.title") == "seven"


def test_a_gap_is_closed_by_coming_back_with_the_position(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    async def first(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5, {"seen": 5}), delta(8, 9, Set(("seen",), 9)))
        await nothing_more(peer)

    async def second(peer: Peer) -> None:
        assert (await peer.hello()).position == position(5)
        await peer.send(welcome(9, ops=[Set(("seen",), 9)]))
        await nothing_more(peer)

    page = connect(follow(first, second))
    until(page, "live.position?.offset === 9")
    assert page.evaluate("() => [live.view.seen, live.status]") == [9, "live"]


def test_a_snapshot_and_a_reset_replace_the_view(follow: Callable[..., str], connect: Callable[..., Page]) -> None:
    async def first(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5, {"old": 1}), messages.Snapshot(position(8), {"new": 2}))
        await peer.close(CloseCode.GOING_AWAY)

    async def second(peer: Peer) -> None:
        assert (await peer.hello()).position == position(8)
        again = welcome(2, {"other": 3})
        await peer.send(msgspec.structs.replace(again, mode="reset", position=position(2, "another epoch")))
        await nothing_more(peer)

    page = connect(follow(first, second))
    until(page, "live.position?.epoch === 'another epoch'")
    assert page.evaluate("() => live.view") == {"other": 3}


def test_what_was_not_acknowledged_is_sent_again_with_the_same_ref(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    refs = []

    async def first(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5))
        refs.append((await peer.command()).ref)
        await peer.close(CloseCode.GOING_AWAY)

    async def second(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5, ops=[]))
        refs.append((await peer.command()).ref)
        await peer.send(messages.Ack(refs[1], 6), delta(5, 6))
        await nothing_more(peer)

    page = connect(follow(first, second))
    assert page.evaluate("() => live.command(3, 'cast_vote', { round: 1, options: ['o1'] })") == 6
    assert refs[0] == refs[1]
    assert len(refs[0]) == 32


def test_commands_to_one_activity_go_one_after_the_other(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    sent: list[tuple[int, str]] = []

    async def script(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5))
        first, second = await peer.command(), await peer.command()
        # Had the second command to activity 3 been sent at once, it would have come before the one to activity 2.
        await peer.send(messages.Ack(first.ref, 6))
        third = await peer.command()
        sent.extend((c.activity, c.kind) for c in (first, second, third))
        await peer.send(messages.Ack(third.ref, 8), delta(5, 8))
        await nothing_more(peer)

    page = connect(follow(script))
    page.evaluate("() => { live.command(3, 'one'); window.last = live.command(3, 'two'); live.command(2, 'say'); }")
    assert page.evaluate("() => last") == 8
    assert sent == [(3, "one"), (2, "say"), (3, "two")]


def test_a_refusal_rejects_and_is_kept_for_views_until_the_next_command(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5))
        await peer.send(messages.Refused((await peer.command()).ref, "poll_closed", "Not counted: closed."))
        await peer.command()
        await nothing_more(peer)

    page = connect(follow(script))
    refused = page.evaluate("() => live.command(3, 'cast_vote').catch((refused) => refused)")
    assert (refused["code"], refused["message"]) == ("poll_closed", "Not counted: closed.")
    assert page.evaluate("() => live.refusals[3].kind") == "cast_vote"
    page.evaluate("() => { live.command(3, 'cast_vote'); }")
    assert page.evaluate("() => live.refusals[3] ?? null") is None


def test_what_the_store_could_not_take_is_sent_again_with_the_same_ref(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5))
        first = await peer.command()
        await peer.send(messages.Refused(first.ref, "temporarily_unavailable", "in a moment", 0.05))
        assert (await peer.command()).ref == first.ref
        await peer.send(messages.Ack(first.ref, 6), delta(5, 6))
        await nothing_more(peer)

    page = connect(follow(script))
    assert page.evaluate("() => live.command(3, 'cast_vote')") == 6


def test_a_final_close_code_ends_it_with_the_reason_and_rejects_what_waits(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5))
        await peer.command()
        await peer._socket.close(CloseCode.ROOM_ENDED, CloseCode.ROOM_ENDED.sentence)

    page = connect(follow(script))
    refused = page.evaluate("() => live.command(3, 'cast_vote').catch((refused) => refused)")
    assert refused == {"code": "connection_ended", "message": "The host has ended this room."}
    assert page.evaluate("() => [live.status, live.reason]") == ["ended", "The host has ended this room."]


def test_an_answer_to_what_nobody_waits_for_changes_nothing(
    hall: Hall, follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hello()
        stranger = messages.Refused("stranger", "poll_closed", "Not counted: closed.")
        await peer.send(welcome(5), stranger, messages.Ack("stranger", 6), delta(5, 6, Set(("seen",), 6)))
        await nothing_more(peer)

    page = connect(follow(script))
    until(page, "live.position?.offset === 6")
    assert page.evaluate("() => [live.status, live.pending, live.refusals]") == ["live", [], {}]
    # The queue by itself does not count on its caller having looked.
    kept = page.evaluate(
        """async (files) => {
            const queue = new (await import(files + "wire.js")).Queue({ get: () => null, set() {}, remove() {} });
            queue.add(3, "cast_vote", {});
            queue.acked({ ref: "stranger", offset: 6 });
            queue.refused({ ref: "stranger", code: "poll_closed", message: "Not counted: closed." });
            return [queue.commands.map(({ activity, offset }) => [activity, offset ?? null]), queue.refusals];
        }""",
        f"{hall.url}/static/",
    )
    assert kept == [[[3, None]], {}]


def test_of_a_long_chat_the_replica_keeps_the_latest_lines_and_says_where_they_begin(
    hall: Hall, new_page: Pages
) -> None:
    found = new_page().evaluate(
        """async (files) => {
            const replica = new (await import(files + "wire.js")).Replica();
            const chat = { history: { from: 0, more: false }, lines: {} };
            const activities = { 2: chat, 3: { lines: {} } };
            const count = (id) => Object.keys(activities[id].lines).length;
            replica.welcome({ position: { epoch: "e1", offset: 9 }, view: { activities } });
            const most = [0, 0];
            for (let id = 10; id <= 3_000; id++) {
                const put = { op: "put", key: `${id}`, value: { id } };
                const ops = ["2", "3"].map((activity) => ({ ...put, path: ["activities", activity, "lines"] }));
                replica.delta({ from: id - 1, to: id, ops });
                [2, 3].forEach((activity, i) => { most[i] = Math.max(most[i], count(activity)); });
            }
            const { history, lines } = replica.view.activities[2];
            const ids = Object.keys(lines).map(Number);
            const isWhole = ids.every((id, i) => id === history.from + i && lines[id].id === id);
            return { most, history, isWhole, last: ids[ids.length - 1], offset: replica.position.offset };
        }""",
        f"{hall.url}/static/",
    )
    assert 1000 < found["most"][0] <= 1101
    assert found["most"][1] == 2991  # what does not say where its history begins is kept
    assert 1900 <= found["history"]["from"] <= 2001
    assert found["history"]["more"]
    assert found["isWhole"]
    assert (found["last"], found["offset"]) == (3000, 3000)


def test_subscribers_are_told_once_a_frame_however_much_happens(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5))
        await nothing_more(peer)

    page = connect(follow(script))
    until(page, "live.status === 'live'")
    told = page.evaluate(
        """async () => {
            const told = [];
            let since = 0;
            live.subscribe(() => { since += 1; });
            const change = () => live.command(3, "cast_vote", {}).catch(() => {});
            for (let before = performance.now(); told.length < 60; ) {
                const busy = setInterval(change, 1);
                change(); // a busy machine may not come to the others before the next frame
                await new Promise(requestAnimationFrame);
                clearInterval(busy);
                const now = performance.now();
                if (now - before < 100) told.push(since); // else it was told without waiting any longer for a frame
                [since, before] = [0, now];
            }
            return told;
        }"""
    )
    assert set(told) <= {0, 1}
    assert told.count(1) > len(told) / 2


def test_a_refused_hello_ends_it_with_the_refusal(follow: Callable[..., str], connect: Callable[..., Page]) -> None:
    async def script(peer: Peer) -> None:
        hello = await peer.hello()
        await peer.send(messages.Refused(hello.ref, "room_unavailable", "This room cannot be joined."))
        await peer.close(CloseCode.ROOM_UNAVAILABLE)

    page = connect(follow(script))
    until(page, "live.status === 'ended'")
    assert page.evaluate("() => [live.code, live.reason]") == ["room_unavailable", "This room cannot be joined."]


def test_a_server_that_stops_answering_is_noticed_when_somebody_looks(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    async def silent(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5))
        assert isinstance(await peer.receive(), messages.Ping)
        await nothing_more(peer)

    async def second(peer: Peer) -> None:
        assert (await peer.hello()).position == position(5)
        await peer.send(welcome(6, ops=[]))
        await nothing_more(peer)

    page = connect(follow(silent, second))
    until(page, "live.status === 'live'")
    page.evaluate("() => { dispatchEvent(new Event('online')); }")
    until(page, "live.position?.offset === 6")


# ── tickets, sharing, the bridge ──────────────────────────────────────────────────────────────────────────────────


def offered(peer: Peer) -> str:
    """The ticket that a connection offered as its second subprotocol."""
    request = peer._socket.request
    assert request is not None
    return request.headers["Sec-WebSocket-Protocol"].partition(messages.TICKET_PREFIX)[2]


def test_a_ticket_opens_the_connection_and_is_renewed_over_it(hall: Hall, connect: Callable[..., Page]) -> None:
    page = connect()
    ticket, _ = hall.run(hall.host.connection.ticket())
    page.goto(hall.url)  # tickets are for pages of our own, or of notebooks
    page.evaluate(
        CONNECT.replace(
            "connect({})",
            "connect({ getTicket: () => { window.asked = (window.asked ?? 0) + 1; return options.ticket; } })",
        ),
        ["/static/", [hall.url], {"ticket": ticket}],
    )
    until(page, "live.status === 'live' && live.ticket")
    assert page.evaluate("() => [live.role, live.actor, live.token]") == ["host", "host", ""]
    assert page.evaluate("() => live.ticket.ticket !== '' && live.ticket.until > Date.now() + 60_000")
    poll = page.evaluate("""() => live.command(0, "open_activity", { kind: "poll", keep_open: false,
        body: { question: "Q?", options: ["a", "b"] } })""")
    hall.host.wait_for(lambda view: str(poll) in view["activities"])
    hall.stop()
    until(page, "live.status === 'away'")
    hall.start()
    until(page, "live.status === 'live'")
    assert page.evaluate("() => asked") == 1  # the renewed one was enough: a kernel may be gone by then


def test_a_ticket_that_has_expired_is_replaced_by_the_kernels(
    follow: Callable[..., str], connect: Callable[..., Page]
) -> None:
    seen = []

    async def first(peer: Peer) -> None:
        seen.append(offered(peer))
        hello = await peer.hello()
        assert (hello.room, hello.token, hello.position) == ("", None, None)
        await peer.send(welcome(5))
        wish = await peer.receive()
        assert isinstance(wish, messages.GetTicket)
        await peer.send(messages.Ticket(wish.ref, "renewed", 600.0))
        await peer.close(CloseCode.GOING_AWAY)

    async def expired(peer: Peer) -> None:
        seen.append(offered(peer))
        await peer.close(CloseCode.TICKET_EXPIRED)

    async def fresh(peer: Peer) -> None:
        seen.append(offered(peer))
        assert (await peer.hello()).position == position(5)
        await peer.send(welcome(6, ops=[]))
        await nothing_more(peer)

    page = connect()
    url = follow(first, expired, fresh)
    page.evaluate(
        """(url) => {
            let n = 0;
            const getTicket = async () => ({ ticket: `ticket${++n}`, expires_in_s: 600 });
            live.close();
            window.live = connect({ urls: [url], getTicket });
        }""",
        url,
    )
    until(page, "live.position?.offset === 6")
    assert seen == ["ticket1", "renewed", "ticket2"]


def test_cells_of_the_same_actor_share_one_connection(follow: Callable[..., str], connect: Callable[..., Page]) -> None:
    async def only(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(5, {"room": 1}))
        await nothing_more(peer)

    page = connect(follow(only), actor="p_ada")
    until(page, "live.status === 'live'")
    assert page.evaluate("""() => {
        const other = connect({});
        const shared = other.view === live.view;
        live.close();
        const still = other.status;
        other.close();
        return [shared, still, other.status];
    }""") == [True, "live", "ended"]


def test_where_no_websocket_opens_the_bridge_carries_the_messages(hall: Hall, connect: Callable[..., Page]) -> None:
    page = connect()
    said = page.evaluate("""async () => {
        const said = [];
        const bridge = {
            onmessage: null,
            send(message) {
                said.push(message.type);
                const answer = (m) => setTimeout(() => bridge.onmessage(m));
                const position = { epoch: "e", offset: 5, chain: "" };
                if (message.type === "hello") {
                    answer({ type: "welcome", mode: "snapshot", position, view: { room: { title: "over the comm" } },
                             actor: "host", role: "host", presence: { online: 3 } });
                } else {
                    answer({ type: "ack", ref: message.ref, offset: 6 });
                    position.offset = 6;
                    answer({ type: "snapshot", position, view: { room: { title: "new" } } });
                }
            },
        };
        live.close();
        window.live = connect({ urls: ["http://127.0.0.1:9/"], role: "host", bridge, getTicket: () => "a-ticket" });
        await until(() => live.status === "live");
        const before = live.view.room.title;
        const offset = await live.command(0, "lock", { locked: true });
        return [before, offset, live.view.room.title, live.presence.online, said];
    }""")
    assert said == ["over the comm", 6, "new", 3, ["hello", "command"]]
