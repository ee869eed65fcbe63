from wslive.core.presence import AWAY_AFTER_S, Presence


def test_a_first_connection_is_news_and_a_second_is_not() -> None:
    presence = Presence()
    assert presence.arrive("p_1")
    assert not presence.arrive("p_1")
    assert presence.here == ["p_1"]
    assert presence.count == 1


def test_somebody_with_two_connections_is_here_until_both_are_gone() -> None:
    presence = Presence()
    presence.arrive("p_1")
    presence.arrive("p_1")
    presence.depart("p_1", now_s=0.0)
    assert presence.expire(1000.0) == []
    presence.depart("p_1", now_s=1000.0)
    assert presence.expire(1000.0 + AWAY_AFTER_S) == ["p_1"]
    assert presence.here == []
    assert presence.count == 0


def test_a_reload_is_neither_a_leave_nor_a_coming() -> None:
    presence = Presence()
    presence.arrive("p_1")
    presence.depart("p_1", now_s=10.0)
    assert presence.here == ["p_1"]
    assert presence.count == 1
    assert not presence.arrive("p_1")
    assert presence.expire(1000.0) == []


def test_whoever_comes_back_after_leaving_is_news_again() -> None:
    presence = Presence()
    presence.arrive("p_1")
    presence.depart("p_1", now_s=0.0)
    presence.expire(AWAY_AFTER_S)
    assert presence.arrive("p_1")


def test_somebody_leaves_only_after_the_whole_while() -> None:
    presence = Presence(away_after_s=15.0)
    presence.arrive("p_1")
    presence.depart("p_1", now_s=100.0)
    assert presence.next_expiry_s == 115.0
    assert presence.expire(114.999) == []
    assert presence.expire(115.0) == ["p_1"]
    assert presence.expire(116.0) == []
    assert presence.next_expiry_s is None


def test_the_next_expiry_is_that_of_whoever_went_first() -> None:
    presence = Presence(away_after_s=15.0)
    for number, actor in enumerate(["p_1", "p_2", "p_3"]):
        presence.arrive(actor)
        presence.depart(actor, now_s=float(number))
    assert presence.next_expiry_s == 15.0
    assert presence.expire(16.0) == ["p_1", "p_2"]
    assert presence.here == ["p_3"]
    assert presence.count == 1


def test_the_end_of_a_connection_that_never_came_changes_nothing() -> None:
    presence = Presence()
    presence.depart("p_1", now_s=0.0)
    assert presence.here == []
    assert presence.count == 0
    assert presence.next_expiry_s is None


def test_whoever_is_taken_out_is_gone_at_once_and_never_leaves() -> None:
    presence = Presence(away_after_s=15.0)
    presence.arrive("p_1")
    presence.arrive("p_1")
    presence.arrive("p_2")
    presence.depart("p_2", now_s=0.0)
    assert presence.remove("p_1") is True
    assert presence.remove("p_2") is True
    assert presence.remove("p_3") is False
    presence.depart("p_1", now_s=1.0)
    assert presence.here == []
    assert presence.count == 0
    assert presence.expire(1000.0) == []
