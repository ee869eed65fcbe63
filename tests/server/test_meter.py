from __future__ import annotations

import inspect

from wslive.server.http.metrics import Metrics
from wslive.server.meter import Meter


def test_metrics_count_everything_that_can_be_counted():
    told = {name for name, _ in inspect.getmembers(Meter, inspect.isfunction)}
    assert told <= set(vars(Metrics))
    for name in told:
        assert inspect.signature(vars(Metrics)[name]) == inspect.signature(vars(Meter)[name])
