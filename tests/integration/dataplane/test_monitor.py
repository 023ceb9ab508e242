import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from carnelian.policies.wire import ACKS
from carnelian_operator.dataplane.monitor import Monitor
from carnelian_operator.runtime.api import Key
from tests.integration.dataplane.users import address, sentinel_address, user_lines
from tests.integration.servers import Engine, Replication, replication, until

pytestmark = pytest.mark.integration
KEY = Key("RedisCluster", "web", "shop")


@dataclass
class Ears:
    """What a monitor said."""

    group: Replication
    changed: int = 0
    acknowledged: int = 0
    monitor: Monitor = field(init=False)

    def __post_init__(self) -> None:
        self.monitor = Monitor(self._on_change, self._on_acknowledgement)

    def listen(self) -> None:
        servers = {str(server.port): address(server) for server in self.group.servers}
        sentinels = {str(sentinel.port): sentinel_address(sentinel) for sentinel in self.group.sentinels}
        self.monitor.listen(KEY, servers, sentinels)

    def _on_change(self, key: Key) -> None:
        assert key == KEY
        self.changed += 1

    def _on_acknowledgement(self, key: Key) -> None:
        assert key == KEY
        self.acknowledged += 1


@pytest.fixture
async def ears(engine: Engine) -> AsyncIterator[Ears]:
    async with replication(engine, lines=user_lines(engine)) as group:
        made = Ears(group)
        made.listen()
        await until(lambda: made.changed >= 6, what="each server is heard for the first time")
        yield made
        await made.monitor.aclose()


async def test_the_end_of_a_server_is_heard_at_once(ears: Ears) -> None:
    before, began = ears.changed, time.monotonic()
    ears.group.servers[1].kill()
    await until(lambda: ears.changed > before)
    assert time.monotonic() - began < 0.5


async def test_an_acknowledgement_is_passed_on_at_once(ears: Ears) -> None:
    began = time.monotonic()
    await ears.group.servers[0].call("PUBLISH", ACKS, "client")
    await until(lambda: ears.acknowledged > 0)
    assert time.monotonic() - began < 0.5


async def test_a_failover_is_heard_from_the_sentinels(ears: Ears) -> None:
    sentinel = ears.group.sentinels[0]
    before = ears.changed
    ears.monitor.listen(KEY, {}, {str(sentinel.port): sentinel_address(sentinel)})
    await sentinel.call("SENTINEL", "FAILOVER", ears.group.master_name)
    await until(lambda: ears.changed > before, seconds=10)


async def test_a_change_of_role_is_heard_within_a_heartbeat(ears: Ears) -> None:
    before = ears.changed
    await ears.group.servers[2].call("REPLICAOF", "127.0.0.1", 1)
    await until(lambda: ears.changed > before, seconds=6)


async def test_a_hanging_server_is_heard_and_so_is_its_return(ears: Ears) -> None:
    before = ears.changed
    ears.group.servers[2].freeze()
    await until(lambda: ears.changed > before, seconds=8)
    before = ears.changed
    ears.group.servers[2].thaw()
    await until(lambda: ears.changed > before, seconds=8)


async def test_listening_again_keeps_connections_and_forgetting_ends_them(ears: Ears) -> None:
    primary = ears.group.servers[0]
    (connection,) = await primary.clients("carnelian-operator")
    ears.listen()
    assert (await primary.clients("carnelian-operator"))[0].split()[0] == connection.split()[0]
    ears.monitor.forget(KEY)

    async def gone() -> bool:
        return not await primary.clients("carnelian-operator")

    await until(gone)
