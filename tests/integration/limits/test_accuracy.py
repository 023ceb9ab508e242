"""Ten clients at the limit at once: never more than the algorithm's bound.

In any span s, a token bucket and a sliding window of one period P let through at most limit * (1 + s / P); the fixed
window twice the limit, however short the span.
"""

import asyncio
from bisect import bisect_left
from contextlib import AsyncExitStack

import pytest

from carnelian import Carnelian
from carnelian.policies import RateLimitPolicy
from tests.integration.policy.publishing import url
from tests.integration.servers import Server

pytestmark = pytest.mark.integration

LIMIT, SECONDS, CLIENTS = 100, 2, 10
ALGORITHMS = ["TokenBucket", "SlidingWindow", "FixedWindow"]


def policy(algorithm: str) -> RateLimitPolicy:
    rule = {"name": "all", "limit": LIMIT, "period": f"{SECONDS}s", "algorithm": algorithm}
    return RateLimitPolicy.model_validate({"rules": [rule]})


async def pressed(services: list[Carnelian], algorithm: str) -> list[float]:
    """When requests were allowed, while every client asked for much more."""
    clock = asyncio.get_running_loop().time
    end = clock() + 2.5 * SECONDS
    moments: list[float] = []

    async def client(svc: Carnelian) -> None:
        while (asked := clock()) < end:
            verdict = await svc.limits(algorithm.lower()).check()
            assert not verdict.degraded
            if verdict:
                moments.append(asked)
            await asyncio.sleep(0.002)

    await asyncio.gather(*(client(svc) for svc in services))
    return sorted(moments)


async def test_ten_clients_get_what_the_limit_allows(server: Server) -> None:
    limits = {algorithm.lower(): policy(algorithm) for algorithm in ALGORITHMS}
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(Carnelian(url=url(server), limits=limits)) for _ in range(CLIENTS)]
        allowed = await asyncio.gather(*(pressed(services, algorithm) for algorithm in ALGORITHMS))
    for algorithm, moments in zip(ALGORITHMS, allowed, strict=True):
        took = moments[-1] - moments[0]
        for span in (SECONDS, SECONDS / 4):
            worst = max(bisect_left(moments, start + span) - index for index, start in enumerate(moments))
            bound = 2 * LIMIT if algorithm == "FixedWindow" else LIMIT * (1 + span / SECONDS)
            print(f"{algorithm}: at most {worst} of {len(moments)} in any {span} s; limit {LIMIT}, bound {bound:.0f}")
            assert worst <= bound * 1.03  # the test's clock is read a little before the server's
        assert len(moments) >= LIMIT * took / SECONDS * 0.7
        if algorithm == "TokenBucket":  # exact over the whole time: the burst, and what came back since
            assert LIMIT + LIMIT * took / SECONDS * 0.9 <= len(moments) <= LIMIT + LIMIT * took / SECONDS + 2
