"""A raw WebSocket, then a room: python python_client.py http://127.0.0.1:8765 K7M2QX Ada "Hello from Python".

It needs the package `websockets`. A client that comes back after a break and resumes is in docs/protocol.md.
"""

import asyncio
import json
import secrets
import sys

from websockets.asyncio.client import connect


async def main(server: str, code: str, name: str, text: str) -> None:
    """Ask the echo, join, say one line, and print what is said from then on."""
    base = server.replace("http", "ws", 1)
    async with connect(f"{base}/echo") as socket:
        await socket.send("Is anybody there?")
        print(await socket.recv(), flush=True)

    async with connect(f"{base}/ws", subprotocols=["wslive.v1"], max_size=2**26) as socket:
        await socket.send(json.dumps({"type": "hello", "room": code, "name": name, "ref": secrets.token_hex(16)}))
        say = {"type": "command", "ref": secrets.token_hex(16), "activity": 2, "kind": "say", "body": {"text": text}}
        async for frame in socket:
            match json.loads(frame):
                case {"type": "welcome", "view": view}:
                    print("Joined", view["room"]["title"], flush=True)
                    await socket.send(json.dumps(say))
                case {"type": "ack", "offset": offset}:
                    print("Kept as event", offset, flush=True)
                case {"type": "refused", "message": reason}:
                    print("Refused:", reason, flush=True)
                case {"type": "delta", "ops": ops}:
                    for op in ops:
                        if op["op"] == "put" and op["path"] == ["activities", "2", "lines"]:
                            print(f"{op['value']['name']}: {op['value']['text']}", flush=True)


asyncio.run(main(*sys.argv[1:]))
