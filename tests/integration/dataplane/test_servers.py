import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import redis
from redis.exceptions import ConnectionError as LinkError
from redis.exceptions import NoPermissionError, ResponseError

from carnelian_operator.api.rediscluster import Engine as EngineName
from carnelian_operator.api.rediscluster import Profile
from carnelian_operator.dataplane import commands
from carnelian_operator.dataplane.client import Address, RefusedError, UnreachableError, ask
from carnelian_operator.dataplane.probe import probe_sentinel, probe_server, probe_servers
from carnelian_operator.engines.directives import DIRECTIVES
from carnelian_operator.engines.releases import RELEASES
from carnelian_operator.engines.server_conf import ServerSettings, live_settings, restart_settings
from tests.integration.dataplane.users import address, sentinel_address, user_lines
from tests.integration.servers import Engine, Replication, replication, standalone, until

pytestmark = pytest.mark.integration


@pytest.fixture
async def group(engine: Engine) -> AsyncIterator[Replication]:
    async with replication(engine, lines=user_lines(engine)) as made:
        yield made


@pytest.mark.parametrize("profile", Profile)
async def test_every_directive_is_one_that_the_server_takes(engine: Engine, profile: Profile) -> None:
    release = RELEASES[EngineName(engine.capitalize())][-1]
    settings = ServerSettings(release, profile, replicas=2, memory_limit=1 << 30)
    own = {"port", "dir", "logfile", "aclfile"}
    config = {name: value or '""' for name, value in restart_settings(settings).items() if name not in own}
    async with standalone(engine, config=config, lines=user_lines(engine)) as server:
        wanted = live_settings(settings)
        await commands.set_config(address(server), wanted)
        assert (await probe_server(address(server), wanted)).config == wanted
    assert config.keys() | own | wanted.keys() <= DIRECTIVES.keys()


async def test_a_snapshot_tells_roles_links_and_data(group: Replication) -> None:
    primary, first, _ = group.servers
    await primary.call("SET", "a", 1)
    await primary.call("WAIT", 2, 1000)
    states = await probe_servers({str(server.port): address(server) for server in group.servers}, ["maxmemory"])
    source, replica = states[str(primary.port)], states[str(first.port)]
    assert source is not None
    assert replica is not None
    assert source.is_primary
    assert (source.keys, replica.keys) == (1, 1)
    assert len(source.replicas) == 2
    assert replica.follows(primary.host, primary.port)
    assert replica.link_up
    assert source.shares_history(replica)
    assert source.config == {"maxmemory": "0"}
    seen = (await probe_sentinel(sentinel_address(group.sentinels[0]), group.master_name)).watched
    assert seen is not None
    assert (seen.port, seen.quorum, seen.other_sentinels, len(seen.replicas)) == (primary.port, 2, 2, 2)
    assert not seen.down


async def test_a_server_that_hangs_or_is_away_costs_a_second_at_most(engine: Engine) -> None:
    async with standalone(engine, lines=user_lines(engine)) as server:
        where = address(server)
        server.freeze()
        began = time.monotonic()
        assert await probe_servers({"a": where, "b": where, "c": where}, []) == {"a": None, "b": None, "c": None}
        assert time.monotonic() - began < 2
        server.thaw()
        with pytest.raises(UnreachableError):
            await probe_server(Address(server.host, server.port, "operator", "wrong"), [])
    with pytest.raises(UnreachableError):
        await probe_server(where, [])


async def test_a_handover_loses_no_write_and_the_clients_are_sent_away(group: Replication) -> None:
    old, new, other = group.servers
    client = redis.asyncio.Redis(port=old.port, username="app", password="secret-of-app", protocol=2, socket_timeout=3)
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            await client.incr("counter")
            written += 1

    writer = asyncio.create_task(write())
    await until(lambda: written > 20)
    await commands.failover_to(address(old), new.host, new.port, seconds=5)
    await commands.follow(address(other), new.host, new.port)
    for sentinel in group.sentinels:
        target = commands.Watch(group.master_name, new.host, new.port, 2, 500)
        await commands.watch(sentinel_address(sentinel), target, "secret-of-sentinel")
    await commands.kill_clients(address(old))
    with pytest.raises((LinkError, ResponseError)):
        await writer
    await client.aclose()
    await group.settled()
    assert await group.primary() is new
    assert int(await new.call("GET", "counter")) in {written, written + 1}


async def test_what_was_told_can_be_told_again(group: Replication) -> None:
    primary, replica, _ = group.servers
    await commands.promote(address(primary))
    await commands.follow(address(replica), primary.host, primary.port)
    (sentinel, *_) = group.sentinels
    await commands.unwatch(sentinel_address(sentinel), "nobody")
    await commands.unwatch(sentinel_address(sentinel), group.master_name)
    await commands.unwatch(sentinel_address(sentinel), group.master_name)
    assert (await probe_sentinel(sentinel_address(sentinel), group.master_name)).watched is None


async def test_a_handover_to_a_stranger_is_refused_and_changes_nothing(group: Replication) -> None:
    primary = group.servers[0]
    with pytest.raises(RefusedError, match="FAILOVER"):
        await commands.failover_to(address(primary), primary.host, 1, seconds=1)
    assert (await probe_server(address(primary), [])).is_primary


async def test_sentinels_fail_over_with_no_more_than_their_own_user(group: Replication) -> None:
    primary = group.servers[0]
    for sentinel in group.sentinels:
        target = commands.Watch(group.master_name, primary.host, primary.port, 2, 500)
        await commands.watch(sentinel_address(sentinel), target, "secret-of-sentinel")
    for server in group.servers:  # nobody gets in without a name any more, Sentinels included
        await server.call("CONFIG", "SET", "masteruser", "replication", "masterauth", "secret-of-replication")
        await ask(address(server), [("ACL", "SETUSER", "default", "off"), ("CLIENT", "KILL", "USER", "default")])

    async def settled() -> bool:
        states = [await probe_sentinel(sentinel_address(one), group.master_name) for one in group.sentinels]
        return all(
            state.watched
            and not state.watched.down
            and len(state.watched.replicas) == state.watched.other_sentinels == 2
            for state in states
        )

    async def moved() -> bool:
        states = [await probe_sentinel(sentinel_address(one), group.master_name) for one in group.sentinels]
        return all(state.watched and state.watched.port != primary.port for state in states)

    async def linked() -> bool:
        states = await probe_servers({str(one.port): address(one) for one in group.servers[1:]}, [])
        return sorted(bool(state and (state.is_primary or state.link_up)) for state in states.values()) == [True, True]

    await until(settled, what="the Sentinels know everyone")
    primary.kill()
    await until(moved, seconds=30, what="the Sentinels promote another")
    await until(linked, seconds=30, what="the other replica follows")


ALLOWED = [
    *(("SET", "k", "v"), ("SCRIPT", "LOAD", "return 1"), ("EVAL", "return 1", "0"), ("PUBLISH", "c", "m")),
    *(("CLIENT", "SETNAME", "me"), ("CLIENT", "SETINFO", "LIB-NAME", "me"), ("INFO",), ("ROLE",)),
    *(("WAIT", "0", "1"), ("XADD", "s", "*", "a", "b"), ("SUBSCRIBE", "c")),
]
FORBIDDEN = [
    *(("FLUSHALL",), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("REPLICAOF", "NO", "ONE"), ("KEYS", "*")),
    *(("CLIENT", "KILL", "TYPE", "normal"), ("DEBUG", "SLEEP", "1"), ("SHUTDOWN",), ("MONITOR",)),
]


async def test_applications_may_work_with_data_and_administer_nothing(engine: Engine) -> None:
    async with standalone(engine, lines=user_lines(engine)) as server:
        allowed = await ask(address(server, "app"), ALLOWED)
        assert [reply for reply in allowed if isinstance(reply, ResponseError)] == []
        forbidden = await ask(address(server, "app"), FORBIDDEN)
        assert {type(reply) for reply in forbidden} == {NoPermissionError}
