"""The library `limits`, with redis-py and hiredis underneath and room in the pool for everyone."""

import asyncio
import sys
from importlib.metadata import version

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

from e2e.bench.contenders.limiting import Check, contend

ALGORITHMS = {"sliding": SlidingWindowCounterRateLimiter, "fixed": FixedWindowRateLimiter}


async def main(port: int) -> None:
    """Serve checks."""

    async def make(algorithm: str, limit: int, period: int) -> Check:
        storage = RedisStorage(f"async+redis://127.0.0.1:{port}", implementation="redispy", max_connections=200)
        three = algorithm == "three"
        limiter = ALGORITHMS["sliding" if three else algorithm](storage)
        items = [RateLimitItemPerSecond(limit, period, namespace=str(place)) for place in range(3 if three else 1)]

        async def check(user: str) -> bool:
            for item in items:
                if not await limiter.hit(item, user):
                    return False
            return True

        return check

    async def versions() -> dict[str, str]:
        return {"limits": version("limits")}

    await contend(make, versions)


asyncio.run(main(int(sys.argv[1])))
