from __future__ import annotations

import pytest

from wslive.server.views import arrivals
from wslive.server.views.arrivals import RecentArrivals
from wslive.wire.messages import Arrivals


def test_a_minute_is_told_and_no_more():
    recent = RecentArrivals()
    assert recent.now(0.0) == Arrivals(0, 0, 0)
    for i in range(300):
        recent.note(b"hall", i / 10)
    recent.note(b"hotel", 30.0)
    recent.note(None, 30.0)
    assert recent.now(30.0) == Arrivals(302, 3, 300)
    assert recent.now(75.0) == Arrivals(151, 3, 149)
    assert recent.now(90.0) == Arrivals(0, 0, 0)


def test_a_network_is_known_once_somebody_was_let_in_from_there():
    recent = RecentArrivals()
    assert not recent.knows(b"hall")
    recent.welcomed(b"hall")
    assert recent.knows(b"hall")
    recent.welcomed(None)
    assert not recent.knows(None)


def test_that_somebody_came_from_elsewhere_stays_known():
    recent = RecentArrivals()
    recent.welcomed(b"hall")
    assert not recent.now(0.0).from_elsewhere
    recent.welcomed(b"hall", from_elsewhere=True)
    recent.welcomed(None)
    assert recent.now(1000.0) == Arrivals(0, 0, 0, from_elsewhere=True)


def test_known_networks_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrivals, "MAX_KNOWN", 2)
    recent = RecentArrivals()
    for name in (b"a", b"b", b"c"):
        recent.welcomed(name)
    assert [recent.knows(name) for name in (b"a", b"b", b"c")] == [True, True, False]
