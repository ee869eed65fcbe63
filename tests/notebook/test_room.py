import wslive


def test_a_question_is_asked_answered_and_read_as_a_frame(server: str) -> None:
    room = wslive.host("Sorting 101")
    poll = room.poll("Which sort is stable?", ["quick", "merge", "heap"])
    me = wslive.join(room.link, name="Ada")
    me.vote("merge")
    assert poll.tally() == {"quick": 0, "merge": 1, "heap": 0}
    poll.close()
    frame = poll.to_frame(names=True)
    assert list(frame.columns) == ["participant", "name", "choice", "round", "cast_at"]
    assert frame["choice"].tolist() == ["merge"]
