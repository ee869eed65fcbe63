"""A crowd as a process of its own: `crowd_process.py SERVER CODE SIZE LEDGER`, until its input ends.

It prints a line when everybody has joined, and what has happened, as JSON, when everybody has gone.
"""

import asyncio
import sys

import msgspec

from wslive.crowd import Behaviour, Crowd

# Nobody leaves: whoever is back after the server was killed was brought back by the connection alone.
BEHAVIOUR = Behaviour(
    arrive_within_s=0.5, think_median_s=0.2, reconsider_mean_s=0.15, line_mean_s=1.2, leave_mean_s=1e9
)


async def main(server: str, code: str, size: int, ledger: str) -> None:
    crowd = Crowd(server, code, size, seed=7, ledger=ledger, behaviour=BEHAVIOUR)
    waiting = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    waiting.add_done_callback(lambda _: crowd.stop())
    stats = await crowd.run()
    sys.stdout.write(msgspec.json.encode(stats).decode() + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
