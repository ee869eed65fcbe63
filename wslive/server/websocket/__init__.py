"""One WebSocket after its handshake: bytes, frames, pings, and what waits on its way out. It knows of no room."""
