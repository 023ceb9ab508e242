"""What every contender of the bench `limiter` is asked; standard library only."""

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from e2e.bench.contenders.serve import latency, per_second, serve

Check = Callable[[str], Awaitable[bool]]
"""Whether the caller of this name may go on."""

USERS = [f"user-{number}" for number in range(1000)]
AMPLE = 1_000_000
"""Requests in a minute that nobody makes here."""
LIMIT, PERIOD = 100, 1
"""Requests and seconds of the limit that ten clients press against."""


def go_first(pid: int) -> None:
    """Let a measured process (0: this one) run before what else the machine does, where we may."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -10)


async def contend(
    make: Callable[[str, int, int], Awaitable[Check]], versions: Callable[[], Awaitable[dict[str, str]]]
) -> None:
    """Serve the harness; `make` gives a check by algorithm (bucket, sliding, fixed), limit and period in seconds."""
    go_first(0)
    made: dict[str, Check] = {}

    async def ample(algorithm: str) -> Callable[[], Awaitable[bool]]:
        if algorithm not in made:
            made[algorithm] = await make(algorithm, AMPLE, 60)
        check, users = made[algorithm], itertools.cycle(USERS)
        return lambda: check(next(users))

    async def throughput(*, algorithm: str, tasks: int, seconds: float) -> float:
        return await per_second(await ample(algorithm), tasks=tasks, seconds=seconds)

    async def one_after_the_other(*, algorithm: str, calls: int) -> float:
        return await latency(await ample(algorithm), calls=calls)

    async def press(*, algorithm: str, clients: int, seconds: float) -> list[float]:
        """The moments at which requests of these clients, all of one caller, were allowed."""
        checks = [await make(algorithm, LIMIT, PERIOD) for _ in range(clients)]
        for check in checks:
            await check("warm")
        moments: list[float] = []
        late_in_a_window = 0.7 * PERIOD
        await asyncio.sleep((late_in_a_window - time.time()) % PERIOD)
        end = time.time() + seconds

        async def client(check: Check) -> None:
            while (asked := time.time()) < end:
                if await check(f"pressed-{end}"):
                    moments.append(asked)
                await asyncio.sleep(0.002)

        await asyncio.gather(*(client(check) for check in checks))
        return sorted(moments)

    actions: dict[str, Callable[..., Awaitable[Any]]] = {
        "per_second": throughput,
        "latency": one_after_the_other,
        "press": press,
        "versions": versions,
    }
    await serve(actions)
