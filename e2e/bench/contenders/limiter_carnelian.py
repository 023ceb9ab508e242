"""The limiter of `carnelian`, by policies as a resource would state them."""

import asyncio
import sys
from contextlib import AsyncExitStack

import carnelian
from carnelian import Carnelian
from carnelian.policies import RateLimitPolicy
from e2e.bench.contenders.limiting import Check, contend

ALGORITHMS = {"bucket": "TokenBucket", "sliding": "SlidingWindow", "fixed": "FixedWindow"}


def policy(algorithm: str, limit: int, period: int) -> RateLimitPolicy:
    """One rule for each caller; algorithm ``three`` is one rule of each of the three."""
    chosen = list(ALGORITHMS) if algorithm == "three" else [algorithm]
    rules = [
        {"name": name, "algorithm": ALGORITHMS[name], "limit": limit, "period": f"{period}s", "key": ["user"]}
        for name in chosen
    ]
    return RateLimitPolicy.model_validate({"rules": rules})


async def main(port: int) -> None:
    """Serve checks."""
    async with AsyncExitStack() as stack:

        async def make(algorithm: str, limit: int, period: int) -> Check:
            limits = {algorithm: policy(algorithm, limit, period)}
            svc = await stack.enter_async_context(Carnelian(url=f"redis://127.0.0.1:{port}", limits=limits))
            limiter = svc.limits(algorithm)

            async def check(user: str) -> bool:
                verdict = await limiter.check(user=user)
                if verdict.degraded:
                    raise RuntimeError("the data plane did not decide")
                return verdict.allowed

            return check

        async def versions() -> dict[str, str]:
            return {"carnelian": carnelian.__version__}

        await contend(make, versions)


asyncio.run(main(int(sys.argv[1])))
