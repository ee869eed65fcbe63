"""What is kept until it is answered."""

import asyncio
import base64

import pytest

from wslive.client.requests import Request, Requests, new_ref, raw
from wslive.core.errors import ConnectionEnded, PollClosed


def asked(requests: Requests, *refs: str) -> list[Request]:
    made = [Request(ref, ref.encode()) for ref in refs]
    for request in made:
        requests.add(request)
    return made


async def test_an_ack_answers_once_the_replica_shows_its_offset():
    requests = Requests()
    first, second = asked(requests, "a", "b")
    assert requests.ack("b", 8)
    assert requests.ack("a", 7)
    requests.shown(6)
    assert not first.answer.done()
    requests.shown(7)
    assert first.answer.result() == 7
    assert not second.answer.done()
    requests.shown(9)
    assert second.answer.result() == 8


async def test_what_is_unanswered_is_sent_again_in_the_order_asked_and_what_is_acked_is_not():
    requests = Requests()
    asked(requests, "a", "b", "c")
    requests.ack("b", 8)
    assert [request.ref for request in requests.unanswered()] == ["a", "c"]
    assert len(requests) == 2


async def test_a_refusal_is_raised_where_it_was_asked():
    requests = Requests()
    [request] = asked(requests, "a")
    requests.refuse("a", PollClosed())
    with pytest.raises(PollClosed):
        await request.answer
    assert list(requests.unanswered()) == []


async def test_refs_that_nobody_asked_are_no_error():
    requests = Requests()
    assert not requests.ack("x", 1)
    requests.refuse("x", PollClosed())
    requests.answer("x", [])
    requests.forget("x")
    assert len(requests) == 0


async def test_a_caller_who_has_gone_is_no_error():
    requests = Requests()
    first, second, third = asked(requests, "a", "b", "c")
    for request in (first, second, third):
        request.answer.cancel()
    requests.ack("a", 1)
    requests.shown(1)
    requests.refuse("b", PollClosed())
    requests.answer("c", [])
    await asyncio.sleep(0)
    assert len(requests) == 0


async def test_the_end_tells_what_is_stored_as_stored_and_fails_the_rest():
    requests = Requests()
    stored, open_ = asked(requests, "a", "b")
    requests.ack("a", 7)
    requests.fail_all(ConnectionEnded("The room is over."))
    assert stored.answer.result() == 7
    with pytest.raises(ConnectionEnded, match="The room is over"):
        open_.answer.result()


def test_a_ref_has_at_least_64_random_bits_and_is_short_enough_for_the_log():
    assert new_ref(10) < new_ref(500) < new_ref(10**9)  # side by side in an index
    refs = {new_ref() for _ in range(1000)}
    assert len(refs) == 1000
    assert all(len(base64.urlsafe_b64decode(ref)) >= 8 and len(ref) <= 64 for ref in refs)


def test_a_body_is_plain_data():
    assert bytes(raw({"round": 1, "options": ["o2"]})) == b'{"round":1,"options":["o2"]}'
