"""valkey-glide: its client, which multiplexes too."""

import asyncio
import sys
from importlib.metadata import version
from typing import Any

from glide import GlideClient, GlideClientConfiguration, NodeAddress

from e2e.bench.contenders.serve import give_up, latency, per_second, serve


async def main(port: int) -> None:
    """Serve GETs of one key."""
    client = await GlideClient.create(GlideClientConfiguration([NodeAddress("127.0.0.1", port)], request_timeout=5000))

    async def get() -> Any:
        return await client.get("key")

    async def versions() -> dict[str, str]:
        return {"valkey-glide": version("valkey-glide")}

    await serve(
        {
            "per_second": lambda **how: per_second(get, **how),
            "latency": lambda **how: latency(get, **how),
            "give_up": lambda **how: give_up(get, **how),
            "versions": versions,
        }
    )
    await client.close()


asyncio.run(main(int(sys.argv[1])))
