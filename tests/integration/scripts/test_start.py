"""What a data node starts as: `start.sh` with real Sentinels."""

import asyncio

import pytest
from redis.exceptions import ResponseError

from carnelian_operator.engines.server_conf import DATA_PORT
from tests.integration.dataplane.users import PASSWORDS, user_lines
from tests.integration.scripts.boot import FENCED, MASTER_NAME, SENTINELS, Hosts, garbage, knows_all
from tests.integration.servers import until

pytestmark = pytest.mark.integration
ME, OTHER, THIRD = 11, 12, 13


async def test_it_follows_whom_a_majority_of_the_sentinels_names(hosts: Hosts) -> None:
    for number, named in zip(SENTINELS, (OTHER, OTHER, THIRD), strict=True):
        await hosts.sentinel(number, named)
    lines = (await hosts.decision(ME)).splitlines()
    assert lines == [
        f"include {hosts.config}/server.conf",
        f"include {hosts.credentials}/server-auth.conf",
        f"replica-announce-ip {hosts.host(ME)}",
        f"replicaof {hosts.host(OTHER)} {DATA_PORT}",
        "replica-priority 0",
    ]
    assert not any(password in hosts.arguments.read_text() for password in PASSWORDS.values())
    assert MASTER_NAME in hosts.arguments.read_text()


async def test_a_dead_primary_comes_back_at_once_as_the_replica_of_another(hosts: Hosts) -> None:
    primary = await hosts.data_node(ME)
    for number in (OTHER, THIRD):
        await hosts.data_node(number, follows=ME)
    sentinels = [await hosts.sentinel(number, ME) for number in SENTINELS]
    await knows_all(sentinels, replicas=2)
    await primary.call("SET", "kept", "yes")
    assert await primary.call("WAIT", 2, 5000) == 2
    primary.kill()
    conf = [f"port {DATA_PORT}", f"bind {primary.host}", f"dir {hosts.data}", 'save ""', "protected-mode no"]
    (hosts.config / "server.conf").write_text("\n".join([*conf, *user_lines(hosts.engine), ""]))
    hosts.real_server()
    async with hosts.script("start.sh", ME) as process:
        back = hosts.client_of(ME, DATA_PORT)

        async def linked() -> bool:
            assert process.returncode is None
            return (await back.info("replication")).get("master_link_status") == "up"

        # Sentinels would notice its death only after a minute.
        await until(linked, what="a linked replica")
        assert (await back.info("replication"))["master_host"] in {hosts.host(OTHER), hosts.host(THIRD)}
        assert await back.call("GET", "kept") == "yes"


async def test_sentinels_do_not_promote_a_replica_that_never_had_a_link(hosts: Hosts) -> None:
    primary = await hosts.data_node(ME)
    before = await hosts.data_node(OTHER, follows=ME)
    sentinels = [await hosts.sentinel(number, ME, detection_ms=1000) for number in SENTINELS]
    await knows_all(sentinels, replicas=1)
    before.kill()
    # It comes back without its data, and the link never comes up: the password is wrong.
    (hosts.credentials / "server-auth.conf").write_text("masteruser replication\nmasterauth wrong\n")
    host = hosts.host(OTHER)
    conf = [f"port {DATA_PORT}", f"bind {host}", f"dir {hosts.data}", 'save ""', "protected-mode no"]
    (hosts.config / "server.conf").write_text("\n".join([*conf, *user_lines(hosts.engine), ""]))
    hosts.real_server()
    async with hosts.script("start.sh", OTHER):
        empty = hosts.client_of(OTHER, DATA_PORT)
        await until(lambda: empty.call("PING"), what="the replica answers")
        primary.kill()
        asked = 0

        async def refused() -> bool:
            nonlocal asked
            try:
                await sentinels[0].call("SENTINEL", "FAILOVER", MASTER_NAME)
            except ResponseError as error:
                asked += "NOGOODSLAVE" in str(error)
            return asked > 60

        await until(refused, what="many refusals")
        assert (await empty.info("replication"))["role"] == "slave"


async def test_named_itself_with_nobody_to_take_over_it_starts_fenced(hosts: Hosts) -> None:
    for number in SENTINELS:
        await hosts.sentinel(number, ME)
    assert FENCED in (await hosts.decision(ME)).splitlines()


async def test_a_minority_is_not_believed(hosts: Hosts) -> None:
    await hosts.sentinel(1, OTHER)
    assert FENCED in (await hosts.decision(ME)).splitlines()


async def test_split_votes_and_a_frozen_sentinel_decide_nothing(hosts: Hosts) -> None:
    await hosts.sentinel(1, OTHER)
    await hosts.sentinel(2, THIRD)
    (await hosts.sentinel(3, OTHER)).freeze()
    assert FENCED in (await hosts.decision(ME)).splitlines()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"-NOAUTH Authentication required.\r\n", id="error"),
        pytest.param(b"*-1\r\n", id="nil"),
        pytest.param(b"*2\r\n$0\r\n\r\n$4\r\n6379\r\n", id="empty"),
        pytest.param(b"*2\r\n$22\r\nevil 1\nrequirepass none\r\n$4\r\n6379\r\n", id="directives"),
        pytest.param(b"*2\r\n$9\r\n$(reboot)\r\n$4\r\n6379\r\n", id="shell"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="no-redis"),
    ],
)
async def test_answers_that_name_no_host_are_no_votes(hosts: Hosts, answer: bytes) -> None:
    async with garbage(hosts.host(1), answer), garbage(hosts.host(2), answer), garbage(hosts.host(3), answer):
        assert FENCED in (await hosts.decision(ME)).splitlines()


async def test_without_sentinels_it_starts_fenced_and_a_standalone_server_asks_nobody(hosts: Hosts) -> None:
    assert FENCED in (await hosts.decision(ME)).splitlines()
    hosts.arguments.unlink()
    async with asyncio.timeout(10):
        alone = await hosts.decision(ME, CARNELIAN_MODE="Standalone")
    assert "replica" not in alone.replace("replication", "")
    assert "GET-MASTER-ADDR-BY-NAME" not in hosts.arguments.read_text()
