"""A primary, its replicas and Sentinels."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from carnelian._link import Target
from tests.integration.servers.engine import Engine
from tests.integration.servers.process import HOST, Server, until

MASTER_NAME = "test.shop.0a1b2c3d"


class Replication:
    """Data servers (the first is the first primary) and the Sentinels that watch them."""

    def __init__(self, servers: list[Server], sentinels: list[Server]) -> None:
        self.servers = servers
        self.sentinels = sentinels
        self.master_name = MASTER_NAME

    @property
    def target(self) -> Target:
        """For `carnelian._link.connect`."""
        return Target.sentinel([(one.host, one.port) for one in self.sentinels], self.master_name)

    async def primary(self) -> Server:
        """The server that the first running Sentinel names."""
        sentinel = next(one for one in self.sentinels if one.running)
        _, port = await sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master_name)
        return next(server for server in self.servers if server.port == int(port))

    def split_votes(self) -> int:
        """How often the Sentinels elected nobody: they try again after twice their fail-over time-out (4 s)."""
        logs = ((one.folder / "server.log").read_text() for one in self.sentinels)
        return sum(log.count("-failover-abort-not-elected") for log in logs)

    async def settled(self) -> None:
        """Wait until every running replica is in sync and every Sentinel knows everyone."""
        await until(self._is_settled, what="replicas in sync and known to the Sentinels")

    async def _is_settled(self) -> bool:
        primary = await self.primary()
        running = [server for server in self.servers if server.running]
        replicas = (await primary.info("replication")).items()
        online = [field for key, field in replicas if key.startswith("slave") and "state=online" in field]
        if len(online) != len(running) - 1:
            return False
        for sentinel in self.sentinels:
            known = await sentinel.call("SENTINEL", "REPLICAS", self.master_name)
            others = await sentinel.call("SENTINEL", "SENTINELS", self.master_name)
            if len(known) < len(self.servers) - 1 or len(others) < len(self.sentinels) - 1:
                return False
        return True


@asynccontextmanager
async def replication(
    engine: Engine,
    *,
    replicas: int = 2,
    detection_ms: int = 500,
    config: Mapping[str, str] | None = None,
    lines: Sequence[str] = (),
) -> AsyncIterator[Replication]:
    """A primary, `replicas` replicas and three Sentinels that see a failure after `detection_ms`, gone at the end.

    `config` and `lines` are for the data servers.
    """
    with tempfile.TemporaryDirectory(prefix="carnelian-") as name:
        folder = Path(name)
        servers = [Server(engine, folder, config, lines) for _ in range(replicas + 1)]
        lines = [
            f"sentinel monitor {MASTER_NAME} {HOST} {servers[0].port} 2",
            f"sentinel down-after-milliseconds {MASTER_NAME} {detection_ms}",
            f"sentinel failover-timeout {MASTER_NAME} 2000",
            f"sentinel parallel-syncs {MASTER_NAME} 1",
        ]
        sentinels = [Server(engine, folder, lines=lines, sentinel=True) for _ in range(3)]
        group = Replication(servers, sentinels)
        try:
            await asyncio.gather(*(server.start() for server in servers))
            for server in servers[1:]:
                await server.call("REPLICAOF", HOST, str(servers[0].port))
            await asyncio.gather(*(sentinel.start() for sentinel in sentinels))
            await group.settled()
            yield group
        finally:
            for server in [*sentinels, *servers]:
                await server.stop()
