"""redis-py: its client over a pool with room for everyone, and for latency its bare connection."""

import asyncio
import sys
from importlib.metadata import version
from typing import Any

from redis.asyncio import Connection, ConnectionPool, Redis

from e2e.bench.contenders.serve import give_up, latency, per_second, serve


async def main(port: int) -> None:
    """Serve GETs of one key."""
    client = Redis(connection_pool=ConnectionPool(host="127.0.0.1", port=port, max_connections=200))
    bare = Connection(host="127.0.0.1", port=port)
    await bare.connect()  # type: ignore[no-untyped-call]

    async def get() -> Any:
        return await client.get("key")

    async def get_bare() -> Any:
        await bare.send_command("GET", "key")
        return await bare.read_response()

    async def versions() -> dict[str, str]:
        return {"redis-py": version("redis"), "hiredis": version("hiredis")}

    await serve(
        {
            "per_second": lambda **how: per_second(get, **how),
            "latency": lambda **how: latency(get_bare, **how),
            "latency_client": lambda **how: latency(get, **how),
            "give_up": lambda **how: give_up(get, **how),
            "versions": versions,
        }
    )
    await bare.disconnect()
    await client.aclose()


asyncio.run(main(int(sys.argv[1])))
