"""`wslive bench`: more and more people on a server of one's own, before a lecture does it."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from wslive.crowd.load_test import Step

STEPS = (50, 200, 800, 2000)
SMOOTH_MS = 500.0
"""Answers and charts within this time feel immediate to a hall."""
HOPELESS_MS = 3000.0
HOPELESS_SHARE = 0.05
"""Above these, more people would only do harm: the next step is not begun."""
BUSY_SHARE = 0.85


@click.command("bench")
@click.argument("url")
@click.option(
    "-n",
    "--people",
    "steps",
    multiple=True,
    type=click.IntRange(1, 10_000),
    default=STEPS,
    show_default=True,
    help="How many people to try, in steps. May be given several times.",
)
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(1, 60),
    help="For how long they vote and watch in each step.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the figures as JSON, and nothing else, to standard output."
)
def bench_command(url: str, steps: tuple[int, ...], seconds: float, as_json: bool) -> None:
    """Load-test a server of your own, before the lecture.

    URL is the server's address, as phones reach it: then the proxy is tested too. A room is made for the test and
    deleted afterwards; other rooms are not touched, but share the machine, so do not run it beside a lecture.

    Real connections come in steps, at most 100 new ones a second. Everybody watches, and votes once in five seconds. It
    stops where the server has had enough. Making the room needs what hosting needs: the server's own user, or
    WSLIVE_HOST_TOKEN.

    The exit code is 0 if everything was smooth, 1 if not, 2 if there was nothing to test.
    """
    from wslive.cli import tuning  # here: the other commands' --help need not load Tornado

    tuning.allow_many_sockets()
    found = tuning.run(_bench(url, sorted(set(steps)), seconds, as_json))
    if not found:
        raise SystemExit(130)
    raise SystemExit(0 if all(map(is_smooth, found)) else 1)


async def _bench(url: str, sizes: Sequence[int], seconds: float, as_json: bool) -> list[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from wslive.cli.signals import asked_to_end
    from wslive.client.echo import base_url
    from wslive.crowd.load_test import CONNECTS_PER_S, DRAIN_S, VOTES_PER_PERSON_S, LoadTest
    from wslive.notebook import local_server

    console = Console(stderr=as_json, highlight=False, soft_wrap=True)  # a file has no width
    at = await local_server.find(base_url(url))
    test = LoadTest(at.url, at.hosting_token)
    most_s = sizes[-1] / CONNECTS_PER_S + len(sizes) * (seconds + DRAIN_S)
    steps: list[Step] = []
    trouble = ""
    with asked_to_end() as asked, Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        ending = asyncio.ensure_future(asked.wait())
        try:
            await test.open()
            console.print(
                f"{test.server}: room {test.code} is for this test alone. Each person votes every "
                f"{1 / VOTES_PER_PERSON_S:g} s; about {most_s / 2:.0f} s, at most {most_s:.0f} s. Ctrl-C ends it."
            )
            for size in sizes:
                task = progress.add_task(f"{size:,} people", total=1.0)
                stepping = asyncio.ensure_future(
                    test.step(size, seconds, lambda done, task=task: progress.update(task, completed=done))  # type: ignore[misc]
                )
                await asyncio.wait([ending, stepping], return_when=asyncio.FIRST_COMPLETED)
                if not stepping.done():
                    stepping.cancel()
                    await asyncio.wait([stepping])
                    steps.clear()
                    break
                progress.remove_task(task)
                steps.append(stepping.result())
                console.print(line(steps[-1]))
                if is_hopeless(steps[-1]):
                    break
        finally:
            ending.cancel()
            is_deleted = await test.close()
            if test.code and not is_deleted:
                trouble = (
                    f"The room {test.code} could not be deleted, the server does not answer. "
                    "It stays in its store and harms nobody."
                )
    if as_json and steps:
        click.echo(json.dumps({"server": test.server, "seconds": seconds, "steps": [figures(step) for step in steps]}))
    if asked.is_set():
        console.print("Ended early." + ("" if trouble else " The room is deleted."))
    elif steps:
        console.print()
        for sentence in verdict(steps, is_local=_is_local(test.server)):
            console.print(sentence)
    if trouble:
        console.print(trouble)
    return steps


# ── what it means ─────────────────────────────────────────────────────────────────────────────────────────────────────


def figures(step: Step) -> dict[str, Any]:
    """The figures of a step, for a file."""
    return {
        "people": step.people,
        "here": step.here,
        "failed": dict(step.failed),
        "lost": dict(step.lost),
        "votes": step.votes,
        "acked": step.acked,
        "refused": dict(step.refused),
        "behind": step.behind,
        "busy_share": round(step.busy_share, 3),
        **{
            f"{name}_p{percent}_ms": _percentile(values, percent)
            for name, values in (("join", step.join_ms), ("ack", step.ack_ms), ("delivery", step.delivery_ms))
            for percent in (50, 99)
        },
        "is_smooth": is_smooth(step),
    }


def is_smooth(step: Step) -> bool:
    """Whether everybody was there, everything was counted, and soon."""
    return (
        step.here == step.people
        and step.acked == step.votes > 0
        and not step.behind
        and max(_percentile(step.ack_ms, 99) or 0, _percentile(step.delivery_ms, 99) or 0) <= SMOOTH_MS
    )


def is_hopeless(step: Step) -> bool:
    """Whether more people would only do harm."""
    missing = step.people - step.here + step.behind
    slowest_ms = max(_percentile(step.ack_ms, 99) or 0, _percentile(step.delivery_ms, 99) or 0)
    is_lossy = missing > HOPELESS_SHARE * step.people or step.votes - step.acked > HOPELESS_SHARE * step.votes
    return is_lossy or slowest_ms > HOPELESS_MS


def line(step: Step) -> str:
    """What came out of a step, in a line."""
    mark = "[green]smooth[/]" if is_smooth(step) else "[red]not smooth[/]"
    return (
        f"{step.here:6,} of {step.people:,} people   joining p99 {_ms(step.join_ms)}   ack p50 "
        f"{_ms(step.ack_ms, 50)} p99 {_ms(step.ack_ms)}   charts p99 {_ms(step.delivery_ms)}   "
        f"{step.acked:,} of {step.votes:,} votes counted   {mark}"
    )


def verdict(steps: Sequence[Step], *, is_local: bool) -> list[str]:
    """Plain sentences: what the server carries, where it ended, and what to change."""
    sentences = []
    smooth = [step for step in steps if is_smooth(step)]
    if smooth:
        best = smooth[-1]
        sentences.append(
            f"Your server and what is in front of it carry {best.people:,} people: votes are counted within "
            f"{_ms(best.ack_ms)}, and everybody's chart shows them within {_ms(best.delivery_ms)} (p99)."
        )
    for step in steps:
        if not is_smooth(step):
            sentences += _complaints(step)
            break
    if any(step.busy_share > BUSY_SHARE for step in steps):
        sentences.append(
            "This computer was busy with being so many people, so the server may be faster than these figures. "
            "Run the test on another computer."
        )
    if is_local:
        sentences.append(
            "Server and test shared this computer, and no network was between them. For the lecture, test from "
            "another one, by the address that phones use."
        )
    return sentences


def _complaints(step: Step) -> list[str]:
    at = f"At {step.people:,} people"
    found = []
    for what, reasons in (("did not get in", step.failed), ("were thrown out", step.lost)):
        for reason, times in reasons.most_common(3):
            found += [f"{at} {times:,} {what}: {_sentence(reason)}", *(f"  → {advice}" for advice in _advice(reason))]
    untried = step.people - step.here - sum(step.failed.values()) - sum(step.lost.values())
    if untried > 0:
        found.append(f"{untried:,} more were not tried, since nobody got in any more.")
    for reason, times in step.refused.most_common(3):
        found.append(f"{at} {times:,} votes were refused: {_sentence(reason)}")
    unanswered = step.votes - step.acked - sum(step.refused.values())
    if unanswered:
        found.append(f"{at} {unanswered:,} of {step.votes:,} votes were not acknowledged.")
    if step.behind:
        found.append(f"{at} {step.behind:,} did not see the last votes.")
    slow = [
        f"{what} took {_ms(values)}"
        for what, values in (("counting a vote", step.ack_ms), ("showing it to everybody", step.delivery_ms))
        if (_percentile(values, 99) or 0) > SMOOTH_MS
    ]
    if slow:
        found += [
            f"{at} {' and '.join(slow)} (p99); up to {SMOOTH_MS:g} ms feel immediate.",
            "  → a faster processor core for the server, a faster disk for its store, or fewer people in one room",
        ]
    return found


def _advice(reason: str) -> list[str]:
    """What to change where people are turned away for this reason."""
    for part, advice in _ADVICE:
        if part in reason:
            return [advice]
    return []


_ADVICE = (
    ("too many open files", "this computer allows too few open files; try `ulimit -n 10000` before the test"),
    ("as many connections as it takes", "the server's own limit, max_connections, is reached"),
    ("Many are coming in", "others come in too: the server takes handshake_rate a second, and phones try again"),
    ("cannot be joined", "the room is full (max_participants), or somebody ended it"),
    ("connection refused", "nobody listens any more: look whether the server or the proxy has ended, and at its log"),
    (
        "HTTP 503",
        "the proxy's limit, or its server is gone; in nginx worker_connections and worker_rlimit_nofile, each person "
        "takes two connections",
    ),
    ("HTTP 502", "the proxy cannot reach the server: its open-files limit, or the server's (LimitNOFILE, ulimit -n)"),
    ("HTTP 504", "the proxy waits too long for the server: it is overloaded, or at its open-files limit (ulimit -n)"),
    ("HTTP 429", "the proxy limits requests by address, and a hall is one address: raise limit_req and limit_conn"),
    ("HTTP 403", "the server does not know this address as its own (--public-url), or the proxy forbids it"),
    (
        "before its handshake was done",
        "usually an open-files limit: the proxy's (nginx: worker_connections) or the server's (LimitNOFILE, ulimit -n)",
    ),
    ("no answer within", "the server is overloaded, or at its open-files limit (LimitNOFILE, ulimit -n)"),
    ("reset by peer", "a proxy or firewall cuts connections: its limit of connections by address"),
    ("did not take what was sent", "these were too slow to read: this computer or the network between is at its end"),
    ("was cut", "the server or the proxy has ended, or the proxy cuts connections: look at their logs"),
)


def _sentence(reason: str) -> str:
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many per cent do not exceed; NaN of nothing."""
    ascending = sorted(values)
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)] if ascending else math.nan


def _percentile(values: Sequence[float], percent: int) -> float | None:
    return round(percentile(values, percent), 2) if values else None


def _ms(values: Sequence[float], percent: int = 99) -> str:
    value = _percentile(values, percent)
    return "–" if value is None else f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _is_local(server: str) -> bool:
    return urlsplit(server).hostname in ("127.0.0.1", "localhost", "::1")
