"""A cluster of three shards."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from carnelian._link import Target
from tests.integration.servers.engine import Engine
from tests.integration.servers.process import HOST, Server, free_port, until

SLOTS = 16384
SHARDS = 3


class Cluster:
    """Six nodes: the first three began as primaries, the others as their replicas, in order."""

    def __init__(self, nodes: list[Server]) -> None:
        self.nodes = nodes

    @property
    def target(self) -> Target:
        """For `carnelian._link.connect`."""
        return Target.cluster([(node.host, node.port) for node in self.nodes[:SHARDS]])

    async def owner(self, key: str) -> Server:
        """The primary that serves the key's slot."""
        return await self.owner_of(int(await self._any().call("CLUSTER", "KEYSLOT", key)))

    async def owner_of(self, slot: int) -> Server:
        """The primary that serves the slot."""
        for first, last, primary, *_ in await self._any().call("CLUSTER", "SLOTS"):
            if int(first) <= slot <= int(last):
                return next(node for node in self.nodes if node.port == int(primary[1]))
        raise AssertionError(f"nobody serves slot {slot}")

    async def open_slot(self, slot: int, source: Server, target: Server) -> None:
        """Begin to move a slot: keys that are not at `source` any more are asked for at `target`."""
        await target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", await source.call("CLUSTER", "MYID"))
        await source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", await target.call("CLUSTER", "MYID"))

    async def move_keys(self, slot: int, source: Server, target: Server) -> None:
        """Move what the slot holds."""
        while keys := await source.call("CLUSTER", "GETKEYSINSLOT", slot, 100):
            await source.call("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys)

    async def close_slot(self, slot: int, source: Server, target: Server) -> None:
        """End the move: the slot is `target`'s."""
        identity = await target.call("CLUSTER", "MYID")
        for node in [target, source, *(one for one in self.nodes if one not in (source, target))]:
            if node.running and (await node.info("replication"))["role"] == "master":
                await node.call("CLUSTER", "SETSLOT", slot, "NODE", identity)

    async def settled(self) -> None:
        """Wait until every running node calls the cluster whole."""
        await until(self._is_settled, what="a whole cluster with its replicas in sync", seconds=40)

    def _any(self) -> Server:
        return next(node for node in self.nodes if node.running)

    async def _is_settled(self) -> bool:
        for node in (one for one in self.nodes if one.running):
            if "cluster_state:ok" not in await node.call("CLUSTER", "INFO"):
                return False
            replication = await node.info("replication")
            if replication["role"] == "slave" and replication["master_link_status"] != "up":
                return False
            shards = await node.call("CLUSTER", "SLOTS")
            members = sum(len(shard) - 2 for shard in shards if shard[0] != shard[1])
            if members < sum(one.running for one in self.nodes):
                return False
        return True


@asynccontextmanager
async def sharded(engine: Engine, *, config: Mapping[str, str] | None = None) -> AsyncIterator[Cluster]:
    """Three primaries with a replica each; a failure is seen after a second. Gone at the end."""
    with tempfile.TemporaryDirectory(prefix="carnelian-") as name:
        nodes = [Server(engine, Path(name), _config(config)) for _ in range(2 * SHARDS)]
        cluster = Cluster(nodes)
        try:
            await asyncio.gather(*(node.start() for node in nodes))
            await _join(nodes)
            await cluster.settled()
            yield cluster
        finally:
            for node in nodes:
                await node.stop()


def _config(config: Mapping[str, str] | None) -> dict[str, str]:
    ours = {"cluster-enabled": "yes", "cluster-node-timeout": "1000", "cluster-port": str(free_port())}
    ours["repl-ping-replica-period"] = "1"  # a replica is shown once its offset moves
    return ours | dict(config or {})


async def _join(nodes: list[Server]) -> None:
    for index, node in enumerate(nodes[:SHARDS]):
        first, last = index * SLOTS // SHARDS, (index + 1) * SLOTS // SHARDS - 1
        await node.call("CLUSTER", "ADDSLOTSRANGE", first, last)
        await node.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
    for node in nodes[1:]:
        bus = (await node.call("CONFIG", "GET", "cluster-port"))[1]
        await nodes[0].call("CLUSTER", "MEET", HOST, node.port, bus)
    for index, node in enumerate(nodes[SHARDS:]):
        identity = await nodes[index].call("CLUSTER", "MYID")

        async def follow(node: Server = node, identity: str = identity) -> bool:
            return bool(await node.call("CLUSTER", "REPLICATE", identity) == "OK")

        await until(follow, what=f"node {node.port} knows its primary")
