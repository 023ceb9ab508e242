"""The data plane goes away: the policy's stated answer, at once and marked, and back to counting."""

import asyncio
import time
from typing import Any

import pytest

from carnelian import Carnelian, Verdict
from tests.integration.policy.publishing import acknowledged, publish, url
from tests.integration.servers import Replication, Server, until

pytestmark = pytest.mark.integration


def body(answer: str, **fields: Any) -> dict[str, Any]:
    return {"onUnavailable": answer, "rules": [{"name": "all", "limit": 1_000_000, "key": ["user"]}]} | fields


@pytest.mark.parametrize("how", ["kill", "freeze"])
@pytest.mark.parametrize("answer", ["Allow", "Deny"])
async def test_a_lost_data_plane(server: Server, how: str, answer: str) -> None:
    await publish(server, {"RateLimitRule/api": body(answer)}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        limiter = svc.limits("api")
        assert not (await limiter.check(user="ada")).degraded
        getattr(server, how)()
        started = time.perf_counter()
        verdicts = await asyncio.gather(*(limiter.check(user="ada") for _ in range(50)))
        verdicts += [await limiter.check(user="ada")]
        assert time.perf_counter() - started < 2
        for verdict in verdicts:
            assert verdict.degraded
            assert verdict.allowed == (answer == "Allow")
            assert verdict.generation == 1
        assert limiter.counts()["degraded"] == 51
        if how == "kill":
            await server.start()
            await publish(server, {"RateLimitRule/api": body(answer)}, epoch=2, generation=2)
        else:
            server.thaw()

        async def counted_again() -> bool:
            return not (await limiter.check(user="ada")).degraded

        await until(counted_again)


async def test_only_one_batch_at_a_time_waits_for_a_silent_data_plane(server: Server) -> None:
    """Ten requests a tick against a frozen server: those beside the one that probes do not wait."""
    await publish(server, {"RateLimitRule/api": body("Allow")}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        limiter = svc.limits("api")
        await limiter.check(user="ada")
        server.freeze()
        assert (await limiter.check(user="ada")).degraded
        waits: list[float] = []

        async def request() -> Verdict:
            started = time.perf_counter()
            verdict = await limiter.check(user="ada")
            waits.append(time.perf_counter() - started)
            return verdict

        tasks = []
        for _ in range(40):
            tasks.append(asyncio.create_task(request()))
            await asyncio.sleep(0.01)
        verdicts = await asyncio.gather(*tasks)
        assert all(verdict.degraded for verdict in verdicts)
        assert sum(wait > 0.05 for wait in waits) <= 2
        server.thaw()


async def test_shadow_never_denies(server: Server) -> None:
    await publish(server, {"RateLimitRule/api": body("Deny", stage="Shadow")}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        await svc.limits("api").check(user="ada")
        server.kill()
        verdict = await svc.limits("api").check(user="ada")
        assert (verdict.allowed, verdict.degraded) == (True, True)


async def test_a_server_that_refuses_writes_is_a_lost_data_plane_too(server: Server) -> None:
    await publish(server, {"RateLimitRule/api": body("Deny")}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        limiter = svc.limits("api")
        await limiter.check(user="ada")
        await server.call("CONFIG", "SET", "maxmemory", "1")
        verdict = await limiter.check(user="ada")
        assert (verdict.allowed, verdict.degraded) == (False, True)
        await server.call("CONFIG", "SET", "maxmemory", "0")

        async def counted_again() -> bool:
            return not (await limiter.check(user="ada")).degraded

        await until(counted_again)


async def test_a_cancelled_check_disturbs_nobody(server: Server) -> None:
    await publish(server, {"RateLimitRule/api": body("Deny")}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        limiter = svc.limits("api")
        await limiter.check(user="ada")
        tasks = [asyncio.create_task(limiter.check(user="ada")) for _ in range(30)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
        assert all(isinstance(result, Verdict) and not result.degraded for result in results[1::2])


async def test_checks_under_way_are_finished_by_closing(server: Server) -> None:
    await publish(server, {"RateLimitRule/api": body("Deny")}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        await svc.limits("api").check(user="ada")
        tasks = [asyncio.create_task(svc.limits("api").check(user="ada")) for _ in range(300)]
        await asyncio.sleep(0)
    assert not any(task.result().degraded for task in tasks)
    with pytest.raises(RuntimeError, match="async with"):
        await svc.execute("PING")


async def test_limits_go_on_where_a_failover_left_them(replication: Replication) -> None:
    primary = await replication.primary()
    await publish(
        primary, {"RateLimitRule/api": body("Allow", rules=[{"name": "all", "limit": 5, "period": "1h"}])}, epoch=1
    )
    sentinels = ",".join(f"{one.host}:{one.port}" for one in replication.sentinels)
    async with Carnelian(url=f"redis+sentinel://{sentinels}/{replication.master_name}") as svc:
        limiter = svc.limits("api")
        assert (await limiter.check(cost=5)).allowed
        await svc.execute("WAIT", len(replication.servers) - 1, 5000)
        primary.kill()

        async def refused_by_count() -> bool:
            verdict = await limiter.check()
            return not verdict.allowed and not verdict.degraded

        await until(refused_by_count, what="the new primary counts on")
        new = await replication.primary()
        await until(lambda: acknowledged(new), what="an acknowledgement on the new primary")
