"""One server: order, connections, deadlines, and what happens when it goes."""

import asyncio
import hashlib
from collections import Counter
from dataclasses import replace

import pytest
import uvloop

from carnelian._link import Event, Message, Script, Target, Timing
from carnelian._link import connect as connect_here
from carnelian.errors import AuthError, DeadlineError, DurabilityError, ServerError, UnavailableError
from tests.integration.link.conftest import Connect
from tests.integration.servers import Engine, Server, standalone, until

pytestmark = pytest.mark.integration

SOURCE = b"return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}"
SCRIPT = Script("count", SOURCE, hashlib.sha1(SOURCE).hexdigest())


async def opened(server: Server) -> int:
    return int((await server.info("stats"))["total_connections_received"])


async def commands(server: Server, name: str) -> int:
    stats = (await server.info("commandstats")).get(f"cmdstat_{name}", "calls=0,")
    return int(stats.split(",")[0].removeprefix("calls="))


async def test_calls_are_answered_in_order_on_one_connection(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    counts = await asyncio.gather(*(link.execute("INCR", "n") for _ in range(2000)))
    assert counts == list(range(1, 2001))
    assert len(await server.clients("carnelian")) == 1


async def test_values_come_back_as_they_were(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    big = bytes(range(256)) * 20_000
    assert await link.execute("SET", b"\x00key", big) == b"OK"
    assert await link.execute("GET", b"\x00key") == big
    assert await link.execute("GET", "nothing") is None
    await link.execute("HSET", "hash", "a", 1, "b", 2.5)
    assert await link.execute("HGETALL", "hash") == {b"a": b"1", b"b": b"2.5"}
    await link.execute("ZADD", "scores", 1.5, "m")
    assert await link.execute("ZSCORE", "scores", "m") == 1.5


async def test_calls_given_up_during_stalls_cost_no_connection(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    await link.execute("SET", "k", "v")
    before = await opened(server)
    for _ in range(5):
        server.freeze()
        timed = [link.execute("GET", "k", deadline=0.02) for _ in range(20)]
        cancelled = [asyncio.ensure_future(link.execute("GET", "k")) for _ in range(20)]
        assert {type(outcome) for outcome in await asyncio.gather(*timed, return_exceptions=True)} == {DeadlineError}
        for call in cancelled:
            call.cancel()
        server.thaw()
        assert await link.execute("GET", "k") == b"v"
    assert await opened(server) == before


async def test_errors_name_the_place_and_no_values(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    await link.execute("SET", "k", "v")
    with pytest.raises(ServerError, match=rf"^LPUSH at 127.0.0.1:{server.port}: WRONGTYPE") as wrong:
        await link.execute("LPUSH", "k", "s3cret")
    assert wrong.value.code == "WRONGTYPE"
    with pytest.raises(ServerError) as unknown:
        await link.execute("FOO", "s3cret")
    assert "s3cret" not in str(unknown.value)


async def test_after_a_restart_reads_are_repeated_and_writes_are_not(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    await link.execute("SET", "k", "v")
    server.freeze()
    read = asyncio.ensure_future(link.execute("GET", "k", deadline=10))
    write = asyncio.ensure_future(link.execute("INCR", "n", deadline=10))
    await asyncio.sleep(0)  # into the batch
    await asyncio.sleep(0.05)
    await server.stop()
    with pytest.raises(UnavailableError, match=r"INCR .* may or may not have been carried out"):
        await write
    unsent = asyncio.ensure_future(link.execute("INCR", "n", deadline=10))
    await server.start()
    assert await read is None  # the new process is empty
    assert await unsent == 1


async def test_a_server_that_is_away_is_dialled_by_one(server: Server, connect: Connect) -> None:
    events: list[Event] = []
    link = connect(replace(server.target, on_event=events.append))
    await server.stop()
    calls = [link.execute("PING", deadline=1) for _ in range(100)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {UnavailableError}
    assert "Connection refused" in str(outcomes[0])
    assert Counter(event.kind for event in events)["unreachable"] < 20


async def test_a_script_costs_one_round_trip_and_survives_a_flush(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    assert await link.eval(SCRIPT, ["k"], ["a"]) == [b"k", b"a", 1]
    await server.call("CONFIG", "RESETSTAT")
    assert await link.eval(SCRIPT, ["k"], [b"b"]) == [b"k", b"b", 2]
    assert (await commands(server, "evalsha"), await commands(server, "script|load")) == (1, 0)
    await server.call("SCRIPT", "FLUSH")
    replies = await asyncio.gather(*(link.eval(SCRIPT, ["k"], [i]) for i in range(50)))
    assert [reply[1] for reply in replies] == [str(i).encode() for i in range(50)]
    assert sorted(reply[2] for reply in replies) == list(range(3, 53))


async def test_a_script_error_is_the_servers(server: Server, connect: Connect) -> None:
    source = b"return redis.error_reply('NOSUCHRULE gone')"
    link = connect(server.target)
    with pytest.raises(ServerError, match=r"EVALSHA at .*: NOSUCHRULE gone") as error:
        await link.eval(Script("fails", source, hashlib.sha1(source).hexdigest()), ["k"], [])
    assert error.value.code == "NOSUCHRULE"


async def test_a_script_that_may_not_be_loaded_says_what_is_missing(engine: Engine, connect: Connect) -> None:
    async with standalone(engine, lines=["user app on >right ~* +@all -script"]) as server:
        link = connect(replace(server.target, username="app", password="right"))
        with pytest.raises(ServerError, match=r"script count cannot be loaded: allow user 'app' SCRIPT LOAD"):
            await link.eval(SCRIPT, ["k"], ["a"])


async def test_users_and_passwords(engine: Engine, connect: Connect) -> None:
    users = ["user app on >right ~app:* +@all -@dangerous"]
    async with standalone(engine, {"requirepass": "admin"}, users) as server:
        good = connect(Target.standalone(server.host, server.port, username="app", password="right"))
        assert await good.execute("SET", "app:k", 1) == b"OK"
        with pytest.raises(ServerError) as refused:
            await good.execute("SET", "other", 1)
        assert refused.value.code == "NOPERM"
        bad = connect(Target.standalone(server.host, server.port, username="app", password="wr0ng"))
        with pytest.raises(AuthError, match="refused user 'app'") as wrong:
            await bad.execute("GET", "app:k")
        assert "wr0ng" not in str(wrong.value)
        with pytest.raises(AuthError, match="no password"):
            await connect(server.target).execute("GET", "app:k")
        await server.call("ACL", "SETUSER", "app", ">wr0ng")
        assert await bad.execute("GET", "app:k") == b"1"


async def test_blocking_calls_hold_up_nobody(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    waiting = asyncio.ensure_future(link.blocking("BLPOP", "jobs", 5, timeout=5))
    await until(lambda: server.clients("carnelian"))
    assert await link.execute("PING") == b"PONG"
    await link.execute("RPUSH", "jobs", "one")
    assert await waiting == [b"jobs", b"one"]
    assert await link.blocking("BLPOP", "jobs", 0.05, timeout=0.05) is None
    assert len(await server.clients("carnelian")) == 2  # the second call used the first one's connection


async def test_a_blocking_call_that_is_cancelled_takes_nothing(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    waiting = asyncio.ensure_future(link.blocking("BLPOP", "jobs", 0, timeout=0))

    async def blocked() -> bool:
        return (await server.info("clients"))["blocked_clients"] == "1"

    await until(blocked)
    waiting.cancel()

    async def unblocked() -> bool:
        return (await server.info("clients"))["blocked_clients"] == "0"

    await until(unblocked)
    await link.execute("RPUSH", "jobs", "one")
    assert await link.execute("LLEN", "jobs") == 1


async def test_a_subscription_outlives_its_connection(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    async with asyncio.timeout(20), link.subscribe("a", "b") as messages:
        assert await anext(messages) is None
        await link.execute("PUBLISH", "b", b"\x00one")
        assert await anext(messages) == ("b", b"\x00one")
        await server.call("CLIENT", "KILL", "TYPE", "pubsub")
        assert await anext(messages) is None
        await server.stop()
        await server.start()
        assert await anext(messages) is None
        await link.execute("PUBLISH", "a", "two")
        assert await anext(messages) == ("a", b"two")

    async def gone() -> bool:
        return (await server.info("clients"))["pubsub_clients"] == "0" if server.engine == "valkey" else True

    await until(gone)


async def test_closing_the_link_ends_its_subscriptions(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    async with asyncio.timeout(20), link.subscribe("a") as messages:
        assert await anext(messages) is None
        await link.execute("PUBLISH", "a", "last")
        assert await anext(messages) == ("a", b"last")
        await link.aclose()
        assert [message async for message in messages] == []
    await until(lambda: _no_clients(server))


async def test_a_hook_that_fails_harms_no_call(
    server: Server, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError(event.kind)

    assert await connect(replace(server.target, on_event=fail)).execute("PING") == b"PONG"
    assert "the hook for connection events failed" in caplog.text


async def test_a_reader_that_is_far_behind_is_told_to_refresh(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    async with asyncio.timeout(20), link.subscribe("a") as messages:
        assert await anext(messages) is None
        await asyncio.gather(*(link.execute("PUBLISH", "a", i) for i in range(3000)))
        await link.execute("PUBLISH", "a", "last")
        received: list[Message | None] = []
        while not received or received[-1] != ("a", b"last"):
            received.append(await anext(messages))
        assert None in received
        assert len(received) < 3000


async def test_a_write_that_no_replica_has_is_said_to_be(server: Server, connect: Connect) -> None:
    link = connect(server.target)
    with pytest.raises(DurabilityError, match="carried the write out; no replica"):
        await link.execute("SET", "k", "v", durability="replicated", deadline=0.3)
    assert await link.execute("GET", "k") == b"v"
    with pytest.raises(ValueError, match="fsynced"):
        await link.execute("SET", "k", "v", durability="fsynced")  # type: ignore[arg-type]


async def test_closing_finishes_what_was_accepted(server: Server, connect: Connect) -> None:
    link = connect(replace(server.target, timing=Timing(deadline=5)))
    accepted = [asyncio.ensure_future(link.execute("INCR", "n")) for _ in range(100)]
    await asyncio.sleep(0)
    await link.aclose()
    assert await asyncio.gather(*accepted) == list(range(1, 101))
    with pytest.raises(UnavailableError, match="closed"):
        await link.execute("PING")
    await until(lambda: _no_clients(server))


async def _no_clients(server: Server) -> bool:
    return not await server.clients("carnelian")


async def test_it_runs_on_uvloop(server: Server) -> None:
    async def use() -> list[int]:
        link = connect_here(server.target)
        try:
            return list(await asyncio.gather(*(link.execute("INCR", "n") for _ in range(100))))
        finally:
            await link.aclose()

    def run() -> list[int]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(use())

    assert await asyncio.to_thread(run) == list(range(1, 101))
