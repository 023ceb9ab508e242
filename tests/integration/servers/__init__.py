"""Real Redis and Valkey processes on loopback, in all three topologies, and faults for them.

As fixtures (`tests/integration/conftest.py`), one fresh instance for each test, for Valkey 9 and for Redis 8::

    async def test_x(server: Server): ...            # one server
    async def test_y(replication: Replication): ...  # a primary, two replicas, three Sentinels
    async def test_z(cluster: Cluster): ...          # three primaries with a replica each

As context managers, where a test wants its own settings or more than one of them::

    async with standalone("valkey", config={"maxmemory": "10mb"}) as server: ...
    async with replication("redis", detection_ms=2000) as group: ...
    async with sharded("valkey") as cluster: ...

All of them give a `target` for `carnelian._link.connect`. A `Server` has `host`, `port`, `pid`,
`await call("SET", "k", 1)` (a connection of the test's own, by redis-py), `await info("clients")`,
`await clients("carnelian")` (connections of that client name), and the faults `kill()` (SIGKILL), `freeze()` and
`thaw()` (SIGSTOP, SIGCONT), `await stop()`, `await start()`. `await until(condition)` waits for
something to become true.
"""

from tests.integration.servers.cluster import Cluster, sharded
from tests.integration.servers.engine import ENGINES, Engine
from tests.integration.servers.process import Server, standalone, until
from tests.integration.servers.replication import Replication, replication

__all__ = ["ENGINES", "Cluster", "Engine", "Replication", "Server", "replication", "sharded", "standalone", "until"]
