"""What callers of one connection must not do to each other, and what is left when a link is given up."""

import asyncio
from dataclasses import replace
from math import inf

import pytest

from carnelian._link import Target, Timing
from carnelian._link import connect as connect_here
from carnelian._link.commands import STATEFUL
from carnelian.errors import DurabilityError, UnavailableError
from tests.integration.link.conftest import Connect
from tests.integration.servers import Cluster, Replication, Server, until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "command", [("SUBSCRIBE", "news"), (b"subscribe", "news"), ("CLIENT", "reply", "SKIP"), ("MULTI",), ("SELECT", 1)]
)
async def test_a_command_that_changes_the_connection_reaches_no_other_caller(
    server: Server, connect: Connect, command: tuple[str | bytes | int, ...]
) -> None:
    link = connect(server.target)
    await link.execute("MSET", "a", "of a", "b", "of b")
    with pytest.raises(ValueError, match=r"every caller shares"):
        await link.execute(*command, deadline=0.1)
    with pytest.raises(ValueError, match=r"every caller shares"):
        await link.blocking(*command, timeout=0.1)
    assert await link.execute("GET", "a") == b"of a"
    assert await link.execute("GET", "b") == b"of b"


async def test_the_servers_know_no_other_command_without_a_reply_of_its_own(server: Server) -> None:
    described = await server.call("COMMAND")
    by_group = {name.upper() for name, _, flags, *_ in described if "pubsub" in flags} - {
        "PUBLISH", "SPUBLISH", "PUBSUB"
    }  # fmt: skip
    assert by_group <= STATEFUL


async def test_a_link_closed_in_the_middle_of_a_search_leaves_no_connection(replication: Replication) -> None:
    primary = await replication.primary()
    link = connect_here(replace(replication.target, timing=Timing(connect=5, ask=5, deadline=5)))
    primary.freeze()
    try:
        waiting = asyncio.ensure_future(link.execute("GET", "k", deadline=0.3))
        with pytest.raises(UnavailableError):
            await waiting
        await link.aclose()
    finally:
        primary.thaw()
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith("carnelian")]
    if left:
        await asyncio.wait(left, timeout=0.2)
    assert not [task for task in left if not task.cancelled()]

    async def gone() -> bool:
        return not await primary.clients("carnelian")

    await until(gone)


async def test_a_close_that_is_given_up_still_closes(server: Server) -> None:
    link = connect_here(server.target)
    await link.execute("PING")
    server.freeze()
    try:
        waiting = asyncio.ensure_future(link.execute("INCR", "n"))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await link.aclose()
        with pytest.raises(UnavailableError, match="closed"):
            async with asyncio.timeout(0.5):
                await waiting
    finally:
        server.thaw()

    async def gone() -> bool:
        return not await server.clients("carnelian")

    await until(gone)


async def test_a_durable_write_without_a_deadline_ends(server: Server, connect: Connect) -> None:
    link = connect(replace(server.target, timing=Timing(silence=0.5, ping=0.5)))
    async with asyncio.timeout(5):
        with pytest.raises(DurabilityError, match="no replica confirmed it"):
            await link.execute("SET", "k", "v", durability="replicated", deadline=inf)
    assert await link.execute("GET", "k") == b"v"


async def test_waiting_for_replicas_is_not_taken_for_a_dead_connection(server: Server, connect: Connect) -> None:
    lost: list[str] = []
    target: Target = replace(
        server.target,
        timing=Timing(silence=0.5, ping=0.5),
        on_event=lambda event: lost.append(event.reason) if event.kind == "lost" else None,
    )
    link = connect(target)
    with pytest.raises(DurabilityError, match="no replica confirmed it"):
        await link.execute("SET", "k", "v", durability="replicated", deadline=3)
    assert not lost


async def test_a_write_whose_key_could_not_be_asked_for_was_not_carried_out(cluster: Cluster, connect: Connect) -> None:
    link = connect(replace(cluster.target, timing=Timing(ask=0.1)))
    await link.execute("SET", "k", "v")
    for server in cluster.nodes:
        server.freeze()
    try:
        with pytest.raises(UnavailableError, match="not carried out before its deadline"):
            await link.execute("GEORADIUSBYMEMBER", "k", "m", 1, "km", "STORE", "other", deadline=0.4)
    finally:
        for server in cluster.nodes:
            server.thaw()
