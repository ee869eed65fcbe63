from importlib.metadata import EntryPoint
from typing import Any

import pytest

from tests.activities.chat import test_model as chat_tests
from tests.activities.contract import ActivityContract
from tests.activities.poll import test_model as poll_tests
from wslive import activities as package
from wslive.activities import BUILT_IN, activities
from wslive.activities.chat.model import Chat


def test_activities_are_found_by_their_kinds() -> None:
    assert activities() == {activity.kind: activity for activity in BUILT_IN}
    assert {"poll", "chat"} <= set(activities())


def test_every_built_in_activity_passes_the_contract() -> None:
    suites = [*vars(chat_tests).values(), *vars(poll_tests).values()]
    checked = {s.kind for s in suites if isinstance(s, type) and issubclass(s, ActivityContract) and hasattr(s, "kind")}
    assert checked == {activity.kind for activity in BUILT_IN}


class Karaoke(Chat):
    kind = "karaoke"


def entry_points(*objects: str) -> Any:
    found = [EntryPoint(name, f"{__name__}:{name}", "wslive.activities") for name in objects]
    return lambda group: found if group == "wslive.activities" else []


KARAOKE = Karaoke()
SECOND_CHAT = Chat()


def test_activities_of_other_packages_are_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "entry_points", entry_points("KARAOKE"))
    assert activities.__wrapped__()["karaoke"] is KARAOKE


def test_two_activities_of_one_kind_are_an_error_that_names_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "entry_points", entry_points("SECOND_CHAT"))
    with pytest.raises(ValueError, match="SECOND_CHAT claims the kind 'chat'"):
        activities.__wrapped__()
