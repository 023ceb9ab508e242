"""A primary behind Sentinels: finding it, following it, and losing nothing that was promised."""

import asyncio
import time
from dataclasses import replace

import pytest

from carnelian._link import Durability, Link, Target
from carnelian.errors import AuthError, DurabilityError, UnavailableError
from tests.integration.link.conftest import Connect
from tests.integration.servers import Engine, Replication, replication, until

pytestmark = pytest.mark.integration


class Writer:
    """Writes numbered keys, each once, and keeps the acknowledged ones; what failed is not written again."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._name = name
        self.acknowledged: list[str] = []
        self.gap = 0.0
        self._stop = False
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        self._stop = True
        await self._task

    async def _run(self) -> None:
        last, number = time.monotonic(), 0
        while not self._stop:
            number += 1
            key = f"{self._name}:{number}"
            try:
                await self._link.execute("SET", key, number, durability=Durability.REPLICATED)
            except UnavailableError:
                await asyncio.sleep(0.001)
                continue
            self.gap = max(self.gap, time.monotonic() - last)
            last = time.monotonic()
            self.acknowledged.append(key)
            await asyncio.sleep(0.002)


async def missing(link: Link, writers: list[Writer]) -> list[str]:
    keys = [key for writer in writers for key in writer.acknowledged]
    found = await asyncio.gather(*(link.execute("EXISTS", key) for key in keys))
    return [key for key, exists in zip(keys, found, strict=True) if not exists]


async def test_a_killed_primary_costs_seconds_and_no_acknowledged_write(engine: Engine, connect: Connect) -> None:
    async with replication(engine, detection_ms=2000) as group:
        link = connect(group.target)
        writers = [Writer(link, f"w{i}") for i in range(4)]
        await until(lambda: all(len(writer.acknowledged) > 50 for writer in writers))
        before = await group.primary()
        before.kill()
        counts = [len(writer.acknowledged) for writer in writers]
        await until(lambda: all(len(w.acknowledged) > n + 50 for w, n in zip(writers, counts, strict=True)))
        await asyncio.gather(*(writer.stop() for writer in writers))
        await until(lambda: _moved(group, before.port))
        assert await missing(link, writers) == []
        assert max(writer.gap for writer in writers) < 5 + 5 * group.split_votes()


async def test_a_frozen_primary_is_left(replication: Replication, connect: Connect) -> None:
    link = connect(replication.target)
    assert await link.execute("SET", "k", 1, durability=Durability.REPLICATED) == b"OK"
    before = await replication.primary()
    before.freeze()

    async def writes() -> bool:
        try:
            return bool(await link.execute("SET", "k", 2, deadline=1) == b"OK")
        except UnavailableError:
            return False

    started = time.monotonic()
    await until(writes)
    assert time.monotonic() - started < 5 + 5 * replication.split_votes()
    await until(lambda: _moved(replication, before.port))
    before.thaw()  # it thinks that it is the primary until the Sentinels tell it
    assert await link.execute("GET", "k") == b"2"


async def test_a_planned_failover_is_followed(replication: Replication, connect: Connect) -> None:
    link = connect(replication.target)
    await link.execute("SET", "k", 1)
    before = await replication.primary()
    await replication.sentinels[0].call("SENTINEL", "FAILOVER", replication.master_name)
    await until(lambda: _moved(replication, before.port))

    async def written_at_the_new_one() -> bool:
        await link.execute("SET", "marker", 1)
        return bool(await (await replication.primary()).call("GET", "marker") == "1")

    await until(written_at_the_new_one)


async def _moved(group: Replication, port: int) -> bool:
    return (await group.primary()).port != port


async def test_one_search_serves_all_callers(replication: Replication, connect: Connect) -> None:
    connections = 0

    def count(event: object) -> None:
        nonlocal connections
        connections += getattr(event, "kind", "") == "connected"

    link = connect(replace(replication.target, on_event=count))
    await asyncio.gather(*(link.execute("PING") for _ in range(200)))
    assert connections <= 4  # three Sentinels and the primary


async def test_most_sentinels_may_be_away(replication: Replication, connect: Connect) -> None:
    for sentinel in replication.sentinels[:2]:
        sentinel.kill()
    link = connect(replication.target)
    assert await link.execute("SET", "k", 1) == b"OK"
    replication.sentinels[2].kill()
    assert await link.execute("GET", "k") == b"1"


async def test_what_is_wrong_is_said(replication: Replication, connect: Connect) -> None:
    pairs = [(one.host, one.port) for one in replication.sentinels]
    other = connect(Target.sentinel(pairs, "other"))
    with pytest.raises(UnavailableError, match=r"no primary of 'other'.*knows no 'other'"):
        await other.execute("PING", deadline=0.5)
    for sentinel in replication.sentinels:
        sentinel.kill()
    with pytest.raises(UnavailableError, match=r"Sentinel 127.0.0.1:\d+: Connection refused"):
        await connect(replication.target).execute("PING", deadline=0.5)


async def test_replicas_that_do_not_confirm_fail_the_write(replication: Replication, connect: Connect) -> None:
    link = connect(replication.target)
    primary = await replication.primary()
    for server in replication.servers:
        if server is not primary:
            server.freeze()
    with pytest.raises(DurabilityError, match="no replica confirmed"):
        await link.execute("SET", "k", 1, durability=Durability.REPLICATED, deadline=0.3)
    started = time.monotonic()
    assert await link.execute("GET", "k") == b"1"
    assert time.monotonic() - started < 0.2  # WAIT held up nobody else
    for server in replication.servers:
        server.thaw()


async def test_a_subscription_follows_the_primary(replication: Replication, connect: Connect) -> None:
    link = connect(replication.target)
    async with asyncio.timeout(30), link.subscribe("news") as messages:
        assert await anext(messages) is None
        before = await replication.primary()
        before.kill()
        assert await anext(messages) is None
        await until(lambda: _moved(replication, before.port))
        await until(lambda: _publish(link, 1))
        assert await anext(messages) == ("news", b"hello")


async def _publish(link: Link, receivers: int) -> bool:
    try:
        return bool(await link.execute("PUBLISH", "news", "hello") >= receivers)
    except UnavailableError:
        return False


async def test_a_user_without_admin_commands_is_enough(engine: Engine, connect: Connect) -> None:
    async with replication(engine, lines=["user app on >right ~* &* +@all -@admin -@dangerous"]) as group:
        target = replace(group.target, username="app", password="right")
        link = connect(target)
        assert await link.execute("SET", "k", 1, durability="replicated") == b"OK"
        async with link.subscribe("news") as messages:
            assert await anext(messages) is None
        (await group.primary()).kill()
        await until(lambda: _publish(link, 0))
        wrong = connect(replace(target, password="wrong"))
        with pytest.raises(AuthError, match="refused user 'app'"):
            await wrong.execute("GET", "k")
