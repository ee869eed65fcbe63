"""The server: rooms on this process, and the connections to them. Start reading at `room_task`.

socket (bytes) → wire.session (turns) → node (rooms) → room_task (decide, append) → fanout (views) → outbox → socket
"""
