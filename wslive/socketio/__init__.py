"""The Socket.IO gateway: clients of the three programs that wslive grew from join its rooms, unchanged.

    packets    Socket.IO packets as python-socketio takes them, with what this gateway adds
    identity   who a client is: its token, its cookie, or its connection
    programs   what a room's view is in the words of those programs, and their words as wishes to the room (pure)
    outbox     what is on its way to one client
    transport  one Engine.IO connection, whatever carries it
    guest      one client: a connection of `wslive.v1` inside this process, and the translation
    handler    the HTTP side: who may connect from where, cookies, the client's own script
    gateway    these parts together, as an extension of a server
    rooms      the room that clients come to who name none

It only translates. A guest speaks `wslive.v1` with the same `server.connection` as every other participant, so limits,
rates, roles and order are those of everybody, and no rule is written twice. docs/from_socketio.md tells it from the
side of the programs.
"""
