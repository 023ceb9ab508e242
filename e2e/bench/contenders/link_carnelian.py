"""The link layer of `carnelian`."""

import asyncio
import sys
from typing import Any

import carnelian
from carnelian._link import Target, connect
from carnelian.errors import DeadlineError
from e2e.bench.contenders.serve import latency, per_second, serve


async def main(port: int) -> None:
    """Serve GETs of one key."""
    link = connect(Target.standalone("127.0.0.1", port))

    async def get() -> Any:
        return await link.execute("GET", "key")

    async def give_up(*, calls: int, seconds: float) -> int:
        limited = (link.execute("GET", "key", deadline=seconds) for _ in range(calls))
        outcomes = await asyncio.gather(*limited, return_exceptions=True)
        return sum(isinstance(outcome, DeadlineError) for outcome in outcomes)

    async def versions() -> dict[str, str]:
        return {"carnelian": carnelian.__version__}

    await serve(
        {
            "per_second": lambda **how: per_second(get, **how),
            "latency": lambda **how: latency(get, **how),
            "give_up": give_up,
            "versions": versions,
        }
    )
    await link.aclose()


asyncio.run(main(int(sys.argv[1])))
