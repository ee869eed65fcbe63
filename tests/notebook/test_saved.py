from wslive.notebook.saved import note_html, poll_html, poll_text, room_html

POLL = {
    "kind": "poll",
    "definition": {
        "question": "Is <b>1 & 2</b> stable?",
        "options": [{"id": "o1", "text": "<script>alert(1)</script>"}, {"id": "o2", "text": "no"}],
        "results": "live",
    },
    "status": {"open": True, "round": 2, "discarded": False, "left_stage": False},
    "tally": {"answered": 4, "counts": {"o1": 1, "o2": 3}, "earlier": []},
}


def with_(part: str, **changes: object) -> dict[str, object]:
    return {**POLL, part: {**POLL[part], **changes}}  # type: ignore[dict-item]


def test_every_text_is_escaped() -> None:
    html = poll_html(POLL)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "Is &lt;b&gt;1 &amp; 2&lt;/b&gt; stable?" in html


def test_counts_shares_round_state_and_time_are_shown() -> None:
    html = poll_html(POLL, at_s=0)
    assert "4 answers · round 2 · open · 1 Jan 1970" in html
    assert html.count("<svg") == 2
    assert ">75%<" in html


def test_counts_that_the_room_may_not_see_are_not_saved_while_the_poll_is_open() -> None:
    held_back = with_("definition", results="after_close")
    assert "<svg" not in poll_html(held_back)
    assert "75%" not in poll_html(held_back)
    closed = {**held_back, "status": {**POLL["status"], "open": False}}  # type: ignore[dict-item]
    assert "75%" in poll_html(closed)
    assert "3" not in poll_text(held_back)


def test_what_only_the_host_may_see_is_never_saved() -> None:
    closed = {**with_("definition", results="host_only"), "status": {**POLL["status"], "open": False}}  # type: ignore[dict-item]
    assert "4 answers · round 2 · closed" in poll_html(closed)
    assert "75%" not in poll_html(closed)
    assert "3" not in poll_text(closed)


def test_a_discarded_poll_shows_no_results() -> None:
    html = poll_html(with_("status", discarded=True))
    assert "discarded" in html
    assert "<table" not in html
    assert poll_text(with_("status", discarded=True)).startswith("Is <b>1 & 2</b> stable? (discarded, 4 answered)")


def test_a_poll_that_nobody_has_answered_divides_by_nothing() -> None:
    html = poll_html(with_("tally", answered=0, counts={"o1": 0, "o2": 0}))
    assert "0 answers" in html
    assert html.count(">0%<") == 2


def test_a_room_shows_title_count_and_polls() -> None:
    view = {"room": {"title": "A & B", "ended": True}, "people": {"count": 52, "names": {"p": {"name": "Ada"}}}}
    html = room_html(view, [POLL])
    assert "A &amp; B" in html
    assert "52 joined · ended" in html
    assert "Ada" not in html
    assert "<table" in html


def test_a_note_is_escaped() -> None:
    assert "<i>" not in note_html("<i>", "<i>")
