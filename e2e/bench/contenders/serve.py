"""A contender's side of the conversation; standard library only, since contenders run in environments of their own.

A contender is a module with ``asyncio.run(serve(actions))``, where `actions` maps names to coroutine functions that
take keyword arguments and return what JSON can carry. The harness asks for one action at a time.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Action = Callable[..., Awaitable[Any]]


async def serve(actions: Mapping[str, Action]) -> None:
    """Answer the harness until it closes our standard input."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        try:
            answer = {"value": await actions[request.pop("action")](**request)}
        except Exception as error:  # noqa: BLE001  (the harness reports it)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


async def per_second(once: Callable[[], Awaitable[Any]], *, tasks: int, seconds: float) -> float:
    """How often per second `once` is done by this many tasks, each awaiting one call after the other."""
    end = time.perf_counter() + seconds

    async def work() -> int:
        count = 0
        while time.perf_counter() < end:
            await once()
            count += 1
        return count

    start = time.perf_counter()
    counts = await asyncio.gather(*(work() for _ in range(tasks)))
    return sum(counts) / (time.perf_counter() - start)


async def latency(once: Callable[[], Awaitable[Any]], *, calls: int) -> float:
    """Median microseconds of one call after the other."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        await once()
        times.append(time.perf_counter() - start)
    return sorted(times)[calls // 2] * 1e6


async def give_up(once: Callable[[], Awaitable[Any]], *, calls: int, seconds: float) -> int:
    """How many of this many calls at once ran out of time."""

    async def limited() -> bool:
        try:
            async with asyncio.timeout(seconds):
                await once()
        except TimeoutError:
            return True
        return False

    return sum(await asyncio.gather(*(limited() for _ in range(calls))))
