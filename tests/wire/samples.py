"""One message of each kind, with every field, and the frame that it is on the wire."""

import msgspec

from wslive.core.events import Position
from wslive.core.roles import Role
from wslive.core.view import Put, Remove, Set
from wslive.wire import messages as m

POSITION = Position("e1", 7, "00ff00ff00ff00ff")

CLIENT: list[tuple[m.ClientMessage, str]] = [
    (
        m.Hello("K7M2QX", Role.PARTICIPANT, "r1", "Ada", "token", POSITION, ledger=True, invitation="1-ABCDEFGHJK"),
        '{"type":"hello","room":"K7M2QX","ref":"r1","name":"Ada","token":"token",'
        '"position":{"epoch":"e1","offset":7,"chain":"00ff00ff00ff00ff"},"ledger":true,"invitation":"1-ABCDEFGHJK"}',
    ),
    (
        m.Command("r1", 3, "cast_vote", msgspec.Raw(b'{"round":1,"options":["o2"]}')),
        '{"type":"command","ref":"r1","activity":3,"kind":"cast_vote","body":{"round":1,"options":["o2"]}}',
    ),
    (m.ReadOlder("r1", 2, 77, 50), '{"type":"read_older","ref":"r1","activity":2,"before":77,"limit":50}'),
    (m.GetTicket("r1"), '{"type":"get_ticket","ref":"r1"}'),
    (m.Ping(5), '{"type":"ping","n":5}'),
]

SERVER: list[tuple[m.ServerMessage, str]] = [
    (
        m.Welcome("resume", POSITION, "K7M2QX", "p_1", Role.PARTICIPANT, m.Presence(3), "token", [Set(("a",), 1)]),
        '{"type":"welcome","mode":"resume","position":{"epoch":"e1","offset":7,"chain":"00ff00ff00ff00ff"},'
        '"room":"K7M2QX","actor":"p_1","role":"participant","presence":{"type":"presence","online":3},'
        '"token":"token","ops":[{"op":"set","path":["a"],"value":1}]}',
    ),
    (
        m.Welcome("snapshot", POSITION, "K7M2QX", "host", Role.HOST, m.Presence(0), view={"room": {}}),
        '{"type":"welcome","mode":"snapshot","position":{"epoch":"e1","offset":7,"chain":"00ff00ff00ff00ff"},'
        '"room":"K7M2QX","actor":"host","role":"host","presence":{"type":"presence","online":0},"view":{"room":{}}}',
    ),
    (m.Ack("r1", 8), '{"type":"ack","ref":"r1","offset":8}'),
    (
        m.Refused("r1", "too_fast", "That was too fast.", 1.5),
        '{"type":"refused","ref":"r1","code":"too_fast","message":"That was too fast.","retry_after_s":1.5}',
    ),
    (
        m.Delta(7, 9, "aa", [Put(("a", "b"), "k", {"x": None}), Remove(("a",), "k")]),
        '{"type":"delta","from":7,"to":9,"chain":"aa","ops":[{"op":"put","path":["a","b"],"key":"k",'
        '"value":{"x":null}},{"op":"remove","path":["a"],"key":"k"}]}',
    ),
    (
        m.Snapshot(POSITION, {"room": {"title": "Łódź"}}),
        '{"type":"snapshot","position":{"epoch":"e1","offset":7,"chain":"00ff00ff00ff00ff"},'
        '"view":{"room":{"title":"Łódź"}}}',
    ),
    (
        m.Presence(2, ["p_1", "p_2"], [m.Notice("Ada", "joined")], m.Arrivals(312, 3, 300, True)),
        '{"type":"presence","online":2,"here":["p_1","p_2"],"notices":[{"name":"Ada","what":"joined"}],'
        '"arrivals":{"last_minute":312,"networks":3,"largest":300,"from_elsewhere":true}}',
    ),
    (m.Page("r1", [{"id": 4}]), '{"type":"page","ref":"r1","entries":[{"id":4}]}'),
    (m.Ticket("r1", "t", 600.0), '{"type":"ticket","ref":"r1","ticket":"t","expires_in_s":600.0}'),
    (m.Pong(5), '{"type":"pong","n":5}'),
    (m.Bye(4000, "Back soon.", 3.0), '{"type":"bye","code":4000,"message":"Back soon.","spread_s":3.0}'),
]
