"""The server: rooms on this process, and the connections to them. Start reading at `rooms.room_task`.

What comes in: `websocket` (bytes) → `connection` → wire.session (turns) → `admission` (who) → `rooms.node`
→ `rooms.room_task` (decide, append). What goes out: `views.fanout` → `views.frames` → `websocket.outbox`.

    app         a server put together
    http        all that is asked over HTTP, and the handshakes of WebSockets
    connection  one connection's logic
    admission   who comes in
    rooms       the rooms of this process, each with one writer
    views       what the people of a room see
    access      who may, and from where
    websocket   one WebSocket: bytes, frames, an orderly end
    discovery   how a user's notebooks find the user's servers
    meter       what may be counted
    settings    every number

Each imports only what stands below it; a contract in pyproject.toml holds it to that.
"""
