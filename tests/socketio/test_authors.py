from wslive.socketio.authors import MAX_LINES, Authors
from wslive.socketio.programs import Author


def test_whose_connection_said_a_line_is_remembered():
    authors = Authors()
    authors.said(7, Author("sid", "lineage"))
    assert authors.of(7) == Author("sid", "lineage")
    assert authors.of(8) is None


def test_only_the_latest_lines_are_remembered():
    authors = Authors()
    for line in range(MAX_LINES + 1):
        authors.said(line, Author(f"sid {line}", ""))
    assert authors.of(0) is None
    assert authors.of(1) == Author("sid 1", "")
    assert authors.of(MAX_LINES) == Author(f"sid {MAX_LINES}", "")
