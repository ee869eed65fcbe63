"""The server: rooms on this process, and the connections to them. Start reading at `room_task`.

socket (bytes) → connection → wire.session (turns) → admission (who) → node (rooms) → room_task (decide, append)
→ fanout (views) → frames → outbox → socket
"""
