"""What was acknowledged, written down."""

from pathlib import Path

import pytest

from wslive.crowd.ledger import Entry, Ledger, read_ledger


def test_a_ledger_is_gone_on_with_and_a_torn_last_line_does_not_count(tmp_path: Path):
    first = Entry("p_a", "r1", 5, 2, "say", {"text": "Grüße"})
    second = Entry("p_a", "r2", 6, 2, "say", {"text": "again"})
    for entry in (first, second):
        ledger = Ledger(tmp_path / "acks.jsonl")
        ledger.open()
        ledger.note(entry)
        ledger.close()
    with (tmp_path / "acks.jsonl").open("ab") as file:
        file.write(b'{"actor":"p_b","re')
    assert read_ledger(tmp_path / "acks.jsonl") == [first, second]


def test_what_is_noted_is_there_before_the_ledger_is_closed(tmp_path: Path):
    entry = Entry("p_a", "r1", 5, 2, "say", {"text": "now"})
    ledger = Ledger(tmp_path / "acks.jsonl")
    ledger.open()
    ledger.note(entry)
    assert read_ledger(tmp_path / "acks.jsonl") == [entry]
    ledger.close()
    ledger.close()


def test_without_a_path_nothing_is_written():
    ledger = Ledger(None)
    ledger.open()
    ledger.note(Entry("p_a", "r1", 5, 2, "say", {"text": "nowhere"}))
    ledger.close()


def test_a_file_that_cannot_be_written_is_an_error_at_once(tmp_path: Path):
    with pytest.raises(OSError, match="acks"):
        Ledger(tmp_path / "no" / "acks.jsonl").open()
