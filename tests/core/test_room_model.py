"""A room lives through random commands, retries, crashes and lost connections, and must always be what it should.

Compared after every step: the real rules with the model that counts afresh; the fold of the log with the live state;
what any reader at any earlier position is brought to with what a new reader sees.
"""

import copy
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.room_model import Model, ModelLine, ModelPoll
from tests.small_room import HOST, LEDGER, VIEWER, SmallRoom, person
from wslive.client.replica import Gap, Replica
from wslive.core import checkpoint
from wslive.core.errors import QuestionChanged, Refused, Removed, RoomHasEnded, SecretPollClosed
from wslive.core.roles import Role, Who
from wslive.core.room import ROOM
from wslive.core.view import View, patch
from wslive.wire.codec import decode_server, encode
from wslive.wire.messages import Delta, Presence, Snapshot, Welcome

Views = dict[Who, View]

CHAT = 2
ACTORS = ["p_1", "p_2", "p_3", "p_4"]
NAMES = st.sampled_from(["Ada", "Bob", "Łukasz", "<b>Eve</b>", "  Grace \u200b Hopper ", "名前"])
RESULTS = st.sampled_from(["live", "after_vote", "after_close", "host_only"])
SPEAKERS = st.sampled_from([*map(person, ACTORS), HOST, VIEWER])
REMEMBERED_POSITIONS = 4


class RoomMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.small = SmallRoom()
        self.model = Model()
        self.remembered: list[tuple[Who, int, View]] = []
        self.replicas: dict[Who, Replica] = {}
        self.frames: dict[Who, list[bytes]] = {}
        self.views_at: dict[tuple[Who, int], View] = {}
        self.ticked = self.small.room.head.offset
        for who in (HOST, LEDGER, VIEWER):
            self._connect(who)

    @initialize(people=st.integers(1, 4), results=RESULTS, changeable=st.booleans(), secret=st.booleans())
    def begin(self, people: int, results: str, changeable: bool, secret: bool) -> None:
        for actor in ACTORS[:people]:
            self.join(actor, "Ada")
        self.open_poll(3, 2, "after_close" if secret else results, changeable, secret, False)
        self.remember()

    # ── people ────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(actor=st.sampled_from(ACTORS), name=NAMES)
    def join(self, actor: str, name: str) -> None:
        expected = actor not in self.model.names and not self.model.locked and not self.model.ended
        if self._do(expected, person(actor), "join", name=name):
            self.model.names[actor] = " ".join(name.replace("\u200b", "").split())
            self._connect(person(actor))

    @rule(by=SPEAKERS, actor=st.sampled_from(ACTORS), name=NAMES)
    def rename(self, by: Who, actor: str, name: str) -> None:
        may = by.role is Role.HOST or (by.actor == actor and by.role is Role.PARTICIPANT)
        expected = may and self.model.is_in(actor) and not self.model.ended
        if self._do(expected, by, "rename", name=name, person=actor):
            self.model.names[actor] = " ".join(name.replace("\u200b", "").split())

    @rule(actor=st.sampled_from(ACTORS), muted=st.booleans())
    def mute(self, actor: str, muted: bool) -> None:
        if self._do(self.model.is_in(actor) and not self.model.ended, HOST, "mute", person=actor, muted=muted):
            (self.model.muted.add if muted else self.model.muted.discard)(actor)

    @rule(actor=st.sampled_from(ACTORS), really=st.sampled_from([False, False, False, True]))
    def remove_person(self, actor: str, really: bool) -> None:
        if really and self._do(self.model.is_in(actor) and not self.model.ended, HOST, "remove_person", person=actor):
            self.model.removed.add(actor)

    @rule(actor=st.sampled_from(ACTORS), really=st.booleans())
    def erase_person(self, actor: str, really: bool) -> None:
        """Also somebody who was sent out, and in a room that has ended."""
        if really and self._do(actor in self.model.names, HOST, "erase_person", person=actor):
            self.model.names[actor] = "Erased"
            self.model.lines = [line for line in self.model.lines if line.by != actor]

    @rule(locked=st.sampled_from([False, False, True]))
    def lock(self, locked: bool) -> None:
        if self._do(not self.model.ended, HOST, "lock", locked=locked):
            self.model.locked = locked

    @precondition(lambda self: len(self.small.log) > 25)
    @rule()
    def end(self) -> None:
        if self._do(not self.model.ended, HOST, "end_room"):
            self.model.ended = True
            for poll in self.model.polls.values():
                poll.is_open = poll.is_open and not poll.secret

    # ── polls ─────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(
        options=st.integers(2, 4),
        max_choices=st.integers(1, 2),
        results=RESULTS,
        changeable=st.booleans(),
        secret=st.booleans(),
        keep_open=st.booleans(),
    )
    def open_poll(
        self, options: int, max_choices: int, results: str, changeable: bool, secret: bool, keep_open: bool
    ) -> None:
        body = {
            "question": f"Question {len(self.model.polls)}?",
            "options": [f"choice {i}" for i in range(options)],
            "max_choices": max_choices,
            "results": results,
            "changeable": changeable,
            "secret": secret,
        }
        # From one vote to the next everybody could see who chose what.
        expected = not self.model.ended and not (secret and results in ("live", "after_vote"))
        id = self._do(expected, HOST, "open_activity", kind="poll", body=body, keep_open=keep_open)
        if id:
            ids = [f"o{i}" for i in range(1, options + 1)]
            self.model.open_poll(ModelPoll(id, ids, max_choices, changeable, results, secret), keep_open=keep_open)

    @rule(data=st.data(), times=st.integers(1, 4))
    def vote(self, data: st.DataObject, times: int) -> None:
        """People answer what they see."""
        open_polls = [poll for poll in self.model.polls.values() if poll.takes_votes(poll.round)]
        for _ in range(times if open_polls else 0):
            poll = data.draw(st.sampled_from(open_polls), label="poll")
            actor = data.draw(st.sampled_from(self._inside() or ACTORS), label="actor")
            options = data.draw(st.lists(st.sampled_from(poll.options), min_size=1, max_size=2), label="options")
            self._vote(actor, poll, poll.round, options)

    @rule(data=st.data(), actor=st.sampled_from(ACTORS), late=st.integers(-1, 2))
    def vote_for_anything(self, data: st.DataObject, actor: str, late: int) -> None:
        """Whoever it is, whatever they name, however late it comes."""
        poll = self._a_poll(data)
        choices = [*poll.options, *poll.options, "o1", "o5", "o99"]
        options = data.draw(st.lists(st.sampled_from(choices), max_size=4), label="options")
        self._vote(actor, poll, poll.round - late, options)

    def _vote(self, actor: str, poll: ModelPoll, round: int, options: list[str]) -> None:
        expected = self.model.counts_vote(actor, poll, round, options)
        if self._do(expected, person(actor), "cast_vote", poll.id, round=round, options=options):
            poll.votes.append((round, actor, sorted(set(options), key=poll.options.index)))

    @rule(data=st.data())
    def retract(self, data: st.DataObject) -> None:
        poll = self._a_poll(data)
        actor = data.draw(st.sampled_from([*list(poll.ballots(poll.round)) * 4, *ACTORS]), label="actor")
        expected = (
            not self.model.ended
            and self.model.is_in(actor)
            and poll.takes_votes(poll.round)
            and poll.changeable
            and actor in poll.ballots(poll.round)
        )
        if self._do(expected, person(actor), "retract_vote", poll.id, round=poll.round):
            poll.votes.append((poll.round, actor, []))

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        poll = self._a_poll(data, is_open=True)
        if self._do(poll.is_open and not poll.discarded and not self.model.ended, HOST, "close", poll.id):
            poll.is_open = False

    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        poll = self._a_poll(data, is_open=False)
        if self._do(not poll.is_open and not poll.discarded and not self.model.ended, HOST, "reopen", poll.id):
            poll.is_open, poll.left_stage = True, False
            poll.round += poll.secret

    @rule(data=st.data())
    def start_round(self, data: st.DataObject) -> None:
        poll = self._a_poll(data)
        if self._do(not poll.discarded and not self.model.ended, HOST, "start_round", poll.id):
            poll.round += 1
            poll.is_open, poll.left_stage = True, False

    @rule(data=st.data(), options=st.integers(2, 4))
    def edit(self, data: st.DataObject, options: int) -> None:
        poll = self._a_poll(data)
        marked = poll.has_ballots()
        expected = not self.model.ended and not poll.discarded and (not marked or options == len(poll.options))
        texts = [f"edited {i} at {len(self.small.log)}" for i in range(options)]
        if self._do(expected, HOST, "edit", poll.id, question="Edited?", options=texts):
            seen = self.small.seen(HOST, poll.id)["definition"]["options"]
            assert [option["text"] for option in seen] == texts
            ids = [option["id"] for option in seen]
            # An answer on its way to the old wording must not count for the new one, a counted one must go on to.
            assert ids == poll.options if marked else not set(ids) & set(poll.options)
            poll.options = ids
            poll.max_choices = min(poll.max_choices, options)

    @rule(data=st.data(), really=st.sampled_from([False, False, True]))
    def discard(self, data: st.DataObject, really: bool) -> None:
        poll = self._a_poll(data)
        if really and self._do(not poll.discarded and not self.model.ended, HOST, "discard", poll.id):
            poll.discarded, poll.is_open = True, False
            self.model.stage = 0 if self.model.stage == poll.id else self.model.stage

    @rule(data=st.data())
    def set_stage(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from([0, CHAT, 1, *self.model.polls]), label="activity")
        may = id == 0 or (id in self.model.polls and not self.model.polls[id].discarded)
        if self._do(may and not self.model.ended, HOST, "set_stage", activity=id) is not None:
            self.model.stage = id

    @rule(data=st.data(), who=st.sampled_from([*map(person, ACTORS), VIEWER]))
    def overreach(self, data: st.DataObject, who: Who) -> None:
        kind = data.draw(st.sampled_from(["close", "reopen", "start_round", "discard"]), label="kind")
        self._do(False, who, kind, self._a_poll(data).id)

    # ── chat ──────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(speakers=st.lists(SPEAKERS, min_size=1, max_size=3))
    def say(self, speakers: list[Who]) -> None:
        for who in speakers:
            text = f"line {len(self.small.log)}"
            id = self._do(self.model.may_say(who), who, "say", CHAT, text=text)
            if id:
                to_host = self.model.mode == "to_host" and who is not HOST
                self.model.lines.append(ModelLine(id, who.actor, text, to_host))

    @precondition(lambda self: self.model.lines)
    @rule(data=st.data(), hidden=st.booleans())
    def hide(self, data: st.DataObject, hidden: bool) -> None:
        line = data.draw(st.sampled_from(self.model.lines), label="line")
        if self._do(not self.model.ended, HOST, "hide_line", CHAT, line=line.id, hidden=hidden):
            line.hidden = hidden

    @rule(mode=st.sampled_from(["to_host", "to_host", "on", "on", "off"]), paused=st.sampled_from([False, False, True]))
    def set_chat(self, mode: str, paused: bool) -> None:
        if self._do(not self.model.ended, HOST, "set_chat", CHAT, mode=mode, paused=paused):
            self.model.mode, self.model.paused = mode, paused

    # ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────

    @rule(data=st.data(), times=st.integers(1, 3))
    def send_again(self, data: st.DataObject, times: int) -> None:
        who, command, offset = data.draw(st.sampled_from(self.small.sent), label="sent before")
        before, length = self._views(), len(self.small.log)
        box = self.small.room.boxes.get(command.activity)
        sealed = self.small.log[offset - 1]
        is_gone = sealed.kind == "sealed" and (box is None or f'"box":"{box.name}"'.encode() not in sealed.body)
        for _ in range(times):
            if is_gone:  # nobody can look up any more whether it was counted
                with pytest.raises((SecretPollClosed, RoomHasEnded, Removed, QuestionChanged)):
                    self.small.submit(who, command)
            else:
                assert self.small.submit(who, command) == offset
        assert (self._views(), len(self.small.log)) == (before, length)

    @rule()
    def crash(self) -> None:
        self.small = self.small.folded()

    @rule()
    def remember(self) -> None:
        here = self.small.room.head.offset
        for who, view in self._views().items():
            self.remembered.append((who, here, view))
        oldest = sorted({offset for _, offset, _ in self.remembered})[:-REMEMBERED_POSITIONS]
        self.remembered = [kept for kept in self.remembered if kept[1] not in oldest]

    # ── connections ───────────────────────────────────────────────────────────────────────────────────────────

    @rule(data=st.data())
    def tick(self, data: st.DataObject) -> None:
        """Everybody is sent what changed since the last tick; with some it arrives only when `deliver` says so."""
        head = self.small.room.head.position
        if head.offset == self.ticked:
            return
        for who in self.replicas:
            ops = self.small.changes(who, self.ticked)
            self.frames[who].append(encode(Delta(self.ticked, head.offset, head.chain, ops)))
            self.views_at[who, head.offset] = self.small.view(who)
        self.ticked = head.offset
        held_up = data.draw(st.sets(st.sampled_from(list(self.replicas)), max_size=2), label="held up")
        for who in self.replicas:
            if who not in held_up:
                self._receive(who, self.frames[who][-1])

    @precondition(lambda self: any(self.frames.values()))
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """A frame arrives: one that was held up, one again, or one too early."""
        who = data.draw(st.sampled_from([w for w in self.frames if self.frames[w]]), label="reader")
        self._receive(who, data.draw(st.sampled_from(self.frames[who]), label="frame"))

    def _receive(self, who: Who, frame: bytes) -> None:
        delta = decode_server(frame)
        assert isinstance(delta, Delta)
        replica = self.replicas[who]
        mine, before = replica.offset, copy.deepcopy(replica.view)
        if delta.from_ > mine:
            with pytest.raises(Gap):
                replica.delta(delta)
        elif delta.to <= mine:
            assert not replica.delta(delta)
        else:
            assert replica.delta(delta)
            assert replica.view == self.views_at[who, delta.to]
            return
        assert (replica.offset, replica.view) == (mine, before)

    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(list(self.replicas)), label="reader")
        replica = self.replicas[who]
        ops = self.small.changes(who, replica.offset)
        replica.welcome(self._welcome(who, mode="resume", ops=ops))
        assert replica.view == self.small.view(who)
        self.views_at[who, replica.offset] = self.small.view(who)

    @rule(data=st.data())
    def fall_behind(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(list(self.replicas)), label="reader")
        frame = encode(Snapshot(self.small.room.head.position, self.small.view(who)))
        snapshot = decode_server(frame)
        assert isinstance(snapshot, Snapshot)
        self.replicas[who].snapshot(snapshot)

    @precondition(lambda self: checkpoint.can_be_packed(self.small.room))
    @rule()
    def open_from_a_checkpoint(self) -> None:
        self.small.room = self.small.unpacked()

    # ── what must always hold ─────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def what_must_hold_does(self) -> None:
        now = self._views()
        self.tallies_are_what_a_recount_gives(now)
        self.everybody_sees_what_is_due_and_nothing_else(now)
        self.people_and_stage_are_right(now)
        self.folding_the_log_gives_the_live_state(now)
        self.the_log_names_nobody_who_voted_in_secret()
        self.once_the_boxes_are_closed_nobody_needs_their_keys(now)
        self.every_reader_is_brought_to_now_from_wherever_it_was(now)
        self.whoever_has_something_of_their_own_to_hear_is_known()

    def tallies_are_what_a_recount_gives(self, now: Views) -> None:
        ledger = now[LEDGER]["activities"]
        for id, poll in self.model.polls.items():
            earlier = [poll.tally(round) for round in range(1, poll.round)]
            if poll.secret and poll.is_open:
                answered = len(poll.ballots(poll.round))
                assert ledger[str(id)]["tally"] == {"answered": answered, "counts": None, "earlier": earlier}
                assert "ballots" not in ledger[str(id)]
                continue
            assert ledger[str(id)]["tally"] == {**poll.tally(poll.round), "earlier": earlier}
            ballots = {key: ballot["options"] for key, ballot in ledger[str(id)]["ballots"].items()}
            assert ballots == {
                f"{round}/{actor}": options
                for round in range(1, poll.round + 1)
                for actor, options in poll.ballots(round).items()
                if not poll.secret
            }

    def everybody_sees_what_is_due_and_nothing_else(self, now: Views) -> None:
        for who, view in now.items():
            for id, poll in self.model.polls.items():
                tally = view["activities"][str(id)]["tally"]
                assert tally["answered"] == len(poll.ballots(poll.round))
                assert (tally["counts"] is not None) == poll.shows_counts_to(who)
                assert ("ballots" in view["activities"][str(id)]) == (who.ledger and not (poll.secret and poll.is_open))
                mine = view["me"]["activities"].get(str(id), {"round": poll.round, "options": []})
                assert mine["options"] == poll.own_ballot(who.actor, mine["round"])
                if who.actor in poll.ballots(poll.round):
                    assert mine["round"] == poll.round
            lines = view["activities"][str(CHAT)]["lines"].values()
            assert [line["text"] for line in sorted(lines, key=lambda line: line["id"])] == self.model.lines_for(who)
            own = view["me"]["activities"].get(str(CHAT), {"lines": []})["lines"]
            assert [line["text"] for line in own] == self.model.own_lines_to_host(who.actor)

    def people_and_stage_are_right(self, now: Views) -> None:
        view = now[HOST]
        inside = {actor: name for actor, name in self.model.names.items() if self.model.is_in(actor)}
        assert view["people"]["count"] == len(inside)
        assert {actor: person["name"] for actor, person in view["people"]["names"].items()} == inside
        assert view["room"]["stage"] == self.model.stage
        assert (view["room"]["locked"], view["room"]["ended"]) == (self.model.locked, self.model.ended)

    def folding_the_log_gives_the_live_state(self, now: Views) -> None:
        folded = self.small.folded()
        assert folded.room.head == self.small.room.head
        for who, view in now.items():
            assert folded.view(who) == view

    def the_log_names_nobody_who_voted_in_secret(self) -> None:
        secret = {id for id, poll in self.model.polls.items() if poll.secret}
        ours = [event for event in self.small.log if event.activity in secret]
        assert {event.actor for event in ours if event.kind == "sealed"}.isdisjoint(ACTORS)
        assert {event.actor for event in ours if event.kind != "sealed"} <= {"host", "server"}
        for event in ours:
            assert event.kind not in ("vote_cast", "vote_retracted")

    def once_the_boxes_are_closed_nobody_needs_their_keys(self, now: Views) -> None:
        if not self.small.room.boxes:
            assert not self.small.keys
            without = SmallRoom.of(self.small.log)
            for who, view in now.items():
                assert without.view(who) == view

    def every_reader_is_brought_to_now_from_wherever_it_was(self, now: Views) -> None:
        for who, after, then in self.remembered:
            ops = self.small.changes(who, after)
            assert patch(copy.deepcopy(then), ops) == now[who]
            # A reader who came between two ticks gets the same delta as everybody else.
            for other, later, view in self.remembered:
                if other == who and later > after:
                    between = patch(copy.deepcopy(view), self.small.changes(who, after))
                    assert between == now[who]

    def whoever_has_something_of_their_own_to_hear_is_known(self) -> None:
        for who, after, _ in self.remembered:
            touched = {actor for actor, _ in self.small.room.touched.after(after)}
            if any(op.path[0] == "me" for op in self.small.changes(who, after)):
                assert who.actor in touched or self.small.room.everyone_at > after

    # ── helpers ───────────────────────────────────────────────────────────────────────────────────────────────

    def _do(self, expected: bool, who: Who, kind: str, activity: int = ROOM, /, **body: Any) -> int | None:
        """Send a command that is expected to be accepted, or to be refused and to change nothing."""
        if expected:
            length = len(self.small.log)
            offset = self.small.send(who, kind, activity, **body)
            assert offset == length + 1
            # What a closed box held follows at once.
            assert {event.kind for event in self.small.log[offset:]} <= {"ballots_counted"}
            return offset
        before = self._views()
        try:
            self.small.send(who, kind, activity, **body)
        except Refused:
            assert self._views() == before
            return None
        raise AssertionError(f"{kind} {body} of {who.actor} was accepted")

    def _inside(self) -> list[str]:
        return [actor for actor in ACTORS if self.model.is_in(actor)]

    def _a_poll(self, data: st.DataObject, *, is_open: bool | None = None) -> ModelPoll:
        """Any poll, but mostly one in the state in which the command makes sense."""
        polls = list(self.model.polls.values())
        fitting = [poll for poll in polls if not poll.discarded and is_open in (None, poll.is_open)]
        number = data.draw(st.integers(0, 9), label="poll")
        pool = fitting if fitting and number < 9 else polls
        return pool[number % len(pool)]

    def _views(self) -> Views:
        return {who: self.small.view(who) for who in self.replicas}

    def _connect(self, who: Who) -> None:
        self.replicas[who] = Replica()
        self.frames[who] = []
        self.replicas[who].welcome(self._welcome(who, mode="snapshot", view=self.small.view(who)))

    def _welcome(self, who: Who, **fields: Any) -> Welcome:
        position = self.small.room.head.position
        welcome = Welcome(
            position=position, room="K7M2QX", actor=who.actor, role=who.role, presence=Presence(0), **fields
        )
        again = decode_server(encode(welcome))
        assert isinstance(again, Welcome)
        return again


TestRoom = RoomMachine.TestCase
