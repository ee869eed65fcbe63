"""The client in docs/protocol.md that is written for browsers, run in one."""

import json
from pathlib import Path

from playwright.sync_api import Page

from tests.end_to_end.browser import Pages
from tests.end_to_end.hall import Hall
from tests.pages import fences
from tools import docs
from wslive.wire.close_codes import CloseCode

QUICK, MERGE = "o1", "o2"


def wait_for(page: Page, condition: str) -> None:
    page.wait_for_function(f"() => {condition}", timeout=30_000)


def test_the_javascript_client_joins_votes_comes_back_and_stops(new_page: Pages, tmp_path: Path) -> None:
    (source,) = fences((docs.DOCS / "protocol.md").read_text("utf-8"), "js client")
    hall = Hall(tmp_path)
    try:
        wire = hall.wire()
        page = new_page(bypass_csp=True)  # the server's own policy is for its own pages
        page.goto(f"{wire.url}/health")  # any page of that origin: the program brings nothing but itself
        page.add_script_tag(content=source)
        page.evaluate(
            f"() => {{ window.room = join({json.dumps(wire.url)}, {json.dumps(hall.code)}, 'Ada', () => {{}}) }}"
        )
        first = hall.poll("Which sort is stable?", ["quick", "merge"])
        wait_for(page, f"room.view.activities?.[{first}]")
        vote = page.evaluate(f"() => room.command({first}, 'cast_vote', {{ round: 1, options: ['{MERGE}'] }})")
        assert vote["type"] == "ack"
        hall.host.wait_for_tally(first, {QUICK: 0, MERGE: 1})

        # Away: a vote is kept and sent later, and what happens meanwhile arrives by a resume.
        hall.cut(wire)
        page.evaluate(
            f"() => {{ window.again = room.command({first}, 'cast_vote', {{ round: 1, options: ['{QUICK}'] }}) }}"
        )
        hall.join("Bob")
        assert page.evaluate("() => again.then((answer) => answer.type)") == "ack"
        hall.host.wait_for_tally(first, {QUICK: 1, MERGE: 0})
        wait_for(page, "room.isLive && room.view.people.count === 2")
        assert wire.accepted >= 2

        refused = page.evaluate(f"() => room.command({first}, 'close', {{}})")
        assert refused["code"] == "not_allowed"
        hall.host.command(0, "end_room")
        wait_for(page, "room.ended")
        assert page.evaluate("() => room.ended") == CloseCode.ROOM_ENDED.sentence
        assert page.evaluate("() => room.view.room.ended") is True
    finally:
        hall.close()
