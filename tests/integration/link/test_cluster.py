"""A cluster: every command at its slot's primary, whatever moves."""

import asyncio
import hashlib
import time

import pytest

from carnelian._link import Durability, Script
from carnelian._link.slots import slot_of
from carnelian.errors import ServerError, UnavailableError
from tests.integration.link.conftest import Connect
from tests.integration.servers import Cluster, until

pytestmark = pytest.mark.integration

SOURCE = b"return redis.call('INCRBY', KEYS[1], ARGV[1])"
SCRIPT = Script("add", SOURCE, hashlib.sha1(SOURCE).hexdigest())


async def test_commands_reach_the_slots_primary(cluster: Cluster, connect: Connect) -> None:
    link = connect(cluster.target)
    keys = [f"key:{i}" for i in range(300)]
    await asyncio.gather(*(link.execute("SET", key, key) for key in keys))
    assert await asyncio.gather(*(link.execute("GET", key) for key in keys)) == [key.encode() for key in keys]
    assert await asyncio.gather(*(link.eval(SCRIPT, [f"n:{key}"], [2]) for key in keys)) == [2] * 300
    assert await link.execute("XADD", "stream", "*", "f", "v")
    assert (await link.execute("XREAD", "COUNT", 1, "STREAMS", "stream", "0"))[b"stream"]
    assert await link.execute("PING") == b"PONG"
    assert await link.execute("SET", "durable", 1, durability=Durability.REPLICATED) == b"OK"
    with pytest.raises(ServerError) as crossing:
        await link.execute("MGET", "a", "b")
    assert crossing.value.code == "CROSSSLOT"
    for node in cluster.nodes[:3]:
        assert len(await node.clients("carnelian")) <= 2


async def test_a_command_that_the_table_does_not_know_is_asked_for(cluster: Cluster, connect: Connect) -> None:
    link = connect(cluster.target)
    await asyncio.gather(*(link.execute("GEOADD", f"geo{i}", 1, 1, "m") for i in range(10)))
    for i in range(10):
        assert await link.execute("GEORADIUSBYMEMBER_RO", f"geo{i}", "m", 1, "km") == [b"m"]
        assert await link.execute("GEORADIUSBYMEMBER", f"geo{i}", "m", 1, "km") == [b"m"]
    with pytest.raises(ServerError, match="unknown command"):
        await link.execute("NOSUCH", "x")


async def test_a_slot_that_moves_is_followed(cluster: Cluster, connect: Connect) -> None:
    link = connect(cluster.target)
    slot = slot_of("{m}")
    source = await cluster.owner("{m}")
    target = next(node for node in cluster.nodes[:3] if node is not source)
    await link.execute("SET", "{m}there", "old")
    await cluster.open_slot(slot, source, target)
    assert await link.execute("GET", "{m}there") == b"old"
    assert await link.execute("SET", "{m}new", "new") == b"OK"  # by ASK
    assert await target.call("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
    assert await link.eval(SCRIPT, ["{m}counter"], [5]) == 5
    both = asyncio.ensure_future(link.execute("MGET", "{m}there", "{m}new", deadline=10))  # TRYAGAIN until moved
    await cluster.move_keys(slot, source, target)
    assert await both == [b"old", b"new"]
    await cluster.close_slot(slot, source, target)
    assert await link.execute("GET", "{m}there") == b"old"  # by MOVED
    assert await link.execute("GET", "{m}counter") == b"5"


async def test_a_killed_primary_is_replaced(cluster: Cluster, connect: Connect) -> None:
    link = connect(cluster.target)
    for key in ("a", "b", "c", "d"):
        await link.execute("SET", key, 1, durability=Durability.REPLICATED)
    owner = await cluster.owner("a")
    owner.kill()

    async def writes() -> bool:
        try:
            return bool(await link.execute("INCR", "a", deadline=1))
        except UnavailableError:
            return False

    started = time.monotonic()
    await until(writes)
    assert time.monotonic() - started < 5
    assert int(await link.execute("GET", "a")) >= 2
    assert await asyncio.gather(*(link.execute("EXISTS", key) for key in "bcd")) == [1, 1, 1]


async def test_a_frozen_primary_is_left(cluster: Cluster, connect: Connect) -> None:
    link = connect(cluster.target)
    await link.execute("SET", "a", 1, durability=Durability.REPLICATED)
    owner = await cluster.owner("a")
    owner.freeze()

    async def reads() -> bool:
        try:
            return bool(await link.execute("GET", "a", deadline=0.3) == b"1")
        except UnavailableError:
            return False

    started = time.monotonic()
    await until(reads)
    assert time.monotonic() - started < 8
    owner.thaw()


async def test_blocking_and_push_work_in_a_cluster(cluster: Cluster, connect: Connect) -> None:
    link = connect(cluster.target)
    waiting = asyncio.ensure_future(link.blocking("BLPOP", "jobs", 5, timeout=5))
    await link.execute("RPUSH", "jobs", "one")
    assert await waiting == [b"jobs", b"one"]
    async with asyncio.timeout(20), link.subscribe("news") as messages:
        assert await anext(messages) is None
        await link.execute("PUBLISH", "news", "hi")  # from whichever node, to whichever node
        assert await anext(messages) == ("news", b"hi")
