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


@pytest.mark.parametrize("algorithm", ["TokenBucket", "SlidingWindow", "FixedWindow"])
async def test_ten_clients_get_what_the_limit_allows(server: Server, algorithm: str) -> None:
    rule = {"name": "all", "limit": LIMIT, "period": f"{SECONDS}s", "algorithm": algorithm}
    policy = RateLimitPolicy.model_validate({"rules": [rule]})
    moments: list[float] = []

    async with AsyncExitStack() as stack:
        services = [
            await stack.enter_async_context(Carnelian(url=url(server), limits={"api": policy})) for _ in range(CLIENTS)
        ]
        clock = asyncio.get_running_loop().time
        end = clock() + 2.5 * SECONDS

        async def client(svc: Carnelian) -> None:
            while clock() < end:
                asked = clock()
                verdict = await svc.limits("api").check()
                assert not verdict.degraded
                if verdict:
                    moments.append(asked)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(client(svc) for svc in services))
    moments.sort()
    took = moments[-1] - moments[0]
    for span in (SECONDS, SECONDS / 4):
        worst = max(bisect_left(moments, start + span) - index for index, start in enumerate(moments))
        bound = 2 * LIMIT if algorithm == "FixedWindow" else LIMIT * (1 + span / SECONDS)
        print(f"{algorithm}: at most {worst} of {len(moments)} in any {span} s; limit {LIMIT}, bound {bound:.0f}")
        assert worst <= bound * 1.03  # the test's clock is read a little before the server's
    assert len(moments) >= LIMIT * took / SECONDS * 0.7
    if algorithm == "TokenBucket":  # exact over the whole time: the burst, and what came back since
        assert LIMIT + LIMIT * took / SECONDS * 0.95 <= len(moments) <= LIMIT + LIMIT * took / SECONDS + 2
