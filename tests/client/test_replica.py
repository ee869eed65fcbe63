"""The protocol's rules for deltas, gaps and snapshots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.rooms import delta, position, welcome
from wslive.client.replica import Gap, Replica
from wslive.core.roles import Role
from wslive.core.view import Op, Put, Remove, Set, View, patch
from wslive.wire.messages import Presence, Snapshot, Welcome


def replica_at(offset: int, view: View) -> Replica:
    replica = Replica()
    replica.welcome(welcome(offset, view))
    return replica


def test_a_delta_that_continues_is_applied():
    replica = replica_at(3, {"n": 1})
    assert replica.delta(delta(3, 5, Set(("n",), 2)))
    assert replica.view == {"n": 2}
    assert replica.position == position(5)


def test_a_delta_that_overlaps_is_applied():
    replica = replica_at(3, {"n": 1})
    assert replica.delta(delta(1, 4, Set(("n",), 2)))
    assert replica.position == position(4)


def test_a_delta_that_brings_nothing_new_is_ignored():
    replica = replica_at(3, {"n": 1})
    assert not replica.delta(delta(1, 3, Set(("n",), 0)))
    assert replica.view == {"n": 1}
    assert replica.position == position(3)


def test_a_delta_after_a_gap_changes_nothing_and_says_so():
    replica = replica_at(3, {"n": 1})
    with pytest.raises(Gap, match="from offset 4 does not continue a replica at 3"):
        replica.delta(delta(4, 5, Set(("n",), 2)))
    assert replica.view == {"n": 1}
    assert replica.position == position(3)


def test_a_delta_before_the_welcome_is_a_gap():
    with pytest.raises(Gap):
        Replica().delta(delta(0, 1))


def test_a_resume_patches_the_view_as_it_was():
    replica = replica_at(3, {"n": 1, "m": 1})
    replica.welcome(welcome(7, ops=[Set(("n",), 2)]))
    assert replica.view == {"n": 2, "m": 1}
    assert replica.position == position(7)


def test_a_resume_of_what_is_not_there_asks_for_everything_anew():
    replica = Replica()
    with pytest.raises(Gap):
        replica.welcome(welcome(7, ops=[]))
    assert replica.position is None


def test_a_resume_in_another_epoch_asks_for_everything_anew():
    replica = replica_at(3, {"n": 1})
    other = Welcome("resume", position(3, "other"), "K7M2QX", "p_ada", Role.PARTICIPANT, Presence(1), ops=[])
    with pytest.raises(Gap):
        replica.welcome(other)
    assert replica.position is None


@pytest.mark.parametrize("mode", ["snapshot", "reset"])
def test_a_snapshot_or_reset_replaces_the_view(mode):
    replica = replica_at(9, {"n": 1, "old": True})
    fresh = Welcome(mode, position(2, "new"), "K7M2QX", "p_ada", Role.PARTICIPANT, Presence(1), view={"n": 5})
    replica.welcome(fresh)
    assert replica.view == {"n": 5}
    assert replica.position == position(2, "new")


def test_a_snapshot_on_a_live_connection_replaces_the_view():
    replica = replica_at(3, {"n": 1, "old": True})
    replica.snapshot(Snapshot(position(9), {"n": 9}))
    assert replica.view == {"n": 9}
    assert replica.position == position(9)


OPS = st.one_of(
    st.builds(Set, st.sampled_from([("a",), ("b", "c")]), st.integers()),
    st.builds(Put, st.just(("lines",)), st.sampled_from("xyz"), st.integers()),
    st.builds(Remove, st.just(("lines",)), st.sampled_from("xyz")),
)


@given(st.lists(st.lists(OPS, max_size=3), min_size=1, max_size=12), st.data())
def test_deltas_that_come_twice_or_merged_lead_to_the_same_view(steps: list[list[Op]], data: st.DataObject):
    expected: View = {}
    for ops in steps:
        patch(expected, ops)
    replica = replica_at(0, {})
    while replica.offset < len(steps):
        # Any delta that begins at or before the replica, long or short, again or for the first time.
        start = data.draw(st.integers(0, replica.offset))
        end = data.draw(st.integers(start + 1, len(steps)))
        replica.delta(delta(start, end, *(op for ops in steps[start:end] for op in ops)))
    assert replica.view == expected
