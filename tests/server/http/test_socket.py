from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from tests.server.conftest import OpenHall
from tests.server.hall import CHAT, UNHURRIED, Hall, Person, counts, open_poll
from wslive.wire.close_codes import CloseCode


async def turned_away(hall: Hall, **options: Any) -> Response:
    """A handshake that is refused; the answer to it."""
    with pytest.raises(InvalidStatus) as refused:
        await hall.connect(**options)
    return refused.value.response


def elsewhere(hall: Hall, name: str) -> dict[str, Any]:
    """A connection to this server under another name, as after DNS rebinding."""
    return {"url": f"http://{name}:{hall.server.port}", "host": "127.0.0.1", "port": hall.server.port}


# ── the handshake ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_our_subprotocol_is_chosen_where_it_is_offered(hall: Hall):
    assert (await hall.connect()).socket.subprotocol == "wslive.v1"
    assert (await hall.connect(subprotocols=None)).socket.subprotocol is None


async def test_nothing_is_compressed(hall: Hall):
    ada = await hall.connect(compression="deflate")
    assert "Sec-WebSocket-Extensions" not in ada.socket.response.headers


async def test_a_request_that_is_no_handshake_is_answered_without_a_trace(hall: Hall, caplog: pytest.LogCaptureFixture):
    assert (await hall.http("/ws")).code == 400
    assert (await hall.http("/ws", method="POST", body="{}")).code in (403, 405)
    assert caplog.text == ""


async def test_above_the_limit_of_connections_nobody_new_comes(open_hall: OpenHall):
    hall = await open_hall(max_connections=2)
    first, _ = await hall.connect(), await hall.connect()
    response = await turned_away(hall)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "10"
    await first.leave()
    assert (await (await hall.connect()).hello(room=hall.code))["type"] == "welcome"


# ── Host and Origin ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_program_without_an_origin_may_connect(hall: Hall):
    assert await hall.join()


async def test_our_own_pages_may_connect(hall: Hall):
    assert await hall.connect(origin=hall.server.url)
    assert await hall.connect(f"http://localhost:{hall.server.port}", origin=f"http://localhost:{hall.server.port}")


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "file://"]
)
async def test_pages_of_others_may_not(origin: str, hall: Hall, caplog: pytest.LogCaptureFixture):
    response = await turned_away(hall, origin=origin.format(port=hall.server.port))
    assert response.status_code == 403
    assert "may not connect" in response.body.decode()
    assert caplog.text == ""


async def test_pages_of_the_settings_may(open_hall: OpenHall):
    hall = await open_hall(allow_origins=("https://lab.example.org",), public_url="https://live.example.org/rooms")
    for origin in ("https://lab.example.org", "https://live.example.org"):
        assert await hall.connect(origin=origin)


async def test_a_page_that_made_its_own_name_point_here_is_refused(hall: Hall):
    for origin in ({}, {"origin": f"http://evil.example:{hall.server.port}"}):
        response = await turned_away(hall, **elsewhere(hall, "evil.example"), **origin)
        assert response.status_code == 403
        assert response.body.decode() == (
            "This server does not answer to the name 'evil.example'. If it is right, start the server with "
            "--public-url http(s)://evil.example"
        )


async def test_what_the_browser_says_of_itself_opens_nothing(hall: Hall):
    headers = {"Sec-Fetch-Site": "same-origin", "X-Forwarded-Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1"}
    response = await turned_away(hall, origin="http://evil.example", additional_headers=headers)
    assert response.status_code == 403


# ── tickets ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def ticket_of(person: Person) -> str:
    await person.send({"type": "get_ticket", "ref": "t"})
    return str((await person.answer("t"))["ticket"])


@pytest.mark.parametrize("role", ["host", "participant", "viewer"])
async def test_a_ticket_opens_a_connection_of_the_same_reader(role: str, hall: Hall):
    who = {"host": hall.host, "participant": hall.join, "viewer": lambda: hall.come(role="viewer")}[role]
    kernel: Person = await who()  # type: ignore[operator]
    widget = await hall.connect(ticket=await ticket_of(kernel))
    assert widget.socket.subprotocol == "wslive.v1"
    welcome = await widget.hello()
    assert (welcome["actor"], welcome["role"]) == (kernel.welcome["actor"], role)
    assert "token" not in welcome
    assert widget.view == kernel.view


async def test_a_ticket_opens_nothing_for_an_origin_that_is_none(hall: Hall, caplog: pytest.LogCaptureFixture):
    ticket = await ticket_of(await hall.join())
    response = await turned_away(hall, ticket=ticket, origin="http://[::1")
    assert (response.status_code, response.body.partition(b".")[0]) == (
        403,
        b"The Origin header is no origin of a page",
    )
    assert caplog.text == ""
    assert await hall.connect(ticket=ticket, origin="http://elsewhere.example")


async def test_a_ticket_says_who_one_is_whatever_the_hello_says(hall: Hall):
    ada = await hall.join("Ada")
    widget = await hall.connect(ticket=await ticket_of(ada))
    hello = {"room": "ABCDEF", "role": "host", "token": hall.host_key, "name": "Eve", "ledger": True}
    assert (await widget.hello(**hello))["actor"] == ada.welcome["actor"]


async def test_single_ballots_do_not_go_to_a_browser(hall: Hall):
    kernel = await hall.host(ledger=True)
    poll = await open_poll(kernel)
    widget = await hall.connect(ticket=await ticket_of(kernel))
    await widget.hello(ledger=True)
    end = await (await hall.join()).vote(poll, "o1")
    assert counts(await widget.at(end), poll)["o1"] == 1
    assert "ballots" not in widget.view["activities"][str(poll)]


async def test_a_widget_comes_back_with_its_position_and_a_ticket_of_its_own(hall: Hall):
    host = await hall.host()
    widget = await hall.connect(ticket=await ticket_of(host))
    await widget.hello()
    position = msgspec.to_builtins(widget.position)
    again = await hall.connect(ticket=await ticket_of(widget))
    again.view = widget.view
    await host.done(CHAT, "say", {"text": "hello"})
    assert (await again.hello(position=position))["mode"] == "resume"
    assert again.view == await hall.view_of(host)


async def test_an_expired_ticket_is_told_so_that_a_new_one_is_fetched(open_hall: OpenHall):
    hall = await open_hall(ticket_life_s=-1.0)
    ticket = await ticket_of(await hall.join())
    late = await hall.connect(ticket=ticket)
    assert await late.closed() == (CloseCode.TICKET_EXPIRED, CloseCode.TICKET_EXPIRED.sentence)
    assert not CloseCode.TICKET_EXPIRED.is_final


async def test_a_token_is_no_ticket(hall: Hall):
    ada = await hall.join()
    assert (await (await hall.connect(ticket=ada.token)).closed())[0] == CloseCode.TICKET_EXPIRED


@pytest.mark.parametrize("change", [lambda t: t[:-2], lambda t: "A" + t[1:], lambda t: "x", lambda t: ""])
async def test_a_forged_ticket_is_refused_at_the_door(change: Any, hall: Hall, caplog: pytest.LogCaptureFixture):
    ticket = await ticket_of(await hall.join())
    response = await turned_away(hall, ticket=change(ticket))
    assert response.status_code == 403
    assert "not valid" in response.body.decode()
    assert caplog.text == ""


async def test_a_page_of_others_may_connect_with_a_ticket_and_not_with_a_forged_one(hall: Hall):
    ticket = await ticket_of(await hall.host())
    widget = await hall.connect(ticket=ticket, origin="https://lab.example.org")
    assert (await widget.hello())["role"] == "host"
    for options in ({"ticket": f"{ticket}x"}, {"ticket": ticket, "url": None} | elsewhere(hall, "evil.example")):
        response = await turned_away(hall, origin="https://lab.example.org", **options)
        assert response.status_code == 403


async def test_a_ticket_of_a_room_that_is_no_more_is_told_so(hall: Hall):
    ticket = await ticket_of(await hall.join())
    await hall.http(f"/api/rooms/{hall.code}", method="DELETE", bearer=hall.host_key)
    late = await hall.connect(ticket=ticket)
    assert (await late.hello())["code"] == "room_unavailable"
    assert (await late.closed())[0] == CloseCode.ROOM_UNAVAILABLE


# ── our frames and Tornado's on one socket ────────────────────────────────────────────────────────────────────────


async def test_pongs_and_pings_never_land_inside_a_frame(open_hall: OpenHall):
    hall = await open_hall(
        host_rate=UNHURRIED, read_rate=UNHURRIED, tick_interval_s=0.0, ping_interval_s=0.1, max_outbox_bytes=10**8
    )
    host = await hall.host()
    for i in range(100):
        await host.ask(CHAT, "say", {"text": f"{i} ".ljust(499, "x")}, ref=f"r{i}")
    end = (await host.answer("r99"))["offset"]
    slow = await hall.join("Slow", connect={"receive_buffer_bytes": 4096, "max_queue": 1})
    pongs = []
    for i in range(40):
        await slow.send({"type": "read_older", "ref": f"p{i}", "activity": CHAT, "before": end + 1, "limit": 200})
        pongs.append(await slow.socket.ping(f"{i}".encode()))
    pages = [await slow.answer(f"p{i}") for i in range(40)]
    assert [len(page["entries"]) for page in pages] == [100] * 40
    # Of pings that come faster than their pongs leave only the latest has to be answered, which answers all before it.
    await asyncio.wait_for(asyncio.gather(*pongs), 30)


async def test_a_silent_peer_is_asked_whether_it_is_there(open_hall: OpenHall):
    hall = await open_hall(ping_interval_s=0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", hall.server.port)
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{hall.server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(2) == b"\x89\x00"  # a ping
    assert await reader.readexactly(1) == b"\x88"  # and, as no pong came, a close
    writer.close()
    await writer.wait_closed()
