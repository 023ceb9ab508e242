"""The library `throttled-py`, with redis-py and hiredis underneath and room in the pool for everyone."""

import asyncio
import sys
from importlib.metadata import version

from throttled.asyncio import RateLimiterType, Throttled, per_sec, rate_limiter, store

from e2e.bench.contenders.limiting import Check, contend

ALGORITHMS = {
    "bucket": RateLimiterType.TOKEN_BUCKET,
    "sliding": RateLimiterType.SLIDING_WINDOW,
    "fixed": RateLimiterType.FIXED_WINDOW,
}


async def main(port: int) -> None:
    """Serve checks."""

    async def make(algorithm: str, limit: int, period: int) -> Check:
        options = {"CONNECTION_POOL_KWARGS": {"max_connections": 200}}
        shared = store.RedisStore(server=f"redis://127.0.0.1:{port}/0", options=options)
        names = ["sliding"] * 3 if algorithm == "three" else [algorithm]
        throttles = [
            Throttled(
                using=ALGORITHMS[name].value,
                quota=quota(limit, period),
                store=shared,
                key_prefix=f"bench-{limit}-{place}",
            )
            for place, name in enumerate(names)
        ]

        async def check(user: str) -> bool:
            for throttle in throttles:
                if (await throttle.limit(user)).limited:
                    return False
            return True

        return check

    async def versions() -> dict[str, str]:
        return {"throttled-py": version("throttled-py")}

    await contend(make, versions)


def quota(limit: int, period: int) -> rate_limiter.Quota:
    """`limit` in `period` seconds, with a burst of as many."""
    if period == 1:
        return per_sec(limit, limit)
    return rate_limiter.per_min(limit, limit)


asyncio.run(main(int(sys.argv[1])))
