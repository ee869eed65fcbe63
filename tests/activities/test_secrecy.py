"""Nobody receives what is not due: asserted on the bytes of snapshots and deltas, as they go over the wire.

Two ways. What must not be told has a mark that must not be found in any frame. And two rooms in which everything is
the same but the secret must send the same bytes: then nothing about it can be learnt, whatever one looks at.
"""

import pytest

from tests.small_room import HOST, LEDGER, VIEWER, SmallRoom, person
from wslive.core import room_view
from wslive.core.events import Position
from wslive.core.roles import Who
from wslive.wire.codec import encode
from wslive.wire.messages import Delta, Snapshot

ADA, BOB, EVE = person("p_ada"), person("p_bob"), person("p_eve")
CHAT = 2
SECRET = "7f3a"

# Not the chain: it is a hash over refs that only their authors know, and tells nothing of the bodies.
NOWHERE = Position("e1", 0, "")


class Ear:
    """Somebody who keeps every byte: the view at each step, and all changes to it from every earlier step."""

    def __init__(self, small: SmallRoom, *readers: Who) -> None:
        self.small = small
        self.readers = readers
        self.heard: list[bytes] = []
        self.start = small.room.head.offset
        self.listen()

    def listen(self) -> None:
        room = self.small.room
        for who in self.readers:
            self.heard.append(encode(Snapshot(NOWHERE, room_view.snapshot(room, who))))
            for after in range(self.start, room.head.offset):
                self.heard.append(encode(Delta(after, room.head.offset, "", room_view.changes(room, who, after))))
            for activity in room.activities:
                self.heard.append(encode(room_view.older(room, who, activity, 10**9, 200)))

    def has_heard(self, text: str) -> bool:
        return any(text.encode() in frame for frame in self.heard)


@pytest.fixture
def small() -> SmallRoom:
    return a_room()


def a_room() -> SmallRoom:
    small = SmallRoom()
    for actor in ("p_ada", "p_bob", "p_eve"):
        small.join(actor)
    return small


# ── tallies and ballots ───────────────────────────────────────────────────────────────────────────────────────────────


def heard_of_votes(results: str, options: tuple[str, str], *readers: Who, until: str = "") -> Ear:
    """What readers hear of a poll in which Ada and Bob choose these options, up to a point of its life."""
    small = a_room()
    poll = small.poll(results=results)
    ear = Ear(small, *readers)
    small.vote(ADA, poll, options[0])
    ear.listen()
    small.vote(BOB, poll, options[1])
    ear.listen()
    for step in ("close", "reopen", "start_round", "discard"):
        if until in ("", "open"):
            break
        small.send(HOST, step, poll)
        ear.listen()
        if step == until:
            break
    return ear


@pytest.mark.parametrize("results", ["after_vote", "after_close", "host_only"])
def test_while_counts_are_not_due_nothing_can_be_learnt_about_the_answers(results: str) -> None:
    one = heard_of_votes(results, ("o1", "o2"), EVE, VIEWER, until="open")
    other = heard_of_votes(results, ("o3", "o3"), EVE, VIEWER, until="open")
    assert one.heard == other.heard
    assert one.has_heard('"answered":2,"counts":null,"earlier":[]')
    assert not one.has_heard('"counts":{')


@pytest.mark.parametrize("until", ["open", "close", "reopen", "start_round", "discard"])
def test_results_for_the_host_alone_are_never_due_to_others(until: str) -> None:
    one = heard_of_votes("host_only", ("o1", "o2"), EVE, VIEWER, until=until)
    other = heard_of_votes("host_only", ("o3", "o3"), EVE, VIEWER, until=until)
    assert one.heard == other.heard


def test_whoever_has_voted_learns_of_nothing_but_the_own_vote_before_closing() -> None:
    one = heard_of_votes("after_close", ("o1", "o2"), ADA, until="open")
    other = heard_of_votes("after_close", ("o1", "o3"), ADA, until="open")
    assert one.heard == other.heard
    assert one.has_heard('"options":["o1"]')


@pytest.mark.parametrize("results", ["after_vote", "after_close"])
def test_at_closing_the_counts_are_due_and_are_taken_back_by_a_new_round(results: str) -> None:
    assert heard_of_votes(results, ("o1", "o2"), EVE, until="close").has_heard('"counts":{"o1":1,"o2":1,"o3":0}')
    small = a_room()
    poll = small.poll(results=results)
    small.vote(ADA, poll, "o1")
    small.send(HOST, "close", poll)
    small.send(HOST, "start_round", poll)
    ear = Ear(small, EVE, VIEWER)
    small.vote(BOB, poll, "o2")
    ear.listen()
    assert not ear.has_heard('"counts":{')


def test_live_results_tell_counts_and_not_who_chose_what() -> None:
    """Both have answered before anybody looks: then who of the two chose which must not be told."""

    def heard(ada: str, bob: str, results: str) -> list[bytes]:
        small = a_room()
        poll = small.poll(results=results)
        small.vote(ADA, poll, ada)
        small.vote(BOB, poll, bob)
        ear = Ear(small, EVE, VIEWER, HOST)
        small.send(HOST, "close", poll)
        ear.listen()
        small.send(HOST, "reopen", poll)
        small.vote(EVE, poll, "o1")
        ear.listen()
        return ear.heard

    for results in ("live", "after_vote", "after_close", "host_only"):
        assert heard("o1", "o2", results) == heard("o2", "o1", results)


@pytest.mark.parametrize("results", ["live", "after_vote", "after_close", "host_only"])
def test_single_ballots_reach_the_hosts_kernel_and_nobody_else(results: str) -> None:
    everybody = heard_of_votes(results, ("o1", "o2"), ADA, BOB, EVE, VIEWER, HOST, until="discard")
    assert not everybody.has_heard('"ballots"')
    assert not everybody.has_heard("1/p_")
    assert heard_of_votes(results, ("o1", "o2"), LEDGER).has_heard('"1/p_ada":{"options":["o1"]')


def test_somebodys_own_ballot_is_in_nobody_elses_frames(small: SmallRoom) -> None:
    poll = small.poll(results="host_only")
    ear = Ear(small, BOB, EVE, VIEWER, HOST)
    own = Ear(small, ADA)
    small.vote(ADA, poll, "o2")
    ear.listen()
    own.listen()
    assert own.has_heard('"options":["o2"]')
    assert not ear.has_heard('"options":["o2"]')


# ── chat ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_hidden_line_is_heard_by_nobody_who_comes_after(small: SmallRoom) -> None:
    line = small.send(ADA, "say", CHAT, text=SECRET)
    small.send(HOST, "hide_line", CHAT, line=line)
    ear, host = Ear(small, ADA, BOB, VIEWER), Ear(small, HOST)
    small.send(ADA, "rename", name="Countess")
    small.send(HOST, "mute", person="p_ada")
    ear.listen()
    small.send(HOST, "mute", person="p_ada", muted=False)
    ear.listen()
    assert not ear.has_heard(SECRET)
    assert host.has_heard(SECRET)


def test_the_lines_of_somebody_who_is_muted_are_heard_by_nobody_who_comes_after(small: SmallRoom) -> None:
    small.send(ADA, "say", CHAT, text=SECRET)
    small.send(HOST, "mute", person="p_ada")
    ear = Ear(small, ADA, BOB, VIEWER)
    small.send(ADA, "rename", name="Countess")
    small.send(HOST, "set_chat", CHAT, mode="off", paused=False)
    ear.listen()
    small.send(HOST, "set_chat", CHAT, mode="on", paused=False)
    ear.listen()
    assert not ear.has_heard(SECRET)


@pytest.mark.parametrize("mode", ["off", "to_host"])
def test_what_was_said_before_is_heard_by_nobody_who_comes_while_the_chat_is_off(small: SmallRoom, mode: str) -> None:
    small.send(ADA, "say", CHAT, text=SECRET)
    small.send(HOST, "set_chat", CHAT, mode=mode, paused=False)
    ear = Ear(small, BOB, VIEWER)
    small.send(ADA, "rename", name="Countess")
    ear.listen()
    assert not ear.has_heard(SECRET)


def test_a_line_to_the_host_is_heard_by_nobody_else_whatever_happens_to_it(small: SmallRoom) -> None:
    small.send(HOST, "set_chat", CHAT, mode="to_host", paused=False)
    ear, own, host = Ear(small, BOB, EVE, VIEWER), Ear(small, ADA), Ear(small, HOST)
    line = small.send(ADA, "say", CHAT, text=SECRET)
    fates: list[tuple[str, int, dict[str, object]]] = [
        ("set_chat", CHAT, {"mode": "on", "paused": False}),
        ("hide_line", CHAT, {"line": line}),
        ("hide_line", CHAT, {"line": line, "hidden": False}),
        ("rename", 0, {"person": "p_ada", "name": "Countess"}),
        ("mute", 0, {"person": "p_ada"}),
        ("mute", 0, {"person": "p_ada", "muted": False}),
        ("set_chat", CHAT, {"mode": "off", "paused": False}),
        ("set_chat", CHAT, {"mode": "on", "paused": True}),
        ("remove_person", 0, {"person": "p_ada"}),
        ("end_room", 0, {}),
    ]
    for kind, activity, body in fates:
        for each in (ear, own, host):
            each.listen()
        small.send(HOST, kind, activity, **body)
    for each in (ear, own, host):
        each.listen()
    assert not ear.has_heard(SECRET)
    assert not ear.has_heard(f'"{line}"')  # not even that there is such a line
    assert own.has_heard(SECRET)
    assert host.has_heard(SECRET)


# ── people ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_host_and_the_person_are_told_of_a_mute(small: SmallRoom) -> None:
    ear, own, host = Ear(small, BOB, EVE, VIEWER), Ear(small, ADA), Ear(small, HOST)
    small.send(HOST, "mute", person="p_ada")
    for each in (ear, own, host):
        each.listen()
    assert not ear.has_heard('"muted":true')
    assert own.has_heard('"muted":true')
    assert host.has_heard('"muted":true')


# ── secret polls ──────────────────────────────────────────────────────────────────────────────────────────────────────


EVERYBODY_ELSE = (BOB, EVE, VIEWER, HOST, LEDGER)


@pytest.mark.parametrize("results", ["after_close", "host_only"])
@pytest.mark.parametrize("closing", ["close", "start_round", "discard", "end_room", "open_activity"])
def test_who_chose_what_in_a_secret_poll_cannot_be_learnt_by_anybody_ever(results: str, closing: str) -> None:
    """Not by the host's kernel, and not by whoever looks at every step of it. Ada and Bob answer, in this order."""

    def heard(ada: str, bob: str, *readers: Who) -> list[bytes]:
        small = a_room()
        poll = small.poll(results=results, secret=True)
        ear = Ear(small, *readers)
        small.vote(ADA, poll, ada)
        ear.listen()
        small.vote(BOB, poll, bob)
        ear.listen()
        body = {"kind": "poll", "body": {"question": "?", "options": ["a", "b"]}} if closing == "open_activity" else {}
        small.send(HOST, closing, 0 if closing in ("end_room", "open_activity") else poll, **body)
        ear.listen()
        return ear.heard

    others = (EVE, VIEWER, HOST, LEDGER)
    assert heard("o1", "o2", *others) == heard("o2", "o1", *others)


def test_counts_of_a_secret_poll_are_due_to_nobody_before_it_is_closed() -> None:
    def heard(*options: str) -> Ear:
        small = a_room()
        poll = small.poll(secret=True)
        ear = Ear(small, EVE, VIEWER, HOST, LEDGER)
        for who, option in zip((ADA, BOB, EVE), options, strict=True):
            small.vote(who, poll, option)
            if who is not EVE:
                ear.listen()
        return ear

    assert heard("o1", "o2", "o3").heard == heard("o3", "o3", "o1").heard
    assert not heard("o1", "o2", "o3").has_heard('"counts":{')
    assert not heard("o1", "o2", "o3").has_heard('"ballots"')


def test_ones_own_secret_ballot_is_in_ones_own_frames_until_it_is_closed(small: SmallRoom) -> None:
    poll = small.poll(secret=True)
    ear, own = Ear(small, *EVERYBODY_ELSE), Ear(small, ADA)
    small.vote(ADA, poll, "o2")
    ear.listen()
    own.listen()
    assert own.has_heard('"options":["o2"]')
    small.send(HOST, "close", poll)
    ear.listen()
    afterwards = Ear(small, ADA)
    assert not ear.has_heard('"options":["o2"]')
    assert not afterwards.has_heard('"options":["o2"]')
