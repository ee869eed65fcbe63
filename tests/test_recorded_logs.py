"""Logs of every release fold to what they showed then."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import recorded
from tests.small_room import SmallRoom
from wslive import __version__
from wslive.activities import activities
from wslive.core.activity import SEALED
from wslive.core.events import Head, follows, head_after
from wslive.core.room_messages import EVENTS_BY_KEY, ActivityOpened

DATA = recorded.DATA
LOGS = sorted(DATA.glob("log-*.jsonl"))
RELEASE = ".".join(__version__.split(".")[:2])


def shows_all_of(now: Any, then: Any) -> bool:
    """Whether a view still has everything that it had; later versions may show more."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and shows_all_of(now[key], then[key]) for key in then)
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(shows_all_of, now, then))
    return bool(now == then)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_recorded_log_folds_to_what_it_showed(path: Path) -> None:
    then = msgspec.json.decode(path.with_name(path.stem.replace("log", "view") + ".json").read_bytes())
    small = SmallRoom.of(recorded.read(path), then["epoch"])
    assert msgspec.to_builtins(small.room.head.position) == then["head"]
    now = recorded.views(small)
    for reader, view in then["views"].items():
        assert shows_all_of(now[reader], view)
        # More may be shown than then, but no more lines, people, ballots or activities: those would be made up.
        for keyed in ("people", "me"):
            assert set(now[reader][keyed].get("names", {})) == set(view[keyed].get("names", {}))
        for id, activity in view["activities"].items():
            for keyed in ("lines", "ballots"):
                assert set(now[reader]["activities"][id].get(keyed, {})) == set(activity.get(keyed, {}))
        assert set(now[reader]["activities"]) == set(view["activities"])


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_the_chain_of_a_recorded_log_verifies(path: Path) -> None:
    head = Head("any")
    for event in recorded.read(path):
        assert follows(head, event)
        head = head_after(head, event)
    assert head.offset > 30


def test_this_release_is_recorded() -> None:
    assert f"log-{RELEASE}" in {path.stem for path in LOGS}


def test_the_log_of_this_release_holds_every_kind_of_event() -> None:
    """If this fails, a kind was added: let a lecture have one, and record that."""
    log = [event for lecture in recorded.LECTURES for event in recorded.read(DATA / f"log-{RELEASE}{lecture}.jsonl")]
    kinds = {(event.kind, event.version) for event in log}
    for event in log:
        if event.kind == "activity_opened":
            opened = msgspec.json.decode(event.body, type=ActivityOpened)
            kinds.add((f"{opened.kind}_opened", opened.version))
    known = {(SEALED.kind, SEALED.version), *EVENTS_BY_KEY}.union(
        *(rules.events_by_key for rules in activities().values())
    )
    assert kinds == known


def test_the_secret_votes_of_this_release_are_sealed() -> None:
    log = recorded.read(recorded.DATA / f"log-{RELEASE}-secret.jsonl")
    assert sum(event.kind == "sealed" for event in log) == 11
    assert not [event for event in log if event.kind.startswith("vote_")]


def test_a_recorded_log_is_what_was_written(tmp_path: Path) -> None:
    small = recorded.an_erased_lecture()
    recorded.write(tmp_path / "log.jsonl", small.log)
    assert recorded.read(tmp_path / "log.jsonl") == small.log


def test_a_release_is_recorded_once() -> None:
    with pytest.raises(FileExistsError):
        recorded.record(RELEASE)
